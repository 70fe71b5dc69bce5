# Called by: tests/torture/run.py.
"""Long: restarts, orphans, observers and messages by the hundred thousand, on one init. Its descriptors, memory and zombies are sampled at
rest and must stay what they were; afterwards the limit of restarts still counts to the very last one."""

import sys
import time

import box
from box import APP, Box, Fell, await_true

SPARE = 5
SAMPLES = 50


class Samples:
    """What PID 1 holds, after each part of the work."""

    def __init__(self, one):
        self.one, self.rows = one, []

    def take(self, phase, share):
        one = self.one
        # At rest: what is open for a moment, a connection or an orphan, is not held.
        await_true("no zombie is left", lambda: box.zombies(one.pid) == 0, told=one.told)
        # Between two generations there is no channel: what was sampled then is no measure.
        floor = next((row["descriptors"] for row in self.rows if row["phase"] != "restarts"), 0)
        if floor:
            await_true("descriptors as at first", lambda: box.descriptors(one.pid) <= floor, told=lambda: f", but {box.descriptors(one.pid)} of {floor}")
        row = {"phase": phase, "share": share, "descriptors": box.descriptors(one.pid), "zombies": box.zombies(one.pid)}
        row |= {name: int(box.field(one.pid, name)) for name in ("VmRSS", "VmData")}
        self.rows.append(row)

    def flat(self, phase):
        """In the last quarter it holds no more than it did at times in the first half: what is taken and given back is no growth, nor are the
        few pages of the program that the kernel loads when they are first used. One byte for each of 100,000 would be 98 kB."""
        rows = [row for row in self.rows if row["phase"] == phase]
        early, late = rows[: len(rows) // 2], rows[-(len(rows) // 4) :]
        for name in ("VmData", "VmRSS"):
            most, now = max(row[name] for row in early), max(row[name] for row in late)
            if now > most + 64:
                raise Fell(f"{phase}: {name} grew from {most} kB to {now} kB")


def parts(count):
    """The count in as many parts as there are samples."""
    done = 0
    for at in range(1, SAMPLES + 1):
        share = count * at // SAMPLES - done
        if share:
            done += share
            yield share, done / count


def run(restarts, orphans, clients, messages, say=lambda line: None):
    """All of it; the samples and the seconds that each phase took."""
    port = box.free_port()
    # The last SPARE crashes are for afterwards.
    options = ["--max-restarts", str(restarts + SPARE), "--restart-window", "0", "--backoff", "0", "--stable-after", "1h", "-q"]
    options += ["--http", f"127.0.0.1:{port}", "--ipc"]
    took = {}
    with Box(options, [APP, "until", str(restarts), "3", "keep"]) as one:
        samples = Samples(one)
        one.hear("up 1")
        began = time.monotonic()

        def generation():
            code, body = box.ask(port, "/metrics")
            words = [line.split() for line in body.splitlines() if line.startswith("restartinit_generation ")]
            return int(words[0][1]) if words else 0

        for _, share in parts(restarts):
            await_true("it restarts on", lambda: generation() > restarts * share - 1)
            # A command that crashes over and over is a zombie now and then: of those, one.
            samples_at(samples, "restarts", share)
        one.hear("active")
        samples.take("restarts", 1.0)
        took["restarts"] = time.monotonic() - began
        for phase, count, word, answer in [
            ("orphans", orphans, "orphans {}", "orphaned {}"),
            ("HTTP clients", clients, f"http {port} {{}}", "answered {}"),
            ("control clients", clients, "control {}", "answered {}"),
            ("IPC messages", messages, "ipc {}", "told {}"),
        ]:
            say(phase)
            began = time.monotonic()
            for share, done in parts(count):
                one.tell(word.format(share))
                one.hear(answer.format(share), 10 * box.PATIENCE)
                samples.take(phase, done)
            took[phase] = time.monotonic() - began
        for phase in took:
            samples.flat(phase)
        least = min(row["descriptors"] for row in samples.rows if row["phase"] != "restarts")
        await_true(f"no more than the {least} descriptors of its best moment", lambda: box.descriptors(one.pid) <= least, told=one.told)
        for left in range(SPARE, 0, -1):
            one.tell("exit 3")
            one.hear("active")
        one.tell("exit 5")
        if (code := one.end()) != 5:
            raise Fell(f"after {restarts + SPARE} restarts the limit ended it with {code}, not with the last crash's 5" + one.told())
    return samples.rows, took


def samples_at(samples, phase, share):
    """While the command crashes on: memory and descriptors as they are, the zombie that may be there in this microsecond not counted."""
    one = samples.one
    row = {"phase": phase, "share": share, "descriptors": box.descriptors(one.pid), "zombies": 0}
    row |= {name: int(box.field(one.pid, name)) for name in ("VmRSS", "VmData")}
    samples.rows.append(row)


def plot(rows, counts):
    """An SVG: one panel for each figure, the phases side by side."""
    sys.path.insert(0, str(box.ROOT / "bench"))
    import plots

    phases = list(dict.fromkeys(row["phase"] for row in rows))
    panels = [("Resident memory", "VmRSS", "kB"), ("Data", "VmData", "kB"), ("Descriptors", "descriptors", ""), ("Zombies at rest", "zombies", "")]
    title = "One PID 1, from the first restart to the last message"
    subtitle = "What it holds, one phase after the other. Every axis begins at 0; a client's connection may be open."
    drawing = plots.Drawing(title, subtitle, 130 + 92 * len(panels))
    left, right, top, high = 170, plots.WIDTH - 90, 112, 62
    wide = (right - left) / len(phases)
    for at, phase in enumerate(phases):
        x = left + wide * at
        drawing.text(x + wide / 2, top - 26, f"{counts[phase]:,}", "small f-text", "middle")
        drawing.text(x + wide / 2, top - 11, phase, "small f-muted", "middle")
        drawing.line(x, top, x, top + 92 * len(panels) - 30, "s-grid")
    drawing.line(right, top, right, top + 92 * len(panels) - 30, "s-grid")
    for number, (title, name, unit) in enumerate(panels):
        base = top + 92 * number + high
        most = max(row[name] for row in rows) or 1
        drawing.text(left - 14, base - high / 2 + 4, title, "f-text strong", "end")
        drawing.line(left, base, right, base, "s-border")
        points = []
        for row in rows:
            x = left + wide * (phases.index(row["phase"]) + row["share"])
            points.append((x, base - (high - 8) * row[name] / most))
        drawing.path(points, "s-restartinit")
        least, last = min(row[name] for row in rows), rows[-1][name]
        drawing.text(right + 10, points[-1][1] + 4, f"{last:,} {unit}".strip(), "f-text strong")
        if least != max(row[name] for row in rows):
            drawing.text(left - 14, base - high / 2 + 20, f"{least:,} to {most:,} {unit}".strip(), "small f-muted", "end")
    return drawing.svg()
