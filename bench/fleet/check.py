#!/usr/bin/env python3
# Called by: tests/it/fleet.rs.
"""Checks the simulation: the limits against restartinit itself (INIT_UNDER_TEST), and whole lives against sums that can be done by hand.
No process but restartinit and `false` is started; the waits are read from its log, not from a clock. Ends at once with what differs."""

import json
import os
import subprocess
import sys
from math import isclose

import tables
from inputs import Inputs, load
from limits import ON_KUBERNETES, Docker, Kubernetes, Options, Restartinit
from replica import Policy, Replica
from run import MODEL, PAGE
from scenarios import ALONE, DEFAULTS, RATES, Run, live, plan, summary
from world import BIN, Notes, Scenario, World

DEADLINE = 30
# Round figures: a boot of 1 s, half a second for a container, nothing by chance.
ROUND = {
    "gaps_ms": {"1 s": {"engine": {"value": 1600}, "in place": {"value": 1000}, "--hold-port": {"value": 1000}, "--standby": {"value": 10}}},
    "boot_spread_percent": {"value": 0},
    "kubernetes": {"waits_s": {"value": [0, 10, 20, 40, 80, 160, 300]}, "forgotten_after_s": {"value": 600}, "noticed_within_s": {"value": 0}},
    "docker": {"first_wait_s": {"value": 0.1}, "most_wait_s": {"value": 60}, "forgotten_after_s": {"value": 10}},
    "standby_pause_s": {"value": 0.1}, "pool": {"value": 10}, "refused_after_s": {"value": 0.5}, "noticed_within_s": {"value": 0},
    "retry_s": {"value": 1},
}


def same(what, seen, expected):
    alike = isclose(seen, expected, rel_tol=0, abs_tol=1e-6) if isinstance(expected, float) and seen is not None else seen == expected
    if not alike:
        sys.exit(f"bench/fleet/check.py: {what}: {seen}, expected {expected}")


def waits(options, crashes, chance=lambda: 0.0):
    """What follows crashes, each given as moment, uptime and how long it had been ready."""
    restartinit = Restartinit(options, chance)
    found = []
    for crash in crashes:
        wait = restartinit.crash(*crash)
        found.append(None if wait is None else round(wait, 6))
    return found


def limits():
    plain = Options(backoff_jitter=0)
    at_once = [(0.0, 0.01, None)]
    same("six crashes at once", waits(plain, at_once * 6), [0, 0.1, 0.2, 0.4, 0.8, None])
    same("the cap of the wait", waits(plain._replace(max_restarts=20), at_once * 9), [0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5, 5])
    same("the most of the jitter", waits(Options(), at_once * 6, lambda: 1.0), [0, 0.125, 0.25, 0.5, 1, None])
    same("what never works, however slowly", waits(plain, [(70.0 * n, 65.0, None) for n in range(6)]), [0, 0, 0, 0, 0, None])
    same("ready, but never for long", waits(plain, [(15.0 * n, 10.4, 9.9) for n in range(6)]), [0, 0, 0, 0, 0, None])
    same("runs that work, six in a minute", waits(plain, [(11.0 * n, 11.0, 10.5) for n in range(7)]), [0, 0, 0, 0, 0, None, 0])
    same("five in a minute, for ever", waits(plain, [(15.0 * n, 15.0, 14.0) for n in range(50)]), [0] * 50)
    same("the window never ends", waits(plain._replace(restart_window=0), [(999.0 * n, 999.0, 998.0) for n in range(6)]), [0] * 5 + [None])
    known = Inputs(ROUND)
    kubelet, engine = Kubernetes(known, lambda: 0.0), Docker(known, None)
    same("Kubernetes", [kubelet.wait(5.0) for _ in range(8)], [0, 10, 20, 40, 80, 160, 300, 300])
    same("Kubernetes, after 10 min", [kubelet.wait(600.0), kubelet.wait(599.0)], [0, 10])
    same("Docker", [round(engine.wait(5.0), 6) for _ in range(11)], [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 60])
    same("Docker, after 10 s", [engine.wait(10.0), engine.wait(9.9)], [0.1, 0.2])


def one(policy, scenario):
    notes = Notes(scenario.duration, scenario.away_until)
    known = Inputs(ROUND)
    Replica(policy, World(scenario, known, "1 s", notes), known, lambda: 0.0).live()
    return notes


