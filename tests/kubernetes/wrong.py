# Called by: tests/kubernetes/check.py.
"""Answers of /pods made by hand: one right course of events, and wrong ones that differ from it in one place. No kubelet is asked."""

import copy
import json

# What is answered right, in order: mark, changes to the answer before it.
MESSAGE = {
    "outcome": "restarts-exhausted",
    "exit_code": 1,
    "message": "restarts-exhausted: generation 6 (pid 40) exited with code 1 after 9 ms; 5 of 5 restarts used within 60 s; exiting with code 1",
    "last_exits": [{"generation": 6, "pid": 40, "code": 1, "uptime_seconds": 0.0}],
}
REFUSED = {
    "outcome": "no-restart-code",
    "exit_code": 78,
    "message": "no-restart-code: generation 1 (pid 2) exited with code 78 after 3 s; exiting with code 78",
    "last_exits": [{"generation": 1, "pid": 2, "code": 78, "uptime_seconds": 3.0}],
}
STOPPED = {
    "outcome": "stopped",
    "exit_code": 0,
    "message": "stopped: generation 1 (pid 2) exited with code 0 after 60 s; exiting with code 0",
    "last_exits": [{"generation": 1, "pid": 2, "code": 0, "uptime_seconds": 60.0}],
}
NO_POD = {"kind": "PodList", "apiVersion": "v1", "items": None}


def answer(ready=False, started=False, restarts=0, container="containerd://aa", state=None, last=None, phase="Running"):
    """As a kubelet gives it, less what nobody reads."""
    return {"kind": "PodList", "apiVersion": "v1", "items": [{
        "metadata": {"name": "web-node", "namespace": "default", "uid": "0123"},
        "status": {
            "phase": phase,
            "podIP": "10.77.0.2",
            "conditions": [{"type": "Initialized", "status": "True"}, {"type": "Ready", "status": "True" if ready else "False"}],
            "containerStatuses": [{
                "name": "web",
                "ready": ready,
                "started": started,
                "restartCount": restarts,
                "containerID": container,
                "state": state or {"running": {"startedAt": "2026-01-01T00:00:00Z"}},
                "lastState": last or {},
            }],
        },
    }]}


def ended(message, code=None, reason="Error"):
    return {"terminated": {"exitCode": message["exit_code"] if code is None else code, "reason": reason, "message": json.dumps(message)}}


def right():
    """Mark and answer, from the first to the last."""
    waiting = {"waiting": {"reason": "ContainerCreating"}}
    handed, refused = ended(MESSAGE), ended(REFUSED)
    backoff = {"waiting": {"reason": "CrashLoopBackOff"}}
    return [
        ("booting", NO_POD),
        ("booting", answer(state=waiting, container="", phase="Pending")),
        ("booting", answer()),
        ("booting", answer()),
        ("listening", answer()),
        ("listening", answer(ready=True, started=True)),
        # The kubelet has not noticed yet.
        ("crashed", answer(ready=True, started=True)),
        ("crashed", answer(started=True)),
        ("crashed", answer(started=True)),
        ("back", answer(started=True)),
        ("back", answer(ready=True, started=True)),
        ("exhausting", answer(ready=True, started=True)),
        ("handed-over", answer(ready=True, started=True)),
        ("handed-over", answer(restarts=1, container="containerd://bb", last=handed)),
        ("handed-over", answer(restarts=1, container="containerd://bb", last=handed)),
        ("again", answer(restarts=1, container="containerd://bb", last=handed)),
        ("again", answer(restarts=1, container="containerd://bb", last=handed, ready=True, started=True)),
        ("refused", answer(restarts=1, container="containerd://bb", state=backoff, last=refused)),
        ("refused", answer(restarts=2, container="containerd://cc", last=refused, ready=True, started=True)),
        ("stopping", answer(restarts=2, container="containerd://cc", last=refused, ready=True, started=True)),
        ("stopping", NO_POD),
    ]


def for_good():
    """The same, where restart rules leave 78 alone."""
    course = [one for one in right() if one[0] not in ("refused", "stopping")]
    return course + [
        ("refused", answer(restarts=1, container="containerd://bb", state=ended(REFUSED), last=ended(MESSAGE), phase="Failed")),
    ]


def status(course, place):
    return course[place][1]["items"][0]["status"]["containerStatuses"][0]


def condition(course, place):
    return course[place][1]["items"][0]["status"]["conditions"][1]


def but(change, course=right):
    """The course with one change. Whatever it shared with other answers it has for itself by then."""
    changed = copy.deepcopy(course())
    change(changed)
    return changed


def told(course, place, message, key="lastState", **end):
    """Another end in this answer."""
    text = message if isinstance(message, str) else json.dumps(message)
    status(course, place)[key] = {"terminated": {"exitCode": 1, "reason": "Error", "message": text, **end}}


