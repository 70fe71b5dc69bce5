# Called by: tests/deploy/check.
"""Checks examples/deploy/: each file by its engine's own rules, then the sums that no engine knows.

A file is described once as `Deployment`s: settings, stop limit, memory limit, probes. The rules below know nothing of the engines.
At the end spoiled copies go through the same checks, and each of them must be refused for the right reason.
Run it through tests/deploy/check, which has the tools.
"""

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

import botocore.session
import botocore.validate
import yaml

from deployment import DEFAULTS, SPARE, Deployment, Probe, Refused, rule, run, seconds, size
from kubernetes_files import kubernetes
from spoiled import SPOILED, SPOILED_STACK

EXAMPLES = Path("examples/deploy")
STATIC = os.environ.get("RESTARTINIT_STATIC") or "target/static/restartinit"
# What the examples allow an app for its start, beside the backoff, before it may count as unhealthy for good.
APP_START = 20
# A wait is up to a quarter longer than it is set (--backoff-jitter).
LONGEST_JITTER = 1.25
# --max-memory takes two looks in a row, of 2 s each; and so many MiB/s an app may leak until it is gone.
LOOKS, LEAK = 4, 1
# So many seconds after its first start a command that listens nowhere is taken for a worker, and for ready.
WORKER = 45


# Each engine: its own rules first, then what it will do, as Deployments.


def ecs(path):
    task = json.loads(path.read_text())
    shape = botocore.session.get_session().get_service_model("ecs").operation_model("RegisterTaskDefinition").input_shape
    report = botocore.validate.ParamValidator().validate(task, shape)
    rule(not report.has_errors(), f"ECS: {report.generate_report()}")
    # Fargate's limits, which are not in the service model.
    for container in task["containerDefinitions"]:
        health = container["healthCheck"]
        rule(container["stopTimeout"] <= 120, "Fargate: stopTimeout is more than 120")
        rule(container["memory"] <= int(task["memory"]), "Fargate: the container has more memory than the task")
        for name, (least, most) in {"interval": (5, 300), "timeout": (2, 60), "retries": (1, 10), "startPeriod": (0, 300)}.items():
            rule(least <= health[name] <= most, f"ECS: healthCheck.{name} is not from {least} to {most}")
        rule("entryPoint" not in container, "entryPoint replaces restartinit; the app's command belongs in command")
        rule(container["linuxParameters"]["initProcessEnabled"] is False, "initProcessEnabled puts another init above restartinit")
        yield Deployment(
            name=f"{path.name}: {container['name']}",
            settings={entry["name"]: entry["value"] for entry in container["environment"]},
            stop_limit=container["stopTimeout"],
            memory_limit=container["memory"] * 1024**2,
            probes=[health_check(health["command"], health["interval"], health["retries"], health["startPeriod"])],
            published={port["containerPort"] for port in container["portMappings"]},
        )


def health_check(command, interval, retries, start):
    rule(seconds(start) > WORKER, f"the start period is {start}: a worker is taken for one, and for healthy, after {WORKER} s")
    rule(command[0] == "CMD", f"a health check by {command[0]} needs a shell in the image")
    return Probe(kind="health", command=command[1:], interval=seconds(interval), failures=retries)


def compose(path):
    plain_environment = {key: value for key, value in os.environ.items() if not key.startswith("WEB_")}
    said = run(["docker-compose", "-f", str(path), "config", "-q"], env=plain_environment)
    rule(said.returncode == 0, f"docker-compose: {said.stderr.strip()}")
    yield from services(path)


def swarm(path):
    yield from compose(path)
    if stack_config_is_there():
        said = run(["docker", "stack", "config", "-c", str(path)])
        rule(said.returncode == 0, f"docker stack config: {said.stderr.strip()}")
    for service in yaml.safe_load(path.read_text())["services"].values():
        for port in service["ports"]:
            rule(port["mode"] == "host", f"port {port['target']} goes through the mesh, which knows no drain delay")
        deploy = service["deploy"]
        rule(deploy["update_config"]["order"] == "stop-first", "two tasks cannot have one port of the node: order must be stop-first")
        window = seconds(service["environment"].get("RESTARTINIT_RESTART_WINDOW", DEFAULTS["RESTART_WINDOW"]))
        rule(seconds(deploy["update_config"]["monitor"]) >= window, "monitor is shorter than the restart window")


def stack_config_is_there():
    # The client of Debian 12 does not have it yet; there the schema of docker-compose has to do.
    return "docker stack config" in run(["docker", "stack", "config", "--help"]).stdout