def lives():
    """A dependency that is away from 300 s to 400 s. Each try in place lives for 1.5 s: its boot, and the refusal."""
    away = Scenario("", away_from=300.0, away_until=400.0)
    plain = Options(backoff_jitter=0)
    # Six generations, waits of 1.5 s in all: handed over 9 s after the first crash, then 10.5 s after a container's start.
    notes = one(Policy("", plain), away)
    same("handed over at first", notes.first_handovers, [309.0])
    # Starts at 309.5, 330.5, 361.5 and, after 40 s, at 412.5; it serves at 413.5.
    same("back", notes.back[0], 13.5)
    same("crashes", (notes.crashes, notes.handovers), (24, 4))
    same("connects", [at for at, count in enumerate(notes.connects) if count], [int(413.5 / BIN)])
    same("served", notes.served, 300.0 + 3600 - 413.5)
    # Never handed over: tries that end at 301.5, 303.1, 304.8, 306.7, 309.0, 312.1, 316.8 and each 6.5 s after that: the last at 394.8.
    notes = one(Policy("", plain._replace(max_restarts=1000)), away)
    same("never handed over", (notes.handovers, notes.crashes), (0, 20))
    same("back, never handed over", notes.back[0], 394.8 + 5 + 1 - 400)
    # It crashes at 300, 302.1, 304.3, 306.7, 309.5, 313.1, 318.3, 326.7, 341.5 and 369.1; after 51.2 s more a container, and a boot.
    notes = one(Policy("", None, "Docker"), away)
    same("back, Docker alone", notes.back[0], 21.8)
    notes = one(Policy("", None), away)
    # 0, 10, 20, 40 s: starts at 300.5, 312.5, 334.5, 376.5; then 80 s from 378.0.
    same("back, Kubernetes alone", notes.back[0], 378 + 80 + 0.5 + 1 - 400)
    notes = one(Policy("", plain), away._replace(waits=True))
    same("back, an app that waits", (notes.crashes, notes.back[0]), (0, 1.0))
    # It serves at 1 s and crashes 60 s later; a standby takes over within 10 ms each time, nine times.
    notes = one(Policy("", plain._replace(standby=True)), Scenario("", duration=600.0, fails_after=60.0))
    same("a standby takes over", (notes.crashes, round(notes.served, 6)), (9, 598.91))
    same("and nobody is refused", notes.queued, 0.09)
    # Without it: 61 s a turn, a boot of each.
    notes = one(Policy("", plain), Scenario("", duration=600.0, fails_after=60.0))
    same("without a standby", (notes.crashes, round(notes.served, 6)), (9, 590.0))


def chance():
    """The same seed is the same fleet; and crashes come as often as they should."""
    known, run = load(), Run("crashes", RATES[3], DEFAULTS)
    told = [summary(run, live(run, known, 50, seed), 50) for seed in (1, 1, 2)]
    same("the same seed", told[0] == told[1], True)
    same("another seed", told[0] == told[2], False)
    served_hours = told[0]["served"] * 50
    expected = 60 * served_hours
    same("crashes by chance, within four deviations", abs(50 * told[0]["crashes"] - expected) < 4 * expected**0.5, True)
    same("sections of the plan", list(dict.fromkeys(run.section for run in plan(known.apps))), ["crashes", "boots", "window", "away", "waiting", "counts", "bad"])
    alone = summary(Run("crashes", RATES[0], ALONE), live(Run("crashes", RATES[0], ALONE), known, 10, 1), 10)
    same("nothing is handed over by nobody", alone["handovers"], 0.0)


def page():
    """The pages are of these inputs and these limits: what is arithmetic of it comes out the same now."""
    found = tables.Found({"inputs": load().told, "runs": []})
    for page, name, part in ((PAGE, "patience", tables.patience(found)), (MODEL, "inputs", tables.source(found))):
        same(f"{page.name}, {name}, is up to date (make fleet)", part in page.read_text(), True)


def seconds(words):
    for unit, size in (("ms", 0.001), ("s", 1), ("m", 60), ("h", 3600)):
        if words.endswith(unit):
            return float(words.removesuffix(unit)) * size
    return float(words)


def program(init):
    """The defaults and the waits of restartinit itself."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("RESTARTINIT_", "KUBERNETES_"))}

    def call(*words, **variables):
        return subprocess.run([init, *words, "--", "false"], env={**environment, **variables}, capture_output=True, text=True, timeout=DEADLINE)

    for variables, defaults in ({}, Options()), ({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, ON_KUBERNETES):
        told = dict(line.split()[:2] for line in call("--print-config", **variables).stdout.splitlines())
        for name, value in defaults._asdict().items():
            word = told[name.replace("_", "-")]
            same(f"the default of {name} {variables}", word == "on" if isinstance(value, bool) else seconds(word), value)
    for jitter in (0, 25):
        options = Options(max_restarts=8, backoff=0.01, backoff_max=0.2, backoff_jitter=jitter)
        words = ["--max-restarts", "8", "--backoff", "10ms", "--backoff-max", "200ms", "--backoff-jitter", str(jitter), "--log-format", "json"]
        events = [json.loads(line) for line in call(*words).stderr.splitlines()]
        seen = [event["wait_seconds"] for event in events if event["event"] == "restart"]
        same("its end", [event["outcome"] for event in events if event["event"] == "end"], ["restarts-exhausted"])
        least, most = (waits(options, [(0.0, 0.001, None)] * 9, lambda at=at: at) for at in (0.0, 1.0))
        same(f"the number of restarts, jitter {jitter}", len(seen), least.index(None))
        for number, wait in enumerate(seen):
            # Written in whole milliseconds.
            same(f"wait {number}, jitter {jitter}: {wait}", least[number] - 0.001 <= wait <= most[number] + 0.001, True)


if __name__ == "__main__":
    limits()
    lives()
    chance()
    page()
    program(os.environ["INIT_UNDER_TEST"])
    print("the simulation does as restartinit and arithmetic do")
