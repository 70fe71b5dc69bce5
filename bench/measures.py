# Called by: bench/run.py.
"""The measurements. Each takes a candidate and gives back one round's figures; run.py lets the candidates take turns."""

import contextlib
import os
import signal
import subprocess
import time

from box import Box, children, cpu, field, memory, wakings
from machine import EVERYTHING, FIRST_LINE, FREELY, HOSTILE, HOSTILITY, NODE, PLAIN, PROBE, lacks
from gap import GAPS, free_port, gap, serve

SETTLE = 1.0  # pm2-runtime goes on starting up for a while after its command runs


def start(candidate, how):
    """exec of the init to the child's first instruction."""
    with Box(candidate, [PROBE, "wait", "{told}"]) as box:
        return {"ns": [int(box.told.line()[1]) - box.death_or_exec()]}


def start_node(candidate, how):
    """exec of the init to the first line of a Node script."""
    with Box(candidate, [NODE, FIRST_LINE, "{told}"]) as box:
        return {"ns": [int(box.told.line()[1]) - box.death_or_exec()]}


def restart(candidate, how):
    """Death of the child to the next one's first instruction; 2 ms of rest between two restarts."""
    count = how["restarts"] if candidate != "pm2-runtime" else max(5, how["restarts"] // 10)
    command = [PROBE, "restart", "{told}", "{go}", "{state}", "2000"]
    with Box(candidate, command, FREELY, samples=count + 1, checkpoints=[count]) as box:
        box.told.line()
        return {"ns": box.samples(0, count)}


def restart_node(candidate, how):
    """SIGKILL of a Node child to the first line of the next one."""
    with Box(candidate, [NODE, FIRST_LINE, "{told}"], FREELY) as box:
        box.told.line()
        time.sleep(SETTLE)
        child = children(box.pid)[0]
        killed = time.monotonic_ns()
        os.kill(child, signal.SIGKILL)
        return {"ns": [int(box.told.line()[1]) - killed]}


@contextlib.contextmanager
def hostile_clients(candidate, port):
    """A thousand of them at that port, or at that of another restartinit: what they cost the processors is the same."""
    with contextlib.ExitStack() as stack:
        if candidate.endswith("elsewhere"):
            port, options = door()
            stack.enter_context(Box("restartinit", [PROBE, "wait", "{told}"], options)).told.line()
        if "hostile" in candidate:
            clients = stack.enter_context(subprocess.Popen([HOSTILE, str(port), "1000"]))
            stack.callback(clients.kill)
            time.sleep(SETTLE)
        yield


def door():
    """A port for --http, and the options."""
    port = free_port()
    return port, ["--http", f"127.0.0.1:{port}"]


def restart_hostile(candidate, how):
    """Death of the child to the next one's first instruction, with and without hostile clients at the port of --http."""
    count, (port, options) = how["restarts"], door()
    command = [PROBE, "restart", "{told}", "{go}", "{state}", "2000"]
    with Box("restartinit", command, [*FREELY, *options], samples=count + 2, checkpoints=[1, count + 1]) as box:
        box.told.line()
        with hostile_clients(candidate, port):
            box.go.go()
            box.told.line()
            return {"ns": box.samples(1, count + 1)}


def signals_hostile(candidate, how):
    """kill() of the init to the handler of its child, with and without hostile clients at the port of --http."""
    port, options = door()
    with Box("restartinit", [PROBE, "signals", "{told}"], options) as box:
        box.told.take(time.monotonic() + 10)
        with hostile_clients(candidate, port):
            return {"ns": send(box, how["signals"], 500)}


# In the first second of a command restartinit looks whether it has a handler before it forwards what would end it: that is no part of this.
GROWN = 1.1


def send(box, count, gap_us):
    time.sleep(GROWN)
    line = [PROBE, "send", box.told.path, str(box.pid), str(count), str(gap_us)]
    result = subprocess.run(line, capture_output=True, text=True)
    if result.returncode != 0:
        raise TimeoutError(result.stderr.strip())
    return [int(word) for word in result.stdout.split()]


def signals(candidate, how):
    """kill() of the init to the handler of its child."""
    with Box(candidate, [PROBE, "signals", "{told}"]) as box:
        box.told.take(time.monotonic() + 10)  # its handler is there
        return {"ns": send(box, how["signals"], 500)}


def signals_busy(candidate, how):
    """The same beside eight processes that keep the processors busy."""
    hogs = [subprocess.Popen([PROBE, "hog"]) for _ in range(8)]
    try:
        return signals(candidate, {"signals": how["signals"] // 3})
    finally:
        for hog in hogs:
            hog.kill()
            hog.wait()


def orphans(candidate, how):
    """Processor time of PID 1, and time until the last is reaped, for orphans that die at once."""
    count = how["orphans"]
    with Box(candidate, [PROBE, "orphans", "{told}", "{go}", str(count), "1"]) as box:
        cost, wall = reap(box)
        return {"cpu_ns": [cost / count], "wall_ns": [wall]}


def orphans_waiting(candidate, how):
    """Processor time of PID 1 for each orphan that is dead already: PID 1 is stopped until then, so that it does not fight the dying
    for the kernel's lock on the table of processes."""
    count = how["orphans"]
    with Box(candidate, [PROBE, "orphans", "{told}", "{go}", str(count), "1"]) as box:
        box.told.line()
        pid = box.pid
        os.kill(pid, signal.SIGSTOP)
        box.go.go()
        until = time.monotonic() + 60
        while sum(dead(child) for child in children(pid)) < count:
            if time.monotonic() > until:
                raise TimeoutError("the orphans do not die")
            time.sleep(0.1)
        before = cpu(pid)
        os.kill(pid, signal.SIGCONT)
        wall = int(box.told.line()[1])
        return {"cpu_ns": [(cpu(pid) - before) / count], "wall_ns": [wall]}


def reap(box):
    box.told.line()
    before = cpu(box.pid)
    box.go.go()
    wall = int(box.told.line()[1])
    return cpu(box.pid) - before, wall


def zombies(candidate, how):
    """Of 100 orphans, those that are still zombies 2 s after their end."""
    with Box(candidate, [PROBE, "orphans", "{told}", "{go}", "100", "1"]) as box:
        box.told.line()
        box.go.go()
        until = time.monotonic() + 2
        left = 100
        while left and time.monotonic() < until:
            time.sleep(0.05)
            left = sum(dead(pid) for pid in children(box.pid))
        return {"left": [left]}


def dead(pid):
    try:
        return field(pid, "State").startswith("Z")
    except OSError:
        return False


def memory_off(candidate, how):
    """Memory of PID 1 with an idle child and no option; how often it wakes then."""
    with Box(candidate, [PROBE, "wait", "{told}"]) as box:
        box.told.line()
        time.sleep(3 if candidate == "pm2-runtime" else 0.2)
        used = memory(box.pid)
        before = wakings(box.pid)
        time.sleep(how["idle"])
        wakes = (wakings(box.pid) - before) / how["idle"]
        return {**{name: [value] for name, value in used.items()}, "wakes": [wakes]}


def memory_on(candidate, how):
    """The same with every option on and a Node server as the command."""
    options = [*EVERYTHING, *door()[1]]
    missing = lacks(options)
    if missing:
        return {"not_built": missing}
    with serve(candidate, options) as (box, _):
        time.sleep(2)
        used = memory(box.pid)
        before = wakings(box.pid)
        time.sleep(how["idle"])
        wakes = (wakings(box.pid) - before) / how["idle"]
        return {**{name: [value] for name, value in used.items()}, "wakes": [wakes]}


def log(candidate, how):
    """Time until a child's output has arrived at the reader of the container's stdout, and what PID 1 spends on it."""
    size = how["log"]
    with Box(candidate, [PROBE, "write", "{told}", "{go}", str(size)]) as box:
        box.told.line()
        time.sleep(SETTLE)
        pid = box.pid
        before = cpu(pid)
        box.go.go()
        _, began, ended = box.told.line(600)
        # pm2-runtime has taken everything long before it has passed it on: over when nothing arrives and PID 1 is idle.
        arrived, spent, until = -1, 0, time.monotonic() + 180
        while time.monotonic() < until and (arrived != (now := read_by(box.sink.pid)) or cpu(pid) - spent > 100e6):
            arrived, spent = now, cpu(pid)
            time.sleep(1)
        cost, peak = cpu(pid) - before, int(field(pid, "VmHWM").split()[0])
        box.stop()
        total, last = box.sunk
        wall = max(last, int(ended)) - int(began)
        figures = {"bytes_per_second": [size / wall * 1e9], "peak_kib": [peak], "arrived": [total / size]}
        # Without an init, PID 1 is the writer.
        return figures if candidate == "none" else {**figures, "cpu_ns": [cost]}


def read_by(pid):
    for line in open(f"/proc/{pid}/io"):
        if line.startswith("rchar:"):
            return int(line.split()[1])
    return 0


def decades(how, candidate=None):
    most = 1000 if candidate == "pm2-runtime" else how["scale"]
    return [10**power for power in range(1, 6) if 10**power <= most]


def scale_orphans(candidate, how):
    """Processor time of PID 1 for each orphan, by how many die; at most 10,000 at once, the few repeatedly."""
    points = {}
    for count in decades(how):
        wave, times = min(count, 10_000), max(1, count // 10_000) if count > 1000 else 2000 // count + 2
        with Box(candidate, [PROBE, "orphans", "{told}", "{go}", str(wave), str(times)]) as box:
            points[count] = sum(reap(box)[0] for _ in range(times)) / (wave * times)
    return {"cpu_ns": points}


def scale_signals(candidate, how):
    """Processor time of PID 1 for each signal, and latency, by how many came before."""
    points, latencies, sent = {}, {}, 0
    with Box(candidate, [PROBE, "signals", "{told}"]) as box:
        box.told.take(time.monotonic() + 10)
        for count in decades(how):
            before = cpu(box.pid)
            times = sorted(send(box, count - sent, 0))
            points[count] = (cpu(box.pid) - before) / (count - sent)
            latencies[count] = times[len(times) // 2]
            sent = count
    return {"cpu_ns": points, "latency_ns": latencies}


def scale_restarts(candidate, how):
    """Processor time of PID 1 for each restart, latency, and memory, by how many came before."""
    points, latencies, resident, private = {}, {}, {}, {}
    counts = decades(how, candidate)
    command = [PROBE, "restart", "{told}", "{go}", "{state}", "0"]
    with Box(candidate, command, FREELY, samples=counts[-1] + 1, checkpoints=[1, *counts]) as box:
        # What comes before the first restart is the start.
        box.told.line()
        pid = box.pid
        done, before = 1, cpu(pid)
        box.go.go()
        for count in counts:
            box.told.line(600)
            points[count] = (cpu(pid) - before) / (count - done)
            times = sorted(box.samples(done, count))
            latencies[count] = times[len(times) // 2]
            used = memory(pid)
            resident[count], private[count] = used["rss"], used["private"]
            done, before = count, cpu(pid)
            box.go.go()
    return {"cpu_ns": points, "latency_ns": latencies, "rss": resident, "private": private}


# Name, function, candidates in their turn, rounds (full, quick), and those that are slow with the rounds that they take part in.
PLAN = [
    ("start", start, ["none", "restartinit", *PLAIN, "pm2-runtime"], (60, 10), {"pm2-runtime": (6, 2)}),
    ("start_node", start_node, ["none", "restartinit", "tini-static", "pm2-runtime"], (6, 1), {}),
    ("restart", restart, ["floor", "restartinit", "restartinit -q", "pm2-runtime"], (20, 2), {"pm2-runtime": (6, 2)}),
    ("restart_node", restart_node, ["floor", "restartinit", "pm2-runtime"], (6, 1), {}),
    ("signals", signals, ["none", "restartinit", *PLAIN], (10, 2), {}),
    ("signals_busy", signals_busy, ["none", "restartinit", *PLAIN], (6, 1), {}),
    ("restart_hostile", restart_hostile, HOSTILITY, (6, 1), {}),
    ("signals_hostile", signals_hostile, HOSTILITY, (6, 1), {}),
    ("orphans", orphans, ["restartinit", *PLAIN], (8, 2), {}),
    ("orphans_waiting", orphans_waiting, ["restartinit", *PLAIN], (8, 2), {}),
    ("zombies", zombies, ["restartinit", *PLAIN, "pm2-runtime"], (1, 1), {}),
    ("memory_off", memory_off, ["restartinit", *PLAIN, "pm2-runtime"], (3, 1), {}),
    ("memory_on", memory_on, ["restartinit"], (3, 1), {}),
    ("gap", gap, list(GAPS), (4, 1), {}),
    ("log", log, ["none", "restartinit", "tini-static", "pm2-runtime"], (3, 1), {"pm2-runtime": (1, 1)}),
    ("scale_orphans", scale_orphans, ["restartinit", "tini-static", "dumb-init", "catatonit"], (3, 1), {}),
    ("scale_signals", scale_signals, ["restartinit", "tini-static", "dumb-init", "catatonit"], (5, 1), {}),
    ("scale_restarts", scale_restarts, ["floor", "restartinit", "pm2-runtime"], (1, 1), {}),
]
FULL = {"restarts": 200, "signals": 600, "orphans": 10_000, "idle": 5, "log": 1_000_000_000, "scale": 100_000, "kills": 5, "rate": 500}
QUICK = {"restarts": 60, "signals": 150, "orphans": 2_000, "idle": 1, "log": 50_000_000, "scale": 1_000, "kills": 1, "rate": 500}
