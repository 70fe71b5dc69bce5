# Called by: bench/report.py.
"""The budgets of the contract, each with its figure, the peer's beside it, the ratio and the verdict."""

from figures import duration, kibibytes, three_digits
from machine import PLAIN

OURS = "restartinit"
HELD, STANDBY = f"{OURS} --hold-port", f"{OURS} --standby"


def times(ratio):
    return "-" if ratio is None else f"{three_digits(ratio[0])} x ({three_digits(ratio[1])} to {three_digits(ratio[2])})"


def number(value):
    return "-" if value is None else three_digits(value) if isinstance(value, float) else f"{value:,}"


def verdict(value, limit, least=None):
    """Met or missed, and by how much, of a figure that may be at most `limit`; with `least`, the lower end of its spread."""
    if value is None or limit is None:
        return "not measured"
    if value <= limit:
        return "**met**" if limit == 0 or value == limit else f"**met**, {(1 - value / limit) * 100:.0f} % below"
    if least is not None and least <= limit:
        return "**even**, within the spread"
    return f"**missed** by {number(value)}" if limit == 0 else f"**missed** by {(value / limit - 1) * 100:.0f} %"


def rows(figures, versions):
    return [*speed(figures), *memory(figures), size(versions), *crash(figures)]


def speed(figures):
    found = []

    def compare(what, budget, measure, key, peer, limit=1.0, own=OURS):
        ratio = figures.ratio(measure, key, own, peer)
        ours, theirs = figures.at(measure, own, key), figures.at(measure, peer, key)
        judged = verdict(ratio and ratio[0], limit, ratio and ratio[1])
        found.append([what, budget, duration(ours), f"{peer}: {duration(theirs)}", times(ratio), judged])

    compare("restart", "<= 1.15 x floor", "restart", "ns", "floor", 1.15)
    compare("restart, no line in the log (`-q`)", "<= 1.15 x floor", "restart", "ns", "floor", 1.15, f"{OURS} -q")
    compare("start", "<= tini-static", "start", "ns", "tini-static")
    compare("signal", "<= tini", "signals", "ns", "tini")
    compare("signal, the goal", "<= dumb-init", "signals", "ns", "dumb-init")
    for what, measure in [("CPU of an orphan", "orphans_waiting"), ("CPU of an orphan while others still die", "orphans")]:
        peers = [peer for peer in PLAIN if figures.at(measure, peer, "cpu_ns") is not None]
        if peers:
            best = min(peers, key=lambda peer: figures.at(measure, peer, "cpu_ns"))
            compare(what, "<= the best", measure, "cpu_ns", best)
    return found


def memory(figures):
    found = []
    resident = figures.at("memory_off", OURS, "rss")
    for peer in ("tini-static", "catatonit"):
        theirs = figures.at("memory_off", peer, "rss")
        share = f"{three_digits(resident / theirs)} x" if resident and theirs else "-"
        judged = verdict(resident, theirs)
        found.append(["resident, no option", f"<= {peer}", kibibytes(resident), f"{peer}: {kibibytes(theirs)}", share, judged])
    everything = figures.at("memory_on", OURS, "rss")
    judged = not_built(figures, "memory_on", OURS) or verdict(everything, 1024)
    found.append(["resident, every option", "<= 1 MiB", kibibytes(everything), "-", "-", judged])
    wakes, tini = figures.at("memory_off", OURS, "wakes"), figures.at("memory_off", "tini", "wakes")
    found.append(["wake-ups a second, idle", "0", number(wakes), f"tini: {number(tini)}", "-", verdict(wakes, 0)])
    return found


def size(versions):
    ours, peer = versions[OURS]["bytes"], versions["tini-static"]["bytes"]
    shown = [kibibytes(ours / 1024), f"tini-static: {kibibytes(peer / 1024)}", f"{three_digits(ours / peer)} x"]
    return ["static binary", "<= 512 KiB", *shown, verdict(ours, 512 * 1024)]


def crash(figures):
    refused, without = figures.total("gap", HELD, "refused"), figures.total("gap", OURS, "refused")
    judged = not_built(figures, "gap", HELD) or verdict(refused, 0)
    held = ["refused in a crash, `--hold-port`", "0", number(refused), f"without: {number(without)}", "-", judged]
    gap, without = figures.at("gap", STANDBY, "gap_ns"), figures.at("gap", OURS, "gap_ns")
    judged = not_built(figures, "gap", STANDBY) or verdict(gap, 10e6)
    standby = ["next answer, `--standby`", "<= 10 ms", duration(gap), f"without: {duration(without)}", "-", judged]
    return [held, standby]


def not_built(figures, measure, candidate):
    missing = figures.not_built(measure, candidate)
    return f"not built: {', '.join(missing)}" if missing else None
