# Called by: bench/run.py and bench/report.py.
"""Sums the rounds up: medians, percentiles, ratios within a round; and figures for people. Knows neither tables nor plots."""


class Figures:
    """What was measured, by measure, candidate and key. A list holds samples; where there is none, everything here says None."""

    def __init__(self, found):
        self.measures = found["measures"]

    def rounds(self, measure, candidate):
        return [figures for figures in self.measures.get(measure, {}).get(candidate, []) if "not_built" not in figures]

    def not_built(self, measure, candidate):
        for figures in self.measures.get(measure, {}).get(candidate, []):
            if "not_built" in figures:
                return figures["not_built"]
        return None

    def samples(self, measure, candidate, key):
        return sorted(value for figures in self.rounds(measure, candidate) for value in figures.get(key, []))

    def at(self, measure, candidate, key, part=0.5):
        return percentile(self.samples(measure, candidate, key), part)

    def total(self, measure, candidate, key):
        values = self.samples(measure, candidate, key)
        return sum(values) if values else None

    def ratio(self, measure, key, one, other, part=0.5):
        """The median of the rounds' own ratios, with their quartiles: a machine that drifts does so under both."""
        pairs = zip(self.rounds(measure, one), self.rounds(measure, other))
        ratios = []
        for first, second in pairs:
            above, below = (percentile(sorted(figures.get(key, [])), part) for figures in (first, second))
            if above is not None and below:
                ratios.append(above / below)
        ratios.sort()
        return tuple(percentile(ratios, at) for at in (0.5, 0.25, 0.75)) if ratios else None

    def points(self, measure, candidate, key):
        """The scale measures: by count, the median of the rounds."""
        rounds = [figures[key] for figures in self.rounds(measure, candidate) if key in figures]
        counts = sorted({int(count) for points in rounds for count in points})
        return {count: percentile(sorted(points[str(count)] for points in rounds if str(count) in points), 0.5) for count in counts}


def percentile(values, part):
    """Of sorted values, between neighbours in proportion."""
    if not values:
        return None
    place = part * (len(values) - 1)
    low = int(place)
    high = min(low + 1, len(values) - 1)
    return values[low] + (values[high] - values[low]) * (place - low)


def three_digits(value):
    if value == 0:
        return "0"
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def duration(nanoseconds):
    if nanoseconds is None:
        return "-"
    for unit, size in (("s", 1e9), ("ms", 1e6), ("us", 1e3)):
        if nanoseconds >= size:
            return f"{three_digits(nanoseconds / size)} {unit}"
    return f"{nanoseconds:.0f} ns"


def kibibytes(value):
    if value is None:
        return "-"
    return f"{value:,.0f} KiB" if value < 10_000 else f"{value / 1024:,.1f} MiB"


def rate(bytes_per_second):
    if bytes_per_second is None:
        return "-"
    gigabytes = bytes_per_second / 1e9
    return f"{gigabytes:.2f} GB/s" if gigabytes >= 1 else f"{bytes_per_second / 1e6:.0f} MB/s"
