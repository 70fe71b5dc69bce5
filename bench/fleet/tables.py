# Called by: bench/fleet/run.py.
"""The tables of docs/choosing-limits.md, part by part."""

from math import floor, log10

from inputs import CANDIDATES, Inputs
from limits import ON_KUBERNETES, Restartinit
from scenarios import OUTAGES


def table(head, rows, last="---:"):
    lines = ["| " + " | ".join(head) + " |", "|---|" + "---:|" * (len(head) - 2) + f"{last}|"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def percent(share):
    """As many digits as tell it from 100 %."""
    missing = 100 * (1 - share)
    if missing < 1e-6:
        return "100 %"
    return f"{100 * share:.{min(5, max(1, 1 - floor(log10(missing))))}f} %"


def span(seconds):
    if seconds is None:
        return "never"
    if seconds < 0.995:
        return f"{abs(round(1000 * seconds))} ms"
    return f"{seconds:.1f} s" if seconds < 99.95 else f"{seconds:,.0f} s"


def shown(policy):
    """Options as code."""
    return f"`{policy}`" if policy.startswith("--") else policy


def middle(values):
    known = sorted(values, key=lambda value: float("inf") if value is None else value)
    return known[len(known) // 2], known[-1]


class Found:
    """The runs by section, scenario, policy and app, in the order of the plan."""

    def __init__(self, found):
        self.found, self.runs = found, {}
        for run in found["runs"]:
            self.runs.setdefault(run["section"], {}).setdefault((run["scenario"], run["policy"], run["app"]), []).append(run)

    def names(self, section, place):
        return list(dict.fromkeys(key[place] for key in self.runs[section]))

    def of(self, section, scenario, policy, app=None):
        return next(runs for key, runs in self.runs[section].items() if key[:2] == (scenario, policy) and app in (None, key[2]))


def crashes(found):
    policies = found.names("crashes", 1)
    rows = []
    for scenario in found.names("crashes", 0):
        runs = [found.of("crashes", scenario, policy)[0] for policy in policies]
        rows.append([scenario, *(percent(run["served"]) for run in runs), *(percent(1 - run["refused"]) for run in runs[-2:])])
    head = ["each replica crashes", *map(shown, policies), *(f"answered or queued, {shown(policy)}" for policy in policies[-2:])]
    return table(head, rows)


def boots(found):
    policies = found.names("boots", 1)
    rows = []
    for app in found.names("boots", 2):
        cells = [found.of("boots", "once an hour", policy, app)[0] for policy in policies]
        rows.append([app, *(percent(run["served"]) for run in cells)])
    return table(["once an hour; boot", *map(shown, policies)], rows)


def window(found):
    scenarios, rows = found.names("window", 0), []
    for policy in found.names("window", 1):
        runs = [found.of("window", name, policy)[0] for name in scenarios]
        rows.append([shown(policy), *(percent(run["served"]) for run in runs), *("-" if "alone" in policy else f"{run['handovers']:.2f}" for run in runs)])
    return table(["each replica crashes", *scenarios, *(f"handed over an hour, {name}" for name in scenarios)], rows)


def outage(found, name):
    rows, pools = [], found.found["inputs"]["pool"]["value"] * found.found["replicas"]
    named = [("away", policy, shown(policy)) for policy in found.names("away", 1)]
    for section, policy, words in [*named, ("waiting", "defaults", "an app that waits, under any of them")]:
        runs = found.of(section, name, policy)
        back, latest = middle([run["back_99"] for run in runs])
        lost = sum(run["lost"] for run in runs) / len(runs)
        peak = max(run["peak"] for run in runs)
        over = sum(run["handed_over"] for run in runs) / len(runs)
        served = sum(run["served"] for run in runs) / len(runs)
        rows.append([
            words, percent(served), span(lost), f"{span(back)} ({span(latest)})", f"{peak:,.0f} ({100 * peak / pools:.1f} %)", f"{100 * over:.0f} %",
        ])
    head = [
        f"away for {name}", "availability over the hour", "lost beyond the outage", "99 % are back after (worst)", "peak of connects in 100 ms",
        "handed over",
    ]
    return table(head, rows)


def counts(found):
    rows = []
    for policy in found.names("counts", 1):
        cells = []
        for name in OUTAGES:
            runs = found.of("counts", name, policy)
            cells += [span(sum(run["lost"] for run in runs) / len(runs)), span(middle([run["back_99"] for run in runs])[1])]
        rows.append([shown(policy), *cells])
    return table(["", *(f"{name}: {what}" for name in OUTAGES for what in ("lost", "worst"))], rows)


def bad(found):
    scenarios, rows = found.names("bad", 0), []
    for policy in found.names("bad", 1):
        runs = [found.of("bad", name, policy)[0] for name in scenarios]
        told = ["at once" if policy.endswith("alone") else span(run["first_handover"]) for run in runs]
        cells = [f"{percent(run['served'])}, {first}" for run, first in zip(runs, told)]
        rows.append([shown(policy), *cells, f"{runs[0]['connects']:,.0f}"])
    return table(["it crashes after", *scenarios, f"connects of each, {scenarios[0]}"], rows)


PATIENCE = [
    {}, {"max_restarts": 5}, {"max_restarts": 8}, {"max_restarts": 15}, {"max_restarts": 20}, {"max_restarts": 40}, {"backoff": 1.0},
    {"max_restarts": 5, "backoff": 1.0}, {"backoff_max": 30.0}, {"max_restarts": 20, "backoff_max": 30.0},
]


def until_handover(options, run):
    """From the first crash to the hand-over, where each generation then lives for `run` seconds and never serves."""
    restartinit, now, count = Restartinit(options, lambda: 0.5), 0.0, 1
    wait = restartinit.crash(now, 1e9, 1e9)
    while wait is not None:
        now += wait + run
        count += 1
        wait = restartinit.crash(now, run, None)
    return now, count


def patience(found):
    """By arithmetic: half of the jitter in each wait."""
    known = Inputs(found.found["inputs"])
    rows = []
    for changed in PATIENCE:
        words = " ".join(f"--{name.replace('_', '-')} {value:g}{'' if name == 'max_restarts' else 's'}" for name, value in changed.items())
        cells = [span(until_handover(ON_KUBERNETES._replace(**changed), known.boot(app) + known.value("refused_after_s"))[0]) for app in known.apps]
        rows.append([f"`{words}`" if words else "defaults", *cells])
    return table(["", *known.apps], rows)


def source(found):
    """Every figure that it begins with, and where it comes from."""
    told, gaps, rows = found.found["inputs"], [], []
    for app, row in told["gaps_ms"].items():
        sources = dict.fromkeys(row[candidate]["source"] for candidate in CANDIDATES)
        gaps.append([app, *(f"{row[candidate]['value']:g}" for candidate in CANDIDATES), "; ".join(sources)])

    def walk(place, path):
        if "source" in place:
            value = ", ".join(map(str, place["value"])) if isinstance(place["value"], list) else f"{place['value']:g}"
            rows.append([", ".join(path), value, place["source"]])
            return
        for name, below in place.items():
            walk(below, [*path, name])

    walk({name: place for name, place in told.items() if name != "gaps_ms"}, [])
    head = ["gaps, ms", *map(shown, CANDIDATES), "source"]
    return table(head, gaps, "---") + "\n\n" + table(["", "value", "source"], rows, "---")


def head(found):
    told = found.found
    return (
        f"{told['replicas']:,} replicas, seed {told['seed']}, by `make fleet` ({max(1, round(told['seconds'] / 60))} min). An app that boots for"
        " 400 ms, on Kubernetes, but where a table says otherwise."
    )


def parts(found):
    found = Found(found)
    away = "\n\n".join(outage(found, name) for name in OUTAGES)
    return {
        "how": head(found), "crashes": crashes(found) + "\n\n" + boots(found), "window": window(found), "away": away, "counts": counts(found), "patience": patience(found),
        "bad release": bad(found), "inputs": source(found),
    }
