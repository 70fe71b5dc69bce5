# Called by: tests/kubernetes/main.py.
"""The image of the tests, as an OCI archive: this machine's own Node (tests/docker/base-tree), a static restartinit, a server.

No Docker and no registry is needed. The archive gives one content several names: those of the example manifests, and the sandbox image.
"""

import hashlib
import io
import json
import platform
import subprocess
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
SANDBOX = "restartinit.test/sandbox:1"
# What the examples run. Two containers of one pod share its ports, and the server asks PORT for its own.
SCRIPTS = ("server.js", "proxy.js")
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def write(path, names, restartinit, gate):
    """At `path` an archive for `ctr images import`."""
    environment = ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", f"GATE={gate}"]
    app = {"Entrypoint": ["/restartinit", "--"], "Cmd": ["node", "server.js"], "Env": environment, "User": "1000", "WorkingDir": "/app"}
    # It keeps the namespaces of a pod, and does nothing else; the runtime kills it.
    sandbox = {"Entrypoint": ["/bin/busybox", "sleep", "2147483647"], "Env": environment[:1]}
    with tempfile.TemporaryDirectory() as folder, tarfile.open(path, "w") as archive:
        layer = Path(folder) / "layer.tar"
        pack(layer, restartinit)
        digest = add_file(archive, layer)
        manifests = []
        for config, of_it in ((app, names), (sandbox, [SANDBOX])):
            manifest = add_manifest(archive, config, digest, layer.stat().st_size)
            manifests += [dict(manifest, annotations={"io.containerd.image.name": name}) for name in of_it]
        add(archive, "oci-layout", json.dumps({"imageLayoutVersion": "1.0.0"}).encode())
        add(archive, "index.json", json.dumps({"schemaVersion": 2, "manifests": manifests}).encode())


def pack(layer, restartinit):
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        tree.mkdir()
        subprocess.run([ROOT / "tests/docker/base-tree", tree], check=True)
        with tarfile.open(layer, "w") as tar:
            tar.add(tree, arcname=".", filter=owned)
            own = [(restartinit, "restartinit", 0o755), (ROOT / "examples/server/server.js", "app/example.js", 0o644)]
            own += [(HERE / "server.js", f"app/{name}", 0o644) for name in SCRIPTS]
            for source, name, mode in own:
                entry = tarfile.TarInfo(name)
                entry.size, entry.mode = Path(source).stat().st_size, mode
                with open(source, "rb") as file:
                    tar.addfile(entry, file)


def owned(entry):
    at_home = entry.name.startswith("./home/node")
    entry.uid = entry.gid = 1000 if at_home else 0
    entry.uname = entry.gname = ""
    return entry


def add_manifest(archive, config, layer, size):
    architecture = ARCHITECTURES[platform.machine()]
    text = {"architecture": architecture, "os": "linux", "config": config, "rootfs": {"type": "layers", "diff_ids": [layer]}}
    config = add_blob(archive, json.dumps(text).encode())
    layers = [{"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": layer, "size": size}]
    config["mediaType"] = "application/vnd.oci.image.config.v1+json"
    media = "application/vnd.oci.image.manifest.v1+json"
    manifest = add_blob(archive, json.dumps({"schemaVersion": 2, "mediaType": media, "config": config, "layers": layers}).encode())
    return dict(manifest, mediaType=media, platform={"architecture": architecture, "os": "linux"})


def add_blob(archive, content):
    digest = hashlib.sha256(content).hexdigest()
    add(archive, f"blobs/sha256/{digest}", content)
    return {"digest": f"sha256:{digest}", "size": len(content)}


def add(archive, name, content):
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    archive.addfile(entry, io.BytesIO(content))


def add_file(archive, path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    entry = tarfile.TarInfo(f"blobs/sha256/{digest.hexdigest()}")
    entry.size = path.stat().st_size
    with open(path, "rb") as file:
        archive.addfile(entry, file)
    return f"sha256:{digest.hexdigest()}"
