# Called by: tests/kubernetes/run, in namespaces of its own.
"""main.py FOLDER CGROUP: the examples of examples/deploy as static pods of a real kubelet, each from its boot to its stop."""

import os
import signal
import sys
from pathlib import Path

import yaml

import judge
import manifests
from gate import Gate
from node import Failed, Node
from story import Story, stop

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples/deploy"


def examples():
    """By file: its one pod."""
    found = {}
    for path in manifests.played(EXAMPLES):
        [found[path.name]] = manifests.static_pods(yaml.safe_load_all(path.read_text()))
    return found


def play(the_node, gate, pod):
    """The pod's story, and what is wrong with it: the number of answers, complaints."""
    containers = [pod["spec"]["containers"][0]] + [one for one in pod["spec"].get("initContainers", []) if manifests.is_sidecar(pod, one)]
    app, *sidecars = [Story(the_node, gate, pod, container) for container in containers]
    app.begin()
    wrong = judge.not_ready_before_it_listens(app.seen, "booting")
    if not wrong:
        app.listen("listening")
        app.crash()
        app.listen("back")
        wrong = judge.restarted_in_place(app.seen)
    if wrong:
        # The rest waits for what follows from these two.
        app.remove()
        app.gone()
        return len(app.seen), wrong
    exhausted = app.exhaust()
    app.listen("again")
    refused = app.refuse()
    if refused.stays_down:
        app.remove()
        app.gone()
    else:
        stops = stop([app, *sidecars])
        wrong += [complaint for one in stops for complaint in judge.stopped(one)] + judge.stopped_in_order(stops)
        for one in stops:
            print(f"  {one.name}: stopped after {one.took:.1f} s of {one.limit:g} with exit code {one.exit_code}, {one.answered} answers meanwhile")
    return len(app.seen), judge.course(app.seen, exhausted, refused) + wrong


def main():
    folder, cgroup = sys.argv[1:]
    # The first process of a PID namespace gets no signal that it has no handler for.
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda number, _: sys.exit(f"tests/kubernetes/run: ended by {signal.Signals(number).name}"))
    pods = examples()
    the_node = Node(folder, cgroup, os.environ["KUBELET"], os.environ["CONTAINERD"])
    said = ".".join(map(str, the_node.version))
    failed, played = 0, 0
    try:
        the_node.start(manifests.images(pods.values()), os.environ["RESTARTINIT_STATIC"])
        print(f"a kubelet of Kubernetes {said} without an API server, {os.environ['KUBELET']}")
        gate = Gate()
        for name, pod in pods.items():
            needed = manifests.needs(pod)
            if the_node.version < needed:
                print(f"{name}: not run: it needs a kubelet of Kubernetes {needed[0]}.{needed[1]}, and this one is {said}")
                continue
            answers, wrong = play(the_node, gate, pod)
            played += 1
            failed += bool(wrong)
            print(f"{name}: {answers} answers of /pods, " + ("as they should be" if not wrong else "and wrong in them:"))
            for complaint in wrong:
                print(f"  {complaint}")
    except Failed as failure:
        sys.exit(f"tests/kubernetes/run: {failure}")
    finally:
        the_node.stop()
    if failed or not played:
        sys.exit(f"tests/kubernetes/run: {failed} of {played} examples failed")


main()
