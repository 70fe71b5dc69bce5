#!/usr/bin/env python3
# Called by: make fleet, tests/it/fleet.rs.
"""A fleet of replicas, simulated: what restartinit's limits do to it. `make fleet` writes the tables of docs/choosing-limits.md between the
two marks that stand there, and bench/plots/fleet*.svg. The figures that it begins with are in inputs.json, each with its source.

    bench/fleet/run.py                           10,000 replicas, some minutes
    bench/fleet/run.py --quick                   100 replicas, seconds, and no more than a hint: target/bench/fleet-quick.md
    bench/fleet/run.py --report                  write again from the last whole run
    bench/fleet/run.py --take bench/engine.json  put the gaps that `make bench-engine` measured into inputs.json
"""

import argparse
import json
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent))

import drawing
import inputs
import report
import scenarios
import tables

ROOT = Path(__file__).parents[2]
BUILT = ROOT / "target/bench"
PAGE = ROOT / "docs/choosing-limits.md"
# What it begins with, and what it leaves out.
MODEL = ROOT / "docs/fleet-model.md"
REPLICAS, QUICK = 10_000, 100


def one(task):
    run, told, replicas, seed = task
    replicas = max(1, replicas // run.share)
    return scenarios.summary(run, scenarios.live(run, inputs.Inputs(told), replicas, seed), replicas)


def simulate(replicas, around, seed, jobs):
    began, known = time.monotonic(), inputs.load()
    runs = scenarios.plan(known.apps, around)
    tasks = [(run, known.told, replicas, seed) for run in runs]
    with ProcessPoolExecutor(jobs) as pool:
        figures = list(pool.map(one, tasks))
    return {"replicas": replicas, "seed": seed, "seconds": round(time.monotonic() - began), "inputs": known.told, "runs": figures}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--report", action="store_true")
    parser.add_argument("--take", metavar="FILE")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    options = parser.parse_args()
    BUILT.mkdir(parents=True, exist_ok=True)
    results = BUILT / "fleet.json"
    if options.take:
        inputs.take(options.take)
    elif options.quick:
        found = simulate(QUICK, scenarios.AROUND[2:3], options.seed, options.jobs)
        (BUILT / "fleet-quick.md").write_text("\n\n".join(tables.parts(found).values()))
        drawing.draw(found, BUILT / "plots")
    else:
        if options.report and not results.exists():
            sys.exit(f"no {results}: make fleet")
        if not options.report:
            results.write_text(json.dumps(simulate(REPLICAS, scenarios.AROUND, options.seed, options.jobs)))
        found = json.loads(results.read_text())
        for name, part in tables.parts(found).items():
            report.put_in(MODEL if name == "inputs" else PAGE, "make fleet", part.strip() + "\n", name)
        drawing.draw(found, ROOT / "bench/plots")


if __name__ == "__main__":
    main()
