# Called by: bench/measures.py.
"""A box: one candidate as PID 1 of a fresh PID namespace, what its command tells over a FIFO, and what /proc says of it."""

import array
import os
import pathlib
import select
import shutil
import struct
import subprocess
import tempfile
import time

import cgroup
from machine import PROBE, fail, line_of, namespace

DEADLINE = 30
# probe.c's struct state: the death, the count, eight checkpoints; then the samples.
HEADER = struct.Struct("qQ8Q")


class Fifo:
    """Open at both ends, so that neither side ever waits for the other to open it."""

    def __init__(self, path):
        self.path = str(path)
        os.mkfifo(path, 0o666)
        self.descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK)
        self.rest = b""

    def line(self, seconds=DEADLINE):
        """The next line's words; TimeoutError if none comes."""
        until = time.monotonic() + seconds
        while b"\n" not in self.rest:
            self.rest += self.take(until)
        line, self.rest = self.rest.split(b"\n", 1)
        return line.decode().split()

    def take(self, until):
        ready, _, _ = select.select([self.descriptor], [], [], max(0, until - time.monotonic()))
        if not ready:
            raise TimeoutError("the command told nothing")
        return os.read(self.descriptor, 4096)

    def go(self):
        os.write(self.descriptor, b"g")

    def close(self):
        os.close(self.descriptor)


class Box:
    """`with Box(candidate, command) as box:`. In the command, {told}, {go} and {state} are paths of the box's own."""

    def __init__(self, candidate, command, options=(), variables=None, samples=0, checkpoints=()):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="restartinit-bench-"))
        self.told, self.go = Fifo(self.folder / "told"), Fifo(self.folder / "go")
        self.state = self.folder / "state"
        padded = (list(checkpoints) + [0] * 8)[:8]
        self.state.write_bytes(HEADER.pack(0, 0, *padded) + bytes(4 * samples))
        paths = {"told": self.told.path, "go": self.go.path, "state": str(self.state)}
        filled = [part.format(**paths) for part in command]
        line, own = line_of(candidate, filled, options, str(self.folder / "pm2"))
        # A container engine reads both streams from a pipe; so does this.
        read, write = os.pipe()
        self.sink = subprocess.Popen([PROBE, "sink"], stdin=read, stdout=subprocess.PIPE)
        self.host = subprocess.Popen(
            [*namespace(), PROBE, "launch", str(self.state), *line],
            stdin=subprocess.DEVNULL, stdout=write, stderr=write,
            env={**os.environ, **own, **(variables or {})}, preexec_fn=cgroup.entrance(),
        )
        os.close(read)
        os.close(write)
        self.candidate, self.line = candidate, line

    def __enter__(self):
        return self

    def __exit__(self, kind, error, _):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
        if isinstance(error, TimeoutError):
            fail(f"{self.candidate}: {error}: {' '.join(self.line)}\n{self.said}")

    def stop(self):
        """Ends the namespace. What was said last is in `said`, its bytes and the time of the last one in `sunk`."""
        if self.sink is None:
            return
        self.host.kill()  # and with it, by --kill-child, PID 1 and so all the others
        self.host.wait()
        out, _ = self.sink.communicate()
        head, _, self.said = out.decode(errors="replace").partition("\n")
        self.sunk = [int(word) for word in head.split()]
        self.sink = None
        self.told.close()
        self.go.close()

    @property
    def pid(self):
        """PID 1, as it is called out here."""
        until = time.monotonic() + DEADLINE
        while time.monotonic() < until:
            pids = children(self.host.pid)
            if pids:
                return pids[0]
        raise TimeoutError("no PID 1")

    def death_or_exec(self):
        return HEADER.unpack_from(self.state.read_bytes())[0]

    def samples(self, start, end):
        """Restart latencies in nanoseconds, by count."""
        values = array.array("I")
        values.frombytes(self.state.read_bytes()[HEADER.size + 4 * start : HEADER.size + 4 * end])
        return list(values)


def children(pid):
    found = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            found += [int(word) for word in open(f"/proc/{pid}/task/{task}/children").read().split()]
    except OSError:
        pass
    return found


def descendants(pid):
    for child in children(pid):
        yield child
        yield from descendants(child)


def inner_pid(pid):
    """The pid that the process has in its own namespace; None when it has just ended."""
    try:
        return int(field(pid, "NSpid").split()[-1])
    except OSError:
        return None


def field(pid, name, folder=None):
    for line in open(f"{folder or f'/proc/{pid}'}/status"):
        if line.startswith(name + ":"):
            return line.split(":")[1].strip()
    return "0"


def tasks(pid):
    return [f"/proc/{pid}/task/{task}" for task in os.listdir(f"/proc/{pid}/task")]


def cpu(pid):
    """Nanoseconds of processor time, user and system, of all its threads."""
    return sum(int(open(f"{task}/schedstat").read().split()[0]) for task in tasks(pid))


def wakings(pid):
    """How often its threads have gone to sleep."""
    return sum(int(field(pid, "voluntary_ctxt_switches", task)) for task in tasks(pid))


def memory(pid):
    """KiB: resident, proportional, private."""
    sums = {}
    for line in open(f"/proc/{pid}/smaps_rollup"):
        words = line.split()
        if len(words) == 3 and words[2] == "kB":
            sums[words[0].rstrip(":")] = int(words[1])
    return {"rss": sums["Rss"], "pss": sums["Pss"], "private": sums["Private_Clean"] + sums["Private_Dirty"]}
