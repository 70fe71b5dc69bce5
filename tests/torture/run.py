#!/usr/bin/env python3
# Called by: make torture; in its short form tests/it/torture.rs.
"""Torture: `make torture` runs it all and prints a table of what was tried and what fell over; 1 is the exit code if anything did. The
details of that are in target/torture/fell.txt. A whole run leaves its table in tests/torture/results.md.

    tests/torture/run.py [--short] [--only SECTION ...]

`--short` is a hundredth, in seconds, and without root what any user can make; `make test` runs it. INIT_UNDER_TEST names another binary.
"""

import argparse
import os
import sys
import time
import traceback
from concurrent.futures import ThreadPoolExecutor

import box
import faults
import long
import races
import storms
import surroundings
from box import Fell

# strace and waiting take most of the time, not the processor.
WORKERS = 4


class Report:
    """One row for each thing that was tried."""

    def __init__(self):
        self.rows, self.fell, self.more = [], [], []

    def add(self, section, what, tried, fell, seen):
        """`fell` is a list of (name, reason)."""
        self.rows.append((section, what, f"{tried:,}", f"{len(fell)}", seen))
        self.fell += [(section, what, *each) for each in fell]
        print(f"torture: {section}: {what}: {tried:,} tried, {len(fell)} fell over. {seen}", file=sys.stderr, flush=True)
        for name, reason in fell:
            print(f"torture:   {name}: {reason[:1500]}", file=sys.stderr, flush=True)

    def table(self):
        """The table, and what belongs below it."""
        heads = ("", "what", "tried", "fell over", "seen")
        lines = [heads, ("---",) * 5, *self.rows]
        return "\n\n".join(["\n".join("| " + " | ".join(row) + " |" for row in lines), *self.more])


def attempt(function, *arguments):
    """What came back, and why it fell over, if it did."""
    try:
        return function(*arguments), None
    except Fell as fell:
        return None, str(fell)
    except Exception:  # a mistake of the torture's own must not look like a success
        return None, traceback.format_exc()


def run_faults(report, short):
    if short:
        cases = faults.FEW
    else:
        faults.LASTS = 10.0
        cases = faults.product(*faults.seen())
    with ThreadPoolExecutor(WORKERS) as pool:
        done = list(zip(cases, pool.map(lambda case: attempt(faults.fault, *case), cases)))
    for call in dict.fromkeys(call for call, *_ in cases):
        mine = [(case, *outcome) for case, outcome in done if case[0] == call]
        fell = [(f"{call} {error}, {when}", reason) for (_, error, when, *_), _, reason in mine if reason]
        hits = [hits for _, hits, _ in mine if hits is not None]
        errors = ", ".join(dict.fromkeys(error for (_, error, *_), _, _ in mine))
        idle = f", {hits.count(0)} never struck" if 0 in hits else ""
        report.add("fault", f"{call}: {errors}", len(mine), fell, f"{sum(hits):,} calls made to fail{idle}")


def run_surroundings(report, short):
    surroundings.STILL = 3.0 if short else 60.0
    chosen = surroundings.ANYWHERE + (surroundings.AS_ROOT if os.geteuid() == 0 else [])
    with ThreadPoolExecutor(WORKERS) as pool:
        done = list(pool.map(lambda function: attempt(function), chosen))
    for function, (_, reason) in zip(chosen, done):
        what = function.__doc__.split(":")[0].rstrip(".")
        report.add("surroundings", what, 1, [(function.__name__, reason)] if reason else [], "")


def run_races(report, short):
    tries = 15 if short else 1429
    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(lambda around: attempt(races.stops, around, tries), races.AROUND))
    for around, (seen, reason) in zip(races.AROUND, done):
        report.add("race", f"stops around {around}", tries, [(around, reason)] if reason else [], seen or "")


def run_signals(report, short):
    count = 100 if short else 10_000
    kinds = len(races.FORWARDED) + len(races.STOPS)
    seen, reason = attempt(races.storm, count, 20_000)
    what = f"{count:,} signals of each of {kinds} kinds, 20,000 a second"
    report.add("race", what, count * kinds, [("signals", reason)] if reason else [], seen or "")


def run_storms(report, short):
    done, reason = attempt(storms.run, short)
    if not done:
        report.add("storm", "all of them", 0, [("storms", reason)], "")
        return
    rows, table = done
    for what, tried, fell, seen in rows:
        report.add("storm", what, tried, fell, seen)
    report.more.append(table)


def run_long(report, short):
    share = 100 if short else 1
    counts = {"restarts": 100_000, "orphans": 1_000_000, "HTTP clients": 100_000, "control clients": 100_000, "IPC messages": 100_000}
    counts = {name: count // share for name, count in counts.items()}
    numbers = [counts[name] for name in ("restarts", "orphans", "HTTP clients", "IPC messages")]
    done, reason = attempt(long.run, *numbers)
    what = ", ".join(f"{count:,} {name}" for name, count in counts.items())
    seen = ""
    if done:
        rows, took = done
        # The first sample is taken when nothing has been used yet.
        spans = []
        for name, unit in (("descriptors", ""), ("VmRSS", " kB"), ("VmData", " kB"), ("zombies", "")):
            first, last = rows[len(rows) // 50][name], rows[-1][name]
            spans.append(f"{name} {first} to {last}{unit}")
        seen = "; ".join(spans) + f"; the limit ended it after {numbers[0] + long.SPARE:,} restarts; {sum(took.values()):.0f} s"
        folder = box.BUILT if short else box.ROOT / "bench" / "plots"
        (folder / "long.svg").write_text(long.plot(rows, counts))
    report.add("long", what, sum(counts.values()), [("long", reason)] if reason else [], seen)


SECTIONS = {
    "faults": run_faults, "surroundings": run_surroundings, "races": run_races, "signals": run_signals, "storms": run_storms, "long": run_long,
}


def write_down(table, summary):
    day = time.strftime("%Y-%m-%d", time.gmtime())
    text = f"# Torture\n\n`make torture` on {day}, Linux {os.uname().release.split('-')[0]}, {os.cpu_count()} processors. {summary}\n\n{table}\n"
    (box.ROOT / "tests" / "torture" / "results.md").write_text(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="a hundredth")
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=list(SECTIONS))
    options = parser.parse_args()
    if not options.short and os.geteuid() != 0:
        raise SystemExit("torture: cgroups, hidepid and another user take root; --short does without")
    box.install()
    report, began = Report(), time.monotonic()
    for name in options.only:
        SECTIONS[name](report, options.short)
    print(report.table())
    summary = f"{len(report.fell)} fell over, in {time.monotonic() - began:.0f} s."
    if not options.short and set(options.only) == set(SECTIONS):
        write_down(report.table(), summary)
    details = "\n\n".join(" / ".join(each) for each in report.fell)
    (box.BUILT / "fell.txt").write_text(details)
    print(f"\n{summary}")
    sys.exit(1 if report.fell else 0)


if __name__ == "__main__":
    main()
