# Called by: bench/run.py.
"""bench/results.md: the budgets with their verdicts, then a table for each measurement; and what of it docs/benchmark.md shows. Where
nothing was measured it says so."""

import budgets
from budgets import OURS, number, times
from figures import Figures, duration, kibibytes, rate, three_digits
from machine import EVERYTHING, HOSTILITY, fail

BUSY = 0.5  # a load average at the start above this: other work disturbed the figures


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|---|" + "---:|" * (len(head) - 1)]
    return lines + ["| " + " | ".join(row) + " |" for row in rows] + [""]


class Report:
    def __init__(self, found):
        self.found, self.figures = found, Figures(found)
        self.how = found["how"]

    def write(self):
        parts = [self.head, self.budgets, self.latencies, self.orphans, self.memory, self.size, self.gap, self.log, self.scale]
        return "\n".join(line for part in parts for line in part()).rstrip() + "\n"

    def head(self):
        machine, versions = self.found["machine"], self.found["versions"]
        named = ", ".join(f"{name} {facts['version']}" for name, facts in versions.items())
        minutes = max(1, round(self.found["seconds"] / 60))
        lines = [
            "# Benchmark", "",
            f"Measured on {machine['date']}, {machine['machine']}, {machine['kernel']}, Node {machine['node']}. {named}.", "",
            f"To repeat it: `{self.found['command']}` ({minutes} min). The candidates take turns, each as PID 1 of a new PID namespace, in a processor"
            " cgroup as a container is."
            " Figures are medians; p10 and p90 are the spread of all samples. A ratio is the median of the ratios within each round, with"
            " their quartiles in brackets. `none` is the command without an init, `floor` a bare C loop of waitpid and vfork+exec.", "",
        ]
        if not machine["cgroup"]:
            lines += ["**No processor cgroup could be made** for the candidates (does it need root?): sessions get their own share then.", ""]
        if machine["load"] > BUSY:
            lines += [f"**The machine was not quiet**: a load average of {machine['load']:.1f} at the start. Times here are disturbed.", ""]
        if self.found["quick"]:
            lines += ["This was the quick run: few rounds, no more than a hint.", ""]
        return lines

    def budgets(self):
        head = ["what", "budget", OURS, "against", "ratio", "verdict"]
        return ["## Budgets", ""] + table(head, budgets.rows(self.figures, self.found["versions"]))

    def latencies(self):
        lines = []
        for title, measure, note in [
            ("Start", "start", "exec of the init to the first instruction of its child, a static C program."),
            ("Start, Node", "start_node", "exec of the init to the first line of a Node script: Node's own boot is in it."),
            ("Restart", "restart", "Death of the child to the first instruction of the next one; no backoff, log lines on (`-q`: off)."),
            ("Restart, Node", "restart_node", "SIGKILL of a Node child to the first line of the next one."),
            ("Signal", "signals", "kill() of the init to the handler of its child. pm2-runtime forwards no USR1: it opens an inspector."),
            ("Signal, busy machine", "signals_busy", "The same beside 8 processes that keep the processors busy."),
            ("Restart, hostile clients", "restart_hostile", "A thousand clients at the port of `--http` that say nothing, a byte, or rubbish; `elsewhere`: at that of another restartinit."),
            ("Signal, hostile clients", "signals_hostile", "The same, for a signal."),
        ]:
            candidates = self.figures.measures.get(measure, {})
            if not candidates:
                continue
            bases = list(dict.fromkeys([OURS, next(iter(candidates))]))
            rows = []
            for candidate in candidates:
                cells = [duration(self.figures.at(measure, candidate, "ns", part)) for part in (0.5, 0.1, 0.9, 0.99)]
                count = len(self.figures.samples(measure, candidate, "ns"))
                ratios = ["1" if candidate == base else times(self.figures.ratio(measure, "ns", candidate, base)) for base in bases]
                rows.append([candidate, *cells, f"{count:,}", *ratios])
            head = ["", "median", "p10", "p90", "p99", "samples", *(f"to {base}" for base in bases)]
            lines += [f"## {title}", "", note, ""] + table(head, rows)
        return lines

    def orphans(self):
        count = f"{self.how['orphans']:,}"
        waiting = f"{count} orphans that are dead already when PID 1 goes on: processor time for each, and time until the last is reaped."
        at_once = (
            f"The same while they die: {count} at once. Those that reap and those that die take turns at one lock of the kernel, and the"
            " processor time that is spent waiting for it differs from run to run. In such a flood restartinit rests between two looks."
        )
        left = self.figures.total("zombies", "pm2-runtime", "left")
        if left is not None:
            waiting += f" pm2-runtime reaps none: of 100 orphans {left} were zombies 2 s later."
        lines = []
        for note, measure in [(waiting, "orphans_waiting"), (at_once, "orphans")]:
            rows = []
            for candidate in self.figures.measures.get(measure, {}):
                cost = [duration(self.figures.at(measure, candidate, "cpu_ns", part)) for part in (0.5, 0.1, 0.9)]
                ratio = "1" if candidate == OURS else times(self.figures.ratio(measure, "cpu_ns", candidate, OURS))
                rows.append([candidate, *cost, duration(self.figures.at(measure, candidate, "wall_ns")), ratio])
            if rows:
                lines += [note, ""] + table(["", "CPU, median", "p10", "p90", "all of them", f"CPU to {OURS}"], rows)
        return ["## Orphans", "", *lines] if lines else []

    def memory(self):
        rows = []
        named = [(candidate, "memory_off", candidate) for candidate in self.figures.measures.get("memory_off", {})]
        if "memory_on" in self.figures.measures:
            named.insert(1, (OURS, "memory_on", f"{OURS}, every option, Node"))
        for candidate, measure, title in named:
            missing = self.figures.not_built(measure, candidate)
            cells = [kibibytes(self.figures.at(measure, candidate, key)) for key in ("rss", "pss", "private")]
            wakes = self.figures.at(measure, candidate, "wakes")
            rows.append([title, *(["not built"] + ["-"] * 2 if missing else cells), "-" if wakes is None else three_digits(wakes)])
        if not rows:
            return []
        for candidate in self.figures.measures.get("scale_restarts", {}):
            for count, resident in self.figures.points("scale_restarts", candidate, "rss").items():
                last = max(self.figures.points("scale_restarts", candidate, "rss"))
                if count in (10_000, last):
                    private = self.figures.points("scale_restarts", candidate, "private")[count]
                    rows.append([f"{candidate}, after {count:,} restarts", kibibytes(resident), "-", kibibytes(private), "-"])
        missing = self.figures.not_built("memory_on", OURS)
        options = " ".join([*EVERYTHING, "--http ADDR"])
        note = "Of PID 1, with an idle child. Proportional (PSS) shares out the pages of libc among all that use it."
        note += f" Every option: `{options}`; the watchdog and the memory limit wake it by their nature."
        if missing:
            note += f" Not built yet: {', '.join(missing)}."
        return ["## Memory and wake-ups", "", note, ""] + table(["", "resident", "proportional", "private", "wake-ups a second"], rows)

    def size(self):
        rows = [
            [name, facts["version"], kibibytes(facts["bytes"] / 1024), f"{facts['files']:,}", facts["linked"]]
            for name, facts in self.found["versions"].items()
        ]
        return ["## Size", "", "pm2-runtime: its `node_modules`, without Node.", ""] + table(["", "version", "size", "files", ""], rows)

    def gap(self):
        candidates = self.figures.measures.get("gap", {})
        if not candidates:
            return []
        rows = []
        for candidate in candidates:
            if self.figures.not_built("gap", candidate):
                rows.append([candidate, "not built"] + ["-"] * 8)
                continue
            gaps = [duration(self.figures.at("gap", candidate, "gap_ns", part)) for part in (0.5, 0, 1)]
            fates = [number(self.figures.total("gap", candidate, fate)) for fate in ("ok", "refused", "reset", "lost")]
            slowest = duration(max(self.figures.samples("gap", candidate, "slowest_ns"), default=None))
            rows.append([candidate, *gaps, *fates, slowest, number(self.figures.total("gap", candidate, "kills"))])
        note = (
            "A Node server that boots for 400 ms is killed by SIGKILL under a steady load of new connections,"
            f" {self.how['rate']} a second. pm2-runtime in fork mode, and as a cluster of two workers (`-i 2`), one of which is killed."
            " The gap is the death to the next answer. Refused: no process listened. Reset: connected, then cut off. Lost: no answer"
            " within 5 s. The slowest is the longest wait of a client that got its answer."
        )
        return ["## Crash of a Node server under load", "", note, ""] + table(
            ["", "gap, median", "least", "most", "answered", "refused", "reset", "lost", "slowest", "kills"], rows
        )

    def log(self):
        candidates = self.figures.measures.get("log", {})
        if not candidates:
            return []
        rows = []
        for candidate in candidates:
            arrived = self.figures.at("log", candidate, "arrived")
            speed, cost, peak = (self.figures.at("log", candidate, key) for key in ("bytes_per_second", "cpu_ns", "peak_kib"))
            rows.append([candidate, rate(speed), duration(cost), kibibytes(peak), f"{arrived * 100:.1f} %"])
        note = f"The child writes {self.how['log'] / 1e6:,.0f} MB to stdout, which is a pipe with a reader. restartinit is not in between."
        return ["## Log throughput", "", note, ""] + table(["", "throughput", "CPU of PID 1", "its peak memory", "arrived"], rows)

    def scale(self):
        lines = []
        for title, measure, key in [
            ("CPU of an orphan", "scale_orphans", "cpu_ns"), ("CPU of a signal", "scale_signals", "cpu_ns"),
            ("latency of a signal", "scale_signals", "latency_ns"), ("CPU of a restart", "scale_restarts", "cpu_ns"),
            ("latency of a restart", "scale_restarts", "latency_ns"),
        ]:
            candidates = self.figures.measures.get(measure, {})
            counts = sorted({count for candidate in candidates for count in self.figures.points(measure, candidate, key)})
            rows = []
            for candidate in candidates:
                points = self.figures.points(measure, candidate, key)
                rows.append([candidate, *(duration(points.get(count)) for count in counts)])
            if rows:
                lines += [f"### {title}", ""] + table(["", *(f"{count:,}" for count in counts)], rows)
        note = (
            "Orphans: so many die, at most 10,000 at once. Signals and restarts: those since the column before. The small numbers"
            " are few samples. pm2-runtime stops at 1,000 restarts, which take it long enough."
        )
        return ["## Scale", "", note, "", *lines] if lines else []


    def hostile(self):
        told = []
        for what, measure in [("a restart", "restart_hostile"), ("a signal", "signals_hostile")]:
            without, beside, elsewhere = (duration(self.figures.at(measure, name, "ns")) for name in HOSTILITY)
            told.append(f"{what} takes {beside} (without them: {without}; with as many at another restartinit's port: {elsewhere})")
        return [f"With a thousand hostile clients at `--http`, {', '.join(told)}; medians.", ""]

    def page(self):
        """What docs/benchmark.md shows of it: the candidates side by side, the crash, the budgets, the plots."""
        machine, figures = self.found["machine"], self.figures
        rows = []
        for name, facts in self.found["versions"].items():
            times_taken = [figures.at("start", name, "ns"), figures.at("signals", name, "ns"), figures.at("signals", name, "ns", 0.99)]
            reaps, restarts = figures.at("orphans_waiting", name, "cpu_ns"), figures.at("restart", name, "ns")
            wakes, resident = figures.at("memory_off", name, "wakes"), figures.at("memory_off", name, "rss")
            rows.append([
                name, facts["version"], f"{kibibytes(facts['bytes'] / 1024)}, {facts['linked']}", kibibytes(resident),
                *(duration(value) for value in (*times_taken, reaps, restarts)), number(wakes),
            ])
        head = ["", "version", "size", "memory", "start", "signal", "signal, p99", "CPU of an orphan", "restart", "wake-ups a second, idle"]
        lines = [
            f"Measured on {machine['date']} with `{self.found['command']}`: {machine['machine']}, {machine['kernel']}, Node"
            f" {machine['node']}."
            " Medians; [bench/results.md](../bench/results.md) has the spreads, every ratio and what else was measured.", "",
            *table(head, rows),
            *(f"![{words}](../bench/plots/{name}.svg)\n" for name, words in PLOTS),
            *self.gap()[2:], *self.budgets()[2:], *self.hostile(),
        ]
        return "\n".join(lines).rstrip() + "\n"


PLOTS = [
    ("gap", "A Node server is killed under load: time until the next answer"), ("memory", "Memory of PID 1"),
    ("restart", "From the death of the child to the next one's first instruction"), ("scale", "Processor time by how many came before"),
]


def write(found):
    return Report(found).write()


def page(found):
    return Report(found).page()


def put_in(path, command, text, part=""):
    """Between the two marks of that command; where a page has several parts of it, between those of that part."""
    begin, end = f"<!-- {command} writes this{part and ': '}{part} -->\n", f"<!-- {command}: end -->\n"
    before, _, rest = path.read_text().partition(begin)
    _, found, after = rest.partition(end)
    if not found:
        fail(f"{path}: no such lines as {begin.strip()} and {end.strip()}")
    path.write_text(before + begin + "\n" + text + "\n" + end + after)
