# Called by: bench/measures.py.
"""The crash of a Node server under load: how long nobody answers, and what becomes of the clients that come meanwhile."""

import contextlib
import os
import signal
import socket
import subprocess
import time

from box import Box, descendants, inner_pid
from machine import LOAD, NODE, SERVER, lacks

BOOT_MS = 400
# After a crash: until the next standby is up too, and a restart is the first again to its policy.
SETTLE = 1.5
ORDINARY = ["--max-restarts", "1000", "--stable-after", "1s"]
GAPS = {
    "floor": [],
    "restartinit": ORDINARY,
    "restartinit --hold-port": [*ORDINARY, "--hold-port"],
    "restartinit --standby": [*ORDINARY, "--standby"],
    "pm2-runtime": [],
    "pm2-runtime -i 2": [],
}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def ask(port, seconds=1.0):
    """Who answers there: the server's pid in its namespace, or None."""
    try:
        with socket.create_connection(("127.0.0.1", port), seconds) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")
            answer = b""
            while piece := client.recv(4096):
                answer += piece
        return int(answer.partition(b"\r\n\r\n")[2])
    except (OSError, ValueError):
        return None


def ask_status(port, seconds=5.0):
    """The status of the answer there, or None."""
    try:
        with socket.create_connection(("127.0.0.1", port), seconds) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")
            return int(client.recv(4096).split()[1])
    except (OSError, ValueError, IndexError):
        return None


def await_answer(port, other_than=None):
    until = time.monotonic() + 30
    while time.monotonic() < until:
        pid = ask(port)
        if pid not in (None, other_than):
            return pid
        time.sleep(0.01)
    raise TimeoutError("the server does not answer")


@contextlib.contextmanager
def serve(candidate, options):
    """A box with the server in it that answers, and its port."""
    port = free_port()
    variables = {"PORT": str(port), "BOOT_MS": str(BOOT_MS)}
    with Box(candidate, [NODE, SERVER], options, variables) as box:
        await_answer(port)
        time.sleep(SETTLE)
        yield box, port


def kill_server(box, port):
    """SIGKILL to the process that answers; when, and who it was."""
    inside = await_answer(port)
    outside = next(pid for pid in descendants(box.pid) if inner_pid(pid) == inside)
    at = time.monotonic_ns()
    os.kill(outside, signal.SIGKILL)
    return at, inside


def gap(candidate, how):
    """Kills under a steady load of new connections; each client's fate, and each death to the next answer."""
    options = GAPS[candidate]
    if candidate.startswith("restartinit") and (missing := lacks(options)):
        return {"not_built": missing}
    with serve(candidate, options) as (box, port):
        # Longer than the kills can take; it is ended when they are over.
        line = [LOAD, str(port), str(how["rate"]), str(20 * how["kills"])]
        told = box.folder / "load"
        with open(told, "w") as out:
            load = subprocess.Popen(line, stdout=out)
        try:
            deaths = []
            for _ in range(how["kills"]):
                time.sleep(SETTLE)
                deaths.append(kill_server(box, port))
                await_answer(port, other_than=deaths[-1][1])
            time.sleep(SETTLE)
            # The load ends first, and tells of all that it has begun.
            load.send_signal(signal.SIGTERM)
            if load.wait(30) != 0:
                raise TimeoutError("the load generator failed")
        finally:
            load.kill()
            load.wait()
        clients = [line.split() for line in open(told)]
    fates = {fate: [sum(client[2] == fate for client in clients)] for fate in ("ok", "refused", "reset", "lost")}
    answers = sorted((int(decided), int(decided) - int(opened), int(pid)) for opened, decided, fate, pid in clients if fate == "ok")
    gaps = []
    for at, pid in deaths:
        gaps.append(next(decided - at for decided, _, by in answers if decided > at and by != pid))
    return {"gap_ns": gaps, "slowest_ns": [max(waited for _, waited, _ in answers)], **fates, "kills": [len(deaths)]}
