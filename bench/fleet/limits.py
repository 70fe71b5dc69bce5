# Called by: bench/fleet/replica.py and bench/fleet/check.py.
"""Who restarts, when, and for how long: restartinit's limits as docs/restarts.md has them, and the waits of Kubernetes and Docker."""

from collections import deque
from typing import NamedTuple


class Options(NamedTuple):
    """restartinit's, with their defaults; times in seconds."""

    max_restarts: int = 5
    restart_window: float = 60.0
    backoff: float = 0.1
    backoff_max: float = 5.0
    backoff_jitter: float = 25.0
    stable_after: float = 10.0
    hold_port: bool = False
    standby: bool = False


# The same on Kubernetes.
ON_KUBERNETES = Options(max_restarts=10)


def doubled(first, times, most):
    """Nothing at 0 times, `first` at 1, twice as long at each next one, up to `most`."""
    return min(first * 2.0 ** min(times - 1, 60), most) if times else 0.0


class Restartinit:
    """One life of a container's PID 1."""

    def __init__(self, options, chance):
        self.options, self.chance = options, chance
        self.window, self.kept, self.in_a_row = deque(), 0, 0

    def spread(self, wait):
        return wait * (1 + self.chance() * self.options.backoff_jitter / 100)

    def crash(self, now, uptime, ready_for):
        """What follows a crash: the wait before the next spawn, or None: the restarts are used up. `ready_for`: None, if it never was."""
        options, window = self.options, self.window
        if ready_for is not None and ready_for >= options.stable_after:
            self.kept = 0
        if uptime >= options.stable_after:
            self.in_a_row = 0
        if options.restart_window:
            while len(window) > self.kept and window[0] <= now - options.restart_window:
                window.popleft()
        if len(window) >= options.max_restarts:
            return None
        window.append(now)
        self.kept += 1
        wait = doubled(options.backoff, self.in_a_row, options.backoff_max)
        self.in_a_row += 1
        return self.spread(wait)


class Kubernetes:
    """Its kubelet: at once, then waits that double, forgotten when a container has run for long enough."""

    def __init__(self, inputs, chance):
        self.waits = inputs.value("kubernetes", "waits_s")
        self.forgotten_after = inputs.value("kubernetes", "forgotten_after_s")
        self.noticed_within = inputs.value("kubernetes", "noticed_within_s")
        self.chance, self.in_a_row = chance, 0

    def wait(self, ran_for):
        """From a container's death to the start of the next one. The wait counts from the death; nothing happens before it is noticed."""
        if ran_for >= self.forgotten_after:
            self.in_a_row = 0
        wait = self.waits[min(self.in_a_row, len(self.waits) - 1)]
        self.in_a_row += 1
        return wait + self.chance() * self.noticed_within


class Docker:
    """`docker run --restart always`: waits that double, forgotten when a container has run for 10 s. A death is noticed at once."""

    def __init__(self, inputs, _chance):
        self.first, self.most = inputs.value("docker", "first_wait_s"), inputs.value("docker", "most_wait_s")
        self.forgotten_after, self.in_a_row = inputs.value("docker", "forgotten_after_s"), 0

    def wait(self, ran_for):
        if ran_for >= self.forgotten_after:
            self.in_a_row = 0
        self.in_a_row += 1
        return doubled(self.first, self.in_a_row, self.most)


ORCHESTRATORS = {"Kubernetes": Kubernetes, "Docker": Docker}
