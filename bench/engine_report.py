# Called by: bench/engine.py.
"""What the comparison with a container engine says: the tables of docs/engine-comparison.md, its two plots, and bench/engine.json."""

from math import log10

from apps import APPS
from containers import CANDIDATES
from figures import duration, percentile
from plots import WIDTH, Drawing
from report import BUSY, table

# What the measurement itself brings the load average to, on a quiet machine.
OWN = 1.0
# https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#restart-policy
PUBLISHED = {"waits_s": [0, 10, 20, 40, 80, 160, 300], "noticed_within_s": 1, "forgotten_after_s": 600}
NAMED = "Kubernetes: published, not measured"
COLOURS = {"engine": "dumb-init", "in place": "tini-static", "--hold-port": "catatonit", "--standby": "restartinit"}
TITLES = {"engine": "docker run --restart always", "in place": "restartinit", "--hold-port": "restartinit --hold-port", "--standby": "restartinit --standby"}


def crashes(found, series, app, candidate, number=None):
    """All of them, or those that were the n-th of their container."""
    rounds = found["series"][series][app][candidate]
    return [crash for crashes in rounds for at, crash in enumerate(crashes) if number in (None, at)]


def gaps(found, *which):
    return sorted(crash["gap_ms"] for crash in crashes(found, *which))


def median(found, *which):
    return percentile(gaps(found, *which), 0.5)


def refused(found, *which):
    return percentile(sorted(crash["refused"] for crash in crashes(found, *which)), 0.5)


def apps_of(found):
    return list(found["series"]["apart"])


def shown(milliseconds):
    return duration(milliseconds * 1e6)


def medians(found):
    """For other programs: by app and candidate."""
    machine, numbers = found["machine"], range(found["crashes"])

    def of(value):
        return {
            app: {
                candidate: {
                    "apart": round(value(found, "apart", app, candidate), 2),
                    "in_a_row": [round(value(found, "in a row", app, candidate, number), 2) for number in numbers],
                }
                for candidate in CANDIDATES
            }
            for app in apps_of(found)
        }

    return {
        "measured": machine["date"], "command": found["command"], "machine": machine["machine"], "kernel": machine["kernel"],
        "node": machine["node"], "docker": found["engine"]["version"],
        "clients_per_second": {app: APPS[app].rate for app in apps_of(found)},
        "gap_ms": of(median), "refused": of(refused), "kubernetes_published": PUBLISHED,
    }


def page(found):
    return "\n".join([*head(found), *verdict(found), *gap_table(found), *refused_table(found), *row_table(found)]).rstrip() + "\n"


def span(values, show):
    low, high = show(min(values)), show(max(values))
    return low if low == high else f"{low} to {high}"


def times(value):
    return f"{value:,.0f} x" if value >= 10 else f"{value:.1f} x"


def verdict(found):
    """What is large and what is not, by the figures."""
    names = apps_of(found)
    middle = {candidate: [median(found, "apart", app, candidate) for app in names] for candidate in CANDIDATES}
    turned_away = {candidate: [refused(found, "apart", app, candidate) for app in names] for candidate in CANDIDATES}
    saved = [engine - own for engine, own in zip(middle["engine"], middle["in place"])]
    by_place = [f"{app} {times(engine / own)}" for app, engine, own in zip(names, middle["engine"], middle["in place"])]
    by_standby = [f"{app} {times(engine / own)}" for app, engine, own in zip(names, middle["engine"], middle["--standby"])]
    port = [f"{100 * (held / own - 1):+.0f} %" for held, own in zip(middle["--hold-port"], middle["in place"])]
    last = found["crashes"] - 1
    row = [[median(found, "in a row", app, candidate, last) for app in names] for candidate in ("engine", "in place", "--standby")]
    return [
        f"- **Large for an app that boots fast, small for one that boots slowly**: a restart in place saves {span(saved, shown)} a crash, which is what the"
        f" engine takes to wait, to take the dead container down and to start it again. The app's own boot stays. The engine's gap to it: {', '.join(by_place)}.",
        f"- **Large, for an app that has booted by the time it listens**: a standby. The engine's gap to its: {', '.join(by_standby)}. (Next.js loads itself"
        " after it listens.)",
        f"- **Large**: {span(turned_away['engine'], '{:,.0f}'.format)} clients are refused in a crash under the engine (the longer the boot, the more),"
        f" {span(turned_away['in place'], '{:,.0f}'.format)} in place, {span(turned_away['--hold-port'], '{:,.0f}'.format)} with a held port, where they wait for their answer.",
        f"- **Not shorter**: the gap with a held port ({', '.join(port)} to in place, in the order of the table). All who have waited are served at once, and an"
        " app that works for each answer, as Next.js does here, has the first one ready later.",
        f"- **Small, crash after crash**: both double their waits. The last of these in a row takes {span(row[0], shown)} by the engine and {span(row[1], shown)} in place,"
        f" waits included; with a standby {span(row[2], shown)}.",
        "",
    ]


