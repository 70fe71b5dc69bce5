# Called by: tests/kubernetes/main.py, check.py.
"""What is wrong with what a kubelet said of a pod, answer after answer. Pure: `Seen` values in, complaints out.

An answer has a mark, what the test knew while it was given:
  booting      the app of the first generation does not listen yet      listening   it does
  crashed      it has crashed, and the next generation does not listen  back        that one does
  exhausting   it crashes again and again                               handed-over another container boots, and does not listen yet
  again        that one listens                                         refused     it has exited with the code that is not restarted
  stopping     the pod has been taken away
"""

import json
from dataclasses import dataclass

ORDER = ["booting", "listening", "crashed", "back", "exhausting", "handed-over", "again", "refused", "stopping"]


@dataclass
class Stop:
    """What was seen of one container's stop, beside /pods, which no longer has a pod that was taken away."""

    name: str
    exit_code: int
    # From the pod's removal to the container's end, in seconds.
    took: float
    drain: float
    limit: float
    # What restartinit left in the termination log, and what a client got whose request was under way; answers while it drained.
    message: str = ""
    in_flight: str = ""
    answered: int = 0
    # Where the container's end stands among all of the pod.
    place: int = 0


@dataclass
class Expected:
    """How the end of a container is told."""

    exit_code: int
    outcome: str
    restarts: int
    # The last line of the container's own log.
    last_line: str = ""
    stays_down: bool = False


def marked(answers, *marks):
    return [one for one in answers if one.mark in marks]


def in_order(answers):
    places = [ORDER.index(one.mark) for one in answers]
    return [] if places == sorted(places) else ["the answers are not in the order of what happened"]


def not_ready_before_it_listens(answers, mark):
    """`mark`: booting or handed-over, the two times at which a container is new."""
    of_it = [one for one in marked(answers, mark) if one.running]
    # The kubelet tells of the container before for a moment.
    of_it = [one for one in of_it if one.container_id == of_it[-1].container_id]
    if not of_it:
        return [f"{mark}: no answer shows the container running"]
    wrong = []
    if any(one.ready for one in of_it):
        wrong.append(f"{mark}: the container is ready before its app listens")
    if any(one.pod_ready for one in of_it):
        wrong.append(f"{mark}: the pod is Ready before its app listens")
    if any(one.started for one in of_it):
        wrong.append(f"{mark}: the startup probe has succeeded before the app listens")
    return wrong


def ready_at_last(answers, mark):
    of_it = marked(answers, mark)
    if not of_it:
        return [f"{mark}: no answer"]
    last, wrong = of_it[-1], []
    if not last.ready:
        wrong.append(f"{mark}: the container does not become ready")
    if not last.pod_ready:
        wrong.append(f"{mark}: the pod does not become Ready")
    return wrong


def restarted_in_place(answers):
    """A crash: the same container goes on, and is not ready from when the kubelet has noticed to when the app listens again."""
    before, crashed, back = marked(answers, "listening"), marked(answers, "crashed"), marked(answers, "back")
    if not (before and crashed and back):
        return ["crashed: no answer before, during or after it"]
    wrong = []
    if crashed[-1].ready or crashed[-1].pod_ready:
        wrong.append("crashed: still Ready while the next generation boots")
    noticed = False
    for one in crashed:
        if noticed and one.ready:
            wrong.append("crashed: ready again before the next generation listens")
            break
        noticed = noticed or not one.ready
    if any(one.restarts != before[-1].restarts for one in crashed + back):
        wrong.append("crashed: a restart in place has raised restartCount")
    if any(one.container_id != before[-1].container_id for one in crashed + back):
        wrong.append("crashed: it is another container afterwards")
    if any(one.ended or not one.running for one in crashed + back):
        wrong.append("crashed: the kubelet saw the container end")
    return wrong


