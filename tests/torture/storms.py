# Called by: tests/torture/run.py.
"""Storms: processes that send signals to PID 1 without a pause, from an exec session, so that nobody may end them. How long what is due takes in
each, beside tini, dumb-init and catatonit: an exit, a stop, a deadline, an answer. The processors are the senders' too: the rows without a storm
and with one at somebody else tell what that costs."""

import contextlib
import math
import os
import resource
import select
import shutil
import signal
import statistics
import subprocess
import time

from box import FREELY, INIT, PATIENCE, STORM, Box, Fell, read
from races import FORWARDED

LIMIT = 100.0  # ms, at the most: the contract
NEVER = 5  # s; whoever takes longer is not waited for
TRIES = 15
GRACES = [300, 1_000, 4_000, 16_000]  # ms: the storm must have come by then; the next one where it had not, on a busy machine
PEERS = ["tini", "dumb-init", "catatonit"]
# Half of what the user may have queued: a storm that took it all would have everybody else's signals and timers refused.
QUEUE = ["prlimit", f"--sigpending={resource.getrlimit(resource.RLIMIT_SIGPENDING)[0] // 2}"]
NUMBERS = {
    "one real-time number": [34],
    "two real-time numbers": [34, 35],
    "all real-time numbers": list(range(34, 65)),
    "HUP": [1],
    "USR1": [10],
    "all that can be forwarded": FORWARDED,
}
EXIT, STOP, DEADLINE, HEALTH = WHATS = ("exit", "stop", "grace period", "health")
MEANT = """How long each takes, in ms: the median and the most of the tries. *exit*: from the command's last act to the next generation's first, or
to the line in the log that it was started, since it may die of the storm before it can act; tini and its like end. *stop*: from TERM to PID 1 until
the command has it. *grace period*: from its end to the command's death. *health*: `restartinit health` in the command's place, from its start to
its end. *never*: not within 5 s, and not tried again. *waiting*: the most of it in which PID 1 of restartinit only waited for a processor, as the
senders had them. *elsewhere*: the storm is at another process: what the senders cost on this machine."""


class Absent(Fell):
    """There is no storm."""


class Storm:
    def __init__(self, name, senders, numbers, elsewhere=False):
        self.name, self.senders, self.numbers, self.elsewhere = name, senders, [str(number) for number in numbers], elsewhere

    def __str__(self):
        return self.name if not self.senders else f"{self.name}, {self.senders} sender" + "s" * (self.senders > 1)

    def box(self, init, options):
        """PID 1 and a command that minds none of this storm, which is not there yet."""
        return Box(options, [STORM, "serve", *([] if self.elsewhere else self.numbers)], before=QUEUE, init=init)

    @contextlib.contextmanager
    def at(self, one):
        """The storm, to the end of the box."""
        if not self.senders:
            yield
            return
        line = one.entering(STORM, "send", str(self.senders), "elsewhere" if self.elsewhere else "pid1", *self.numbers)
        with subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as senders:
            try:
                if not select.select([senders.stdout], [], [], PATIENCE)[0] or not senders.stdout.readline().startswith(b"storming"):
                    raise Absent("the storm never came (is the user's queue of signals full?)" + one.told())
                yield
            finally:
                one.host.kill()  # and with it PID 1 and the senders
                senders.kill()


CONTROLS = [Storm("no storm", 0, []), *(Storm("elsewhere, all real-time numbers", count, range(34, 65), True) for count in (1, 4))]
STORMS = [Storm(name, count, numbers) for name, numbers in NUMBERS.items() for count in (1, 4)]


def ended(handle):
    """When that process ended."""
    if not select.select([handle], [], [], NEVER)[0]:
        raise Fell(f"it has not ended after {NEVER} s")
    return time.monotonic_ns()


def asked_to_stop(one):
    """Sends TERM: when."""
    one.mark()
    asked = time.monotonic_ns()
    one.signal(signal.SIGTERM)
    return asked


def left(one):
    """Has the command end: when it did."""
    one.tell("exit")
    return int(one.hear("exit"))


def next_generation(one):
    """When it was there: its own stamp, or the line about its start."""
    while True:
        line = one.hear("", NEVER)
        if line.startswith("up 2 "):
            return int(line.split()[2])
        if "generation 2 (pid" in line and "started" in line:
            return time.monotonic_ns()


def waited(one):
    """How many ns PID 1 has waited for a processor by now."""
    words = read(f"/proc/{one.pid}/schedstat").split()
    return int(words[1]) if words else 0


