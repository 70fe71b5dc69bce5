# Called by: tests/deploy/check.py.
"""The podman example: by Quadlet itself, by systemd, and as a `Deployment`."""

import json
import os
import shlex
import shutil
import tempfile
from pathlib import Path

from deployment import APP_START, LONGEST_JITTER, Deployment, gives_up_with, health_check, rule, run, seconds, size

# A usage error ends the unit for good as well.
USAGE = 125


def quadlet(path):
    unit = service_of(path)
    by_systemd(unit)
    container, service = section(unit, "X-Container"), section(unit, "Service")
    rule("Entrypoint" not in container, "Entrypoint= replaces restartinit")
    rule(container.get("RunInit", ["false"])[-1] != "true", "RunInit=true puts another init above restartinit")
    settings = dict(word.split("=", 1) for line in container["Environment"] for word in shlex.split(line))
    told_systemd(settings, container, service)
    limit = seconds(container["StopTimeout"][-1])
    rule(seconds(service["TimeoutStopSec"][-1]) > limit, "TimeoutStopSec: systemd kills before podman's StopTimeout is over")
    stays_down = {int(code) for code in service["RestartPreventExitStatus"][-1].split()}
    ends = gives_up_with(settings) | {USAGE}
    rule(stays_down == ends, f"RestartPreventExitStatus names {sorted(stays_down)}, and restartinit gives up with {sorted(ends)}")
    memory = [word.removeprefix("--memory=") for line in container["PodmanArgs"] for word in shlex.split(line) if word.startswith("--memory=")]
    retries = int(container["HealthRetries"][-1])
    yield Deployment(
        name=f"{path.name}: {path.stem}",
        settings={key: value for key, value in settings.items() if key.startswith("RESTARTINIT_")},
        stop_limit=limit,
        memory_limit=size(memory[-1]) if memory else 0,
        probes=[health_check(command(container), container["HealthInterval"][-1], retries, container["HealthStartPeriod"][-1])],
        published={int(port.rsplit(":", 1)[1]) for port in container["PublishPort"]},
        health_replaces=False,
    )


def service_of(path):
    """The unit that Quadlet makes of it; a key that it does not know is an error."""
    with tempfile.TemporaryDirectory(dir="target") as folder:
        shutil.copy(path, folder)
        # It names the podman that is to be run: any program will do, since none is.
        surroundings = dict(os.environ, QUADLET_UNIT_DIRS=str(Path(folder).resolve()), PODMAN="/bin/true")
        said = run([os.environ["QUADLET"], "-dryrun"], env=surroundings)
    rule(said.returncode == 0, f"Quadlet: {said.stderr.strip().splitlines()[-1:]}")
    return said.stdout.split("---\n", 1)[-1]


def by_systemd(unit):
    """What it does not know it ignores, with a line."""
    with tempfile.TemporaryDirectory(dir="target") as folder:
        file = Path(folder) / "web.service"
        # The file that it was made of is gone by now.
        file.write_text("".join(line for line in unit.splitlines(True) if not line.startswith("SourcePath=")))
        said = run(["systemd-analyze", "verify", "--man=no", str(file.resolve())])
    about_it = [line for line in said.stderr.splitlines() if "web.service" in line]
    rule(said.returncode == 0 and not about_it, f"systemd: {about_it or said.stderr.strip()}")


def section(unit, name):
    """A key can be there more than once."""
    found = {}
    for line in unit.split(f"[{name}]\n", 1)[1].split("\n[", 1)[0].splitlines():
        if "=" in line and not line.startswith(("#", ";")):
            key, value = line.split("=", 1)
            found.setdefault(key, []).append(value)
    return found


def command(container):
    """podman runs a JSON array as it is; any other text, and an array that begins with CMD, it takes apart otherwise."""
    said = container["HealthCmd"][-1]
    try:
        words = json.loads(said)
    except json.JSONDecodeError:
        return ["CMD-SHELL", said]
    rule(words[0] not in ("CMD", "CMD-SHELL"), f"podman: HealthCmd={said}: an array without {words[0]} is what it runs without a shell")
    return ["CMD", *words]


def told_systemd(settings, container, service):
    """READY=1 and WATCHDOG=1 come from restartinit, in time."""
    rule(container["Notify"][-1] == "true", "Notify: READY=1 would come from podman, whether the app is ready or not")
    speaks = "RESTARTINIT_CHECK" in settings or "RESTARTINIT_WATCHDOG" in settings
    rule(speaks, "Notify=true without RESTARTINIT_CHECK or RESTARTINIT_WATCHDOG: restartinit leaves READY=1 to the app")
    patience = seconds(service["WatchdogSec"][-1])
    it = Deployment(name="", settings=settings, stop_limit=0, memory_limit=0)
    look = it.seconds("CHECK_INTERVAL") + it.seconds("CHECK_TIMEOUT")
    silence = look * (it.seconds("CHECK_FAILURES") + 1) + it.seconds("GRACE_PERIOD") + it.seconds("BACKOFF_MAX") * LONGEST_JITTER + APP_START
    rule(patience > silence, f"WatchdogSec is {patience:g} s: a restart in place may take {silence:g} s")
