# Called by: tests/deploy/check.py.
"""The ECS examples: by the service's own model, by Fargate's limits, which are not in it, and as `Deployment`s."""

import json

import botocore.session
import botocore.validate

from deployment import Deployment, gives_up_with, health_check, rule

# An app that ends by itself is done, and its task with it.
SUCCESS = {0}


def ecs(path):
    task = json.loads(path.read_text())
    shape = botocore.session.get_session().get_service_model("ecs").operation_model("RegisterTaskDefinition").input_shape
    report = botocore.validate.ParamValidator().validate(task, shape)
    rule(not report.has_errors(), f"ECS: {report.generate_report()}")
    for container in task["containerDefinitions"]:
        health = container["healthCheck"]
        rule(container["stopTimeout"] <= 120, "Fargate: stopTimeout is more than 120")
        rule(container["memory"] <= int(task["memory"]), "Fargate: the container has more memory than the task")
        for name, (least, most) in {"interval": (5, 300), "timeout": (2, 60), "retries": (1, 10), "startPeriod": (0, 300)}.items():
            rule(least <= health[name] <= most, f"ECS: healthCheck.{name} is not from {least} to {most}")
        rule("entryPoint" not in container, "entryPoint replaces restartinit; the app's command belongs in command")
        rule(container["linuxParameters"]["initProcessEnabled"] is False, "initProcessEnabled puts another init above restartinit")
        settings = {entry["name"]: entry["value"] for entry in container["environment"]}
        if "restartPolicy" in container:
            restart_policy(container["restartPolicy"], settings)
        yield Deployment(
            name=f"{path.name}: {container['name']}",
            settings=settings,
            stop_limit=container["stopTimeout"],
            memory_limit=container["memory"] * 1024**2,
            probes=[health_check(health["command"], health["interval"], health["retries"], health["startPeriod"])],
            published={port["containerPort"] for port in container["portMappings"]},
        )


def restart_policy(policy, settings):
    """ECS restarts what restartinit has not decided on, in the same task; what it has decided on ends the task."""
    rule(policy["enabled"] is True, "restartPolicy is not enabled")
    rule(60 <= policy["restartAttemptPeriod"] <= 1800, "ECS: restartAttemptPeriod is not from 60 to 1800")
    rule(len(policy["ignoredExitCodes"]) <= 50, "ECS: more than 50 ignoredExitCodes")
    decided = SUCCESS | gives_up_with(settings)
    rule(set(policy["ignoredExitCodes"]) == decided, f"ignoredExitCodes is {policy['ignoredExitCodes']}, and restartinit decides with {sorted(decided)}")