def services(path):
    for name, service in yaml.safe_load(path.read_text())["services"].items():
        rule("entrypoint" not in service, "entrypoint: replaces restartinit")
        rule(not service.get("init"), "init: true puts another init above restartinit")
        deploy = service.get("deploy")
        limit = deploy["resources"]["limits"].get("memory", 0) if deploy else service.get("mem_limit", 0)
        health = service["healthcheck"]
        ports = [port["target"] if isinstance(port, dict) else int(str(port).rsplit(":", 1)[1]) for port in service["ports"]]
        yield Deployment(
            name=f"{path.name}: {name}",
            settings={key: str(value) for key, value in service["environment"].items()},
            stop_limit=seconds(service["stop_grace_period"]),
            memory_limit=size(limit),
            probes=[health_check(health["test"], health["interval"], health["retries"], health["start_period"])],
            published=set(ports),
            health_replaces=bool(deploy),
        )


# The rules that all of them share.


def check_deployment(it):
    drain, grace, leftovers = it.seconds("DRAIN_DELAY"), it.seconds("GRACE_PERIOD"), it.seconds("LEFTOVER_TIMEOUT")
    rule(grace > 0, "without a grace period the orchestrator does the killing, and nothing says why")
    rule(not it.sidecar or drain == 0, f"a sidecar is asked to stop once the app has gone: nobody is served in its drain delay of {drain:g} s")
    beside = f", beside {it.others:g} s of others," if it.others else ""
    rule(
        it.stop_limit >= it.needed() + it.others,
        f"it may take {drain} + {grace} + {leftovers} + {SPARE} s to stop{beside or ','} and is killed after {it.stop_limit} s",
    )

    share = it.settings.get("RESTARTINIT_MAX_MEMORY", "")
    rule(not share.endswith("%") or it.memory_limit > 0, f"--max-memory {share} of no limit")
    if share.endswith("%"):
        room, time = it.memory_limit * (100 - int(share[:-1])) / 100 / 1024**2, LOOKS + drain + grace
        rule(room / time >= LEAK, f"--max-memory {share}: {room:g} MiB of room for {LOOKS} + {drain:g} + {grace:g} s is less than {LEAK} MiB/s")

    door = it.settings.get("RESTARTINIT_HTTP")
    door = door and int(door.rsplit(":", 1)[-1])
    rule(door is None or door in it.published, f"RESTARTINIT_HTTP {door} is a port that nobody can reach")
    rule({probe.kind for probe in it.probes} in ({"startup", "readiness", "liveness"}, {"health"}), "a probe is missing")
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
    if probe.kind == "readiness" and not it.sidecar:
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


FILES = {
    "pod.yaml": kubernetes,
    "deployment.yaml": kubernetes,
    "pod-sidecar.yaml": kubernetes,
    "pod-restart-rules.yaml": kubernetes,
    "ecs-task-definition.json": ecs,
    "compose.yml": compose,
    "stack.yml": swarm,
}


def check_file(path):
    """The lines that describe what is in it; Refused when it breaks a rule."""
    try:
        return [check_deployment(deployment) for deployment in FILES[path.name](path)]
    except (KeyError, TypeError, AttributeError) as error:
        raise Refused(f"something that the examples must say is not there: {error!r}") from error


def check_the_checks():
    """Spoiled copies. What the files say today goes through unchanged, so that only the spoiling can be to blame."""
    cases = SPOILED + (SPOILED_STACK if stack_config_is_there() else [])
    with tempfile.TemporaryDirectory(dir="target") as folder:
        for name, text, spoiled, reason in cases:
            original = (EXAMPLES / name).read_text()
            assert text in original, f"{name} has no {text!r} to spoil"
            path = Path(folder) / name
            path.write_text(original.replace(text, spoiled))
            try:
                check_file(path)
            except Refused as refusal:
                assert reason in str(refusal), f"{name} with {spoiled!r} was refused for another reason: {refusal}"
            else:
                raise AssertionError(f"{name} with {spoiled!r} in place of {text!r} was not refused")
    return len(cases)


def main():
    if not shutil.which(STATIC):
        sys.exit(f"tests/deploy/check: {STATIC} is missing: run `make static`, or name a static binary in RESTARTINIT_STATIC")
    files = {path.name for path in EXAMPLES.iterdir()} - {"README.md"}
    assert files == set(FILES), f"{EXAMPLES} has {sorted(files)}: tests/deploy/check.py must know each of them, and no other"
    try:
        for name in FILES:
            for line in check_file(EXAMPLES / name):
                print(line)
    except Refused as refusal:
        sys.exit(f"tests/deploy/check: {EXAMPLES / name}: {refusal}")
    print(f"{check_the_checks()} spoiled copies, all refused")


main()
