# Called by: tests/kubernetes/judge.py, story.py.
"""What a kubelet's /pods answer says of one container. Nothing here asks: an answer is JSON that has been read already."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Seen:
    """One container in one answer. An answer without the pod, or a pod without a status yet, is not ready and knows nothing else."""

    mark: str
    there: bool = False
    phase: str = ""
    pod_ready: bool = False
    ready: bool = False
    started: bool = False
    restarts: int = 0
    running: bool = False
    container_id: str = ""
    # The end of the container that the status still shows, and of the one before: (exit code, reason, message).
    ended: tuple = None
    last_ended: tuple = None


def find_pod(answer, name):
    """A static pod has the node's name behind its own."""
    for pod in answer.get("items") or []:
        metadata = pod["metadata"]
        if metadata["name"] == name or metadata["name"].startswith(name + "-"):
            return pod
    return None


def end(state):
    terminated = (state or {}).get("terminated")
    if not terminated:
        return None
    return (terminated.get("exitCode"), terminated.get("reason", ""), terminated.get("message", ""))


def seen(mark, answer, pod_name, container_name):
    pod = find_pod(answer, pod_name)
    if pod is None:
        return Seen(mark)
    status = pod.get("status", {})
    conditions = {condition["type"]: condition["status"] for condition in status.get("conditions") or []}
    statuses = (status.get("initContainerStatuses") or []) + (status.get("containerStatuses") or [])
    container = next((one for one in statuses if one["name"] == container_name), {})
    state = container.get("state") or {}
    return Seen(
        mark=mark,
        there=True,
        phase=status.get("phase", ""),
        pod_ready=conditions.get("Ready") == "True",
        ready=container.get("ready", False),
        started=bool(container.get("started", False)),
        restarts=container.get("restartCount", 0),
        running="running" in state,
        container_id=container.get("containerID", ""),
        ended=end(state),
        last_ended=end(container.get("lastState")),
    )


def pod_ip(answer, name):
    return ((find_pod(answer, name) or {}).get("status") or {}).get("podIP")
