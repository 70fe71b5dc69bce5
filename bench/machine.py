# Called by: bench/run.py.
"""What the benchmark runs with: the peers and how each is called, what is installed and compiled for it, the machine it runs on."""

import datetime
import json
import os
import pathlib
import platform
import shutil
import subprocess
import sys

import cgroup

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILT = ROOT / "target" / "bench"
RESTARTINIT = pathlib.Path(os.environ.get("RESTARTINIT", ROOT / "target" / "static" / "restartinit"))
PROBE, FLOOR, LOAD = (str(BUILT / name) for name in ("probe", "floor", "load"))
PM2 = str(BUILT / "node_modules" / ".bin" / "pm2-runtime")
PM2_VERSION = "7"
SERVER, FIRST_LINE, HOSTILE = (str(ROOT / "bench" / name) for name in ("server.js", "first_line.js", "hostile.py"))
NODE = shutil.which("node") or "node"

# Any number of restarts, none of them waited for: what is measured is the restart, not the policy.
FREELY = ["--max-restarts", "4000000000", "--restart-window", "0", "--backoff", "0"]
EVERYTHING = ["--ipc", "--watchdog", "10s", "--hold-port", "--standby", "--max-memory", "4G"]
HOSTILITY = ("restartinit", "restartinit, hostile", "restartinit, hostile elsewhere")
PLAIN = ("tini", "tini-static", "dumb-init", "catatonit")


def fail(message):
    sys.exit(f"bench: {message}")


def words(count, word):
    return f"{count:,} {word}" + ("" if count == 1 else "s")


