# Called by: tests/deploy/check.py, kubernetes_files.py.
"""What the rules of tests/deploy/check are about: one container as its orchestrator will run it, whichever that is."""

import re
import subprocess
from dataclasses import dataclass, field

# Beyond drain, grace and leftovers: what forks while it is killed, and the last log line.
SPARE = 2
# The contract's defaults.
DEFAULTS = {"DRAIN_DELAY": "0", "GRACE_PERIOD": "0", "LEFTOVER_TIMEOUT": "2s", "BACKOFF_MAX": "5s", "STABLE_AFTER": "10s", "RESTART_WINDOW": "60s"}


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
    # One that is asked to stop once the app has gone; and how long the stops of others take, before it or after it, within the same limit.
    sidecar: bool = False
    others: float = 0

    def seconds(self, setting):
        return seconds(self.settings.get("RESTARTINIT_" + setting, DEFAULTS[setting]))

    def needed(self):
        return self.seconds("DRAIN_DELAY") + self.seconds("GRACE_PERIOD") + self.seconds("LEFTOVER_TIMEOUT") + SPARE


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
    number, unit = re.fullmatch(r"(\d+)([kKmMgG]?)i?[bB]?", str(text)).groups()
    return int(number) * 1024 ** " kmg".index(unit.lower() or " ")


def run(command, **more):
    return subprocess.run(command, capture_output=True, text=True, timeout=120, **more)
