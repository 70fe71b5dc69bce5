# Called by: tests/kubernetes/main.py.
"""What is done to one pod, and what its kubelet answers meanwhile: from its first boot to its stop. Nothing here judges.

Each wait is for an event: an app at the gate, a probe that the kubelet has counted, an answer of /pods.
"""

import http.client
import json
import threading
import time
from pathlib import Path

import answers
import judge
import manifests
import node
from node import until


def get(address, port, path, limit=20):
    """The body of an answer, or None where nobody answers."""
    connection = http.client.HTTPConnection(address, port, timeout=limit)
    try:
        connection.request("GET", path, headers={"Connection": "close"})
        return connection.getresponse().read().decode()
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


class Story:
    def __init__(self, the_node, gate, pod, container):
        self.node, self.gate, self.pod, self.container = the_node, gate, pod, container
        self.name, self.port = pod["metadata"]["name"], container["ports"][0]["containerPort"]
        self.script = container["args"][-1]
        self.mark, self.seen, self.ip, self.uid = "booting", [], None, None

    # Asking.

    def look(self):
        answer = self.node.pods()
        self.ip = answers.pod_ip(answer, self.name) or self.ip
        found = answers.find_pod(answer, self.name)
        self.uid = found["metadata"]["uid"] if found else self.uid
        self.seen.append(answers.seen(self.mark, answer, self.name, self.container["name"]))
        return self.seen[-1]

    def until(self, what, condition):
        """`condition` is asked about each answer."""
        try:
            return until(f"{self.name}: {what}", lambda: condition(self.look()))
        except node.Failed as failure:
            raise node.Failed(f"{failure}\nthe last answer: {self.seen[-1]}") from None

    def ask(self, path):
        return get(self.ip, self.port, path)

    def probes_fail(self, kind, more):
        """The kubelet has asked so often since now, and been refused. Where it is ready meanwhile there is nothing to wait for: see judge.py."""
        def failed():
            return self.node.failed_probes(self.name, self.container["name"], kind)

        before = failed()
        self.until(f"{more} failed {kind} probes", lambda one: one.ready or failed() >= before + more)
        self.look()

    def last_line(self, restarts):
        """The last line of restartinit's in the log of the container with this number, as it stands in the termination log."""
        [path] = Path("/var/log/pods").glob(f"*_{self.name}-{node.NAME}_{self.uid}/{self.container['name']}/{restarts}.log")
        line = until("the log's last line", lambda: next((line for line in reversed(path.read_text().splitlines()) if "exiting with code" in line), None))
        # The runtime's own words before it: when, which stream, whether the line is whole.
        line = line.split(" ", 3)[3]
        return json.loads(line)["message"] if line.startswith("{") else line.removeprefix("restartinit: ")

    # Doing.

    def begin(self):
        """A static pod. Its app is held until it has been asked, and was not ready."""
        self.gate.hold(lambda script, generation: script == self.script)
        (self.node.manifests / f"{self.name}.json").write_text(json.dumps(self.pod))
        self.until("the app boots", lambda _: self.gate.waits(self.script, 1))
        self.probes_fail("Startup", 2)

    def listen(self, mark):
        self.mark = mark
        self.gate.open()
        self.until(f"it is Ready ({mark})", lambda one: one.ready and one.pod_ready)

    def crash(self):
        self.gate.hold(lambda script, generation: script == self.script)
        self.mark = "crashed"
        before = self.seen[-1].restarts
        assert self.ask("/crash") is not None
        self.until("the next generation boots", lambda one: self.gate.waits(self.script, 2) or one.restarts > before)
        self.until("the crash is noticed", lambda one: not one.ready and not one.pod_ready)
        if self.seen[-1].restarts == before:
            self.probes_fail("Readiness", 1)

    def exhaust(self):
        """Crash upon crash, until restartinit hands over and the kubelet starts the next container, which is held."""
        self.mark = "exhausting"
        self.gate.hold(lambda script, generation: script == self.script and generation == 1)

        def crash_again(_):
            if self.gate.waits(self.script, 1):
                return True
            # Between two generations nobody answers; then it is asked again.
            self.ask("/crash")
            return False

        before = self.seen[-1].restarts
        self.until("the restarts are used up", crash_again)
        self.mark = "handed-over"
        self.until("the kubelet tells the end", lambda one: one.restarts > before and one.last_ended and one.running)
        self.probes_fail("Startup", 2)
        return judge.Expected(1, "restarts-exhausted", before + 1, self.last_line(before))

    def refuse(self):
        """The exit code that the example excludes from restarts."""
        self.mark = "refused"
        before, stays_down = self.seen[-1].restarts, manifests.stays_down_after(self.pod, 78)
        assert self.ask("/exit?code=78") is not None
        if stays_down:
            self.until("the pod has failed", lambda one: one.phase == "Failed" and one.ended)
        else:
            self.until("the kubelet starts it again", lambda one: one.restarts > before and one.last_ended and one.running)
            self.until("it is Ready (refused)", lambda one: one.ready and one.pod_ready)
        return judge.Expected(78, "no-restart-code", before + (not stays_down), self.last_line(before), stays_down)

    def remove(self):
        self.mark = "stopping"
        (self.node.manifests / f"{self.name}.json").unlink()

    def gone(self):
        self.until("the pod is gone", lambda one: not one.there)


