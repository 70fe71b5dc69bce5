# Called by: tests/torture/run.py and its sections.
"""A box: restartinit as PID 1 of a fresh PID namespace with `app` as its command, what both say, what /proc says of them, and the waiting
for all that with one generous deadline: to pass it is a failure, to be near it never a success."""

import math
import os
import pathlib
import select
import shutil
import signal
import socket
import subprocess
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILT = ROOT / "target" / "torture"
INIT = os.environ.get("INIT_UNDER_TEST", str(ROOT / "target" / "static" / "restartinit"))
APP, DRIVER, STORM = (str(BUILT / name) for name in ("app", "driver", "storm"))
PATIENCE = 30
# Any number of restarts, soon: what is tested is not the policy.
FREELY = ["--max-restarts", "1000000", "--restart-window", "0", "--backoff", "1ms", "--backoff-max", "20ms"]
STOPPED = 42  # the app's answer to TERM


class Fell(Exception):
    """What fell over, in words."""


def install():
    """Compiles app.c, driver.c and storm.c, unless they are there; checks what else is needed."""
    missing = {"strace": "strace", "gcc": "gcc", "unshare": "util-linux", "nsenter": "util-linux", "setpriv": "util-linux"}
    missing = sorted({package for program, package in missing.items() if not shutil.which(program)})
    if missing:
        raise SystemExit(f"torture: not installed: {' '.join(missing)} (tests/packages installs them)")
    BUILT.mkdir(parents=True, exist_ok=True)
    for name in ("app", "driver", "storm"):
        source, program = pathlib.Path(__file__).parent / f"{name}.c", BUILT / name
        if not program.exists() or source.stat().st_mtime > program.stat().st_mtime:
            # Aside first: other tests may be running what is there.
            aside = f"{program}.{os.getpid()}"
            subprocess.run(["gcc", "-O2", "-Wall", "-Wextra", "-static", "-o", aside, source], check=True)
            os.replace(aside, program)
    if not os.path.exists(INIT):
        raise SystemExit(f"torture: no {INIT}: make static")


