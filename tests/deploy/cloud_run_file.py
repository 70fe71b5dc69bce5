# Called by: tests/deploy/check.py.
"""The Cloud Run example: by Google's own description of the API (the discovery document), by its limits, and as a `Deployment`."""

import json
from importlib import resources

import jsonschema
import yaml

from deployment import Deployment, Refused, http_probe, rule, size

# The container runtime contract: so many seconds after SIGTERM an instance is killed, and no setting changes that.
STOP_LIMIT = 10
# "Configure container health checks for services": the start may take so long; readiness may fail so often.
STARTUP_LIMIT, READINESS_FAILURES = 240, 3


def cloud_run(path):
    service = yaml.safe_load(path.read_text())
    by_its_description(service)
    revision = service["spec"]["template"]
    annotations = revision["metadata"]["annotations"]
    rule(annotations["run.googleapis.com/execution-environment"] == "gen2", "the first generation's kernel is an emulation")
    rule(annotations["run.googleapis.com/cpu-throttling"] == "false", "without a processor between requests nothing is restarted in time")
    [container] = revision["spec"]["containers"]
    rule("command" not in container, "command: replaces restartinit; the app's command belongs in args:")
    probes = [http_probe(kind, container[kind + "Probe"]) for kind in ("startup", "readiness", "liveness") if kind + "Probe" in container]
    for probe in probes:
        rule("exec" not in container[probe.kind + "Probe"], "Cloud Run: probes by exec are not supported")
        rule(probe.kind != "startup" or probe.interval * probe.failures <= STARTUP_LIMIT, f"Cloud Run: a start of more than {STARTUP_LIMIT} s")
        rule(probe.kind != "readiness" or probe.failures <= READINESS_FAILURES, f"Cloud Run: readiness may fail {READINESS_FAILURES} times at most")
        rule(container[probe.kind + "Probe"]["timeoutSeconds"] <= probe.interval, "Cloud Run: timeoutSeconds is more than periodSeconds")
    preview = service["metadata"]["annotations"].get("run.googleapis.com/launch-stage") in ("BETA", "ALPHA")
    rule(preview or "readinessProbe" not in container, "Cloud Run: readinessProbe is in Preview, and needs launch-stage: BETA")
    yield Deployment(
        name=f"{path.name}: {container['name']}",
        settings={entry["name"]: entry["value"] for entry in container["env"]},
        stop_limit=STOP_LIMIT,
        memory_limit=size(container["resources"]["limits"]["memory"]),
        probes=probes,
        # Its probes reach every port of the container.
        published={port["containerPort"] for port in container["ports"]} | {probe.port for probe in probes},
        drained_outside=True,
    )


def by_its_description(service):
    document = json.loads((resources.files("googleapiclient") / "discovery_cache/documents/run.v1.json").read_text())
    schema = {"$ref": "#/schemas/Service", "schemas": {name: strict(one) for name, one in document["schemas"].items()}}
    try:
        jsonschema.Draft4Validator(schema).validate(service)
    except jsonschema.ValidationError as error:
        raise Refused(f"Cloud Run: {error.json_path}: {error.message}") from error


def strict(schema):
    """Its words are those of JSON schema, but for the references; and what it does not name does not exist."""
    if isinstance(schema, list):
        return [strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if isinstance(schema.get("$ref"), str):
        return {"$ref": "#/schemas/" + schema["$ref"]}
    kept = {key: strict(value) for key, value in schema.items() if key not in ("id", "description", "format", "enumDescriptions", "deprecated", "readOnly", "required")}
    return {"additionalProperties": False, **kept} if isinstance(kept.get("properties"), dict) else kept
