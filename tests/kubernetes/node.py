# Called by: tests/kubernetes/main.py.
"""A node without an API server: a containerd and a kubelet of this run's own, in the namespaces that tests/kubernetes/run has made.

All of their files are under one folder. Where a program insists on a path of its own, this mount namespace has something else there.
"""

import json
import os
import re
import shutil
import ssl
import subprocess
import threading
import time
import urllib.request
from pathlib import Path

import image

HERE = Path(__file__).resolve().parent
ADDRESS = "10.77.0.1"
NAME = "node"
GATE_PORT = 8080
# What nothing may take. Nothing waits for it but a failure.
DEADLINE = 180
# What a kubelet wants of the kernel, and would set for the whole machine.
SYSCTLS = {"vm/overcommit_memory": 1, "vm/panic_on_oom": 0, "kernel/panic": 10, "kernel/panic_on_oops": 1,
           "kernel/keys/root_maxkeys": 1000000, "kernel/keys/root_maxbytes": 25000000}

CONTAINERD = """version = 2
root = "{folder}/containerd"
state = "{folder}/containerd-state"
[grpc]
  address = "{folder}/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{sandbox}"
  # Where CAP_SYS_RESOURCE is missing, no process can be made dearer to the OOM killer than this run is.
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "{snapshotter}"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        BinaryName = "{runc}"
        SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{folder}/cni"
    conf_dir = "{folder}/cni-conf"
"""


class Failed(Exception):
    """What the tests need does not come about; the text says what."""


def run(*command, **more):
    said = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=DEADLINE, **more)
    if said.returncode != 0:
        raise Failed(f"{' '.join(map(str, command))}: {said.stderr.strip() or said.stdout.strip()}")
    return said.stdout


def until(what, condition, pause=0.1):
    """What `condition` says once it says something."""
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        said = condition()
        if said:
            return said
        # Between two looks at programs that tell nobody by themselves.
        time.sleep(pause)
    raise Failed(f"not within {DEADLINE} s: {what}")


def beside(program, containerd):
    found = Path(containerd).parent / program
    path = os.environ["PATH"] + ":/usr/local/sbin:/usr/sbin:/sbin"
    found = str(found) if os.access(found, os.X_OK) else shutil.which(program, path=path)
    if not found:
        raise Failed(f"there is no {program} beside {containerd} or on the PATH")
    return found


def version_of(kubelet):
    said = run(kubelet, "--version")
    parts = re.search(r"v(\d+)\.(\d+)", said)
    if not parts:
        raise Failed(f"{kubelet} --version: {said.strip()}")
    return int(parts[1]), int(parts[2])


