# Called by: tests/torture/run.py.
"""Surroundings that fail: full tables, no memory, no /proc, a full disk, a clock that jumps, a machine that stands still."""

import contextlib
import os
import pathlib
import resource
import shutil
import signal
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

import box
import faults
from box import APP, DRIVER, FREELY, INIT, STOPPED, Box, Fell, await_true

SIMPLE = [*FREELY, "-v"]
# How long a machine stands still; far longer than WATCHDOG, which must not mistake it for a blocked event loop.
STILL, WATCHDOG, AFTERWARDS = 3.0, "1s", 2.5


def expect(what, is_so, told=""):
    if not is_so:
        raise Fell(f"{what}: not so{told}")


def restarts_and_stops(one):
    """The least: a signal is forwarded, a crash is followed by a restart, no zombie stays, a stop ends it with the command's code."""
    one.mark()
    one.signal(signal.SIGHUP)
    one.hear("got 1")
    one.crash()
    one.hear("active")
    one.tell("orphans 20")
    one.hear("orphaned 20")
    await_true("no zombie", lambda: box.zombies(one.pid) == 0, told=one.told)
    one.signal(signal.SIGTERM)
    expect("the stop ends with the command's code", (code := one.end()) == STOPPED, f": {code}" + one.told())


@contextlib.contextmanager
def cgroup(controller):
    """A cgroup of that controller, v1 or v2, and the command that enters it."""
    for root in (f"/sys/fs/cgroup/{controller}", "/sys/fs/cgroup/unified", "/sys/fs/cgroup"):
        folder = pathlib.Path(root) / f"restartinit-torture-{os.getpid()}-{time.monotonic_ns()}"
        parent = folder.parent
        is_v2 = (parent / "cgroup.controllers").exists()
        if is_v2 and controller != "freezer" and controller not in box.read(parent / "cgroup.subtree_control").split():
            continue
        if is_v2 or (parent / "cgroup.procs").exists():
            break
    else:
        raise Fell(f"there is no {controller} cgroup here")
    folder.mkdir()
    try:
        yield folder, ["sh", "-c", 'echo $$ >"$0/cgroup.procs" && exec "$@"', str(folder)]
    finally:
        await_true("the cgroup is empty", lambda: not box.read(folder / "cgroup.procs"))
        folder.rmdir()


def full_process_table():
    """The pids cgroup is full: forks fail, are tried again, and no stop is lost meanwhile."""
    for lifted in (True, False):
        with cgroup("pids") as (folder, enter), Box(SIMPLE, [APP, "serve"], before=enter) as one:
            one.hear("active")
            # PID 1, its command, and unshare.
            count = len(box.read(folder / "cgroup.procs").split())
            (folder / "pids.max").write_text(str(count - 1))
            one.crash()
            one.hear("could not be started", anywhere=True)
            if lifted:
                (folder / "pids.max").write_text("max")
                one.hear("active")
                restarts_and_stops(one)
            else:
                one.signal(signal.SIGTERM)
                expect("the stop ends with the last exit's code", (code := one.end()) == 137, f": {code}" + one.told())


def no_memory_in_the_cgroup():
    """The memory cgroup is full, over and over: the kernel kills the command, never PID 1."""
    # What is killed has not given all back when PID 1 asks for some next. Then the kernel takes the largest that is left: here that is
    # unshare, which is no part of a container, and PID 1 dies with it.
    for _ in range(4):
        try:
            return fill_the_memory()
        except UnshareKilled as killed:
            last = killed
    raise last


class UnshareKilled(Fell):
    """The process above PID 1 was killed by the kernel."""


def fill_the_memory():
    with cgroup("memory") as (folder, enter), Box(SIMPLE, [APP, "serve"], before=enter) as one:
        try:
            fill_the_memory_of(one, folder)
        except (Fell, OSError) as fell:
            with contextlib.suppress(subprocess.TimeoutExpired):
                if one.host.wait(1) == -signal.SIGKILL:
                    raise UnshareKilled(str(fell)) from fell
            raise


def fill_the_memory_of(one, folder):
    one.hear("active")
    limit = next(folder / name for name in ("memory.max", "memory.limit_in_bytes") if (folder / name).exists())
    limit.write_text(str(12 << 20))
    for _ in range(10):
        one.tell("hog")
        one.hear_both("active", "out of memory")
    restarts_and_stops(one)


