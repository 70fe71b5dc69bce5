# Called by: tests/deploy/check.py.
"""The Fly.io example: as TOML, by what Fly's documents say of the settings, and as a `Deployment`. Fly's own validator is in no registry."""

import tomllib

from deployment import Deployment, Probe, Refused, rule, seconds, size

# "App configuration (fly.toml)".
SIGNALS = {"SIGINT", "SIGTERM", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGKILL", "SIGSTOP"}
MOST_KILL_TIMEOUT = 300
# What the example uses. A word that is not here is a slip, or news for this list.
KNOWN = {
    "": {"app", "primary_region", "kill_signal", "kill_timeout", "build", "processes", "env", "restart", "http_service", "checks", "metrics", "vm"},
    "build": {"image"},
    "processes": {"app"},
    "restart": {"policy", "retries", "processes"},
    "http_service": {"internal_port", "force_https", "auto_stop_machines", "auto_start_machines", "min_machines_running", "processes", "checks"},
    "check": {"type", "port", "method", "path", "interval", "timeout", "grace_period"},
    "metrics": {"port", "path"},
    "vm": {"size", "memory"},
}


def fly(path):
    try:
        app = tomllib.loads(path.read_text())
    except tomllib.TOMLDecodeError as error:
        raise Refused(f"TOML: {error}") from error
    known("", app)
    for name in ("build", "processes", "http_service", "metrics"):
        known(name, app[name])
    for name in ("restart", "vm"):
        [only] = app[name]
        known(name, only)
    for check in app["http_service"]["checks"] + list(app["checks"].values()):
        known("check", check)
    rule(app["kill_signal"] in SIGNALS, f"Fly: {app['kill_signal']} is no kill_signal")
    rule(app["kill_signal"] == "SIGTERM", f"{app['kill_signal']}: an app may have no handler for it")
    limit = seconds(app["kill_timeout"])
    rule(limit <= MOST_KILL_TIMEOUT, f"Fly: kill_timeout is more than {MOST_KILL_TIMEOUT} s")
    rule(app["restart"][0]["policy"] in ("always", "on-failure", "never"), "Fly: no such restart policy")
    settings = app["env"]
    rule(all(isinstance(value, str) for value in settings.values()), "Fly: values of env are strings")
    rule("RESTARTINIT_CHECK" in settings, "nobody restarts an app that hangs: Fly does not, and RESTARTINIT_CHECK is not set")
    share = settings.get("RESTARTINIT_MAX_MEMORY", "")
    rule(not share.endswith("%"), "the machine's memory is no limit of a cgroup: --max-memory needs an amount")
    for check in app["http_service"]["checks"]:
        rule(not {"port", "type"} & set(check), "Fly: a service's check asks the service's own port")
        rule(check["path"] not in ("/readyz", "/livez"), "a service's check asks the app, which has no such path")
    [(_, ready)] = app["checks"].items()
    rule(ready["type"] in ("http", "tcp"), "Fly: a check is by http or tcp")
    yield Deployment(
        name=f"{path.name}: {app['app']}",
        settings=settings,
        stop_limit=limit,
        memory_limit=size(app["vm"][0]["memory"]),
        # It waits for one failure; what follows is that a deployment stops, and no restart.
        probes=[Probe(kind="health", path=ready["path"], port=ready["port"], interval=seconds(ready["interval"]), failures=1)],
        published={app["http_service"]["internal_port"], app["metrics"]["port"]},
        health_replaces=False,
    )


def known(name, table):
    unknown = set(table) - KNOWN[name]
    rule(not unknown, f"fly.toml: {sorted(unknown)} in [{name}] is not known")
