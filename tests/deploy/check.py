# Called by: tests/deploy/check.
"""Checks examples/deploy/: each file by its engine's own rules, then the sums that no engine knows.

A file is described once as `Deployment`s: settings, stop limit, memory limit, probes. The rules below know nothing of the engines.
At the end spoiled copies go through the same checks, and each of them must be refused for the right reason.
Run it through tests/deploy/check, which has the tools.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import botocore.session
import botocore.validate
import kubernetes_validate
import yaml

EXAMPLES = Path("examples/deploy")
STATIC = os.environ.get("RESTARTINIT_STATIC") or "target/static/restartinit"
# The newest one known to the checker, and one that clusters of some age still run.
KUBERNETES = [kubernetes_validate.latest_version(), "1.29"]
# Beyond drain, grace and leftovers: what forks while it is killed, and the last log line.
SPARE = 2
# What the examples allow an app for its start, beside the backoff, before it may count as unhealthy for good.
APP_START = 20
# --max-memory takes two looks in a row, of 2 s each; and so many MiB/s an app may leak until it is gone.
LOOKS, LEAK = 4, 1
# So many seconds after its first start a command that listens nowhere is taken for a worker, and for ready.
WORKER = 45
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

    def seconds(self, setting):
        return seconds(self.settings.get("RESTARTINIT_" + setting, DEFAULTS[setting]))


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


# Each engine: its own rules first, then what it will do, as Deployments.


def kubernetes(path):
    for manifest in yaml.safe_load_all(path.read_text()):
        for version in KUBERNETES:
            try:
                kubernetes_validate.validate(manifest, version, strict=True)
            except (kubernetes_validate.ValidationError, kubernetes_validate.SchemaNotFoundError) as error:
                raise Refused(f"Kubernetes {version}: {error}") from error
        if manifest["kind"] not in ("Pod", "Deployment"):
            continue
        pod = manifest["spec"]["template"]["spec"] if manifest["kind"] == "Deployment" else manifest["spec"]
        restricted(pod)
        if manifest["kind"] == "Deployment":
            progress = manifest["spec"]["progressDeadlineSeconds"]
            ready = manifest["spec"]["minReadySeconds"]
        for container in pod["containers"]:
            rule("command" not in container, "command: replaces restartinit; the app's command belongs in args:")
            rule(container["terminationMessagePath"] == "/dev/termination-log", "restartinit looks for /dev/termination-log")
            ports = {port["name"]: port["containerPort"] for port in container["ports"]}
            deployment = Deployment(
                name=f"{path.name}: {manifest['kind']} {container['name']}",
                settings={entry["name"]: entry["value"] for entry in container["env"]},
                stop_limit=pod["terminationGracePeriodSeconds"],
                memory_limit=size(container["resources"]["limits"]["memory"]),
                published=set(ports.values()),
            )
            for kind in ("startup", "readiness", "liveness"):
                probe = container[kind + "Probe"]
                http = probe.get("httpGet", {})
                deployment.probes.append(Probe(
                    kind=kind,
                    command=probe.get("exec", {}).get("command"),
                    path=http.get("path"),
                    port=ports.get(http.get("port"), http.get("port")),
                    interval=probe["periodSeconds"],
                    failures=probe["failureThreshold"],
                ))
            if manifest["kind"] == "Deployment":
                window = deployment.seconds("RESTART_WINDOW")
                rule(ready > window, f"minReadySeconds: a crash loop may be Ready without a break for the restart window, {window:g} s")
                startup = deployment.probes[0]
                rule(progress > startup.interval * startup.failures + ready, "progressDeadlineSeconds is shorter than one pod's start")
            yield deployment


def restricted(pod):
    """What Kubernetes' Pod Security Standard `restricted` asks, and a read-only root."""
    rule(pod["securityContext"].get("runAsNonRoot") is True, "restricted: runAsNonRoot is not true")
    rule(pod["securityContext"].get("seccompProfile", {}).get("type") == "RuntimeDefault", "restricted: no seccomp profile")
    for container in pod["containers"]:
        context = container["securityContext"]
        rule(context.get("allowPrivilegeEscalation") is False, "restricted: allowPrivilegeEscalation is not false")
        rule(context.get("capabilities", {}).get("drop") == ["ALL"], "restricted: not all capabilities are dropped")
        rule(context.get("readOnlyRootFilesystem") is True, "the root is not read-only")


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
    needed = drain + grace + leftovers + SPARE
    rule(it.stop_limit >= needed, f"it may take {drain} + {grace} + {leftovers} + {SPARE} s to stop, and is killed after {it.stop_limit} s")

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
    shown = f"{drain:g} + {grace:g} + {leftovers:g} = {drain + grace + leftovers:g} s of {it.stop_limit:g}"
    return f"{it.name}: {shown}, {it.memory_limit >> 20} MiB, {', '.join(f'{probe.kind} {probe.interval * probe.failures:g} s' for probe in it.probes)}"


