# Called by: bench/fleet/run.py.
"""The plots of docs/choosing-limits.md, in the style of the others: how a fleet comes back, and how it falls on its dependency."""

import math

import plots
from scenarios import GRID, OUTAGES
from tables import Found

# Policy, its name in the legend, its colour.
LINES = [
    ("Kubernetes alone", "Kubernetes alone", "rest"), ("defaults", "defaults", "restartinit"), ("--max-restarts 5", "--max-restarts 5", "dumb-init"),
    ("--max-restarts 10000", "--max-restarts 10000", "catatonit"),
    ("--max-restarts 10000 --backoff-max 30s", "--max-restarts 10000 --backoff-max 30s", "tini-static"),
]
FIRST, LAST = 0.1, 400.0


def come_back(found):
    """The share that is back, by seconds after the return, for each outage."""
    title = "A dependency has been away: how much of the fleet is back"
    drawing = plots.Drawing(title, "By time after its return, logarithmic. Mean of 15 outages, of 80 to 120 % of that length. On Kubernetes.", 392)
    top, bottom, wide = 112, 288, (plots.WIDTH - 24) / len(OUTAGES)
    for at, name in enumerate(OUTAGES):
        left, right = 24 + wide * at + 40, 24 + wide * (at + 1) - 24

        def across(seconds):
            return left + (right - left) * (math.log10(seconds) - math.log10(FIRST)) / (math.log10(LAST) - math.log10(FIRST))

        def up(share):
            return bottom - (bottom - top) * share

        drawing.text(left, top - 18, f"away for {name}", "strong f-text")
        for share in (0, 0.25, 0.5, 0.75, 1):
            drawing.line(left, up(share), right, up(share), "s-grid")
            drawing.text(left - 6, up(share) + 4, f"{100 * share:.0f} %", "small f-muted", "end")
        for seconds, words in ((0.1, "0.1 s"), (1, "1 s"), (10, "10 s"), (100, "100 s")):
            drawing.line(across(seconds), bottom, across(seconds), bottom + 4, "s-grid")
            drawing.text(across(seconds), bottom + 18, words, "small f-muted", "middle")
        for policy, _, colour in sorted(LINES, key=lambda line: line[0] == "defaults"):
            runs = found.of("counts", name, policy)
            curve = [sum(run["curve"][step] for run in runs) / len(runs) for step in range(len(GRID))]
            drawing.path([(across(seconds), up(share)) for seconds, share in zip(GRID, curve) if seconds <= LAST], f"s-{colour}")
    x, y = 64.0, 340
    for policy, words, colour in LINES:
        if x + 10 + 6.8 * len(words) > plots.WIDTH - 24:
            x, y = 64.0, y + 24
        drawing.dot(x, y - 4, f"f-{colour}", 4.5)
        drawing.text(x + 10, y, words, "small f-text" + (" strong" if policy == "defaults" else ""))
        x += 34 + 6.8 * len(words)
    return drawing


PEAKS = [
    ("waiting", "defaults", "an app that waits, 1 s"), ("away", "Docker alone", "Docker alone"), ("away", "defaults, on Docker", "restartinit on Docker"),
    ("away", "Kubernetes alone", "Kubernetes alone"), ("away", "defaults", "restartinit"), ("away", "--backoff-jitter 0", "restartinit, jitter 0"),
    ("away", "--backoff-jitter 100", "restartinit, jitter 100"), ("away", "--max-restarts 10000 --backoff-jitter 0", "restartinit*, jitter 0"),
    ("away", "--max-restarts 10000", "restartinit*"), ("away", "--max-restarts 10000 --backoff-jitter 100", "restartinit*, jitter 100"),
    ("away", "--max-restarts 10000 --backoff-max 30s", "restartinit*, up to 30 s"),
]


def peak(found):
    """The most connects in 100 ms once it is back."""
    pools = found.found["inputs"]["pool"]["value"] * found.found["replicas"]
    rows = [(words, max(run["peak"] for run in found.of(section, "2 min", policy)), None, None) for section, policy, words in PEAKS]
    subtitle = f"Of {pools:,} connections. Away for about 2 min: the worst of five outages. *: --max-restarts 10000. Logarithmic."
    title = "The dependency is back: most connects in 100 ms"
    return plots.logarithmic(title, subtitle, rows, lambda value: f"{value:,}", lambda value: f"{value:,}")


def draw(found, folder):
    folder.mkdir(parents=True, exist_ok=True)
    known = Found(found)
    for name, function in (("fleet", come_back), ("fleet-peak", peak)):
        (folder / f"{name}.svg").write_text(function(known).svg())
