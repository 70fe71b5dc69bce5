# Called by: bench/run.py.
"""The plots, as SVG without a library. Each brings a ground of its own and follows the reader's light or dark setting, so that it is
legible whatever page it stands on."""

import math
from xml.sax.saxutils import escape

from figures import Figures, duration, three_digits

OURS = "restartinit"
WIDTH = 760
# Name of a colour: light, dark.
COLOURS = {
    "ground": ("#ffffff", "#0d1117"), "border": ("#d1d9e0", "#3d444d"), "grid": ("#e4e8ec", "#262c34"),
    "text": ("#1f2328", "#f0f6fc"), "muted": ("#59636e", "#9198a1"), "rest": ("#8c959f", "#7d8590"),
    "restartinit": ("#0969da", "#4493f8"), "tini-static": ("#bc4c00", "#f0883e"), "dumb-init": ("#1a7f37", "#3fb950"),
    "catatonit": ("#8250df", "#ab7df8"), "pm2-runtime": ("#cf222e", "#f85149"), "floor": ("#59636e", "#9198a1"),
}


def style(dark_only=False):
    def rules(at):
        return "".join(
            f".f-{name}{{fill:{pair[at]}}}.s-{name}{{stroke:{pair[at]}}}" for name, pair in COLOURS.items()
        )

    base = (
        "text{font:13px system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif}"
        ".title{font-size:16px;font-weight:600}.small{font-size:12px}.strong{font-weight:600}"
        # A rim in the ground's colour, where words stand on a line of the grid.
        ".rim{paint-order:stroke;stroke-width:5px;stroke-linejoin:round}"
    )
    if dark_only:
        return f"<style>{base}{rules(1)}</style>"
    return f"<style>{base}{rules(0)}@media (prefers-color-scheme:dark){{{rules(1)}}}</style>"


SHOWN = {"pm2-runtime": "pm2-runtime, fork", "pm2-runtime -i 2": "pm2-runtime, 2 workers"}


class Drawing:
    """The parts of one plot, from top to bottom."""

    def __init__(self, title, subtitle, height):
        self.title, self.height, self.parts = title, height, []
        self.text(24, 34, title, "title f-text")
        self.text(24, 54, subtitle, "small f-muted")

    def text(self, x, y, words, kind="f-text", anchor="start"):
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">{escape(words)}</text>')

    def line(self, x1, y1, x2, y2, kind, width=1.0):
        self.parts.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}" stroke-width="{width}"/>')

    def dot(self, x, y, kind, radius=5.0):
        self.parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" class="{kind}"/>')

    def bar(self, x, y, width, height, kind):
        self.parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 1.5):.1f}" height="{height}" rx="2" class="{kind}"/>')

    def path(self, points, kind):
        steps = " ".join(f"{'L' if at else 'M'}{x:.1f} {y:.1f}" for at, (x, y) in enumerate(points))
        self.parts.append(f'<path d="{steps}" fill="none" class="{kind}" stroke-width="2" stroke-linejoin="round"/>')

    def svg(self, dark_only=False):
        ground = f'<rect x="0.5" y="0.5" width="{WIDTH - 1}" height="{self.height - 1}" rx="8" class="f-ground s-border"/>'
        size = f'width="{WIDTH}" height="{self.height}" viewBox="0 0 {WIDTH} {self.height}"'
        opening = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">'
        return "\n".join([opening, f"<title>{escape(self.title)}</title>", style(dark_only), ground, *self.parts, "</svg>"]) + "\n"


def colour(name):
    return "restartinit" if name.startswith(OURS) else "rest"


def gap(figures):
    rows = []
    for candidate in figures.measures.get("gap", {}):
        value = figures.at("gap", candidate, "gap_ns")
        if value is None or candidate == "floor":
            continue
        kills = figures.total("gap", candidate, "kills")
        cut = figures.total("gap", candidate, "reset") + figures.total("gap", candidate, "lost")
        rows.append((candidate, value, figures.total("gap", candidate, "refused") / kills, cut / kills))
    if not rows:
        return None
    title = "A Node server is killed under load: time until the next answer"
    subtitle = "It boots for 400 ms; 500 new connections a second. On the right: clients for each crash."
    drawing = Drawing(title, subtitle, 112 + 34 * len(rows))
    left, right, top = 190, 480, 96
    most = max(value for _, value, _, _ in rows)
    drawing.text(600, 80, "refused", "small f-muted", "end")
    drawing.text(700, 80, "cut off", "small f-muted", "end")
    for at, (name, value, refused, cut) in enumerate(rows):
        y = top + 34 * at
        strong = " strong" if name.startswith(OURS) else ""
        drawing.text(left - 12, y + 14, SHOWN.get(name, name), f"f-text{strong}", "end")
        width = (right - left - 70) * value / most
        drawing.bar(left, y, width, 20, f"f-{colour(name)}")
        drawing.text(left + width + 8, y + 14, duration(value), f"f-text{strong}")
        drawing.text(600, y + 14, f"{refused:.0f}" if refused == int(refused) else f"{refused:.1f}", "f-text", "end")
        drawing.text(700, y + 14, f"{cut:.0f}" if cut == int(cut) else f"{cut:.1f}", "f-text", "end")
    return drawing


