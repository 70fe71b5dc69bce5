# Called by: bench/fleet/run.py and bench/fleet/check.py.
"""The figures that the simulation begins with: inputs.json, where each has the source that it comes from. The code has none of them."""

import json
from pathlib import Path

FILE = Path(__file__).parent / "inputs.json"
CANDIDATES = ("engine", "in place", "--hold-port", "--standby")


class Inputs:
    """`boot(app)` and the like, in seconds."""

    def __init__(self, told):
        self.told = told
        self.apps = list(told["gaps_ms"])

    def value(self, *path):
        place = self.told
        for name in path:
            place = place[name]
        return place["value"]

    def gap(self, app, candidate):
        return self.value("gaps_ms", app, candidate) / 1000

    def boot(self, app):
        """From the spawn to the first answer: the gap of a restart in place, which waits for nothing."""
        return self.gap(app, "in place")

    def container(self, app):
        """What a container costs on top of that: an engine's gap without the engine's own wait."""
        return self.gap(app, "engine") - self.value("docker", "first_wait_s") - self.boot(app)


def load(path=FILE):
    return Inputs(json.loads(Path(path).read_text()))


def take(path):
    """Puts the gaps of `make bench-engine` (bench/engine.json) in the place of those that are there."""
    measured, told = json.loads(Path(path).read_text()), json.loads(FILE.read_text())
    run = f"{measured['command']} of {measured['measured']} (Docker {measured['docker']}, Node {measured['node']}, {measured['machine']})"
    told["gaps_ms"] = {
        app: {
            candidate: {"value": by_candidate[candidate]["apart"], "source": f"{run}: SIGKILL to the next answer, median"}
            for candidate in CANDIDATES
        }
        for app, by_candidate in measured["gap_ms"].items()
    }
    FILE.write_text(written(told) + "\n")


def written(place, indent=""):
    """JSON with a line for each figure."""
    if "value" in place:
        return json.dumps(place)
    rows = [f"{indent}  {json.dumps(name)}: {written(below, indent + '  ')}" for name, below in place.items()]
    return "{\n" + ",\n".join(rows) + f"\n{indent}}}"
