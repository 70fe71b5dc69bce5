# Called by: bench/engine.py and bench/boots.py.
"""The apps whose boots are measured: how each is started, what it needs, how many clients it is given. And the Node that runs them."""

import os
import pathlib
import subprocess
from typing import NamedTuple

from machine import ROOT, fail

# The newest that is in long-term support: Nest 12 needs it, and a compile cache does.
MAJOR = "24"


class App(NamedTuple):
    name: str
    command: list  # what follows `node`
    variables: dict = {}
    boot: float = 0.5  # seconds, about: how long its standby needs after a crash
    rate: int = 200  # new connections a second
    framework: str = None  # built by tests/node-frameworks


def busy(milliseconds):
    return {"BOOT_MS": str(milliseconds)}


APPS = {
    "0 ms": App("a server that boots at once", ["/app/server.js"], busy(0)),
    "400 ms": App("a server that boots for 400 ms", ["/app/server.js"], busy(400)),
    "2 s": App("a server that boots for 2 s", ["/app/server.js"], busy(2000), boot=2.3),
    # It renders its page for each client: 200 a second would keep a processor busy.
    "Next.js": App("Next.js 16, standalone", ["/app/next/server.js"], {"HOSTNAME": "0.0.0.0"}, 1.0, 50, "next"),
    "NestJS": App("NestJS 12", ["/app/nest/dist/main.js"], framework="nest"),
}


def node():
    """The path of Node MAJOR, which tests/node-versions installs."""
    lines = subprocess.run([ROOT / "tests/node-versions"], check=True, capture_output=True, text=True).stdout.splitlines()
    for line in lines:
        version, path = line.split(maxsplit=1)
        if version.startswith(f"v{MAJOR}."):
            return path
    fail(f"tests/node-versions installs no Node {MAJOR}")


def frameworks(path):
    """The folder with the apps in it that tests/node-frameworks has built, with that Node."""
    names = [app.framework for app in APPS.values() if app.framework]
    line = [ROOT / "tests/node-frameworks", *names]
    built = subprocess.run(line, check=True, stdout=subprocess.PIPE, text=True, env={**os.environ, "NODE": path})
    return pathlib.Path(built.stdout.strip())