def head(found):
    machine, engine = found["machine"], found["engine"]
    lines = [
        f"Measured on {machine['date']} with `{found['command']}` ({max(1, round(sum(found['seconds'].values()) / 60))} min): {machine['machine']},"
        f" {machine['kernel']}, Node {machine['node']}, Docker {engine['version']} ({engine['runtime']}, storage {engine['storage']},"
        " `--network host`).", "",
    ]
    loads = ", ".join(f"{app} {span(found['loads'][app], '{:.1f}'.format)}" for app in apps_of(found))
    if max(load for app in apps_of(found) for load in found["loads"][app]) > BUSY + OWN:
        first = " The engine, its containers and the clients went first." if found["first"] else ""
        words = f"**The machine was not quiet**: others used it too. The load average, of which the measurement's own part is about {OWN:g}: {loads}."
        lines += [words + first, ""]
    if found["quick"]:
        lines += ["This was the quick run: few crashes, no more than a hint.", ""]
    pictures = [("engine", "SIGKILL of a Node server to the next answer, by app"), ("engine-row", "The same, crash after crash")]
    return lines + [line for name, words in pictures for line in (f"![{words}](../bench/plots/{name}.svg)", "")]


def gap_table(found):
    rows = []
    for app in apps_of(found):
        values = {candidate: gaps(found, "apart", app, candidate) for candidate in CANDIDATES}
        middle = {candidate: percentile(value, 0.5) for candidate, value in values.items()}
        cells = [f"{shown(middle[candidate])} ({value[0]:,.0f} to {value[-1]:,.0f})" for candidate, value in values.items()]
        less = middle["engine"] - middle["in place"]
        ratios = [f"{middle['engine'] / middle[candidate]:.1f} x" for candidate in ("in place", "--standby")]
        rows.append([app, *cells, shown(less), *ratios])
    count = len(gaps(found, "apart", apps_of(found)[0], "engine"))
    note = (
        f"**One crash at a time**, each after more than 10 s of running: both begin their waits anew. SIGKILL of the Node process to the"
        f" next good answer, median (least to most) of {count} crashes; the ratios are the engine's gap to that of restartinit."
    )
    return [note, ""] + table(["boot", *(f"`{name}`" if name[0] == "-" else name for name in CANDIDATES), "saved in place", "in place", "`--standby`"], rows)


def refused_table(found):
    rows = []
    for app in apps_of(found):
        cells = [f"{refused(found, 'apart', app, candidate):,.0f}" for candidate in CANDIDATES]
        cut = []
        for candidate in CANDIDATES:
            all_of_them = crashes(found, "apart", app, candidate)
            cut.append(sum(crash[fate] for crash in all_of_them for fate in ("reset", "lost", "wrong")) / len(all_of_them))
        rows.append([app, f"{APPS[app].rate}", *cells, *(f"{value:.1f}" for value in cut)])
    note = "**The clients of such a crash**: refused, since nobody listens (median); and cut off or never answered (mean)."
    names = [f"`{name}`" if name[0] == "-" else name for name in CANDIDATES]
    head = ["boot", "new clients a second", *(f"refused: {name}" for name in names), *(f"cut off: {name}" for name in names)]
    return [note, ""] + table(head, rows)


def row_table(found):
    rows = []
    for app in apps_of(found):
        for candidate in CANDIDATES:
            cells = [shown(median(found, "in a row", app, candidate, number)) for number in range(found["crashes"])]
            total = sum(refused(found, "in a row", app, candidate, number) for number in range(found["crashes"]))
            rows.append([app, f"`{candidate}`" if candidate[0] == "-" else candidate, *cells, f"{total:,.0f}"])
    rounds = len(found["series"]["in a row"][apps_of(found)[0]]["engine"])
    note = (
        f"**{found['crashes']} crashes in a row**, each soon after the last one's standby is up; medians of {rounds} containers. Both double their waits:"
        " the engine from 100 ms on, restartinit from none at the first crash. A standby does not wait."
    )
    return [note, ""] + table(["boot", "", *(f"crash {number + 1}" for number in range(found["crashes"])), "refused in all"], rows)


def dashed(drawing, points, kind):
    steps = " ".join(f"{'L' if at else 'M'}{x:.1f} {y:.1f}" for at, (x, y) in enumerate(points))
    drawing.parts.append(f'<path d="{steps}" fill="none" class="{kind}" stroke-width="2" stroke-dasharray="6 4"/>')


def scale(low, high, first, last):
    """Where a value is on a logarithmic axis."""
    return lambda value: first + (last - first) * (log10(value) - log10(low)) / (log10(high) - log10(low))


