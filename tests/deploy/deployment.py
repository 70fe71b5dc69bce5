# Called by: tests/deploy/check.py, rules.py, and the files there that read one system's examples.
"""What the rules of tests/deploy/check are about: one container as its orchestrator will run it, whichever that is."""

import re
import subprocess
from dataclasses import dataclass, field

# Beyond drain, grace and leftovers: what forks while it is killed, and the last log line.
SPARE = 2
# So many seconds after its first start a command that listens nowhere is taken for a worker, and for ready.
WORKER = 45
# What the examples allow an app for its start, beside the backoff, before it may count as unhealthy for good.
APP_START = 20
# A wait is up to a quarter longer than it is set (--backoff-jitter).
LONGEST_JITTER = 1.25
# The contract's defaults.
DEFAULTS = {
    "DRAIN_DELAY": "0", "GRACE_PERIOD": "0", "LEFTOVER_TIMEOUT": "2s", "BACKOFF": "100ms", "BACKOFF_MAX": "5s", "STABLE_AFTER": "10s",
    "RESTART_WINDOW": "60s", "CHECK_INTERVAL": "10s", "CHECK_TIMEOUT": "2s", "CHECK_FAILURES": "3",
}
# The default of --max-restarts there.
RESTARTS_ON_KUBERNETES = 10


class Refused(Exception):
    """A file breaks a rule; the text says which."""


def rule(holds, text):
    if not holds:
        raise Refused(text)


@dataclass
class Probe:
    """One question of the orchestrator's, by a program or over HTTP, and how long it takes to have consequences."""

    kind: str
    command: list = None
    path: str = None
    port: int = None
    interval: float = 0
    failures: int = 0


@dataclass
class Deployment:
    """One container, as its orchestrator will run it. Times are seconds, sizes bytes."""

    name: str
    settings: dict
    stop_limit: float
    memory_limit: float
    probes: list = field(default_factory=list)
    published: set = field(default_factory=set)
    # Does a container that stays unhealthy get replaced, or merely shown?
    health_replaces: bool = True
    # Does the platform stop sending requests before it sends the signal? Then there is nothing to delay.
    drained_outside: bool = False
    # Work that ends, and serves nobody.
    is_batch: bool = False
    # One that is asked to stop once the app has gone; and how long the stops of others take, before it or after it, within the same limit.
    sidecar: bool = False
    others: float = 0

    def seconds(self, setting):
        return seconds(self.settings.get("RESTARTINIT_" + setting, DEFAULTS[setting]))

    def needed(self):
        return self.seconds("DRAIN_DELAY") + self.seconds("GRACE_PERIOD") + self.seconds("LEFTOVER_TIMEOUT") + SPARE


def health_check(command, interval, retries, start):
    """As Docker, ECS and podman have it: a program, and a start period in which its failures do not count."""
    rule(seconds(start) > WORKER, f"the start period is {start}: a worker is taken for one, and for healthy, after {WORKER} s")
    rule(command[0] == "CMD", f"a health check by {command[0]} needs a shell in the image")
    return Probe(kind="health", command=command[1:], interval=seconds(interval), failures=retries)


def http_probe(kind, probe, ports=None):
    """As Kubernetes has it, and those who took it over."""
    http = probe.get("httpGet", {})
    return Probe(
        kind=kind,
        command=probe.get("exec", {}).get("command"),
        path=http.get("path"),
        port=(ports or {}).get(http.get("port"), http.get("port")),
        interval=probe["periodSeconds"],
        failures=probe["failureThreshold"],
    )


def gives_up_with(settings):
    """The codes that say: restartinit has decided that a restart is of no use."""
    codes = settings.get("RESTARTINIT_NO_RESTART_ON", "").split(",") + [settings.get("RESTARTINIT_EXHAUSTED_CODE", "")]
    return {int(code) for code in codes if code}


def seconds(text):
    """The durations of all the engines and of restartinit: 30, 500ms, 10s, 1m30s."""
    text = str(text)
    if re.fullmatch(r"\d+", text):
        return float(text)
    units = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}
    parts = re.findall(r"(\d+)(ms|s|m|h)", text)
    rule(parts and "".join(number + unit for number, unit in parts) == text, f"{text!r} is no duration")
    return sum(float(number) * units[unit] for number, unit in parts)


def size(text):
    number, unit = re.fullmatch(r"([\d.]+)([kKmMgG]?)i?[bB]?", str(text)).groups()
    return int(float(number) * 1024 ** " kmg".index(unit.lower() or " "))


def run(command, **more):
    return subprocess.run(command, capture_output=True, text=True, timeout=120, **more)
