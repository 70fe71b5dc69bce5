#!/usr/bin/env python3
# Called by: make bench-engine.
"""Beside a container engine: the same servers in one image, killed under load, once restarted by the engine (`docker run --restart
always`), once by restartinit in the container. `make bench-engine` writes docs/engine-comparison.md, bench/engine.json and
bench/plots/engine*.svg. It needs a Docker engine: tests/docker/with-engine has one.

    bench/engine.py [--quick]        measure, then write; --quick: two apps, two crashes, into target/bench/engine.md
    bench/engine.py --only NestJS    that app anew; the candidates still take turns within it
    bench/engine.py --report         write again from the figures of the last whole run

The candidates take turns. Two series: crashes in a row, each in a container whose waits grow; and crashes with more than 10 s of
running between them, after which both the engine and restartinit begin anew.
"""

import argparse
import contextlib
import json
import os
import time

import containers
import engine_report
import machine
import report
from apps import APPS
from containers import CANDIDATES, Container

RESULTS = machine.BUILT / "engine-results.json"
CRASHES = 5  # restartinit's own limit: with the sixth within 60 s it hands over to the engine
SETTLE = 1.0  # and the boot of a standby: until the next crash in a row
APART = 10.5  # the engine forgets its waits where a container has run for 10 s
ROUNDS = 2


def in_a_row(app, crashes):
    """For each candidate a container of its own, which crashes again as soon as a standby can be up."""
    found = {}
    for candidate in CANDIDATES:
        with Container(app, candidate) as container:
            found[candidate] = []
            for _ in range(crashes):
                time.sleep(SETTLE + APPS[app].boot)
                found[candidate].append(container.crash())
    return found


def apart(app, crashes):
    """All of the candidates at once, idle but for the one whose turn it is."""
    found = {candidate: [] for candidate in CANDIDATES}
    with contextlib.ExitStack() as stack:
        running = {candidate: stack.enter_context(Container(app, candidate)) for candidate in CANDIDATES}
        for _ in range(crashes):
            for candidate, container in running.items():
                time.sleep(max(0.0, container.answered + APART - time.monotonic()))
                found[candidate].append(container.crash())
    return found


def measure(quick, names):
    began = time.monotonic()
    node = containers.make_image()
    first = containers.go_first()
    found = {
        "first": first, "quick": quick, "machine": {**machine.describe(), "node": node}, "engine": containers.engine(), "crashes": 2 if quick else CRASHES,
        "command": "make bench-engine", "series": {"in a row": {}, "apart": {}},
        "loads": {app: [] for app in names}, "seconds": {},
    }
    for app in names:
        for turn in range(1 if quick else ROUNDS):
            machine.say(f"{APPS[app].name}, round {turn + 1}")
            for series, function in (("in a row", in_a_row), ("apart", apart)):
                for candidate, crashes in function(app, 2 if quick else CRASHES).items():
                    found["series"][series].setdefault(app, {}).setdefault(candidate, []).append(crashes)
                found["loads"][app].append(os.getloadavg()[0])
        found["seconds"][app] = round(time.monotonic() - began)
        began = time.monotonic()
    return found


def put_together(found, last):
    """The last run, with the apps in it that have been measured anew."""
    for key in ("loads", "seconds"):
        found[key] = {**last[key], **found[key]}
    for series, by_app in last["series"].items():
        found["series"][series] = {app: {**by_app, **found["series"][series]}[app] for app in APPS}
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two apps, one round: two minutes, and no more than a hint")
    parser.add_argument("--only", nargs="+", metavar="APP", choices=APPS, help="these anew, the others as they were: " + ", ".join(APPS))
    parser.add_argument("--report", action="store_true", help="measure nothing")
    options = parser.parse_args()
    if options.report:
        if not RESULTS.exists():
            machine.fail(f"no {RESULTS}: make bench-engine")
        found = json.loads(RESULTS.read_text())
    else:
        machine.install()
        found = measure(options.quick, options.only or (list(APPS)[:2] if options.quick else list(APPS)))
        if options.only and not options.quick:
            found = put_together(found, json.loads(RESULTS.read_text()))
    if found["quick"]:
        (machine.BUILT / "engine.md").write_text(engine_report.page(found))
        engine_report.draw(found, machine.BUILT / "plots")
    else:
        RESULTS.write_text(json.dumps(found))
        report.put_in(machine.ROOT / "docs/engine-comparison.md", "make bench-engine", engine_report.page(found))
        (machine.ROOT / "bench/engine.json").write_text(json.dumps(engine_report.medians(found), indent=2) + "\n")
        engine_report.draw(found, machine.ROOT / "bench/plots")
    print(engine_report.page(found))


if __name__ == "__main__":
    main()