def no_free_descriptor():
    """RLIMIT_NOFILE is reached by what is open: nothing can be accepted, opened or paired. Afterwards all is as before."""
    with faults.life() as one:
        soft, hard = resource.prlimit(one.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(one.pid, resource.RLIMIT_NOFILE, (3, hard))
        verb = faults.exercise(one)
        resource.prlimit(one.pid, resource.RLIMIT_NOFILE, (soft, hard))
        faults.recovered(one)
        verb.kill()
        verb.wait()
        resource.prlimit(one.pid, resource.RLIMIT_NOFILE, (3, hard))
        one.signal(signal.SIGTERM)
        expect("the stop ends with the command's code", (code := one.end()) == STOPPED, f": {code}" + one.told())


def within(shell):
    """Runs that before the init, in its own mount namespace."""
    return ["sh", "-c", f'{shell} && exec "$@"', "sh"]


def no_proc():
    """/proc is an empty folder."""
    with Box(SIMPLE, [APP, "serve"], inside=within("mount -t tmpfs none /proc")) as one:
        one.hear("active")
        restarts_and_stops(one)


def proc_of_another_namespace():
    """/proc is that of the machine: its pids are not those that are meant."""
    with Box(SIMPLE, [APP, "serve"], inside=within("umount /proc")) as one:
        one.hear("active")
        restarts_and_stops(one)


def hidden_proc():
    """/proc with hidepid=2, and PID 1 is not root."""
    with tempfile.TemporaryDirectory(prefix="restartinit-torture-") as folder:
        os.chmod(folder, 0o755)
        shutil.copy(APP, folder)
        user = "setpriv --reuid 65534 --regid 65534 --clear-groups" if os.geteuid() == 0 else ""
        inside = ["sh", "-c", f'mount -o remount,hidepid=2 /proc && exec {user} "$@"', "sh"]
        with Box(SIMPLE, [f"{folder}/app", "serve"], inside=inside) as one:
            one.hear("active")
            restarts_and_stops(one)


def no_dev():
    """/dev is an empty folder, read-only."""
    with Box(SIMPLE, [APP, "serve"], inside=within("mount -t tmpfs -o ro none /dev")) as one:
        one.hear("active")
        restarts_and_stops(one)


def bad_disk(options, spoil):
    with tempfile.TemporaryDirectory(prefix="restartinit-torture-") as folder:
        inside = within(f"mount -t tmpfs -o size=4k {options} none {folder} && {spoil.format(folder)}")
        with Box([*SIMPLE, "--termination-log", f"{folder}/log"], [APP, "serve"], inside=inside) as one:
            one.hear("active")
            restarts_and_stops(one)


def full_disk():
    """The termination log's disk is full: 4 KiB, all taken."""
    bad_disk("", "head -c 4096 /dev/zero >{0}/full && : >{0}/log")


def read_only_disk():
    """The termination log's disk is read-only."""
    bad_disk("", ": >{0}/log && mount -o remount,ro {0}")


def clock_jumps():
    """CLOCK_REALTIME of PID 1 goes back an hour, then forward one, by ptrace: no deadline minds. It is read for log lines alone."""
    options = ["-v", "--log-format", "json", "--backoff", "300ms", "--backoff-max", "300ms", "--max-restarts", "20"]
    with Box([*options, "--grace-period", "1h"], [APP, "serve"], host=[DRIVER, "clock"]) as one:
        one.hear("active")
        hours = []
        for number in (None, signal.SIGUSR1, signal.SIGUSR2):
            if number:
                one.host.send_signal(number)
            for _ in range(2):
                before = time.monotonic()
                one.crash()
                line = one.hear_both("active", '{"time":"', seconds=5)
            took = time.monotonic() - before
            expect("the backoff is what it was", took >= 0.3, f": {took} s")
            stamp = time.mktime(time.strptime(line[:19], "%Y-%m-%dT%H:%M:%S"))
            hours.append(round((stamp - time.mktime(time.gmtime())) / 3600))
        expect("its clock was moved", hours == [0, -1, 1], f": {hours}")
        lines = sum(line.startswith("{") for line in one.lines if line)
        one.signal(signal.SIGTERM)
        reads = int(one.hear("CLOCK_REALTIME was read").split()[0])
        lines = sum(line.startswith("{") for line in one.lines if line)
        expect("it is read once for each log line, and for nothing else", reads == lines, f": {reads} times, {lines} lines")
        expect("the stop ends with the command's code", (code := one.end()) == STOPPED, f": {code}")


def stands_still(who, pause, resume):
    """Stands still for STILL; afterwards the same generations are there as before."""
    options = [*SIMPLE, "--hold-port", "--standby", "--watchdog", WATCHDOG]
    with Box(options, [APP, "serve"], {"TORTURE_PORT": str(box.free_port())}) as one:
        one.hear("waits as standby", anywhere=True)
        before, mine = one.apps(), {"all": [one.pid, *one.apps()], "PID 1": [one.pid], "the commands": one.apps()}[who]
        pause(mine)
        time.sleep(STILL)
        resume(mine)
        # Long enough for the watchdog to have killed it, if it counted this time.
        time.sleep(AFTERWARDS)
        expect(f"no process is killed while {who} stood still", one.apps() == before, one.told())
        restarts_and_stops(one)


def sigstop():
    """SIGSTOP, to PID 1, to its commands, to all of them, for longer than the watchdog's limit: no process is killed."""

    def send(number):
        return lambda pids: [os.kill(pid, number) for pid in pids]

    with ThreadPoolExecutor() as pool:
        for each in [pool.submit(stands_still, who, send(signal.SIGSTOP), send(signal.SIGCONT)) for who in ("all", "PID 1", "the commands")]:
            each.result()


def frozen():
    """A frozen cgroup, as `docker pause` makes it: no process is killed."""
    options = [*SIMPLE, "--hold-port", "--standby", "--watchdog", WATCHDOG]
    with cgroup("freezer") as (folder, enter):
        with Box(options, [APP, "serve"], {"TORTURE_PORT": str(box.free_port())}, before=enter) as one:
            one.hear("waits as standby", anywhere=True)
            before = one.apps()
            is_v1 = (folder / "freezer.state").exists()
            switch = folder / ("freezer.state" if is_v1 else "cgroup.freeze")
            switch.write_text("FROZEN" if is_v1 else "1")
            time.sleep(STILL)
            switch.write_text("THAWED" if is_v1 else "0")
            time.sleep(AFTERWARDS)
            expect("no process is killed after a freeze", one.apps() == before, one.told())
            restarts_and_stops(one)


# Those that any user can make, in a user namespace; and those that take root.
ANYWHERE = [no_free_descriptor, no_proc, proc_of_another_namespace, no_dev, full_disk, read_only_disk, sigstop]
AS_ROOT = [full_process_table, no_memory_in_the_cgroup, hidden_proc, clock_jumps, frozen]
