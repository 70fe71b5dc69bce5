# Called by: tests/torture/run.py.
"""Every fault: strace makes the system calls of a running PID 1 fail. While it does, there are a crash, a planned restart, signals,
orphans and observers; it may be late then, or lose a line. Once the fault is over, all must be as it was."""

import contextlib
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import box
from box import APP, FREELY, STOPPED, Box, Fell, ask, await_true

# What each call may answer, by its manual page and, for EINTR, where a call may sleep. What PID 1 calls and is not in here is in HARMLESS.
MEMORY, FILES = ["ENOMEM"], ["EMFILE", "ENFILE", "ENOMEM"]
CALLS = {
    "ppoll": ["EINTR", "ENOMEM"],
    "poll": ["EINTR", "ENOMEM"],
    "wait4": ["EINTR"],
    "clone": ["EAGAIN", "ENOMEM", "EPERM", "ENOSPC"],
    "kill": ["EPERM", "EAGAIN"],
    "pidfd_open": [*FILES, "ENOSYS", "EPERM"],
    "pidfd_send_signal": ["EPERM", "EAGAIN", "ENOSYS"],
    "rt_sigtimedwait": ["EINTR", "EAGAIN"],
    "write": ["EINTR", "EAGAIN", "EPERM", "EIO", "ENOSPC"],
    "splice": ["EINTR", "EAGAIN", "ENOMEM"],
    "read": ["EINTR", "EAGAIN", "EIO"],
    "pread64": ["EINTR", "EIO"],
    "open": ["EINTR", *FILES, "EPERM", "ENOSPC", "EIO"],
    "openat": ["EINTR", *FILES, "EPERM", "ENOSPC", "EIO"],
    "readlink": ["ENOMEM", "EIO", "EPERM"],
    "readlinkat": ["ENOMEM", "EIO", "EPERM"],
    "getdents64": ["EIO", "ENOMEM"],
    "fcntl": ["EPERM", "EAGAIN"],
    "ioctl": ["EIO", "EPERM"],
    "fstat": MEMORY,
    "stat": ["ENOMEM", "EIO"],
    "lseek": ["EPERM"],
    "close": ["EINTR", "EIO", "ENOSPC"],
    "socketpair": FILES,
    "socket": [*FILES, "EPERM"],
    "connect": ["EINTR", "EAGAIN", "EPERM", "ENETUNREACH", "EADDRNOTAVAIL"],
    "inotify_init1": FILES,
    "pipe2": FILES,
    "fork": ["EAGAIN", "ENOMEM", "ENOSYS"],
    "bind": [*MEMORY, "EPERM"],
    "listen": ["EPERM"],
    "accept4": ["EINTR", "EAGAIN", *FILES, "EPERM"],
    "recvfrom": ["EINTR", "EAGAIN", "ENOMEM"],
    "sendto": ["EINTR", "EAGAIN", "ENOMEM", "EPERM"],
    "sendmsg": ["EINTR", "EAGAIN", "ENOMEM", "EPERM"],
    "recvmsg": ["EINTR", "EAGAIN", "ENOMEM"],
    "setsockopt": ["ENOMEM", "EPERM"],
    "getsockopt": ["ENOMEM", "EPERM"],
    "shutdown": ["EPERM"],
    "mmap": [*MEMORY, "EAGAIN", "ENFILE"],
    "brk": MEMORY,
    "mremap": MEMORY,
    "munmap": MEMORY,
    "madvise": ["EAGAIN", "ENOMEM"],
    "rt_sigpending": MEMORY,
    "getpgid": ["EPERM"],
    "capget": ["EPERM"],
    "prlimit64": ["EPERM"],
    "statx": ["ENOMEM"],
    "sigaltstack": ["ENOMEM"],
    "newfstatat": ["ENOMEM"],
    "access": ["ENOMEM"],
}
# These never fail; and the way back from a handler is no call that could.
HARMLESS = {
    "rt_sigreturn", "exit_group", "getpid", "geteuid", "getuid", "getegid", "getgid", "rt_sigprocmask", "rt_sigaction", "clock_gettime",
    "gettid", "restart_syscall", "getpgrp", "getsid",
}
WHEN = {"first": "1", "every second": "1+2", "always": "1+"}
OPTIONS = [*FREELY, "--hold-port", "--standby", "--watchdog", "20s", "-v", "--max-age", "1h"]
# A check that no fault makes a crash: what is tried here is what it calls.
OPTIONS += ["--check-interval", "50ms", "--check-timeout", "100ms", "--check-failures", "1000000"]
# How long a fault that strikes always lasts, in seconds; another one at most, where not all that happens meanwhile comes to an end. No
# result hangs on it.
LASTS = 1.3


