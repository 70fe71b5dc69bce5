# Called by: bench/fleet/run.py and bench/fleet/check.py.
"""What is simulated: the scenarios, the policies, and one run of a fleet, summed up."""

import random
from math import inf
from typing import NamedTuple

from limits import ON_KUBERNETES, Options
from replica import Policy, Replica
from world import BIN, Notes, Scenario, World

APP = "400 ms"  # the boot, but where a table says otherwise
AWAY_FROM = 300.0
# Seconds after a return at which it is noted how much of the fleet is back: 0.1 s to 1000 s.
GRID = [10 ** (step / 20 - 1) for step in range(81)]

ALONE, DOCKER_ALONE = Policy("Kubernetes alone"), Policy("Docker alone", None, "Docker")


def but(words, **others):
    """The defaults on Kubernetes, but for these."""
    return Policy(words, ON_KUBERNETES._replace(**others))


def restarts(count, words="", **others):
    return but(f"--max-restarts {count}{words}", max_restarts=count, **others)


DEFAULTS, ON_DOCKER = but("defaults"), Policy("defaults, on Docker", Options(), "Docker")
NO_JITTER, MORE_JITTER = but("--backoff-jitter 0", backoff_jitter=0), but("--backoff-jitter 100", backoff_jitter=100)
HOLD_PORT, STANDBY = but("--hold-port", hold_port=True), but("--standby", standby=True)


# So many that they are never used up.
EVER = 10_000
SLOWER = restarts(EVER, " --backoff-max 30s", backoff_max=30)
OTHERS = [
    restarts(5), restarts(20), but("--backoff 1s", backoff=1.0),
    restarts(EVER), restarts(EVER, " --backoff-jitter 0", backoff_jitter=0), restarts(EVER, " --backoff-jitter 100", backoff_jitter=100), SLOWER,
]
COUNTS = [ALONE, *map(restarts, (3, 5, 8)), DEFAULTS, *map(restarts, (12, 15, 20, 30, 40)), restarts(EVER), SLOWER, DOCKER_ALONE, ON_DOCKER]
STRICTER = but("--stable-after 2m", stable_after=120)
RATES = [Scenario(name, crashes_per_hour=rate) for name, rate in [("once a day", 1 / 24), ("once an hour", 1.0), ("every 10 min", 6.0), ("every minute", 60.0)]]
OFTEN = [RATES[2], RATES[3], Scenario("every 20 s", crashes_per_hour=180.0)]
WINDOWS = [
    ALONE, DEFAULTS, but("--restart-window 20s", restart_window=20), but("--restart-window 10m", restart_window=600),
    restarts(3), restarts(5), restarts(20),
]
OUTAGES = {"10 s": 10.0, "2 min": 120.0, "30 min": 1800.0}
# Whether an outage ends just before or just after somebody tries again is luck: each length stands for several around it. They have no
# even distance, which could be a multiple of somebody's wait. Where that is all that counts, it stands for more, with fewer replicas.
AROUND = (0.836, 0.894, 0.989, 1.047, 1.142)
CLOSELY, SHARE = [0.8 + 0.4 * step / 14 for step in range(15)], 25
BAD = [Scenario(f"{after:g} s", duration=600.0, fails_after=after) for after in (0.5, 5.0, 15.0, 60.0)]


def away(name, part, waits=False):
    return Scenario(name, away_from=AWAY_FROM, away_until=AWAY_FROM + OUTAGES[name] * part, waits=waits)


class Run(NamedTuple):
    section: str
    scenario: Scenario
    policy: Policy
    app: str = APP
    share: int = 1  # one replica in so many


def plan(apps, around=AROUND):
    """All of the runs, by section of the page."""
    runs = [Run("crashes", scenario, policy) for scenario in RATES for policy in (ALONE, DOCKER_ALONE, DEFAULTS, HOLD_PORT, STANDBY)]
    runs += [Run("boots", RATES[1], policy, app) for app in apps for policy in (ALONE, DOCKER_ALONE, DEFAULTS, STANDBY)]
    runs += [Run("window", scenario, policy, share=10) for scenario in OFTEN for policy in WINDOWS]
    for name in OUTAGES:
        for part in around:
            policies = [ALONE, DEFAULTS, NO_JITTER, MORE_JITTER, *OTHERS, STANDBY, DOCKER_ALONE, ON_DOCKER]
            runs += [Run("away", away(name, part), policy) for policy in policies]
            runs.append(Run("waiting", away(name, part, waits=True), DEFAULTS))
        runs += [Run("counts", away(name, part), policy, share=SHARE) for part in CLOSELY for policy in COUNTS]
    for scenario in BAD:
        runs += [Run("bad", scenario, policy) for policy in (ALONE, DEFAULTS, *OTHERS[:4], STRICTER, STANDBY)]
    return runs


def live(run, inputs, replicas, seed):
    """A whole fleet through one scenario; its notes."""
    notes = Notes(run.scenario.duration, run.scenario.away_until)
    world = World(run.scenario, inputs, run.app, notes)
    for number in range(replicas):
        # Its own luck, the same under each policy.
        chance = random.Random(f"{seed}/{number}").random
        Replica(run.policy, world, inputs, chance).live()
    return notes


def percentile(values, part):
    """The least of them that so many are not above."""
    return values[min(len(values) - 1, max(0, -int(-part * len(values) // 1) - 1))]


def summary(run, notes, replicas):
    """What is told of it; plain numbers, None for never."""
    scenario, total, back = run.scenario, replicas * notes.duration, sorted(notes.back)
    returns = scenario.away_until < inf
    figures = {
        "section": run.section, "scenario": scenario.name, "policy": run.policy.name, "app": run.app,
        "served": notes.served / total, "refused": max(0.0, 1 - (notes.served + notes.queued) / total),
        "crashes": notes.crashes / replicas, "connects": sum(notes.connects) / replicas,
        "handovers": notes.handovers / replicas, "handed_over": len(notes.first_handovers) / replicas, "first_handover": None,
    }
    if notes.first_handovers:
        began = scenario.away_from if returns else 0.0
        figures["first_handover"] = percentile(sorted(notes.first_handovers), 0.5) - began
    if returns:
        figures["lost"] = (1 - figures["served"]) * notes.duration - (scenario.away_until - scenario.away_from)
        for part in (50, 99, 100):
            at = percentile(back, part / 100)
            figures[f"back_{part}"] = None if at == inf else at
        figures["curve"] = [sum(at <= moment for at in back) / replicas for moment in GRID]
        figures["peak"] = max(notes.connects[int(scenario.away_until / BIN) :])
    return figures
