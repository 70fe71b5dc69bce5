# Called by: tests/deploy/check.py.
"""The sums and rules that no engine knows, over a `Deployment`, whichever system it is for."""

import os

from deployment import APP_START, LONGEST_JITTER, SPARE, WORKER, rule, run, size

STATIC = os.environ.get("RESTARTINIT_STATIC") or "target/static/restartinit"
# --max-memory takes two looks in a row, of 2 s each; and so many MiB/s an app may leak until it is gone.
LOOKS, LEAK = 4, 1


def check_deployment(it):
    drain, grace, leftovers = it.seconds("DRAIN_DELAY"), it.seconds("GRACE_PERIOD"), it.seconds("LEFTOVER_TIMEOUT")
    rule(grace > 0, "without a grace period the orchestrator does the killing, and nothing says why")
    rule(not it.sidecar or drain == 0, f"a sidecar is asked to stop once the app has gone: nobody is served in its drain delay of {drain:g} s")
    rule(not it.drained_outside or drain == 0, f"no request comes after the signal: nobody is served in the drain delay of {drain:g} s")
    beside = f", beside {it.others:g} s of others," if it.others else ""
    rule(
        it.stop_limit >= it.needed() + it.others,
        f"it may take {drain} + {grace} + {leftovers} + {SPARE} s to stop{beside or ','} and is killed after {it.stop_limit} s",
    )

    most = it.settings.get("RESTARTINIT_MAX_MEMORY")
    if most:
        rule(not most.endswith("%") or it.memory_limit > 0, f"--max-memory {most} of no limit")
        allowed = it.memory_limit * int(most[:-1]) / 100 if most.endswith("%") else size(most)
        room, time = (it.memory_limit - allowed) / 1024**2, LOOKS + drain + grace
        rule(room / time >= LEAK, f"--max-memory {most}: {room:g} MiB of room for {LOOKS} + {drain:g} + {grace:g} s is less than {LEAK} MiB/s")

    door = it.settings.get("RESTARTINIT_HTTP")
    door = door and int(door.rsplit(":", 1)[-1])
    rule(door is None or door in it.published, f"RESTARTINIT_HTTP {door} is a port that nobody can reach")
    wanted = [{"liveness"}] if it.is_batch else [{"startup", "readiness", "liveness"}, {"health", "liveness"}, {"health"}]
    rule({probe.kind for probe in it.probes} in wanted, "a probe is missing")
    for probe in it.probes:
        check_probe(it, probe, door, drain)
    check_settings(it.settings)
    shown = f"{drain:g} + {grace:g} + {leftovers:g} = {drain + grace + leftovers:g} s of {it.stop_limit - it.others:g}"
    return f"{it.name}: {shown}, {it.memory_limit >> 20} MiB, {', '.join(f'{probe.kind} {probe.interval * probe.failures:g} s' for probe in it.probes)}"


def check_probe(it, probe, door, drain):
    asked = ("status", "/livez") if probe.kind == "liveness" else ("health", "/readyz")
    if probe.path is None:
        rule(probe.command == ["/restartinit", asked[0]], f"the {probe.kind} probe runs {probe.command}")
    else:
        rule(probe.path == asked[1], f"the {probe.kind} probe asks {probe.path}")
        rule(probe.port == door, f"the {probe.kind} probe asks port {probe.port}, where RESTARTINIT_HTTP is {door}")
    time = probe.interval * probe.failures
    if probe.kind == "readiness" and not it.sidecar and not it.drained_outside:
        rule(time < drain, f"readiness takes {time} s to notice, longer than the drain delay of {drain} s")
    if probe.kind == "startup":
        rule(time > WORKER, f"the startup probe gives up after {time:g} s: a worker is taken for one after {WORKER} s")
    if probe.kind == "startup" or it.health_replaces and probe.kind == "health":
        least = it.seconds("BACKOFF_MAX") * LONGEST_JITTER + APP_START
        rule(time > least, f"the {probe.kind} probe gives up after {time} s: a restart in place may take {least} s")


def check_settings(settings):
    """restartinit itself reads the variables."""
    own = {key: value for key, value in settings.items() if key.startswith("RESTARTINIT_")}
    said = run([STATIC, "--print-config"], env=own)
    rule(said.returncode == 0 and not said.stderr, f"restartinit does not like its settings: {said.stderr.strip()}")
    for name in own:
        rule(f"({name})" in said.stdout, f"restartinit does not take {name} into account:\n{said.stdout}")