def told(end, expected, mark):
    """One end: code, and the termination log as the message."""
    if end is None:
        return [f"{mark}: no end of the container is told"]
    code, reason, message = end
    wrong = []
    if code != expected.exit_code:
        wrong.append(f"{mark}: exit code {code}, where {expected.exit_code} is right")
    if reason not in ("Error", "Completed"):
        wrong.append(f"{mark}: the reason is {reason}")
    return wrong + of_the_log(message, expected, mark)


def of_the_log(message, expected, mark):
    if not message:
        return [f"{mark}: no termination message"]
    try:
        told = json.loads(message)
    except ValueError:
        return [f"{mark}: the termination message is no JSON: {message[:80]}"]
    wrong = []
    for name, right in (("outcome", expected.outcome), ("exit_code", expected.exit_code)):
        if told.get(name) != right:
            wrong.append(f"{mark}: the termination message has {name} {told.get(name)}, where {right} is right")
    if expected.last_line and told.get("message") != expected.last_line:
        wrong.append(f"{mark}: the termination message is not the log's last line: {told.get('message')}")
    if not told.get("last_exits"):
        wrong.append(f"{mark}: the termination message has no exits")
    return wrong


def replaced(answers, expected, mark):
    of_it = marked(answers, mark)
    if not of_it:
        return [f"{mark}: no answer"]
    last, wrong = of_it[-1], []
    if last.restarts != expected.restarts:
        wrong.append(f"{mark}: restartCount {last.restarts}, where {expected.restarts} is right")
    if expected.stays_down:
        if last.running or last.phase != "Failed":
            wrong.append(f"{mark}: the pod is {last.phase or 'unknown'}, and was to stay down")
        return wrong + told(last.ended, expected, mark)
    return wrong + told(last.last_ended, expected, mark)


def course(answers, exhausted, refused):
    """All of it but the stop, which has its own judges. What is expected of the two ends is `Expected`."""
    wrong = in_order(answers) + not_ready_before_it_listens(answers, "booting") + ready_at_last(answers, "listening")
    wrong += restarted_in_place(answers) + ready_at_last(answers, "back")
    wrong += not_ready_before_it_listens(answers, "handed-over") + replaced(answers, exhausted, "handed-over") + ready_at_last(answers, "again")
    return wrong + replaced(answers, refused, "refused") + counts_only_rise_with_containers(answers)


def counts_only_rise_with_containers(answers):
    """restartCount never falls, and never rises where the container stays the same."""
    wrong, with_status = [], [one for one in answers if one.container_id]
    for before, after in zip(with_status, with_status[1:]):
        if after.restarts < before.restarts:
            wrong.append(f"{after.mark}: restartCount fell from {before.restarts} to {after.restarts}")
        if after.restarts > before.restarts and after.container_id == before.container_id and after.running:
            wrong.append(f"{after.mark}: restartCount rose to {after.restarts} for the same container")
    return wrong


def stopped(stop):
    mark, wrong = f"stop of {stop.name}", []
    if stop.exit_code in (137, 9):
        wrong.append(f"{mark}: it was killed")
    elif stop.exit_code != 0:
        wrong.append(f"{mark}: exit code {stop.exit_code}, where 0 is right")
    if stop.took < stop.drain:
        wrong.append(f"{mark}: it ended after {stop.took:.1f} s, before the drain delay of {stop.drain:g} s was over")
    if stop.took >= stop.limit:
        wrong.append(f"{mark}: it took {stop.took:.1f} s of {stop.limit:g}")
    if stop.drain and not stop.answered:
        wrong.append(f"{mark}: nobody was answered while it drained")
    if stop.in_flight.strip().splitlines()[-1:] != ["finished"]:
        wrong.append(f"{mark}: the request under way got {stop.in_flight!r}")
    return wrong + of_the_log(stop.message, Expected(0, "stopped", 0), mark)


def stopped_in_order(stops):
    """The app first, then the sidecars: `stops` in the order that is right."""
    places = [stop.place for stop in stops]
    return [] if places == sorted(places) and len(set(places)) == len(places) else ["stop: a sidecar ended before the app"]
