# Called by: tests/deploy/check.py.
"""The Compose and Swarm examples: by docker-compose, by the docker client where it can, and as `Deployment`s."""

import os

import yaml

from deployment import DEFAULTS, Deployment, health_check, rule, run, seconds, size


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
