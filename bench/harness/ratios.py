"""What is made of the measurements: which rounds count, medians, ratios. Pure."""

import dataclasses
import statistics

# A round in which the machine computed slower than this share of its usual peak is
# dropped: others were at work on it, or its clock was reduced.
PEAK_FLOOR = 0.85


@dataclasses.dataclass(frozen=True, order=True)
class Case:
    """What one timed slice measures: an engine in one setting."""
    engine: str
    precision: str
    batch: int
    streams: int

    def __str__(self):
        return f"{self.engine} {self.precision}, batch {self.batch}, streams {self.streams}"


@dataclasses.dataclass(frozen=True)
class Slice:
    """The result of one timed slice."""
    latency_ms: float  # median of its runs
    images_per_second: float


@dataclasses.dataclass(frozen=True)
class Round:
    """Every case once, within a minute or two, and the machine's peak between them."""
    peaks: tuple[float, ...]
    slices: dict[Case, Slice]


@dataclasses.dataclass(frozen=True)
class Metric:
    """What a row of the table compares."""
    unit: str
    higher_is_better: bool
    of: object = None  # Slice -> float


LATENCY = Metric("ms", False, lambda s: s.latency_ms)
THROUGHPUT = Metric("images/s", True, lambda s: s.images_per_second)
SECONDS = Metric("s", False)
MEMORY = Metric("MiB", False)


@dataclasses.dataclass(frozen=True)
class Ratio:
    """How many times better the first is than the second: over rounds, each ratio
    taken within one round."""
    median: float
    least: float
    most: float


def keep_rounds(rounds, floor=PEAK_FLOOR):
    """The rounds whose slowest probe of the peak reached `floor` of the median probe."""
    if not rounds:
        return []
    usual = statistics.median(peak for r in rounds for peak in r.peaks)
    return [r for r in rounds if min(r.peaks) >= floor * usual]


def compare(metric, ours, theirs):
    """Ratio of two lists of values of the same rounds."""
    if len(ours) != len(theirs) or not ours:
        raise ValueError(f"{len(ours)} and {len(theirs)} values")
    pairs = zip(ours, theirs)
    ratios = [a / b if metric.higher_is_better else b / a for a, b in pairs]
    return Ratio(statistics.median(ratios), min(ratios), max(ratios))


def best_case(metric, cases, rounds):
    """The case with the best median over rounds."""
    def median(case):
        return statistics.median(metric.of(r.slices[case]) for r in rounds)
    return (max if metric.higher_is_better else min)(cases, key=median)


def candidates(cases, scouted, within=0.05, most=2):
    """The cases worth measuring in every round: by one scouting slice of each, the best
    of an engine and precision in images/s, and the next if it came close."""
    ranked = sorted(cases, key=lambda c: -scouted[c].images_per_second)
    limit = (1 - within) * scouted[ranked[0]].images_per_second
    return [c for c in ranked if scouted[c].images_per_second >= limit][:most]


@dataclasses.dataclass(frozen=True)
class Agreement:
    """Logits of an engine against the reference's, in units of the reference's standard
    deviation over all its logits."""
    worst: float
    rms: float
    same_first: int  # images with the same best class
    images: int


def agreement(logits, reference):
    """Both: a list of logits for each image."""
    if [len(row) for row in logits] != [len(row) for row in reference]:
        raise ValueError("the shapes differ")
    wanted = [w for row in reference for w in row]
    deviation = statistics.pstdev(wanted)
    errors = [abs(g - w) / deviation
              for got, want in zip(logits, reference) for g, w in zip(got, want)]
    def first(row):
        return max(range(len(row)), key=row.__getitem__)
    return Agreement(
        worst=max(errors),
        rms=(sum(e * e for e in errors) / len(errors)) ** 0.5,
        same_first=sum(first(g) == first(w) for g, w in zip(logits, reference)),
        images=len(reference))


# A NaN compares false with everything, so it disagrees.
def agrees(measured, worst, rms):
    return measured.worst <= worst and measured.rms <= rms