def tick(milliseconds):
    return f"{milliseconds:g} ms" if milliseconds < 1000 else f"{milliseconds / 1000:g} s"


def legend(drawing, y, entries):
    x = 24.0
    for words, kind in entries:
        drawing.dot(x + 5, y - 4, f"f-{kind}", 4.5)
        drawing.text(x + 15, y, words, "small f-text")
        x += 34 + 6.6 * len(words)


def gap_plot(found):
    """For each app the candidates' gaps, and Kubernetes' first wait."""
    names = apps_of(found)
    group = 22 * len(CANDIDATES) + 16
    top, bottom = 112, 112 + group * len(names)
    drawing = Drawing("A Node server is killed: time until the next answer", "By what it boots. Median, least to most; more than 10 s between two crashes. Logarithmic.", bottom + 56)
    legend(drawing, 80, [(TITLES[candidate], COLOURS[candidate]) for candidate in CANDIDATES])
    place = scale(1, 100_000, 96, 736)
    for power in range(6):
        x = place(10**power)
        drawing.line(x, top - 12, x, bottom - 8, "s-grid")
        drawing.text(x, bottom + 8, tick(10**power), "small f-muted", "middle" if power < 5 else "end")
    wait = place(1000 * PUBLISHED["waits_s"][1])
    dashed(drawing, [(wait, top - 12), (wait, bottom - 8)], "s-floor")
    drawing.text(wait, bottom + 28, f"the wait after a second crash. {NAMED}", "small f-muted", "end" if wait > 400 else "start")
    for at, app in enumerate(names):
        y = top + group * at
        drawing.text(84, y + 11 * len(CANDIDATES) - 6, app, "strong f-text", "end")
        for candidate in CANDIDATES:
            values = gaps(found, "apart", app, candidate)
            middle = percentile(values, 0.5)
            drawing.line(place(values[0]), y, place(values[-1]), y, f"s-{COLOURS[candidate]}", 3)
            drawing.dot(place(middle), y, f"f-{COLOURS[candidate]}")
            drawing.text(place(values[-1]) + 10, y + 5, shown(middle), "small rim s-ground f-text")
            y += 22
    return drawing


def row_plot(found):
    """Crash after crash: the growing waits, beside those that Kubernetes publishes."""
    app = "400 ms"
    drawing = Drawing("The same, crash after crash: waits that double", f"A server that boots for {app}; medians. Logarithmic.", 430)
    legend(drawing, 80, [(TITLES[candidate], COLOURS[candidate]) for candidate in CANDIDATES])
    top, bottom, left, right = 104, 374, 84, 640
    up = scale(1, 1_000_000, bottom, top)

    def across(number):
        return left + (right - left) * number / (found["crashes"] - 1)

    for power in range(7):
        drawing.line(left, up(10**power), right, up(10**power), "s-grid")
        drawing.text(left - 8, up(10**power) + 4, tick(10**power), "small f-muted", "end")
    for number in range(found["crashes"]):
        drawing.text(across(number), bottom + 20, f"crash {number + 1}", "small f-muted", "middle")
    for candidate in CANDIDATES:
        points = [(across(number), up(median(found, "in a row", app, candidate, number))) for number in range(found["crashes"])]
        drawing.path(points, f"s-{COLOURS[candidate]}")
        for x, y in points:
            drawing.dot(x, y, f"f-{COLOURS[candidate]}", 3.5)
        # Those of a port that is held are those in place.
        if candidate != "--hold-port":
            nudge = {"engine": -2, "in place": 10}.get(candidate, 4)
            drawing.text(right + 10, points[-1][1] + nudge, shown(median(found, "in a row", app, candidate, found["crashes"] - 1)), "small f-text")
    # The app's boot comes on top there too; beside these waits it does not show.
    waits = [1000 * max(wait, PUBLISHED["noticed_within_s"]) for wait in PUBLISHED["waits_s"][: found["crashes"]]]
    dashed(drawing, [(across(number), up(wait)) for number, wait in enumerate(waits)], "s-floor")
    drawing.text(right + 10, up(waits[-1]) + 4, tick(waits[-1]), "small f-text")
    at = len(waits) // 2
    drawing.text(across(at), up(waits[at]) - 34, NAMED, "small rim s-ground f-muted", "middle")
    drawing.text(WIDTH - 24, 412, "Kubernetes: a death is noticed within 1 s; 10 s of wait, doubled to 300 s, forgotten after 10 min", "small f-muted", "end")
    return drawing


def draw(found, folder):
    folder.mkdir(parents=True, exist_ok=True)
    plots = {"engine": gap_plot(found)}
    if "400 ms" in apps_of(found):
        plots["engine-row"] = row_plot(found)
    for name, drawing in plots.items():
        (folder / f"{name}.svg").write_text(drawing.svg())