def namespace():
    """What makes a command PID 1 of a namespace that dies with us."""
    unshare = ["setpriv", "--pdeathsig", "KILL", "unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
    return unshare + ([] if os.geteuid() == 0 else ["--user", "--map-root-user"]) + ["--"]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def read(path):
    try:
        return pathlib.Path(path).read_text()
    except OSError:
        return ""


def children(pid):
    return [int(child) for child in read(f"/proc/{pid}/task/{pid}/children").split()]


def state(pid):
    """S, R, Z ...; empty where there is no such process."""
    return read(f"/proc/{pid}/stat").rpartition(")")[2].strip()[:1]


def zombies(pid):
    return sum(state(child) == "Z" for child in children(pid))


def field(pid, name):
    for line in read(f"/proc/{pid}/status").splitlines():
        if line.startswith(name + ":"):
            return line.split(":")[1].split()[0]
    return ""


def descriptors(pid):
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return 0


def await_true(what, happened, told=str):
    until = time.monotonic() + PATIENCE
    while not happened():
        if time.monotonic() > until:
            raise Fell(f"waited for this: {what}: it never came{told()}")
        time.sleep(0.002)


class Box:
    """`with Box(options, command) as box:`"""

    def __init__(self, options, command, variables=None, before=(), inside=(), host=None, init=INIT):
        own = {name: value for name, value in os.environ.items() if not name.startswith("RESTARTINIT_")}
        self.lines, self.news, self.at = [], threading.Condition(), 0
        self.init = init
        line = [*before, *(host or namespace()), *inside, init, *options, "--", *command]
        self.host = subprocess.Popen(
            line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={**own, **(variables or {})},
        )
        self.reader = threading.Thread(target=self.listen, daemon=True)
        self.reader.start()
        self.known = None

    def listen(self):
        for line in self.host.stdout:
            with self.news:
                self.lines.append(line.decode(errors="replace").rstrip("\n"))
                self.news.notify_all()
        with self.news:
            self.lines.append(None)
            self.news.notify_all()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.host.kill()  # and with it, by --kill-child, PID 1 and so all the others
        self.host.wait()
        self.reader.join(PATIENCE)
        if self.known:
            os.close(self.handle)
        for stream in (self.host.stdin, self.host.stdout):
            try:
                stream.close()
            except OSError:
                pass

    def hear(self, begins, seconds=PATIENCE, anywhere=False):
        """Waits for a line that begins with that, after those that earlier waits have gone past; the rest of it."""
        until = time.monotonic() + seconds
        with self.news:
            while True:
                while self.at < len(self.lines) and self.lines[self.at] is not None:
                    line = self.lines[self.at]
                    self.at += 1
                    if line.startswith(begins) or anywhere and begins in line:
                        return line[len(begins):].strip()
                ended = self.at < len(self.lines)
                if ended or not self.news.wait(max(0, until - time.monotonic())) and time.monotonic() > until:
                    raise Fell(f"waited for {begins!r}: " + ("the output ended first" if ended else "it never came") + self.told())

    def hear_both(self, *texts, seconds=PATIENCE):
        """Waits for a line with each, in whatever order: a command may be faster than the line about the one before it. The rest of the last."""
        begun, ends = self.at, []
        for text in texts:
            self.at = begun
            rest = self.hear(text, seconds, anywhere=True)
            ends.append(self.at)
        self.at = max(ends)
        return rest

    def told(self, count=12):
        with self.news:
            return "; last said: " + " | ".join(line for line in self.lines[-count:] if line)

    def mark(self):
        """What was said up to now is gone past."""
        with self.news:
            self.at = len([line for line in self.lines if line is not None])

    @property
    def pid(self):
        """PID 1, as it is called out here."""
        if self.known is None:
            wanted = os.stat(self.init).st_ino

            def found():
                for child in children(self.host.pid):
                    try:
                        if os.stat(f"/proc/{child}/exe").st_ino == wanted:
                            self.known = child
                            self.handle = os.pidfd_open(child)
                            return True
                    except OSError:
                        pass
                return False

            await_true("the init runs", found)
        return self.known

    def tell(self, line):
        self.host.stdin.write(line.encode() + b"\n")
        self.host.stdin.flush()

    def signal(self, number):
        signal.pidfd_send_signal(self.pid and self.handle, number)

    def apps(self):
        """The commands that run, the oldest first, as they are called out here. By the generation that each was given: two may begin in one tick
        of the clock, and the later one has the lower pid where the numbers have come round."""
        numbers = {}
        for pid in children(self.pid):
            if state(pid) not in ("", "Z"):
                given = [entry for entry in read(f"/proc/{pid}/environ").split("\0") if entry.startswith("RESTARTINIT_GENERATION=")]
                # Without one it has only just been spawned, and executes its program in a moment.
                numbers[pid] = int(given[0].split("=")[1]) if given else math.inf
        return sorted(numbers, key=numbers.get)

    def crash(self):
        """SIGKILL to the oldest command: the one that serves."""
        for pid in self.apps()[:1]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            # Or it would still count among those that run.
            await_true("it is dead", lambda: state(pid) in ("", "Z", "X"))

    def has_ended(self):
        return bool(select.select([self.handle], [], [], 0)[0])

    def entering(self, *line):
        """The command line that runs that inside, as an exec session does."""
        return ["nsenter", "-t", str(self.pid), "-p", "-m", *([] if os.geteuid() == 0 else ["-U", "--preserve-credentials"]), "--", *line]

    def verb(self, *words, wait=True):
        """A verb of restartinit's, inside."""
        line = self.entering(self.init, *words)
        process = subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return process.wait(PATIENCE) if wait else process

    def end(self, seconds=PATIENCE):
        """The exit code, once it has ended."""
        try:
            return self.host.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Fell("it does not end" + self.told()) from None


def ask(port, path, seconds=PATIENCE):
    """The status of restartinit's answer, 0 where there is none, and its body."""
    try:
        with socket.create_connection(("127.0.0.1", port), seconds) as client:
            client.settimeout(seconds)
            client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            answer = b""
            while piece := client.recv(4096):
                answer += piece
        head, _, body = answer.partition(b"\r\n\r\n")
        return int(head.split()[1]), body.decode()
    except (OSError, ValueError, IndexError):
        return 0, ""
