# Called by: tests/deploy/check.
"""Checks examples/deploy/: each file by its system's own rules, as far as they can be had, then the sums that no system knows.

A file is described once as `Deployment`s: settings, stop limit, memory limit, probes. rules.py knows nothing of the systems.
At the end spoiled copies go through the same checks, and each of them must be refused for the right reason.
Run it through tests/deploy/check, which has the tools.
"""

import shutil
import sys
import tempfile
from pathlib import Path

from azure_file import container_app
from cloud_run_file import cloud_run
from compose_files import compose, stack_config_is_there, swarm
from deployment import Refused
from ecs_files import ecs
from fly_file import fly
from kubernetes_files import kubernetes
from nomad_file import nomad
from quadlet_file import quadlet
from rules import STATIC, check_deployment
from spoiled import SPOILED, SPOILED_STACK
from spoiled_elsewhere import SPOILED_ELSEWHERE

EXAMPLES = Path("examples/deploy")

FILES = {
    "pod.yaml": kubernetes,
    "deployment.yaml": kubernetes,
    "pod-sidecar.yaml": kubernetes,
    "pod-restart-rules.yaml": kubernetes,
    "job.yaml": kubernetes,
    "ecs-task-definition.json": ecs,
    "ecs-restart-policy.json": ecs,
    "compose.yml": compose,
    "stack.yml": swarm,
    "web.container": quadlet,
    "web.nomad.hcl": nomad,
    "cloud-run.yml": cloud_run,
    "container-app.yml": container_app,
    "fly.toml": fly,
}


def check_file(path):
    """The lines that describe what is in it; Refused when it breaks a rule."""
    try:
        return [check_deployment(deployment) for deployment in FILES[path.name](path)]
    except (KeyError, TypeError, AttributeError) as error:
        raise Refused(f"something that the examples must say is not there: {error!r}") from error


def check_the_checks():
    """Spoiled copies. What the files say today goes through unchanged, so that only the spoiling can be to blame."""
    cases = SPOILED + SPOILED_ELSEWHERE + (SPOILED_STACK if stack_config_is_there() else [])
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
