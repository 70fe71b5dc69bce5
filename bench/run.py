#!/usr/bin/env python3
# Called by: make bench, make bench-quick.
"""The benchmark. `make bench` runs it whole and writes bench/results.md and bench/plots/; `make bench-quick` takes about a minute
and writes target/bench/quick.md. The candidates take turns (A B C A B C ...), so that a slow moment of the machine falls on all.

    bench/run.py [--quick] [--only MEASURE ...]    measure, then write
    bench/run.py --report                          write again from the figures of the last whole run

A whole run also puts its tables and plots into docs/benchmark.md, between the two marks that stand there.
"""

import argparse
import json
import os
import time

import machine
import measures
import plots
import report

RESULTS = machine.BUILT / "results.json"
FOLDER = machine.ROOT / "bench"


def measure(quick, only):
    how = measures.QUICK if quick else measures.FULL
    began = time.monotonic()
    found = {
        "quick": quick, "how": how, "machine": machine.describe(), "versions": machine.versions(),
        "command": "make bench-quick" if quick else "make bench", "measures": {},
    }
    for name, function, candidates, rounds, slow in measures.PLAN:
        if only and name not in only:
            continue
        machine.say(f"{name}: {function.__doc__.splitlines()[0]}")
        by_candidate = found["measures"][name] = {candidate: [] for candidate in candidates}
        for turn in range(rounds[quick]):
            for candidate in candidates:
                if turn < slow.get(candidate, rounds)[quick]:
                    by_candidate[candidate].append(function(candidate, how))
    found["seconds"] = round(time.monotonic() - began)
    # Numbers as keys become words in JSON: what is written now and what is written later from the file are made from the same.
    return json.loads(json.dumps(found))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer rounds: about a minute, and no more than a hint")
    parser.add_argument("--only", nargs="+", metavar="MEASURE", help="only these: " + ", ".join(name for name, *_ in measures.PLAN))
    parser.add_argument("--report", action="store_true", help="measure nothing")
    parser.add_argument("--install", action="store_true", help="only install and compile what the benchmark needs")
    options = parser.parse_args()
    if options.report:
        if not RESULTS.exists():
            machine.fail(f"no {RESULTS}: make bench")
        found = json.loads(RESULTS.read_text())
    else:
        machine.install()
        if options.install:
            return
        found = measure(options.quick, options.only)
    text = report.write(found)
    if found["quick"] or options.only:
        out, drawn = machine.BUILT / "quick.md", machine.BUILT / "plots"
    else:
        RESULTS.write_text(json.dumps(found))
        out, drawn = FOLDER / "results.md", FOLDER / "plots"
        report.put_in(machine.ROOT / "docs/benchmark.md", "make bench", report.page(found))
    out.write_text(text)
    plots.draw(found, drawn)
    print(text)
    machine.say(f"written: {os.path.relpath(out)}, {os.path.relpath(drawn)}")


if __name__ == "__main__":
    main()