def logarithmic(title, subtitle, rows, show, ticks):
    """Dots on a logarithmic axis (bars would have no true length there), with p10 to p90 as a line where it is given."""
    if not rows:
        return None
    values = [value for _, *values in rows for value in values if value]
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    drawing = Drawing(title, subtitle, 118 + 32 * len(rows))
    left, right, top = 210, 650, 88

    def place(value):
        return left + (right - left) * (math.log10(value) - low) / (high - low)

    bottom = top + 32 * len(rows)
    for power in range(low, high + 1):
        x = place(10**power)
        drawing.line(x, top - 8, x, bottom, "s-grid")
        drawing.text(x, bottom + 16, ticks(10**power), "small f-muted", "middle")
    for at, (name, value, least, most) in enumerate(rows):
        y = top + 32 * at + 10
        strong = " strong" if name.startswith(OURS) else ""
        drawing.text(left - 14, y + 5, name, f"f-text{strong}", "end")
        if least:
            drawing.line(place(least), y, place(most), y, f"s-{colour(name)}", 3)
        drawing.dot(place(value), y, f"f-{colour(name)}")
        end = place(most or value)
        drawing.text(end + 12, y + 5, show(value), f"rim s-ground f-text{strong}")
    return drawing


def memory(figures):
    rows = []
    shown = [("memory_off", candidate, candidate) for candidate in figures.measures.get("memory_off", {})]
    for measure, candidate, name in [*shown, ("memory_on", OURS, f"{OURS}, every option")]:
        value = figures.at(measure, candidate, "rss")
        if value is not None:
            rows.append((name, value / 1024, None, None))
    rows.sort(key=lambda row: row[1])
    return logarithmic(
        "Memory of PID 1", "Resident, with an idle child. tini and dumb-init: libc included, which others may share. Logarithmic.",
        rows, mebibytes, lambda value: f"{value:g} MiB",
    )


def mebibytes(value):
    return f"{three_digits(value)} MiB"


def restart(figures):
    rows = []
    for measure, suffix in (("restart", "C child"), ("restart_node", "Node child")):
        for candidate in ("floor", OURS, "pm2-runtime"):
            value = figures.at(measure, candidate, "ns")
            if value is not None:
                name = "bare C loop" if candidate == "floor" else candidate
                spread = [figures.at(measure, candidate, "ns", part) for part in (0.1, 0.9)]
                rows.append((f"{name}, {suffix}", value, *spread))
    return logarithmic(
        "Restart: from the death of the child to the next one's first instruction",
        "Median and p10 to p90, no backoff. Node: to its first line of JavaScript. Logarithmic.", rows, duration, tick,
    )


def tick(nanoseconds):
    return duration(nanoseconds).replace(".00", "").replace(".0 ", " ")


def scale(figures):
    panels = []
    for title, measure, candidates in [
        ("an orphan", "scale_orphans", [OURS, "tini-static", "dumb-init", "catatonit"]),
        ("a signal", "scale_signals", [OURS, "tini-static", "dumb-init", "catatonit"]),
        ("a restart", "scale_restarts", [OURS, "floor", "pm2-runtime"]),
    ]:
        lines = {candidate: figures.points(measure, candidate, "cpu_ns") for candidate in candidates}
        panels.append((title, {name: points for name, points in lines.items() if points}))
    panels = [panel for panel in panels if panel[1]]
    if not panels:
        return None
    drawing = Drawing("Does it stay flat? Processor time of PID 1 for each, by how many came before", "Both axes logarithmic.", 370)
    top, bottom, wide = 104, 300, (WIDTH - 24) / len(panels)
    for at, (title, lines) in enumerate(panels):
        left, right = 24 + wide * at + 44, 24 + wide * (at + 1) - 28
        values = [value for points in lines.values() for value in points.values()]
        counts = sorted({count for points in lines.values() for count in points})
        low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
        # At least two decades, or noise would look like a trend.
        high = max(high, low + 2)

        def across(count):
            span = max(1.0, math.log10(counts[-1] / counts[0]))
            return left + (right - left) * math.log10(count / counts[0]) / span

        def up(value):
            return bottom - (bottom - top) * (math.log10(value) - low) / (high - low)

        drawing.text(left, top - 16, title, "strong f-text")
        for power in range(low, high + 1):
            y = up(10**power)
            drawing.line(left, y, right, y, "s-grid")
            drawing.text(left - 6, y + 4, tick(10**power), "small f-muted", "end")
        for count in counts:
            drawing.text(across(count), bottom + 18, f"{count:,}" if count < 1000 else f"{count // 1000}k", "small f-muted", "middle")
        for name, points in sorted(lines.items(), key=lambda item: item[0] == OURS):
            places = [(across(count), up(value)) for count, value in points.items()]
            drawing.path(places, f"s-{name}")
            for x, y in places:
                drawing.dot(x, y, f"f-{name}", 3.0)
    x = 72.0
    names = {"floor": "bare C loop"}
    for name in dict.fromkeys(name for _, lines in panels for name in lines):
        drawing.dot(x, 342, f"f-{name}", 4.5)
        shown = names.get(name, name)
        drawing.text(x + 10, 346, shown, "small f-text" + (" strong" if name == OURS else ""))
        x += 34 + 7.0 * len(shown)
    return drawing


def draw(found, folder, dark_only=False):
    """Writes those plots for which there are figures."""
    figures = Figures(found)
    folder.mkdir(parents=True, exist_ok=True)
    for function in (gap, memory, restart, scale):
        drawing = function(figures)
        if drawing:
            (folder / f"{function.__name__}.svg").write_text(drawing.svg(dark_only))
