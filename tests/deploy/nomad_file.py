# Called by: tests/deploy/check.py.
"""The Nomad example: by a parser of HCL, by others' model of Nomad's API, by what its documents say, and as a `Deployment`.

`nomad job validate` is in no registry, and would ask a server.
"""

import importlib.util
import sys
from functools import cache
from pathlib import Path

import hcl2
import pydantic

from deployment import DEFAULTS, Deployment, Probe, Refused, rule, seconds

# The client's max_kill_timeout, unless its own configuration says otherwise.
MOST_KILL_TIMEOUT = 30
# Blocks that the API calls otherwise, where they stand many times; its models take all other words as they are.
LISTS = {"group": "task_groups", "task": "tasks", "service": "services", "check": "checks", "network": "networks"}
NAMES = {"restart": "restart_policy", "reschedule": "reschedule_policy", "port": "port_label"}
UNITS = {"cpu": "CPU", "memory": "MemoryMB"}
# Blocks with a name of their own.
LABELLED = {"group", "task", "port"}
# What the docker driver is told; its words are no matter of the API's.
DRIVER = {"image", "args", "ports", "readonly_rootfs", "cap_drop", "security_opt"}


def nomad(path):
    [(name, body)] = parsed(path)["job"][0].items()
    try:
        job = models().Job.model_validate({"id": name, **in_the_api_s_words(body)})
    except pydantic.ValidationError as error:
        raise Refused(f"Nomad: {error}") from error
    [group] = job.task_groups
    [task] = group.tasks
    rule(set(task.config) <= DRIVER, f"docker driver: {sorted(set(task.config) - DRIVER)} is not among {sorted(DRIVER)}")
    rule(task.kill_signal == "SIGTERM", f"kill_signal is {task.kill_signal}")
    rule((group.shutdown_delay or 0) > 0, "shutdown_delay: the signal comes while requests still do")
    limit = task.kill_timeout / 1e9
    rule(limit <= MOST_KILL_TIMEOUT, f"Nomad: kill_timeout is capped at {MOST_KILL_TIMEOUT} s")
    window = seconds(task.env.get("RESTARTINIT_RESTART_WINDOW", DEFAULTS["RESTART_WINDOW"]))
    rule(group.update.min_healthy_time / 1e9 > window, f"min_healthy_time: a crash loop may pass its checks for the restart window, {window:g} s")
    rule(group.restart_policy.mode == "fail", "restart: with mode = delay the group is never given to another node")
    ports = {port.label: port.to for network in group.networks for port in network.dynamic_ports}
    [service] = group.services
    rule({service.port_label} | {check.port_label for check in service.checks} <= set(ports), f"a port that is not among {sorted(ports)}")
    rule(set(task.config["ports"]) == set(ports), "the docker driver is not told of every port")
    rule(service.provider != "nomad" or all(check.type in ("http", "tcp") for check in service.checks), "Nomad: its own checks are by http or tcp")
    yield Deployment(
        name=f"{path.name}: {task.name}",
        settings=task.env,
        stop_limit=limit,
        memory_limit=task.resources.memory_mb * 1024**2,
        probes=[probe(check, ports) for check in service.checks],
        published=set(ports.values()),
        # A check that restarts is for /livez alone.
        health_replaces=False,
        drained_outside=True,
    )


def probe(check, ports):
    restarts = check.check_restart
    kind = "liveness" if restarts else "health"
    return Probe(kind=kind, path=check.path, port=ports[check.port_label], interval=check.interval / 1e9, failures=restarts.limit if restarts else 1)


def parsed(path):
    try:
        return plain(hcl2.loads(path.read_text()))
    except Exception as error:  # The parser's errors have no kind in common.
        raise Refused(f"HCL: {error}") from error


def plain(value):
    """Without the parser's quotes and marks."""
    if isinstance(value, dict):
        return {plain(key): plain(one) for key, one in value.items() if not key.startswith("__")}
    if isinstance(value, list):
        return [plain(one) for one in value]
    return value[1:-1] if isinstance(value, str) and value[:1] == value[-1:] == '"' else value


def in_the_api_s_words(body):
    """One block of a job, as the model of the API has it."""
    said = {}
    for key, value in body.items():
        is_block = isinstance(value, list) and value and all(isinstance(one, dict) for one in value)
        if key == "port" and is_block:
            said["dynamic_ports"] = [{"label": label, **settings} for one in value for label, settings in one.items()]
        elif is_block and key in LABELLED:
            said[LISTS[key]] = [{"name": label, **in_the_api_s_words(settings)} for one in value for label, settings in one.items()]
        elif is_block and key in LISTS:
            said[LISTS[key]] = [in_the_api_s_words(one) for one in value]
        elif is_block:
            rule(len(value) == 1, f"Nomad: {key} stands there {len(value)} times")
            said[NAMES.get(key, key)] = value[0] if key in ("env", "config") else in_the_api_s_words(value[0])
        else:
            said[UNITS.get(key, NAMES.get(key, key))] = value
    return said


@cache
def models():
    """The models alone: the package around them wants a framework for its own configuration."""
    [folder] = importlib.util.find_spec("nomad_pydantic").submodule_search_locations
    spec = importlib.util.spec_from_file_location("nomad_models", Path(folder) / "models.py")
    module = importlib.util.module_from_spec(spec)
    # Where it looks up its own annotations.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
