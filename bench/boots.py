#!/usr/bin/env python3
# Called by: make bench-boots.
"""What Node's compile cache (NODE_COMPILE_CACHE) takes off a boot, when it is written, and when it is used. `make bench-boots` writes
docs/faster-boots.md; as root, some minutes.

    bench/boots.py [--quick]    --quick: three boots each, into target/bench/boots.md

The programs take turns, and within each of them: without a cache, with an empty one, with one that is filled.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import time
from typing import NamedTuple

import apps
import compile_cache
import machine
import report
from box import cpu, memory
from figures import duration, kibibytes, percentile
from gap import ask_status, free_port

BOOTS = {False: 20, True: 3}
DEADLINE = 60
CACHES = ("without", "empty", "filled")
FOLDER = machine.BUILT / "compile-cache"
# Loaded before a program: at USR2 it writes its cache, says how long that took in milliseconds, and ends.
FLUSH = """data:text/javascript,import { flushCompileCache } from 'node:module';
process.on('SIGUSR2', () => {
  const began = performance.now();
  flushCompileCache();
  console.error('flushed ' + (performance.now() - began));
  process.exit();
});"""


class Program(NamedTuple):
    command: list
    variables: dict = {}


def programs(node):
    built = apps.frameworks(node)
    line = [machine.ROOT / "tests/node-packages", "bench/modules", "bench-modules"]
    modules = subprocess.run(line, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    return {
        "Next.js 16, standalone": Program([str(built / "next/.next/standalone/server.js")], {"HOSTNAME": "0.0.0.0", "NEXT_TELEMETRY_DISABLED": "1"}),
        "NestJS 12": Program([str(built / "nest/dist/main.js")]),
        "all modules (`bench/modules`)": Program([str(machine.ROOT / "bench/modules/server.js")], {"NODE_PATH": modules}),
    }


def boot(node, program, cache, options=()):
    """The process that answers, and how long after its exec it did, in milliseconds."""
    port = free_port()
    environment = {**os.environ, **program.variables, "PORT": str(port)}
    environment.pop("NODE_COMPILE_CACHE", None)
    if cache:
        environment["NODE_COMPILE_CACHE"] = str(cache)
    began = time.monotonic_ns()
    process = subprocess.Popen([node, *options, *program.command], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    while ask_status(port) != 200:
        if process.poll() is not None or time.monotonic_ns() - began > DEADLINE * 1e9:
            process.kill()
            machine.fail(f"{program.command[0]}: no answer: {process.communicate()[1]}")
        time.sleep(0.001)
    return process, (time.monotonic_ns() - began) / 1e6


def fill(node, program, cache):
    """Milliseconds that the writing takes."""
    process, _ = boot(node, program, cache, ["--import", FLUSH])
    process.send_signal(signal.SIGUSR2)
    said = process.communicate(timeout=DEADLINE)[1]
    return float(said.partition("flushed ")[2].split()[0])


def one_boot(node, program, cache):
    process, took = boot(node, program, cache)
    spent, used = cpu(process.pid), memory(process.pid)["private"]
    process.kill()
    process.communicate()
    return {"ms": took, "cpu_ms": spent / 1e6, "private_kib": used}


def measure(quick):
    first = machine.go_first()
    node = apps.node()
    others = {version.split(".")[0].lstrip("v"): path for version, path in installed()}
    shutil.rmtree(FOLDER, ignore_errors=True)
    found = {"machine": {**machine.describe(), "node": machine.output(node, "--version").lstrip("v")}, "quick": quick, "first": first, "boots": {}, "caches": {}}
    named = programs(node)
    for at, (name, program) in enumerate(named.items()):
        cache = FOLDER / str(at)
        took = fill(node, program, cache)
        files = compile_cache.files(cache)
        found["caches"][name] = {"files": len(files), "bytes": sum(file.stat().st_size for file in files), "write_ms": took}
        found["boots"][name] = {which: [] for which in CACHES}
    for turn in range(BOOTS[quick]):
        machine.say(f"boot {turn + 1} of {BOOTS[quick]}")
        for at, (name, program) in enumerate(named.items()):
            for which in CACHES:
                empty = FOLDER / "empty"
                shutil.rmtree(empty, ignore_errors=True)
                cache = {"without": None, "empty": empty, "filled": FOLDER / str(at)}[which]
                found["boots"][name][which].append(one_boot(node, program, cache))
    majors = {major: path for major, path in others.items() if int(major) >= 22}
    machine.say("how it is written, and when it is used")
    found["endings"] = {major: compile_cache.endings(path) for major, path in majors.items()}
    order = list(majors.items())
    found["uses"] = {major: compile_cache.uses(path, order[at - 1][1]) for at, (major, path) in enumerate(order)}
    return found


def installed():
    lines = subprocess.run([machine.ROOT / "tests/node-versions"], check=True, capture_output=True, text=True).stdout.splitlines()
    return [line.split(maxsplit=1) for line in lines]


def middle(found, name, which, key):
    return percentile(sorted(one[key] for one in found["boots"][name][which]), 0.5)


def page(found):
    facts = found["machine"]
    lines = [f"Measured on {facts['date']} with `make bench-boots`: {facts['machine']}, {facts['kernel']}, Node {facts['node']}.", ""]
    if facts["load"] > report.BUSY:
        first = " The boots went first." if found["first"] else ""
        lines += [f"**The machine was not quiet**: a load average of {facts['load']:.1f} at the start.{first}", ""]
    rows = []
    for name in found["boots"]:
        cells = []
        for which in CACHES:
            values = sorted(one["ms"] for one in found["boots"][name][which])
            cells.append(f"{duration(percentile(values, 0.5) * 1e6)} ({values[0]:,.0f} to {values[-1]:,.0f})")
        less = [1 - middle(found, name, "filled", key) / middle(found, name, "without", key) for key in ("ms", "cpu_ms")]
        more = middle(found, name, "filled", "private_kib") - middle(found, name, "without", "private_kib")
        cache = found["caches"][name]
        size = f"{cache['files']:,} files, {kibibytes(cache['bytes'] / 1024)}"
        saved = (f"{100 * part:.0f} %" for part in less)
        rows.append([name, *cells, *saved, size, duration(cache["write_ms"] * 1e6), f"{more / 1024:+.1f} MiB"])
    count = len(next(iter(found["boots"].values()))["without"])
    head = ["program", "no cache", "an empty one", "a filled one", "saved, time", "saved, processor time", "the cache", "writing it", "memory of the process"]
    lines += [f"From the start of Node to its first answer; median (least to most) of {count} boots each.", "", *report.table(head, rows)]
    majors = list(found["endings"])
    for title, key, column in [("how it ends", "endings", "is the cache written?"), ("what differs from the boot that wrote it", "uses", "is the cache used?")]:
        rows = []
        for words in found[key][majors[0]]:
            rows.append([words, *("yes" if found[key][major][words] else "no" for major in majors)])
        lines += report.table([f"{title}: {column}", *(f"Node {major}" for major in majors)], rows)
    return "\n".join(lines).rstrip() + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="three boots each: no more than a hint")
    parser.add_argument("--report", action="store_true", help="measure nothing: the page again, from the last whole run's figures")
    options = parser.parse_args()
    results = machine.BUILT / "boots-results.json"
    machine.BUILT.mkdir(parents=True, exist_ok=True)
    found = json.loads(results.read_text()) if options.report else measure(options.quick)
    if found["quick"]:
        (machine.BUILT / "boots.md").write_text(page(found))
    else:
        results.write_text(json.dumps(found))
        report.put_in(machine.ROOT / "docs/faster-boots.md", "make bench-boots", page(found))
    print(page(found))


if __name__ == "__main__":
    main()
