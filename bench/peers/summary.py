"""From raw results to what the table and the plot say."""
from dataclasses import dataclass
from statistics import median, quantiles


def spread(samples):
    """First and third quartile."""
    if len(samples) < 2:
        return samples[0], samples[0]
    first, _, third = quantiles(samples, n=4, method="inclusive")
    return first, third


@dataclass
class Verdict:
    ours: float  # seconds
    ours_spread: tuple
    peer: str
    theirs: float
    theirs_spread: tuple
    ratio: float
    ratio_spread: tuple  # over the rounds
    share: float         # of the measured peak; 0: unknown
    target: float
    met: bool


def contenders(measured):
    """Those whose times count: they ran, and their answers agree."""
    return {name: entry for name, entry in measured["engines"].items() if entry.get("rounds")}


def share_of_peak(measured, seconds):
    if not measured.get("peak_gflops"):
        return 0
    return measured["operations"] / seconds / (measured["peak_gflops"] * 1e9)


def verdict(row, measured):
    """How Vitrail stands against the fastest peer; None when either is missing."""
    engines = contenders(measured)
    ours = engines.pop("Vitrail", None)
    if not ours or not engines:
        return None
    # A peer that left after the first round is not the fastest one.
    stayed = {n: e for n, e in engines.items() if not e["dropped"]} or engines
    peer, theirs = min(stayed.items(), key=lambda item: median(item[1]["rounds"]))
    ratios = [b / a for a, b in zip(ours["rounds"], theirs["rounds"])]
    our_time = median(ours["rounds"])
    share = share_of_peak(measured, our_time)
    ratio = median(ratios)
    met = ratio >= row.target or (row.share_target > 0 and share >= row.share_target)
    return Verdict(our_time, spread(ours["rounds"]), peer, median(theirs["samples"]),
                   spread(theirs["samples"]), ratio, (min(ratios), max(ratios)), share,
                   row.target, met)