class Node:
    def __init__(self, folder, cgroup, kubelet, containerd):
        self.folder, self.cgroup, self.kubelet, self.containerd = Path(folder), cgroup, kubelet, containerd
        self.version = version_of(kubelet)
        self.manifests = self.folder / "manifests"
        self.socket = self.folder / "containerd.sock"
        self.processes = []
        # The ends of containers, in their order: (id, exit code, when).
        self.ends = []
        self.ctr_program = beside("ctr", containerd)

    def start(self, names, restartinit):
        self.manifests.mkdir()
        self.hide_the_machine()
        self.network()
        self.start_containerd()
        archive = self.folder / "images.tar"
        image.write(archive, names, restartinit, f"http://{ADDRESS}:{GATE_PORT}")
        self.ctr("images", "import", archive)
        archive.unlink()
        threading.Thread(target=self.follow_ends, daemon=True).start()
        self.start_kubelet()

    def hide_the_machine(self):
        # The kubelet's own kernel settings, already as it wants them: so it sets none of the machine's.
        for name, value in SYSCTLS.items():
            own = self.folder / name.replace("/", ".")
            own.write_text(f"{value}\n")
            run("mount", "--bind", own, f"/proc/sys/{name}")
        # Sockets of containerd's shims, network namespaces, the logs of pods.
        for folder in ("/run", "/var/log"):
            run("mount", "-t", "tmpfs", "tmpfs", folder)
        # The socket for device plugins, which no option moves.
        own = self.folder / "kubelet-own"
        own.mkdir()
        run("mount", "--bind", own, "/var/lib/kubelet")

    def network(self):
        run("ip", "link", "set", "lo", "up")
        run("ip", "link", "add", "pods", "type", "bridge")
        run("ip", "address", "add", f"{ADDRESS}/24", "dev", "pods")
        run("ip", "link", "set", "pods", "up")
        plugins, config = self.folder / "cni", self.folder / "cni-conf"
        plugins.mkdir()
        config.mkdir()
        for name in ("loopback", "restartinit-test"):
            shutil.copy(HERE / "cni", plugins / name)
        (config / "pods.conf").write_text(json.dumps({"cniVersion": "0.3.1", "name": "pods", "type": "restartinit-test"}))

    def snapshotter(self):
        """overlayfs where it works under this folder; else one that copies."""
        lower = self.folder / "overlay"
        for name in ("lower", "upper", "work", "merged"):
            (lower / name).mkdir(parents=True)
        options = f"lowerdir={lower}/lower,upperdir={lower}/upper,workdir={lower}/work"
        tried = subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, lower / "merged"], capture_output=True)
        if tried.returncode == 0:
            run("umount", lower / "merged")
        return "overlayfs" if tried.returncode == 0 else "native"

    def launch(self, name, *command):
        with open(self.folder / f"{name}.log", "ab") as log:
            process = subprocess.Popen([str(part) for part in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.processes.append((name, process))
        return process

    def alive(self):
        for name, process in self.processes:
            if process.poll() is not None:
                log = (self.folder / f"{name}.log").read_text(errors="replace").splitlines()
                raise Failed(f"{name} has ended with {process.returncode}; its last lines:\n" + "\n".join(log[-12:]))

    def start_containerd(self):
        config = self.folder / "containerd.toml"
        runc = beside("runc", self.containerd)
        config.write_text(CONTAINERD.format(folder=self.folder, sandbox=image.SANDBOX, runc=runc, snapshotter=self.snapshotter()))
        self.launch("containerd", self.containerd, "--config", config)
        until("containerd answers", self.containerd_answers)

    def containerd_answers(self):
        self.alive()
        return subprocess.run([self.ctr_program, "--address", self.socket, "version"], capture_output=True).returncode == 0

    def ctr(self, *arguments):
        return run(self.ctr_program, "--address", self.socket, "--namespace", "k8s.io", *arguments)

    def follow_ends(self):
        """containerd's word on how a container ended. A command that was executed inside one has another id than the container."""
        command = [self.ctr_program, "--address", self.socket, "--namespace", "k8s.io", "events"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as events:
            for line in events.stdout:
                if " /tasks/exit " in line:
                    told = json.loads(line[line.index("{"):])
                    if told["id"] == told["container_id"]:
                        self.ends.append((told["id"], told.get("exit_status", 0), time.monotonic()))

    def start_kubelet(self):
        config = {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "staticPodPath": str(self.manifests),
            "address": "127.0.0.1",
            "healthzPort": 0,
            "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
            "authorization": {"mode": "AlwaysAllow"},
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": self.cgroup,
            "enforceNodeAllocatable": [],
            "failSwapOn": False,
            "oomScoreAdj": 0,
            "makeIPTablesUtilChains": False,
            "resolvConf": str(self.folder / "resolv.conf"),
            "volumePluginDir": str(self.folder / "volume-plugins"),
            # Neither the disk of this machine nor its memory is what is tested.
            "evictionHard": {"memory.available": "0%", "nodefs.available": "0%", "nodefs.inodesFree": "0%", "imagefs.available": "0%"},
            "imageGCHighThresholdPercent": 100,
        }
        flags = []
        if self.version < (1, 22):
            # Such a kubelet asks a static pod that was taken away to stop, and kills all in the pod's cgroup at the same time; pods that
            # an API server deletes are spared. Without a cgroup for each pod it waits for this one too.
            config["cgroupsPerQOS"] = False
        if self.version >= (1, 31):
            # From 1.35 on a kubelet refuses a machine with cgroup v1, unless it is told so.
            config["failCgroupV1"] = False
        if self.version >= (1, 27):
            config["containerRuntimeEndpoint"] = f"unix://{self.socket}"
        else:
            flags = ["--container-runtime=remote", f"--container-runtime-endpoint=unix://{self.socket}"]
        # The machine's own may be a link to what is hidden here.
        (self.folder / "resolv.conf").write_text("nameserver 127.0.0.1\n")
        path = self.folder / "kubelet.json"
        path.write_text(json.dumps(config, indent=1))
        self.launch("kubelet", self.kubelet, f"--config={path}", f"--root-dir={self.folder}/kubelet", f"--cert-dir={self.folder}/certificates",
                    f"--hostname-override={NAME}", f"--node-ip={ADDRESS}", *flags)
        until("the kubelet answers", self.answers)

    def answers(self):
        try:
            return self.pods()
        except OSError:
            return None

    def get(self, path):
        self.alive()
        # The kubelet has signed its certificate itself.
        context = ssl._create_unverified_context()
        with urllib.request.urlopen(f"https://127.0.0.1:10250{path}", timeout=20, context=context) as answer:
            return answer.read().decode()

    def pods(self):
        return json.loads(self.get("/pods"))

    def failed_probes(self, pod, container, kind):
        """How often a probe has failed, as the kubelet counts it."""
        count = 0
        for line in self.get("/metrics/probes").splitlines():
            if line.startswith("prober_probe_total{"):
                labels = dict(re.findall(r'(\w+)="([^"]*)"', line))
                right = labels["pod"] == f"{pod}-{NAME}" and labels["container"] == container
                if right and labels["probe_type"] == kind and labels["result"] == "failed":
                    count += int(float(line.rsplit(" ", 1)[1]))
        return count

    def stop(self):
        for _, process in reversed(self.processes):
            process.terminate()
        for _, process in self.processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
