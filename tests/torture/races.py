# Called by: tests/torture/run.py.
"""Every race: stops at random microseconds, by driver.c, and signals faster than they can be taken."""

import os
import re
import signal
import subprocess

import box
from box import APP, DRIVER, INIT, Box, Fell

ALWAYS = ["-v", "--restart", "always", "--max-restarts", "1000000", "--backoff", "0"]
USR1, USR2 = str(int(signal.SIGUSR1)), str(int(signal.SIGUSR2))
# Around what: microseconds, the line after which the clock runs, the signal that sets it off, options, command.
AROUND = {
    "the start (spawn, exec)": ("4000", "-", "0", ["-v", "--restart", "always"], ["serve"]),
    "spawns and execs of a crash loop": ("8000", "up 1", "0", ALWAYS, ["until", "1000000", "3"]),
    "a crash": ("2000", "active 1", USR1, ["-v"], ["serve", "crash"]),
    "the end of a backoff": ("9000", "up 1", "0", ["-v", "--backoff", "3ms"], ["until", "2", "3"]),
    "a hand-over to the standby": ("3000", "active 1", USR1, ["-v", "--standby"], ["serve", "crash"]),
    "a planned restart": ("4000", "active 1", USR2, ["-v", "--hold-port"], ["serve", "restart"]),
    "a planned restart with a standby": ("6000", "active 1", USR2, ["-v", "--standby"], ["serve", "restart"]),
}


def stops(around, tries):
    """So many stops around that; what was seen."""
    microseconds, trigger, number, options, command = AROUND[around]
    line = [DRIVER, "stops", str(tries), microseconds, trigger, number, INIT, *options, "--", APP, *command]
    root = [] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user"]
    own = {name: value for name, value in os.environ.items() if not name.startswith("RESTARTINIT_")}
    done = subprocess.run(["setpriv", "--pdeathsig", "KILL", *root, *line], capture_output=True, text=True, env=own)
    sums = re.search(r"sums: tries (\d+) wrong (\d+) slowest_us (\d+) generations (\S+) codes (.*)", done.stdout)
    if not sums or done.returncode:
        raise Fell((done.stdout + done.stderr)[:3000] or "the driver failed")
    return f"slowest end {int(sums[3]) / 1000:.0f} ms, generations {sums[4]}, codes {sums[5]}"


# All that is forwarded but the stop signals, which are sent last; 32 and 33 are the C library's own, and no program expects them.
FORWARDED = [number for number in range(1, 65) if number not in (2, 3, 4, 7, 8, 9, 11, 15, 17, 19, 32, 33)]
STOPS = [signal.SIGINT, signal.SIGQUIT, signal.SIGTERM]


def storm(count, rate, numbers=None):
    """So many signals of each kind at that rate: how often the rarest was seen. The app lives on through the stop signals."""
    numbers = [*FORWARDED, *map(int, STOPS)] if numbers is None else numbers
    seen = {}
    with Box(["--restart", "always"], [APP, "serve", "keep"]) as one:
        one.hear("active")
        for number in numbers:
            sent = subprocess.run([DRIVER, "storm", str(one.pid), str(number), str(count), str(rate)], capture_output=True, text=True)
            if sent.returncode:
                raise Fell(f"signal {number}: {sent.stderr}")

            def arrived():
                one.tell(f"count {number}")
                seen[number] = int(one.hear(f"count {number}"))
                return seen[number] > 0

            box.await_true(f"signal {number}, sent {count} times, is seen", arrived, told=one.told)
        if one.has_ended():
            raise Fell("PID 1 has ended" + one.told())
        one.tell("exit 9")
        if (code := one.end()) != 9:
            raise Fell(f"the end was {code}, not the command's 9")
    least, most = min(seen, key=seen.get), max(seen, key=seen.get)
    return f"each kind was seen: from {seen[least]} times (signal {least}) to {seen[most]} (signal {most})"