class Strace:
    """strace on PID 1, and on nobody else."""

    def __init__(self, life, *options):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="restartinit-torture-"))
        self.file = self.folder / "calls"
        line = ["strace", "-o", str(self.file), *options, "-p", str(life.pid)]
        self.process = subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        # It says that it is attached. Until then the fault has not begun.
        said = self.process.stderr.readline()
        if b"attached" not in said:
            raise Fell(f"strace cannot attach: {said.decode().strip()} (does it need root, or kernel.yama.ptrace_scope=0?)")

    def let_go(self):
        """Takes the fault away; how often it struck."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        self.process.wait(box.PATIENCE)
        self.process.stderr.close()
        self.text = box.read(self.file)
        for file in self.folder.iterdir():
            file.unlink()
        self.folder.rmdir()
        return self.text.count("(INJECTED)")


@contextlib.contextmanager
def life(late=False):
    """An init with every part at work: held ports, a standby, observers, the watchdog. `late`: the app has not asked for its port yet."""
    descriptors = 0
    if late:
        with life() as other:
            descriptors = other.descriptors
    port, web = box.free_port(), box.free_port()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="restartinit-torture-"))
    watched, manager = folder / "watched", socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    watched.write_text("as it was")
    # Nobody reads it: it is full soon.
    manager.bind(str(folder / "notify"))
    options = [*OPTIONS, "--http", f"127.0.0.1:{web}", "--check", f"http://127.0.0.1:{web}/livez", "--restart-on-change", str(watched)]
    variables = {"TORTURE_PORT": str(port), "NOTIFY_SOCKET": str(folder / "notify"), "WATCHDOG_USEC": "1000000"}
    with manager, Box(options, [APP, "serve", "restart", *(["late"] if late else [])], variables) as one:
        one.web, one.port, one.watched = web, port, watched
        one.descriptors = descriptors
        if late:
            one.hear("up 1")
            # restartinit opens its control door once the first command runs: that is no part of this.
            number = os.stat(f"/proc/{one.pid}/ns/pid").st_ino
            await_true("the control door is open", lambda: f"@restartinit/{number}" in box.read(f"/proc/{one.pid}/net/unix"))
        else:
            settle(one)
            await_true("the standby waits", lambda: sum("waits as standby" in line for line in one.lines if line), told=one.told)
            one.descriptors = box.descriptors(one.pid)
        yield one
    shutil.rmtree(folder)


def settle(one):
    """One serves, one waits behind it, nobody else is there, and this is what restartinit says too."""

    def settled():
        return len(one.apps()) == 2 and box.zombies(one.pid) == 0 and ask(one.web, "/readyz")[0] == 200

    await_true("ready, with a standby and no zombie", settled, told=one.told)


def exercise(one):
    """All that a life can bring, without waiting for any of it to succeed."""
    one.signal(signal.SIGUSR1)
    one.signal(signal.SIGUSR2)  # the app asks for a planned restart
    one.tell("orphans 20")
    one.watched.write_text("changed")
    before = one.apps()[:1]
    ask(one.web, "/status", 0.2)
    one.crash()
    until = time.monotonic() + LASTS
    while time.monotonic() < until and not (one.apps()[:1] not in ([], before) and ask(one.web, "/readyz", 0.2)[0] == 200):
        time.sleep(0.02)
    ask(one.web, "/metrics", 0.2)
    verb = one.verb("status", wait=False)
    one.signal(signal.SIGWINCH)
    one.crash()
    while time.monotonic() < until and verb.poll() is None:
        time.sleep(0.02)
    return verb


def crash_and_restart(one):
    """Once more, where a planned restart came in between and what was killed was about to go anyway: no crash goes unnoticed, or it would
    never settle."""
    until = time.monotonic() + box.PATIENCE
    while True:
        one.mark()
        one.crash()
        try:
            one.hear("active", 2)
            return settle(one)
        except Fell:
            if time.monotonic() > until:
                raise
        settle(one)


def recovered(one, lost=0):
    """The fault is over: is everything as it was? `lost` descriptors are the fault's own."""
    if one.has_ended():
        raise Fell("PID 1 has ended" + one.told())
    settle(one)
    one.mark()
    one.signal(signal.SIGHUP)
    one.hear("got 1")
    crash_and_restart(one)
    await_true("health", lambda: one.verb("health") == 0)
    await_true(
        f"no more descriptors than before ({one.descriptors})",
        lambda: box.descriptors(one.pid) <= one.descriptors + lost,
        told=lambda: f", but {box.descriptors(one.pid)}" + one.told(),
    )
    await_true("no zombie", lambda: box.zombies(one.pid) == 0)


