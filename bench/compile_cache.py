# Called by: bench/boots.py.
"""When Node writes its compile cache, and when it uses one that is there: each tried with a small server."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from machine import RESTARTINIT, ROOT, fail

MODULES = ROOT / "bench/modules"
# How it ends, what ending.js is called with, the signal that it is sent (to restartinit, where that is there), restartinit's options.
ENDINGS = [
    ("nothing is left to do", "end", None, None),
    ("`process.exit()`", "exit 1", None, None),
    ("an error that nobody catches", "throw", None, None),
    ("TERM, its handler closes the server", "closes", signal.SIGTERM, None),
    ("TERM, its handler calls `process.exit()`", "exits", signal.SIGTERM, None),
    ("TERM, its handler raises TERM again, as NestJS does", "raises", signal.SIGTERM, None),
    ("TERM, no handler", "serves", signal.SIGTERM, None),
    ("TERM to restartinit `--stop-by drain`, no handler", "serves", signal.SIGTERM, ["--stop-by", "drain"]),
    ("SIGKILL: also a grace period that is over, the OOM killer", "serves", signal.SIGKILL, None),
    ("the heap is full", "heap", None, None),
    ("SIGKILL after `module.flushCompileCache()`", "flush", signal.SIGKILL, None),
]


def endings(node):
    """For each of them: whether the cache was written."""
    return {words: is_written(node, how, number, options) for words, how, number, options in ENDINGS}


def is_written(node, how, number, options):
    with tempfile.TemporaryDirectory() as folder:
        before = [] if options is None else [str(RESTARTINIT), "-v", *options, "--"]
        heap = ["--max-old-space-size=40"] if how == "heap" else []
        line = [*before, node, *heap, str(MODULES / "ending.js"), how]
        environment = {**os.environ, "NODE_COMPILE_CACHE": folder}
        with subprocess.Popen(line, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
            awaited, said = "is ready" if before else "flushed" if how == "flush" else "up", ""
            while awaited not in said:
                if not (next_line := process.stdout.readline()):
                    fail(f"{' '.join(line)}: {said}")
                said += next_line
            if number:
                process.send_signal(number)
            process.stdout.read()
        return bool(files(folder))


def files(folder):
    return [path for path in Path(folder).rglob("*") if path.is_file()]


def hits(node, script, folder, options=(), before=(), **more):
    """How many modules came from the cache in that folder."""
    environment = {**os.environ, "NODE_COMPILE_CACHE": str(folder), "NODE_DEBUG_NATIVE": "COMPILE_CACHE", **more}
    line = [*before, node, *options, str(script), "exit 1"]
    said = subprocess.run(line, env=environment, capture_output=True, text=True)
    if "up" not in said.stdout:
        fail(f"{' '.join(line)}: {said.stderr}")
    return (said.stdout + said.stderr).count(" was accepted")


@contextlib.contextmanager
def filled(node, **more):
    """A folder with the app and a cache of it in it, which every user can read and write."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        app, cache = folder / "app", folder / "cache"
        app.mkdir()
        for file in ("ending.js", "answer.js"):
            shutil.copy(MODULES / file, app)
        hits(node, app / "ending.js", cache, **more)
        for path in [folder, *folder.rglob("*")]:
            path.chmod(0o777)
        yield app / "ending.js", cache


def uses(node, other):
    """For each change between the boot that wrote the cache and the next one: whether that one uses it."""
    if os.geteuid() != 0:
        fail("another user and a read-only folder can be tried by root only")
    found = {}

    def attempt(words, change, **more):
        with filled(node, **more) as (script, cache):
            found[words] = change(script, cache) > 0

    def moved(script, cache, **more):
        elsewhere = script.parent.parent / "moved"
        elsewhere.mkdir()
        shutil.move(script.parent, elsewhere / "app")
        shutil.move(cache, elsewhere / "cache")
        return hits(node, elsewhere / "app/ending.js", elsewhere / "cache", **more)

    def newer(script, cache):
        for file in script.parent.iterdir():
            os.utime(file, (time.time() + 60, time.time() + 60))
        return hits(node, script, cache)

    def changed(script, cache):
        for file in script.parent.iterdir():
            file.write_text(file.read_text() + "// changed\n")
        return hits(node, script, cache)

    def read_only(script, cache):
        mount = ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"', str(cache)]
        return hits(node, script, cache, before=mount)

    user = ["setpriv", "--reuid", "1000", "--regid", "1000", "--clear-groups"]
    portable = {"NODE_COMPILE_CACHE_PORTABLE": "1"}
    attempt("nothing", lambda script, cache: hits(node, script, cache))
    attempt("the folder is read-only", read_only)
    attempt("the files are newer, with the same content", newer)
    attempt("the files have changed", changed)
    attempt("another user id", lambda script, cache: hits(node, script, cache, before=user))
    attempt("another version of Node", lambda script, cache: hits(other, script, cache))
    attempt("`--max-old-space-size`, also in NODE_OPTIONS", lambda script, cache: hits(node, script, cache, ["--max-old-space-size=300"]))
    attempt("other options of V8 (`--stack-size`)", lambda script, cache: hits(node, script, cache, ["--stack-size=900"]))
    attempt("app and cache are moved", moved)
    attempt("the same, `NODE_COMPILE_CACHE_PORTABLE=1` at both", lambda script, cache: moved(script, cache, **portable), **portable)
    return found