# What changes, and a part of what must be said about it. The places are those of right().
COURSES = [
    (lambda c: status(c, 2).update(ready=True), "booting: the container is ready before its app listens"),
    (lambda c: condition(c, 3).update(status="True"), "booting: the pod is Ready before its app listens"),
    (lambda c: status(c, 3).update(started=True), "booting: the startup probe has succeeded"),
    (lambda c: c.__delitem__(slice(2, 4)), "booting: no answer shows the container running"),
    (lambda c: status(c, 5).update(ready=False), "listening: the container does not become ready"),
    (lambda c: condition(c, 5).update(status="False"), "listening: the pod does not become Ready"),
    (lambda c: status(c, 8).update(ready=True), "crashed: still Ready while"),
    (lambda c: condition(c, 8).update(status="True"), "crashed: still Ready while"),
    (lambda c: c.insert(8, ("crashed", answer(ready=True, started=True))), "crashed: ready again before"),
    (lambda c: status(c, 8).update(restartCount=1), "a restart in place has raised restartCount"),
    (lambda c: status(c, 10).update(restartCount=1), "a restart in place has raised restartCount"),
    (lambda c: status(c, 10).update(containerID="containerd://zz"), "another container afterwards"),
    (lambda c: status(c, 7).update(state={"terminated": {"exitCode": 1}}), "the kubelet saw the container end"),
    (lambda c: status(c, 10).update(ready=False), "back: the container does not become ready"),
    (lambda c: c.__delitem__(slice(6, 9)), "crashed: no answer before, during or after it"),
    (lambda c: status(c, 14).update(restartCount=0), "handed-over: restartCount 0, where 1 is right"),
    (lambda c: status(c, 14).update(restartCount=2), "handed-over: restartCount 2, where 1 is right"),
    (lambda c: status(c, 14).update(ready=True), "handed-over: the container is ready before its app listens"),
    (lambda c: status(c, 13).update(started=True), "handed-over: the startup probe has succeeded"),
    (lambda c: status(c, 14).update(lastState={}), "handed-over: no end of the container is told"),
    (lambda c: told(c, 14, ""), "handed-over: no termination message"),
    (lambda c: told(c, 14, "restartinit: restarts-exhausted"), "handed-over: the termination message is no JSON"),
    (lambda c: told(c, 14, dict(MESSAGE, outcome="completed")), "outcome completed, where restarts-exhausted is right"),
    (lambda c: told(c, 14, dict(MESSAGE, message="something else")), "is not the log's last line: something else"),
    (lambda c: told(c, 14, dict(MESSAGE, last_exits=[])), "has no exits"),
    (lambda c: told(c, 14, MESSAGE, exitCode=137), "handed-over: exit code 137, where 1 is right"),
    (lambda c: told(c, 14, MESSAGE, reason="OOMKilled"), "handed-over: the reason is OOMKilled"),
    (lambda c: status(c, 16).update(ready=False), "again: the container does not become ready"),
    (lambda c: status(c, 18).update(restartCount=1, containerID="containerd://bb"), "refused: restartCount 1, where 2 is right"),
    (lambda c: told(c, 18, MESSAGE), "refused: exit code 1, where 78 is right"),
    (lambda c: told(c, 18, dict(REFUSED, exit_code=0), exitCode=78), "exit_code 0, where 78 is right"),
    (lambda c: status(c, 19).update(restartCount=3), "stopping: restartCount rose to 3 for the same container"),
    (lambda c: status(c, 19).update(restartCount=1), "stopping: restartCount fell from 2 to 1"),
    (lambda c: c.reverse(), "not in the order"),
]
COURSES_FOR_GOOD = [
    (lambda c: status(c, 17).update(restartCount=2), "refused: restartCount 2, where 1 is right"),
    (lambda c: status(c, 17).update(state={"running": {}}), "was to stay down"),
    (lambda c: c[17][1]["items"][0]["status"].update(phase="Running"), "refused: the pod is Running, and was to stay down"),
    (lambda c: told(c, 17, dict(REFUSED, outcome="stopped"), "state", exitCode=78), "outcome stopped, where no-restart-code"),
]
# A stop: what differs from a right one.
RIGHT_STOP = {"name": "web", "exit_code": 0, "took": 5.3, "drain": 5.0, "limit": 30, "message": json.dumps(STOPPED),
              "in_flight": "started\nfinished\n", "answered": 40, "place": 0}
STOPS = [
    ({"exit_code": 137}, "it was killed"),
    ({"exit_code": 143}, "exit code 143, where 0 is right"),
    ({"took": 0.4}, "before the drain delay of 5 s was over"),
    ({"took": 30.2}, "it took 30.2 s of 30"),
    ({"answered": 0}, "nobody was answered while it drained"),
    ({"in_flight": "started\n"}, "the request under way got"),
    ({"message": ""}, "no termination message"),
    ({"message": json.dumps(dict(STOPPED, outcome="completed"))}, "outcome completed, where stopped is right"),
    ({"message": json.dumps(dict(STOPPED, exit_code=143))}, "exit_code 143, where 0 is right"),
]
