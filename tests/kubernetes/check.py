# Called by: tests/kubernetes/check.
"""What tests/kubernetes/run relies on, without a kubelet: that the examples become the right static pods, and that every wrong answer of
a kubelet is reported, for the right reason, while the right ones are not."""

import copy
import dataclasses
import os
import subprocess
from pathlib import Path

import kubernetes_validate
import yaml

import answers
import image
import judge
import manifests
import wrong

EXAMPLES = Path("examples/deploy")


def judged(course, refused):
    """All that main.py asks of one pod's answers."""
    seen = [answers.seen(mark, answer, "web", "web") for mark, answer in course]
    exhausted = judge.Expected(1, "restarts-exhausted", 1, wrong.MESSAGE["message"])
    return judge.course(seen, exhausted, refused)


RESTARTED = judge.Expected(78, "no-restart-code", 2, wrong.REFUSED["message"])
STAYS_DOWN = judge.Expected(78, "no-restart-code", 1, wrong.REFUSED["message"], stays_down=True)


def check_the_judge():
    for course, refused, changes in ((wrong.right, RESTARTED, wrong.COURSES), (wrong.for_good, STAYS_DOWN, wrong.COURSES_FOR_GOOD)):
        assert judged(course(), refused) == [], judged(course(), refused)
        for change, reason in changes:
            must_be_said(reason, judged(wrong.but(change, course), refused))
    right = judge.Stop(**wrong.RIGHT_STOP)
    assert judge.stopped(right) == [], judge.stopped(right)
    for change, reason in wrong.STOPS:
        must_be_said(reason, judge.stopped(dataclasses.replace(right, **change)))
    second = dataclasses.replace(right, name="proxy", drain=0, place=1)
    assert judge.stopped(second) == [] and judge.stopped_in_order([right, second]) == []
    must_be_said("ended before the app", judge.stopped_in_order([second, right]))
    must_be_said("ended before the app", judge.stopped_in_order([right, right]))
    return len(wrong.COURSES) + len(wrong.COURSES_FOR_GOOD) + len(wrong.STOPS) + 2


def must_be_said(reason, complaints):
    assert any(reason in complaint for complaint in complaints), f"not reported: {reason!r}; what is: {complaints}"


def documents(name):
    return list(yaml.safe_load_all((EXAMPLES / name).read_text()))


def workload(document):
    return document["spec"]["template"] if document["kind"] == "Deployment" else document


def check_the_conversion():
    names = [path.name for path in manifests.played(EXAMPLES)]
    for name in names:
        originals = [workload(document) for document in documents(name) if document["kind"] != "Service"]
        pods = manifests.static_pods(documents(name))
        assert len(pods) == len(originals) == 1, f"{name}: {len(pods)} pods"
        [pod], [original] = pods, originals
        kubernetes_validate.validate(pod, kubernetes_validate.latest_version(), strict=True)
        # Nothing but the pull policy is other than in the example.
        spec = copy.deepcopy(pod["spec"])
        for container in spec.get("initContainers", []) + spec["containers"]:
            assert container.pop("imagePullPolicy") == "Never", f"{name}: {container['name']} may be pulled"
        assert spec == original["spec"], f"{name}: the conversion changes more than the pull policy"
        assert pod["metadata"]["name"] and pod["metadata"]["namespace"] == "default"
        assert pod["metadata"].get("labels") == original["metadata"].get("labels"), f"{name}: labels"
    by_name = {name: manifests.static_pods(documents(name))[0] for name in names}
    assert {name: manifests.needs(pod) for name, pod in by_name.items()} == {
        "deployment.yaml": (1, 20), "pod.yaml": (1, 20), "pod-sidecar.yaml": (1, 29), "pod-restart-rules.yaml": (1, 35)}
    assert manifests.images(by_name.values()) == ["registry.example.com/proxy:1.0.0", "registry.example.com/web:1.0.0"]
    scripts = {container["args"][-1] for pod in by_name.values() for container in manifests.containers(pod)}
    assert scripts == set(image.SCRIPTS), f"the examples run {scripts}, and the test image has {image.SCRIPTS}"
    check_restarts(by_name)
    check_refusals()
    return len(names)


def check_restarts(by_name):
    rules = by_name["pod-restart-rules.yaml"]
    down = {code: manifests.stays_down_after(rules, code) for code in (0, 1, 78, 137)}
    assert down == {0: False, 1: False, 78: True, 137: False}, down
    assert not any(manifests.stays_down_after(by_name["pod.yaml"], code) for code in (0, 1, 78))
    once = copy.deepcopy(by_name["pod.yaml"])
    once["spec"]["restartPolicy"] = "OnFailure"
    assert manifests.stays_down_after(once, 0) and not manifests.stays_down_after(once, 78)
    sidecar = by_name["pod-sidecar.yaml"]
    assert [manifests.is_sidecar(sidecar, one) for one in manifests.containers(sidecar)] == [True, False]


def check_refusals():
    """What only an API server could give a pod is no static pod."""
    def spoiled(change):
        document = documents("pod.yaml")[0]
        change(document)
        try:
            manifests.static_pods([document])
        except manifests.NotStatic as refusal:
            return [str(refusal)]
        return []

    from_secret = {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "web", "key": "token"}}}
    must_be_said("service account", spoiled(lambda it: it["spec"].pop("automountServiceAccountToken")))
    must_be_said("is a secret", spoiled(lambda it: it["spec"].update(volumes=[{"name": "keys", "secret": {"secretName": "web"}}])))
    must_be_said("TOKEN comes from", spoiled(lambda it: it["spec"]["containers"][0]["env"].append(from_secret)))
    must_be_said("a CronJob", spoiled(lambda it: it.update(kind="CronJob")))


def check_the_entry():
    """Without programs, or with wrong ones: one line, and the exit code that tells the two apart."""
    plain = {name: value for name, value in os.environ.items() if name not in ("KUBELET", "CONTAINERD")}
    for given, code, line in (
        ({}, 0, "tests/kubernetes/run: not run: no kubelet (name one in KUBELET, and containerd in CONTAINERD)"),
        ({"CONTAINERD": "/bin/sh"}, 0, "tests/kubernetes/run: not run: no kubelet (name one in KUBELET, and containerd in CONTAINERD)"),
        ({"KUBELET": "/none/kubelet"}, 2, "tests/kubernetes/run: KUBELET=/none/kubelet is not an executable file"),
        ({"KUBELET": "/etc/passwd", "CONTAINERD": "/bin/sh"}, 2, "tests/kubernetes/run: KUBELET=/etc/passwd is not an executable file"),
        ({"KUBELET": "/bin/sh", "CONTAINERD": "/etc"}, 2, "tests/kubernetes/run: CONTAINERD=/etc is not an executable file"),
        ({"KUBELET": "/bin/sh"}, 2, "tests/kubernetes/run: KUBELET is named and CONTAINERD is not: a kubelet runs nothing without it"),
    ):
        said = subprocess.run(["tests/kubernetes/run"], env=plain | given, capture_output=True, text=True, timeout=20)
        assert (said.returncode, said.stdout + said.stderr) == (code, line + "\n"), f"{given}: {said}"


def main():
    check_the_entry()
    print(f"{check_the_conversion()} examples become static pods, with the pull policy alone changed")
    print(f"{check_the_judge()} wrong courses of events, all reported")


main()