def stop(stories):
    """The pod is taken away while each of its containers has a request under way; `stories`: of one pod, a container each."""
    by_id = {story.look().container_id.removeprefix("containerd://"): story for story in stories}
    logs = {story: open_termination_log(story) for story in stories}
    slow = {story: Slow(story) for story in stories}
    app, answered = stories[0], 0
    before = len(app.node.ends)
    began = time.monotonic()
    app.remove()

    def ended():
        return {by_id[id]: (code, when) for id, code, when in app.node.ends[before:] if id in by_id}

    def all_ended():
        nonlocal answered
        answered += app not in ended() and app.ask("/") is not None
        return len(ended()) == len(stories)

    until(f"{app.name}: its containers end", all_ended)
    order = sorted(stories, key=lambda story: ended()[story][1])
    app.gone()
    stops = []
    for story in stories:
        code, when = ended()[story]
        with logs[story] as log:
            message = log.read()
        stops.append(judge.Stop(
            name=story.container["name"],
            exit_code=code,
            took=when - began,
            drain=float(manifests.settings(story.container).get("RESTARTINIT_DRAIN_DELAY", "0").rstrip("s")),
            limit=story.pod["spec"]["terminationGracePeriodSeconds"],
            message=message,
            in_flight=slow[story].answer(),
            answered=answered if story is app else 1,
            place=order.index(story),
        ))
    return stops


def open_termination_log(story):
    """Opened before the stop: the kubelet removes the file with the pod. The newest one is this container's."""
    folder = story.node.folder / "kubelet/pods" / story.uid / "containers" / story.container["name"]
    return max(folder.iterdir(), key=lambda path: path.stat().st_mtime).open()


class Slow:
    """A request that the server finishes once it has been asked to stop."""

    def __init__(self, story):
        self.connection = http.client.HTTPConnection(story.ip, story.port, timeout=node.DEADLINE)
        self.connection.request("GET", "/slow")
        self.response = self.connection.getresponse()
        # It is under way: the first half has come.
        self.begin, self.rest = self.response.readline(), None
        self.thread = threading.Thread(target=self.read)
        self.thread.start()

    def read(self):
        try:
            self.rest = self.response.read()
        except (OSError, http.client.HTTPException) as error:
            self.rest = repr(error).encode()

    def answer(self):
        self.thread.join(node.DEADLINE)
        return (self.begin + (self.rest or b"")).decode()