class Figures:
    """Milliseconds by init and what was due; how many of them PID 1 waited for a processor; why one was not to be had."""

    def __init__(self):
        self.taken, self.waits, self.missed = {}, {}, {}

    @contextlib.contextmanager
    def trying(self, init, *whats):
        """What is not taken inside has fallen over, and is not tried again."""
        before = {what: len(self.of(init, what)) for what in whats}
        try:
            yield
        except Fell as fell:
            what = next(what for what in whats if len(self.of(init, what)) == before[what])
            self.missed[init, what] = str(fell)

    def of(self, init, what):
        return self.taken.setdefault((init, what), [])

    def take(self, init, what, nanoseconds, wait=0):
        self.of(init, what).append(max(0, nanoseconds) / 1e6)
        self.waits.setdefault((init, what), []).append(min(max(0, wait), max(0, nanoseconds)) / 1e6)

    def goes_on(self, init):
        return not any(known == init for known, _ in self.missed)

    def cell(self, init, what):
        if (init, what) in self.missed:
            return "**never**"
        taken = self.of(init, what)
        return f"{statistics.median(taken):.1f} / {max(taken):.1f}" if taken else ""

    def most_waited(self):
        return max((wait for waits in self.waits.values() for wait in waits), default=0)

    def fell(self, limit, short):
        """What restartinit did not do in time. In the short form the machine is other tests' as well: the wait for a processor is left out."""
        for what in WHATS:
            if (INIT, what) in self.missed:
                yield what, self.missed[INIT, what]
                continue
            if not self.of(INIT, what):
                yield what, "not tried: what comes before it fell over, or the storm came too late each time"
                continue
            spans = zip(self.of(INIT, what), self.waits[INIT, what])
            most = max(taken - wait * short for taken, wait in spans)
            if most > limit:
                yield what, f"took {most:.1f} ms"


def try_restartinit(storm, figures):
    with figures.trying(INIT, HEALTH, EXIT), storm.box(INIT, [*FREELY, "-v"]) as one:
        one.hear("ready")
        with storm.at(one):
            before = waited(one)
            one.tell("health")
            asked = int(one.hear("asked"))
            code, answered = map(int, one.hear("health", NEVER).split())
            if code != 0:
                raise Fell(f"health: {code}" + one.told())
            figures.take(INIT, HEALTH, answered - asked, waited(one) - before)
            began, before = left(one), waited(one)
            figures.take(INIT, EXIT, next_generation(one) - began, waited(one) - before)
    with figures.trying(INIT, STOP), storm.box(INIT, []) as one:
        one.hear("ready")
        with storm.at(one):
            before, asked = waited(one), asked_to_stop(one)
            figures.take(INIT, STOP, int(one.hear("got", NEVER)) - asked, waited(one) - before)
    tried = len(figures.of(INIT, DEADLINE))
    for grace in GRACES:
        try_deadline(storm, figures, grace)
        if (INIT, DEADLINE) in figures.missed or len(figures.of(INIT, DEADLINE)) > tried:
            break


def try_deadline(storm, figures, grace):
    """Takes nothing where the storm comes when all is over already: that says nothing."""
    with figures.trying(INIT, DEADLINE), storm.box(INIT, ["--grace-period", f"{grace}ms"]) as one:
        one.hear("ready")
        [command] = one.apps()
        with open(os.pidfd_open(command)) as handle:
            # The deadline is set before the storm comes: the stop's own delay is no part of it.
            asked_to_stop(one)
            due = int(one.hear("got")) + grace * 1_000_000
            try:
                with storm.at(one):
                    if (ahead := due - time.monotonic_ns()) > 0:
                        time.sleep(ahead / 1e9)
                        before = waited(one)
                        figures.take(INIT, DEADLINE, ended(handle) - due, waited(one) - before)
            except Absent:
                if time.monotonic_ns() < due:
                    raise


def try_peer(peer, storm, figures):
    with figures.trying(peer, STOP, EXIT), storm.box(peer, []) as one:
        one.hear("ready")
        with storm.at(one):
            asked = asked_to_stop(one)
            figures.take(peer, STOP, int(one.hear("got", NEVER)) - asked)
            began = left(one)
            figures.take(peer, EXIT, ended(one.handle) - began)


def run(short):
    """The rows of the report, and the table of all inits."""
    # Where there is no storm at PID 1, there is nothing to judge: that is what the machine takes.
    limits = {storm: math.inf for storm in CONTROLS} | {storm: LIMIT for storm in STORMS}
    if short:
        limits = {storm: limit for storm, limit in limits.items() if storm.senders != 1}
    tries = 2 if short else TRIES
    peers = [] if short else [shutil.which(peer) for peer in PEERS]
    if None in peers:
        raise Fell(f"not installed: one of {', '.join(PEERS)} (tests/packages installs them)")
    measured, rows = [], []
    for storm, limit in limits.items():
        figures = Figures()
        for _ in range(tries):
            if figures.goes_on(INIT):
                try_restartinit(storm, figures)
            for peer in filter(figures.goes_on, peers):
                try_peer(peer, storm, figures)
        measured.append((storm, figures))
        seen = [f"{what} {figures.cell(INIT, what)}" for what in WHATS] + [f"waiting {figures.most_waited():.1f}"]
        rows.append((str(storm), tries * len(WHATS), list(figures.fell(limit, short)), ", ".join(seen) + " ms"))
    return rows, table(measured, peers)


def table(measured, peers):
    inits = {"restartinit": INIT, **{os.path.basename(peer): peer for peer in peers}}
    columns = [(what, name, init) for what in (EXIT, STOP) for name, init in inits.items()]
    columns += [(what, "restartinit", INIT) for what in (DEADLINE, HEALTH)]
    heads = ["storm", *(f"{what}: {name}" for what, name, _ in columns), "waiting"]
    rows = [
        [str(storm), *(figures.cell(init, what) for what, _, init in columns), f"{figures.most_waited():.1f}"] for storm, figures in measured
    ]
    lines = "\n".join("| " + " | ".join(row) + " |" for row in [heads, ["---"] * len(heads), *rows])
    return f"## Storms\n\n{MEANT}\n\n{lines}"
