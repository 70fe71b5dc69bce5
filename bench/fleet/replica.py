# Called by: bench/fleet/scenarios.py and bench/fleet/check.py.
"""One replica, from event to event: it boots, serves, crashes, waits, is handed over. Replicas do not know one another, so each is lived
through alone; what they do together is added up in the notes."""

from math import inf
from typing import NamedTuple, Optional

from limits import ORCHESTRATORS, Options, Restartinit, doubled

LONG_AGO = -1e9


class Policy(NamedTuple):
    """Who restarts. `options` of None: the orchestrator alone."""

    name: str
    options: Optional[Options] = None
    orchestrator: str = "Kubernetes"


class Process(NamedTuple):
    """A generation, or a standby: when it was spawned, has booted, can serve (None: never), and fails for want of its dependency."""

    spawned: float
    booted: float
    can_serve: Optional[float]
    fails: float


class Replica:
    def __init__(self, policy, world, inputs, chance):
        self.policy, self.world, self.notes, self.chance = policy, world, world.notes, chance
        self.orchestrator = ORCHESTRATORS[policy.orchestrator](inputs, chance)
        self.restartinit = None
        self.container_since = LONG_AGO

    def start_container(self, at):
        self.container_since = at
        self.restartinit = Restartinit(self.policy.options, self.chance) if self.policy.options else None
        # The standby of this container, when the next may be spawned, and those in a row that died waiting.
        self.standby, self.not_before, self.standby_failures = None, at, 0
        self.has_listened = False

    def spawn(self, at):
        booted = at + self.world.boot(self.chance)
        return Process(at, booted, *self.world.booted(booted, self.chance))

    def live(self):
        """To the end of the scenario."""
        world, notes, scenario = self.world, self.notes, self.world.scenario
        notes.begin()
        self.start_container(LONG_AGO)
        if scenario.fails_after < inf:
            # A rollout: the containers are new.
            self.start_container(0.0)
            process = self.spawn(0.0)
        else:
            fails = scenario.away_from + world.noticed_within * self.chance() if not scenario.waits else inf
            process = Process(LONG_AGO, LONG_AGO, LONG_AGO, fails)
            if self.policy.options and self.policy.options.standby:
                fails = scenario.away_from + world.noticed_within * self.chance() if not scenario.waits else inf
                self.standby = Process(LONG_AGO, LONG_AGO, LONG_AGO, fails)
        ready = process.can_serve
        unserved_since = 0.0
        while True:
            end = process.fails
            if ready is not None and ready < end:
                end = min(end, world.fails_by_itself(max(ready, 0.0), self.chance))
                self.serve(ready, end, unserved_since)
                if self.restartinit and self.policy.options.standby:
                    self.keep_a_standby(ready, end)
            if end >= notes.duration:
                break
            notes.crashes += 1
            if ready is not None and ready < end:
                unserved_since = end
                ready_for = end - ready
            else:
                ready_for = None
            process, ready = self.after_crash(process, end, ready_for)
        notes.end()

    def serve(self, ready, end, unserved_since):
        """It serves: clients that came since it last did were queued, where the port has been held, or refused."""
        if self.has_listened and self.holds_port():
            self.notes.queues(unserved_since, ready)
        self.has_listened = True
        gap = self.world.interrupted(ready, end, self.chance)
        if gap is None:
            self.notes.serves(ready, end)
            return
        self.notes.serves(ready, gap[0])
        self.notes.connect(gap[1], self.world.pool)
        self.notes.serves(gap[1], end)

    def holds_port(self):
        options = self.policy.options
        return options is not None and (options.hold_port or options.standby)

    def after_crash(self, process, now, ready_for):
        """The process that follows, and when it serves."""
        wait = self.restartinit.crash(now, now - process.spawned, ready_for) if self.restartinit else None
        if wait is None:
            if self.restartinit:
                self.notes.hands_over(now)
            starts = now + self.orchestrator.wait(now - self.container_since) + self.world.container
            self.start_container(starts)
            process = self.spawn(starts)
            return process, process.can_serve
        standby = self.standby
        if standby is None:
            process = self.spawn(now + wait)
            return process, process.can_serve
        self.standby, self.standby_failures = None, 0
        self.not_before = max(self.not_before, now + wait, now + self.world.pause)
        ready = None if standby.can_serve is None else max(standby.can_serve, now + self.world.takeover)
        return standby, ready

    def keep_a_standby(self, ready, until):
        """Standbys that are spawned and die while a generation serves; afterwards `standby` is the one that takes over, or None."""
        until = min(until, self.notes.duration)
        while True:
            if self.standby is None:
                spawned = max(ready, self.not_before)
                if spawned >= until:
                    return
                self.standby = self.spawn(spawned)
            if self.standby.fails > until:
                return
            options = self.policy.options
            is_stable = self.standby.fails - self.standby.spawned >= options.stable_after
            self.standby_failures = 1 if is_stable else self.standby_failures + 1
            wait = doubled(options.backoff, self.standby_failures, options.backoff_max)
            self.not_before = max(self.not_before, self.standby.fails + self.restartinit.spread(wait))
            self.standby = None