def check_probe(it, probe, door, drain):
    asked = ("status", "/livez") if probe.kind == "liveness" else ("health", "/readyz")
    if probe.path is None:
        rule(probe.command == ["/restartinit", asked[0]], f"the {probe.kind} probe runs {probe.command}")
    else:
        rule(probe.path == asked[1], f"the {probe.kind} probe asks {probe.path}")
        rule(probe.port == door, f"the {probe.kind} probe asks port {probe.port}, where RESTARTINIT_HTTP is {door}")
    time = probe.interval * probe.failures
    if probe.kind == "readiness":
        rule(time < drain, f"readiness takes {time} s to notice, longer than the drain delay of {drain} s")
    elif probe.kind == "startup":
        rule(time > WORKER, f"the startup probe gives up after {time:g} s: a worker is taken for one after {WORKER} s")
    if probe.kind == "startup" or it.health_replaces and probe.kind == "health":
        least = it.seconds("BACKOFF_MAX") + APP_START
        rule(time > least, f"the {probe.kind} probe gives up after {time} s: a restart in place may take {least} s")


def check_settings(settings):
    """restartinit itself reads the variables."""
    own = {key: value for key, value in settings.items() if key.startswith("RESTARTINIT_")}
    said = run([STATIC, "--print-config"], env=own)
    rule(said.returncode == 0 and not said.stderr, f"restartinit does not like its settings: {said.stderr.strip()}")
    for name in own:
        rule(f"({name})" in said.stdout, f"restartinit does not take {name} into account:\n{said.stdout}")


FILES = {"pod.yaml": kubernetes, "deployment.yaml": kubernetes, "ecs-task-definition.json": ecs, "compose.yml": compose, "stack.yml": swarm}


def check_file(path):
    """The lines that describe what is in it; Refused when it breaks a rule."""
    try:
        return [check_deployment(deployment) for deployment in FILES[path.name](path)]
    except (KeyError, TypeError, AttributeError) as error:
        raise Refused(f"something that the examples must say is not there: {error!r}") from error


