# Called by: tests/kubernetes/main.py, check.py.
"""From the example manifests to static pods, which a kubelet runs without an API server. Nothing here starts or reads anything.

The examples go through as they stand. A Deployment becomes the pod that it would make; only `imagePullPolicy: Never` is added, since
no registry is there, and a test image has the name that the example gives.
"""

import copy

# What a static pod cannot have: it would come from the API server.
FROM_THE_SERVER = ("configMap", "secret", "persistentVolumeClaim", "projected")


# The story is a server's: a Job's pod ends by itself, and what follows is up to the Job's controller.
NO_SERVER = {"job.yaml"}


class NotStatic(Exception):
    """A manifest that no kubelet runs on its own; the text says why."""


def played(folder):
    """The files that are played, those for Kubernetes among the examples."""
    return sorted(path for path in folder.glob("*.yaml") if path.name not in NO_SERVER)


def static_pods(documents):
    """The pods of a file, in its order. What is no workload (a Service) makes none."""
    pods = []
    for document in documents:
        if document["kind"] == "Pod":
            pod = copy.deepcopy(document)
        elif document["kind"] == "Deployment":
            template = copy.deepcopy(document["spec"]["template"])
            pod = {"apiVersion": "v1", "kind": "Pod", "metadata": template.get("metadata", {}), "spec": template["spec"]}
            pod["metadata"]["name"] = document["metadata"]["name"]
        elif document["kind"] in ("Service", "ConfigMap"):
            continue
        else:
            raise NotStatic(f"a {document['kind']}: what pod does it make?")
        # The kubelet's own default, written down for the one who looks a pod up in its answers.
        pod["metadata"].setdefault("namespace", "default")
        check(pod["spec"])
        for container in containers(pod):
            container["imagePullPolicy"] = "Never"
        pods.append(pod)
    return pods


def check(spec):
    if spec.get("automountServiceAccountToken") is not False:
        raise NotStatic("automountServiceAccountToken is not false: a static pod has no service account")
    for volume in spec.get("volumes", []):
        for kind in FROM_THE_SERVER:
            if kind in volume:
                raise NotStatic(f"the volume {volume['name']} is a {kind}: only an API server has it")
    for container in spec.get("initContainers", []) + spec["containers"]:
        for entry in container.get("env", []):
            if "valueFrom" in entry and "fieldRef" not in entry["valueFrom"]:
                raise NotStatic(f"{entry['name']} comes from an API server")


def containers(pod):
    """All of them, in the order in which they start."""
    return pod["spec"].get("initContainers", []) + pod["spec"]["containers"]


def images(pods):
    return sorted({container["image"] for pod in pods for container in containers(pod)})


def settings(container):
    return {entry["name"]: entry.get("value", "") for entry in container.get("env", [])}


def is_sidecar(pod, container):
    return container in pod["spec"].get("initContainers", []) and container.get("restartPolicy") == "Always"


def stays_down_after(pod, code):
    """Does the kubelet leave the first container alone after this exit code?"""
    container = pod["spec"]["containers"][0]
    policy = container.get("restartPolicy", pod["spec"].get("restartPolicy", "Always"))
    for rule in container.get("restartPolicyRules", []):
        among = code in rule["exitCodes"]["values"]
        if among == (rule["exitCodes"]["operator"] == "In"):
            return rule["action"] != "Restart"
    return policy == "Never" or policy == "OnFailure" and code == 0


def needs(pod):
    """The first Kubernetes whose kubelet does by default what the pod asks for; an older one would drop the field in silence."""
    if any("restartPolicyRules" in container for container in containers(pod)):
        return (1, 35)
    if any("restartPolicy" in container for container in pod["spec"].get("initContainers", [])):
        return (1, 29)
    return (1, 20)
