# Called by: bench/engine.py.
"""The comparison with a container engine: the one image, a container of each candidate, and one crash under load."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import apps
import machine
from apps import APPS
from box import children
from gap import ask_status, free_port
from machine import BUILT, LOAD, RESTARTINIT, ROOT, fail

DEADLINE = 60
BEFORE, AFTER = 0.3, 0.3  # seconds of load before a crash and after the next answer
# What comes between `docker run` and the image, and what before `node`.
CANDIDATES = {
    "engine": (["--restart", "always"], []),
    "in place": ([], ["/restartinit", "--"]),
    "--hold-port": ([], ["/restartinit", "--hold-port", "--"]),
    "--standby": ([], ["/restartinit", "--standby", "--"]),
}
RUN = os.environ.get("RESTARTINIT_TEST_RUN", f"bench-{os.getpid()}")
LABEL = f"restartinit.test={RUN}"
IMAGE = f"restartinit-bench:{RUN}"


def docker(*words, data=None):
    result = subprocess.run(["docker", *words], capture_output=True, stdin=data)
    if result.returncode != 0:
        fail(f"docker {' '.join(words)}: {result.stderr.decode().strip()}")
    return result.stdout.decode().strip()


def engine():
    """The engine, as a reader needs it."""
    said = json.loads(docker("info", "-f", "{{json .}}"))
    return {"version": said["ServerVersion"], "storage": said["Driver"], "runtime": said["DefaultRuntime"]}


def go_first():
    """On a machine that others use too: the clients, the engine of with-engine and all of its containers before them, each candidate
    alike. Whether that could be had."""
    folder = Path(os.environ.get("DOCKER_HOST", "").removeprefix("unix://")).parent
    pids = [file.read_text().strip() for file in (folder / "pid", folder / "exec/containerd/containerd.pid") if file.exists()]
    group = Path("/sys/fs/cgroup/cpu" if os.path.isdir("/sys/fs/cgroup/cpu") else "/sys/fs/cgroup") / f"restartinit-test-{RUN.removeprefix('run-')}"
    try:
        group.mkdir(exist_ok=True)
        own, most = ("cpu.shares", "65536") if (group / "cpu.shares").exists() else ("cpu.weight", "6400")
        (group / own).write_text(most)
    except OSError:
        return False
    return machine.go_first(*pids) and len(pids) == 2


def make_image():
    """Node and its libraries from this machine, restartinit and the apps: no registry is asked."""
    node = apps.node()
    built = apps.frameworks(node)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        path = f"{Path(node).parent}:{os.environ['PATH']}"
        subprocess.run([ROOT / "tests/docker/base-tree", root], check=True, env={**os.environ, "PATH": path})
        (root / "app").mkdir()
        shutil.copy(RESTARTINIT, root / "restartinit")
        shutil.copy(ROOT / "bench/server.js", root / "app")
        shutil.copytree(built / "next/.next/standalone", root / "app/next", symlinks=True)
        (root / "app/nest").mkdir()
        shutil.copy(built / "nest/package.json", root / "app/nest")
        shutil.copytree(built / "nest/dist", root / "app/nest/dist")
        # What builds it does not run it.
        unused = shutil.ignore_patterns("typescript", "@typescript", "@types")
        shutil.copytree(built / "nest/node_modules", root / "app/nest/node_modules", symlinks=True, ignore=unused)
        changes = ["--change", "ENV PATH=/usr/local/bin:/bin NEXT_TELEMETRY_DISABLED=1", "--change", f"LABEL {LABEL}"]
        with subprocess.Popen(["tar", "--numeric-owner", "--owner=0", "--group=0", "-C", folder, "-c", "."], stdout=subprocess.PIPE) as tar:
            docker("import", *changes, "-", IMAGE, data=tar.stdout)
    return subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout.strip().lstrip("v")


class Container:
    """`with Container(app, candidate) as container:` it answers by then."""

    def __init__(self, app, candidate):
        self.app, self.candidate, self.port = APPS[app], candidate, free_port()
        options, before = CANDIDATES[candidate]
        variables = {"PORT": str(self.port), **self.app.variables}
        given = [word for name, value in variables.items() for word in ("-e", f"{name}={value}")]
        line = ["run", "-d", "--network", "host", "--label", LABEL, *options, *given, IMAGE, *before, "node", *self.app.command]
        self.id = docker(*line)
        self.answered = 0.0

    def __enter__(self):
        until = time.monotonic() + DEADLINE
        while ask_status(self.port) != 200:
            self.check(until)
            time.sleep(0.02)
        self.answered = time.monotonic()
        return self

    def __exit__(self, *_):
        docker("rm", "-f", "-v", self.id)

    def check(self, until):
        if time.monotonic() > until:
            fail(f"{self.candidate}, {self.app.name}: no answer\n{docker('logs', self.id)}")

    def node(self):
        """The pid, out here, of the Node process that serves: PID 1, or the oldest child of restartinit. A standby is younger."""
        first = int(docker("inspect", "-f", "{{.State.Pid}}", self.id))
        return first if self.candidate == "engine" else min(children(first), key=started)

    def crash(self):
        """SIGKILL under a steady load of new connections: what becomes of them, and how long until one that came later is answered."""
        told = BUILT / f"load-{self.port}"
        node = self.node()
        with open(told, "w") as out, subprocess.Popen([LOAD, str(self.port), str(self.app.rate), "600"], stdout=out) as load:
            try:
                time.sleep(BEFORE)
                killed = time.monotonic_ns()
                os.kill(node, signal.SIGKILL)
                dead = time.monotonic_ns()
                until = time.monotonic() + DEADLINE
                while (answer := first_answer(told, dead)) is None:
                    self.check(until)
                    time.sleep(0.02)
                self.answered = time.monotonic()
                time.sleep(AFTER)
                load.send_signal(signal.SIGTERM)
                if load.wait(30) != 0:
                    fail("the load generator failed")
            finally:
                load.kill()
        fates = [fate for _, _, fate in clients(told)]
        told.unlink()
        count = {fate: fates.count(fate) for fate in ("ok", "refused", "reset", "lost", "wrong")}
        return {"gap_ms": (answer - killed) / 1e6, **count}


def clients(told):
    for line in told.read_text().splitlines():
        words = line.split(maxsplit=3)
        if len(words) > 2:
            yield int(words[0]), int(words[1]), words[2]


def first_answer(told, after):
    """When the first of those clients had its answer that came after that moment: nobody can have been answered by the dead one."""
    return min((decided for opened, decided, fate in clients(told) if fate == "ok" and opened > after), default=None)


def started(pid):
    """The moment at which the process began, in ticks."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