def stop(one, *fault):
    """A stop while the fault lasts ends it; at the latest when the fault is over."""
    strace = Strace(one, *fault)
    one.signal(signal.SIGTERM)
    until = time.monotonic() + LASTS / 2
    while time.monotonic() < until and not one.has_ended():
        time.sleep(0.005)
    hits = strace.let_go()
    try:
        code = one.end()
    except Fell as fell:
        raise Fell(f"the stop is lost: {fell}") from None
    if code != STOPPED:
        raise Fell(f"the stop ended with {code}, not {STOPPED}" + one.told())
    return hits


def fault(call, error, when, late=False):
    """One fault on one life; how often it struck."""
    what = ["-e", f"trace={call}", "-e", f"inject={call}:error={error}:when={WHEN[when]}"]
    with life(late) as one:
        strace = Strace(one, *what)
        until = time.monotonic() + LASTS
        verb = exercise(one)
        while when == "always" and time.monotonic() < until:
            one.signal(signal.SIGUSR1)
            ask(one.web, "/readyz", 0.2)
            time.sleep(0.05)
        hits = strace.let_go()
        try:
            # strace skips the call that it makes fail. Linux closes even where close(2) fails: here it is left open.
            recovered(one, hits if call == "close" else 0)
            hits += stop(one, *what)
        finally:
            if verb.poll() is None:
                verb.kill()
            verb.wait()
    return hits


def seen():
    """The system calls that PID 1 makes after the first spawn, over a life with everything in it; and those that only an app that asks for
    its port brings about."""
    counts = called(False)
    return counts, called(True) - counts


def called(late):
    with life(late) as one:
        strace = Strace(one)
        verb = exercise(one)
        recovered(one)
        verb.wait(box.PATIENCE)
        one.signal(signal.SIGTERM)
        one.end()
        strace.let_go()
        return set(re.findall(r"^([a-z_0-9]+)\(", strace.text, re.MULTILINE))


# One for each way to be hurt; the short form.
FEW = [
    ("clone", "EAGAIN", "every second"), ("ppoll", "EINTR", "always"), ("write", "EAGAIN", "always"), ("socketpair", "EMFILE", "first"),
    ("sendmsg", "ENOMEM", "every second"), ("accept4", "EMFILE", "always"), ("open,openat", "ENFILE", "always"),
    ("wait4", "EINTR", "always"), ("kill", "EAGAIN", "always"), ("connect", "EADDRNOTAVAIL", "always"), ("inotify_init1", "EMFILE", "always"),
    ("pipe2", "EMFILE", "always"), ("sendmsg", "ENOMEM", "always"), ("mmap", "ENOMEM", "first"),
]


def product(counts, late):
    """Every call that was seen, with every error that it may answer, at every time."""
    unknown = (counts | late) - set(CALLS) - HARMLESS
    if unknown:
        raise Fell(f"PID 1 makes calls that faults.py does not know: {' '.join(sorted(unknown))}")
    calls = [(call, call in late) for call in sorted(counts | late)]
    return [(call, error, when, is_late) for call, is_late in calls for error in CALLS.get(call, []) for when in WHEN]