# What must be refused: file, a text in it, what takes its place (everywhere), a part of the reason.
SPOILED = [
    ("pod.yaml", "readinessProbe:", "readynessProbe:", "Kubernetes"),
    ("pod.yaml", "periodSeconds: 10", "periodSeconds: ten", "Kubernetes"),
    ("pod.yaml", "terminationGracePeriodSeconds: 30", "terminationGracePeriodSeconds: 28", "killed after 28"),
    ("pod.yaml", "DRAIN_DELAY, value: 5s", "DRAIN_DELAY, value: 9s", "9.0 + 20.0 + 2.0 + 2 s"),
    ("pod.yaml", "GRACE_PERIOD, value: 20s", "GRACE_PERIOD, value: '0'", "without a grace period"),
    ("pod.yaml", "GRACE_PERIOD, value: 20s", "GRACE_PERIODS, value: 20s", "without a grace period"),
    ("pod.yaml", "NO_RESTART_ON, value: \"78\"", "NO_RESTART_ON, value: \"780\"", "RESTARTINIT_NO_RESTART_ON"),
    ("pod.yaml", "RESTARTINIT_NO_RESTART_ON", "RESTARTINIT_NO_RESTARTS_ON", "RESTARTINIT_NO_RESTARTS_ON"),
    ("pod.yaml", "failureThreshold: 2", "failureThreshold: 5", "readiness takes 10"),
    ("pod.yaml", "failureThreshold: 30", "failureThreshold: 12", "startup probe gives up after 24"),
    ("pod.yaml", "[\"/restartinit\", \"status\"]", "[\"/restartinit\", \"health\"]", "the liveness probe runs"),
    ("pod.yaml", "args: [\"node\"", "command: [\"node\"", "replaces restartinit"),
    ("pod.yaml", "drop: [\"ALL\"]", "drop: [\"KILL\"]", "restricted"),
    ("pod.yaml", "runAsNonRoot: true", "runAsNonRoot: false", "restricted"),
    ("deployment.yaml", "path: /livez", "path: /readyz", "the liveness probe asks /readyz"),
    ("deployment.yaml", "port: restartinit", "port: web", "asks port 3000"),
    ("deployment.yaml", "containerPort: 9464", "containerPort: 9465", "a port that nobody can reach"),
    ("deployment.yaml", "minReadySeconds: 65", "minReadySeconds: 10", "minReadySeconds"),
    ("pod.yaml", "MAX_MEMORY, value: 80%", "MAX_MEMORY, value: 95%", "is less than 1 MiB/s"),
    ("compose.yml", "start_period: 60s", "start_period: 30s", "start period"),
    ("ecs-task-definition.json", "\"startPeriod\": 60", "\"startPeriod\": 45", "start period"),
    ("deployment.yaml", "progressDeadlineSeconds: 180", "progressDeadlineSeconds: 60", "progressDeadlineSeconds"),
    ("ecs-task-definition.json", "\"stopTimeout\": 30", "\"stopTimeout\": \"30\"", "ECS: "),
    ("ecs-task-definition.json", "\"stopTimeout\"", "\"stopTimeOut\"", "ECS: "),
    ("ecs-task-definition.json", "\"stopTimeout\": 30", "\"stopTimeout\": 20", "killed after 20"),
    ("ecs-task-definition.json", "\"CMD\", \"/restartinit\"", "\"CMD-SHELL\", \"/restartinit\"", "needs a shell"),
    ("ecs-task-definition.json", "\"memory\": 512", "\"memory\": 1024", "more memory than the task"),
    ("ecs-task-definition.json", "\"retries\": 3", "\"retries\": 2", "gives up after 20"),
    ("ecs-task-definition.json", "Enabled\": false", "Enabled\": true", "another init"),
    ("compose.yml", "healthcheck:", "healthchecks:", "docker-compose: "),
    ("compose.yml", "stop_grace_period: 25s", "stop_grace_period: 20s", "killed after 20"),
    ("compose.yml", "mem_limit: 256m", "mem_limit: 0", "80% of no limit"),
    ("stack.yml", "failure_action:", "failure_actions:", "docker-compose: "),
    ("stack.yml", "stop_grace_period: 30s", "stop_grace_period: 10s", "killed after 10"),
    ("stack.yml", "mode: host", "mode: ingress", "the mesh"),
    ("stack.yml", "monitor: 60s", "monitor: 5s", "monitor is shorter"),
    ("stack.yml", "retries: 6", "retries: 3", "gives up after 15"),
]
# Only `docker stack config` knows this one.
SPOILED_STACK = [("stack.yml", "replicas: ${WEB_REPLICAS:-2}", "replicas: ${WEB_REPLICAS:-two}", "")]


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
