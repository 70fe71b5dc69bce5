# Called by: bench/fleet/replica.py, bench/fleet/scenarios.py and bench/fleet/check.py.
"""What happens to a fleet, the same whatever restarts it: crashes by chance, a dependency that is away, a bad release. And what is noted."""

from array import array
from math import inf, log
from typing import NamedTuple

BIN = 0.1  # seconds: the window in which connections are counted


class Scenario(NamedTuple):
    """Times in seconds. Each replica has served for long when it begins, but for a bad release: that is started then."""

    name: str
    duration: float = 3600.0
    crashes_per_hour: float = 0.0
    away_from: float = inf
    away_until: float = inf
    waits: bool = False  # the app tries again by itself; else it exits where its dependency is away
    fails_after: float = inf  # the bad release: so long after it serves

    def is_away(self, at):
        return self.away_from <= at < self.away_until


class World:
    def __init__(self, scenario, inputs, app, notes):
        self.scenario, self.notes = scenario, notes
        self.typical_boot, self.container = inputs.boot(app), inputs.container(app)
        self.takeover, self.pause = inputs.gap(app, "--standby"), inputs.value("standby_pause_s")
        self.spread = inputs.value("boot_spread_percent") / 100
        self.pool, self.refused_after = inputs.value("pool"), inputs.value("refused_after_s")
        self.noticed_within, self.retry = inputs.value("noticed_within_s"), inputs.value("retry_s")

    def boot(self, chance):
        return self.typical_boot * (1 + self.spread * (2 * chance() - 1))

    def booted(self, at, chance):
        """A process has booted: since when it can serve (None: never), and when it fails for want of its dependency."""
        scenario = self.scenario
        if scenario.is_away(at):
            if not scenario.waits:
                return None, at + self.refused_after
            tries = (scenario.away_until - at) // self.retry + 1
            at += tries * self.retry
        self.notes.connect(at, self.pool)
        if at < scenario.away_from and not scenario.waits:
            return at, scenario.away_from + self.noticed_within * chance()
        return at, inf

    def fails_by_itself(self, since, chance):
        """When one that serves crashes, whatever its dependency does."""
        fails = since + self.scenario.fails_after
        rate = self.scenario.crashes_per_hour / 3600
        # 1 - x: chance() may be 0, and is never 1.
        return min(fails, since - log(1 - chance()) / rate) if rate else fails

    def interrupted(self, since, until, chance):
        """When an app that waits, and served, cannot serve for a while: from when to when; None: it always can."""
        scenario = self.scenario
        if not scenario.waits or not since <= scenario.away_from < until:
            return None
        begins = scenario.away_from + self.noticed_within * chance()
        tries = (scenario.away_until - begins) // self.retry + 1
        return begins, begins + tries * self.retry


class Notes:
    """What a fleet did, all replicas together."""

    def __init__(self, duration, back_from=inf):
        self.duration, self.back_from = duration, back_from
        self.served = self.queued = 0.0
        self.crashes = self.handovers = 0
        self.first_handovers, self.back = [], []
        self.connects = array("q", bytes(8 * (int(duration / BIN) + 1)))
        self.is_back = self.has_handed_over = False

    def begin(self):
        self.is_back = self.has_handed_over = False

    def end(self):
        if not self.is_back:
            self.back.append(inf)

    def connect(self, at, count):
        if 0 <= at < self.duration:
            self.connects[int(at / BIN)] += count

    def serves(self, since, until):
        begins, ends = max(since, 0.0), min(until, self.duration)
        if ends > begins:
            self.served += ends - begins
        if not self.is_back and until > self.back_from:
            self.is_back = True
            self.back.append(max(0.0, since - self.back_from))

    def queues(self, since, until):
        """Nobody serves and nobody is refused: the port is held."""
        self.queued += max(0.0, min(until, self.duration) - max(since, 0.0))

    def hands_over(self, at):
        self.handovers += 1
        if not self.has_handed_over:
            self.has_handed_over = True
            self.first_handovers.append(at)