def namespace():
    """What makes a command PID 1 of a namespace that dies with us."""
    unshare = ["setpriv", "--pdeathsig", "KILL", "unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
    return unshare + ([] if os.geteuid() == 0 else ["--user", "--map-root-user"]) + ["--"]


def line_of(candidate, command, options, home):
    """The command line of a candidate with that command, and the variables it needs. The options are restartinit's own."""
    name = candidate.split()[0]
    if name == "restartinit":
        own = ["-q"] if candidate.endswith(" -q") else []
        return [str(RESTARTINIT), *own, *options, "--", *command], {}
    if name in ("tini", "tini-static"):
        return [shutil.which(name), "--", *command], {}
    if name in ("dumb-init", "catatonit"):
        return [shutil.which(name), *command], {}
    if name == "floor":
        return [FLOOR, *command], {}
    if name == "none":
        return list(command), {}
    if name == "pm2-runtime":
        # pm2-runtime has no option for the limit of restarts: that takes a file. It swallows options that it does not know.
        script, arguments = (command[1], command[2:]) if command[0] == NODE else (command[0], command[1:])
        app = {"name": "bench", "script": script, "args": arguments, "max_restarts": 1_000_000}
        if command[0] != NODE:
            app["interpreter"] = "none"
        if candidate.endswith("-i 2"):
            app |= {"instances": 2, "exec_mode": "cluster"}
        file = pathlib.Path(home).with_suffix(".json")
        file.write_text(json.dumps({"apps": [app]}))
        return [NODE, PM2, "start", str(file)], {"PM2_HOME": home}
    raise ValueError(candidate)


def lacks(options):
    """Those of the options that this restartinit does not have; --print-config parses without running anything."""
    missing, at = [], 0
    while at < len(options):
        valued = at + 1 < len(options) and not options[at + 1].startswith("--")
        option = options[at : at + 1 + valued]
        at += len(option)
        if subprocess.run([RESTARTINIT, *option, "--print-config"], capture_output=True).returncode != 0:
            missing.append(option[0])
    return missing


def install():
    """The peers, from Debian and npm, and the programs in bench/c. What is there already is not fetched again."""
    packages = {"tini": "tini", "tini-static": "tini", "dumb-init": "dumb-init", "catatonit": "catatonit"}
    packages |= {"gcc": "gcc", "unshare": "util-linux", "setpriv": "util-linux", "npm": "npm", "node": "nodejs"}
    missing = sorted({package for program, package in packages.items() if not shutil.which(program)})
    if missing:
        root = [] if os.geteuid() == 0 else ["sudo"]
        say(f"installing {' '.join(missing)}")
        subprocess.run([*root, "apt-get", "update", "-qq"], check=True)
        quiet = ["-y", "-qq", "--no-install-recommends"]
        subprocess.run([*root, "apt-get", "install", *quiet, *missing], check=True, stdout=subprocess.DEVNULL)
    BUILT.mkdir(parents=True, exist_ok=True)
    if not os.path.exists(PM2):
        say(f"installing pm2@{PM2_VERSION}")
        quiet = ["--no-audit", "--no-fund", "--silent"]
        subprocess.run(["npm", "install", "--prefix", str(BUILT), *quiet, f"pm2@{PM2_VERSION}"], check=True)
    sources = ROOT / "bench" / "c"
    flags = ["gcc", "-O2", "-Wall", "-Wextra", "-static"]
    stamped = ["-no-pie", "-Wl,-e,stamped_start"]
    for program, extra, files in [
        (PROBE, stamped, ["probe.c", "first.S"]),
        (FLOOR, [], ["floor.c"]),
        (LOAD, [], ["load.c"]),
    ]:
        paths = [str(sources / file) for file in files]
        if not os.path.exists(program) or any(os.path.getmtime(path) > os.path.getmtime(program) for path in paths):
            subprocess.run([*flags, *extra, "-o", program, *paths], check=True)
    if not RESTARTINIT.exists():
        fail(f"no {RESTARTINIT}: make static")
    check = subprocess.run([*namespace(), "true"], capture_output=True, text=True)
    if check.returncode != 0:
        fail(f"needs root or unprivileged user namespaces: {check.stderr.strip()}")


def say(message):
    print(f"bench: {message}", file=sys.stderr, flush=True)


def output(*command):
    result = subprocess.run(command, capture_output=True, text=True)
    return (result.stdout + result.stderr).strip()


def versions():
    """Version, size in bytes, files and linkage of each candidate."""
    said = {
        "restartinit": output(RESTARTINIT, "-V").split()[-1],
        "tini": output("tini", "--version").split()[2],
        "tini-static": output("tini-static", "--version").split()[2],
        "dumb-init": output("dumb-init", "-V").split()[1].lstrip("v"),
        "catatonit": output("catatonit", "-V").splitlines()[0].split()[-1].split("_")[0],
    }
    found = {}
    for name, version in said.items():
        path = RESTARTINIT if name == "restartinit" else pathlib.Path(shutil.which(name)).resolve()
        # A program that needs no loader is static.
        linked = "needs libc" if b"/ld-" in path.read_bytes()[:4096] else "static"
        found[name] = {"version": version, "bytes": path.stat().st_size, "files": 1, "linked": linked}
    modules = BUILT / "node_modules"
    files = [path for path in modules.rglob("*") if path.is_file() and not path.is_symlink()]
    version = output(NODE, "-p", f"require('{modules}/pm2/package.json').version")
    found["pm2-runtime"] = {
        "version": version, "bytes": sum(path.stat().st_size for path in files), "files": len(files), "linked": "needs Node",
    }
    return found


def go_first(*pids):
    """On a machine that others use too: the sessions of these processes before all others. Whether that could be had: it takes root."""
    try:
        for pid in ("self", *pids):
            pathlib.Path(f"/proc/{pid}/autogroup").write_text("-18")
    except OSError:
        return False
    return True


def describe():
    """The machine, in words that a reader needs to judge the figures."""
    model = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), platform.machine())
    hypervisor = any("hypervisor" in line for line in open("/proc/cpuinfo") if line.startswith("flags"))
    gibibytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d"),
        "machine": f"{'virtual machine' if hypervisor else 'machine'}, {os.cpu_count()} cores ({model}), {gibibytes:.0f} GiB",
        "kernel": f"Linux {platform.release().split('-')[0]} {platform.machine()}",
        "node": output(NODE, "--version").lstrip("v"),
        "load": os.getloadavg()[0],
        "cgroup": cgroup.processes() is not None,
    }
