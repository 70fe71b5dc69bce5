# Called by: bench/box.py and bench/gap.py.
"""A processor cgroup of the benchmark's own, for what runs in a box: as a container engine has it. Without one, the kernel's autogroups
share out the processor by session, and an init that gives its command a session of its own is measured as another kind of thing."""

import atexit
import functools
import pathlib

NAME = "restartinit-bench"


def hierarchies():
    """Where such a cgroup can be made: version 1's hierarchy of that controller, or version 2's if it hands the controller on."""
    for line in open("/proc/mounts"):
        _, place, kind, options, *_ = line.split()
        root = pathlib.Path(place)
        if kind == "cgroup" and "cpu" in options.split(","):
            yield root
        elif kind == "cgroup2" and "cpu" in (root / "cgroup.subtree_control").read_text().split():
            yield root


@functools.cache
def processes():
    """The file that takes pids into it; None where none can be made."""
    for root in hierarchies():
        folder = root / NAME
        try:
            folder.mkdir(exist_ok=True)
        except OSError:
            continue
        atexit.register(remove, folder)
        return folder / "cgroup.procs"
    return None


def remove(folder):
    try:
        folder.rmdir()
    except OSError:
        pass  # Somebody is still in it: the next run uses it again.


def entrance():
    """What takes a process in, between fork and exec; None where there is no such cgroup."""
    file = processes()
    return file and (lambda: file.write_text("0"))
