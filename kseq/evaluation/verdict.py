"""The verdict in words: which one, by how much, at which cost, and what to use.

Each sentence is a function of the :class:`Evidence` that returns its text, or None where its condition does not hold.
Nothing but the numbers decides. What must not be read into them stands in :mod:`kseq.evaluation.cautions`.
"""

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from kseq.evaluation.evidence import Evidence
from kseq.evaluation.noise import FAR
from kseq.evaluation.rows import Row, ranked, spread
from kseq.evaluation.significance import LEVEL, LEVEL_TRAINED, Difference
from kseq.text import in_words

#: How rows stand to a baseline: the verb of one row, and of several.
_VERBS = {
    "beat": ("beats", "beat"), "par": ("is on a par with", "are on a par with"), "lose": ("loses to", "lose to"),
}  # fmt: skip


def verdict(evidence: Evidence) -> list[str]:
    """Sentences on which cell wins, how cells stand to baselines, what they cost, and what to use.

    Args:
        evidence: Rows, true values and facts of the comparison.

    Returns:
        list[str]: The sentences; empty if no cell can be scored.
    """
    if not evidence.cells:
        return []
    return texts(SENTENCES, evidence)


def texts(sentences: Iterable[Callable[[Evidence], str | None]], evidence: Evidence) -> list[str]:
    """Evaluate sentences in order and return those that apply."""
    found = (sentence(evidence) for sentence in sentences)
    return [text for text in found if text is not None]


def winner(evidence: Evidence) -> str | None:
    """One cell is significantly better than every other."""
    leaders, others = evidence.leaders, evidence.cells[1:]
    if len(leaders) > 1 or not others:
        return None
    best, second = leaders[0], others[0]
    p = max(evidence.pair(best, other).p_adjusted for other in others)
    return (
        f"{best.name} wins among the {evidence.noun}s: its {evidence.measure}, {evidence.amount(best.score)}, is "
        f"{1 - best.score / second.score:.1%} below that of {second.name} ({p_value(p)})."
    )


def tie(evidence: Evidence) -> str | None:
    """The best cell does not differ significantly from at least one other."""
    leaders = evidence.leaders
    if len(leaders) == 1:
        return None
    pairs = [evidence.pair(leaders[0], other) for other in leaders[1:]]
    shown = f"{evidence.amount(leaders[0].score)} to {evidence.amount(leaders[-1].score)}"
    plural = evidence.measure.replace("mean absolute error", "mean absolute errors")
    errors = f"{plural} of {shown}"
    alone = [row for row in leaders if row.trained and len(row.scores) < 2]
    if alone and any(np.isnan(pair.p_seeds) for pair in pairs):
        return f"{names(leaders)} cannot be told apart without several seeds of each: {errors}."
    found = [pair.p_adjusted for pair in pairs]
    p, noise = min(found), smallest_p_value(found)
    # A reader knows 0.05 as the level.
    strict = f"; between {evidence.noun}s a difference takes p <= {LEVEL_TRAINED:g}" if p <= LEVEL else ""
    return f"{names(leaders)} tie ({noise}{strict}): {errors}."


def behind(evidence: Evidence) -> str | None:
    """Some cells tie at the top and others are behind."""
    leaders = evidence.leaders
    others = [cell for cell in evidence.cells if cell not in leaders]
    if len(leaders) == 1 or not others:
        return None
    p = max(evidence.pair(leaders[0], other).p_adjusted for other in others)
    return f"{names(others)} {verb(others, 'is', 'are')} behind {leaders[0].name} ({p_value(p)})."


def seed_noise(evidence: Evidence) -> str | None:
    """The two best cells tie, and their gap is smaller than the variation of one of them over seeds."""
    if len(evidence.leaders) < 2 or min(len(cell.scores) for cell in evidence.leaders[:2]) < 2:
        return None
    best, second = evidence.leaders[:2]
    pair = evidence.pair(best, second)
    if pair.p_seeds <= pair.level:
        return None
    gap, noise = second.score - best.score, max(spread(cell.scores).std for cell in (best, second))
    if gap >= noise:
        return None
    return (
        f"The gap between {best.name} and {second.name}, {evidence.amount(gap)}, is within the noise of seeds: one "
        f"{evidence.noun} alone varies by {evidence.amount(noise)} (standard deviation)."
    )


def time_noise(evidence: Evidence) -> str | None:
    """The two best cells differ over seeds but not over time, or not over series."""
    if len(evidence.leaders) < 2:
        return None
    best, second = evidence.leaders[:2]
    pair = evidence.pair(best, second)
    if np.isnan(pair.p_seeds) or pair.p_seeds > pair.level or not max_of(pair.p_time, pair.p_series) > pair.level:
        return None
    few, p = f"{best.losses.shape[1]} {evidence.step_words}", pair.p_time
    if pair.p_series > (0.0 if np.isnan(pair.p_time) else pair.p_time):
        few, p = f"{evidence.series} series", pair.p_series
    return (
        f"{best.name} is ahead of {second.name} in the mean of its seeds ({p_value(pair.p_seeds)}), but the "
        f"{few} are too few to say that it would be elsewhere ({p_value(p)})."
    )


def what_it_takes(evidence: Evidence) -> str | None:
    """How many seeds, windows or series would tell two rows apart that tie."""
    pair = _closest(evidence)
    if pair is None:
        return None
    best, other, difference = pair
    tests = {"seeds": difference.p_seeds, "time": difference.p_time, "series": difference.p_series}
    shown, have = [], []
    for source in evidence.noise(best, other):
        if not tests.get(source.name, 0.0) > difference.level:
            continue
        needed = source.needed(difference.gap, difference.level)
        if needed <= source.count:
            continue
        words = evidence.step_words if source.name == "time" else source.name
        part = " of test part" * (source.name == "time" and words not in ("test windows", "origin dates"))
        shown.append(f"more than a million {words}" if needed > FAR else f"some {_rounded(needed)} {words}{part}")
        have.append(f"{source.count}")
    if not shown:
        return None
    return (
        f"To tell {best.name} and {other.name} apart, {evidence.amount(difference.gap)}, would take "
        f"{' and '.join(shown)} (there are {' and '.join(have)}), if the gap and its noise stay as they are."
    )


def where_noise_comes_from(evidence: Evidence) -> str | None:
    """How much of the noise of a gap is seeds, how much time, series and the split."""
    pair = _closest(evidence)
    if pair is None:
        return None
    best, other, _ = pair
    found = evidence.noise(best, other)
    total = sum(source.error**2 for source in found)
    if len(found) < 2 or not total:
        return None
    words = {"seeds": "seeds", "time": "the test period", "series": "the series", "split": "the split"}
    shown = [f"{words[source.name]} {100 * source.error**2 / total:.0f} %" for source in found]
    return f"Of the noise in the gap between {best.name} and {other.name} (its variance): {', '.join(shown)}."


def _closest(evidence: Evidence) -> tuple[Row, Row, Difference] | None:
    """The best cell and the row that it ties with: the second cell, or else the best baseline."""
    leaders = evidence.leaders
    other = leaders[1] if len(leaders) > 1 else evidence.baseline
    if other is None:
        return None
    difference = evidence.pair(leaders[0], other)
    if difference.significant or not difference.gap > 0:
        return None
    return leaders[0], other, difference


def _rounded(number: int) -> str:
    """Two digits are all that an estimate has."""
    return f"{int(float(f'{number:.1e}')):,}"


def max_of(*p: float) -> float:
    """The largest p-value of those that are known; NaN without any."""
    known = [value for value in p if not np.isnan(value)]
    return max(known, default=float("nan"))


def how_tested(evidence: Evidence) -> str | None:
    """What rows of several series were tested over."""
    if not evidence.series or not evidence.dates:
        return None
    if evidence.dates == 1:
        return (
            f"All {evidence.series} series are forecast from one date, so that tests are over series and none is over "
            "time: they speak of other series in this period, and series that move together count for fewer."
        )
    return (
        f"Tests are over {evidence.series} series and over {evidence.dates} origin dates, in which a date counts once; "
        "the larger p-value decides."
    )


def average_ranks(evidence: Evidence) -> str | None:
    """Friedman's test over series, and the average ranks."""
    test = evidence.ranks
    if test is None:
        return None
    by_rank = sorted(zip(test.ranks, ranked(evidence.rows), strict=True), key=lambda pair: pair[0])
    (first, best), (last, worst) = by_rank[0], by_rank[-1]
    if test.p > LEVEL:
        return f"Over {test.series} series no row ranks above another (Friedman's test, {p_value(test.p)})."
    return (
        f"Over {test.series} series average ranks run from {first:.2f} ({best.name}) to {last:.2f} ({worst.name}) of "
        f"{len(by_rank)} (Friedman's test, {p_value(test.p)})."
    )


def against_best_baseline(evidence: Evidence) -> str | None:
    """Which cells beat the best baseline, are on a par with it, or lose to it."""
    baseline = evidence.baseline
    if baseline is None:
        return None
    parts: list[str] = []
    for standing, cells in evidence.against(baseline).items():
        if not cells:
            continue
        p = [evidence.pair(cell, baseline).p_adjusted for cell in cells]
        # The least convincing of the p-values, whichever way they are read.
        shown = smallest_p_value(p) if standing == "par" else p_value(max(p))
        amount = f"{evidence.amount(baseline.score)}; "
        every = {1: "", 2: " both"}.get(len(cells), " all") if len(cells) == len(evidence.cells) else ""
        target = f"{baseline.name}, the best baseline ({amount}{shown})" if not parts else f"it ({shown})"
        parts.append(f"{names(cells)}{every} {verb(cells, *_VERBS[standing])} {target}")
    return f"{'; '.join(parts)}."


def better_in_hindsight(evidence: Evidence) -> str | None:
    """A baseline that is better on the test part than the one that was chosen on the validation part."""
    other, chosen = evidence.hindsight, evidence.baseline
    if other is None or chosen is None:
        return None
    standing = evidence.against(other)
    parts = [f"{names(cells)} {verb(cells, *_VERBS[how])} it" for how, cells in standing.items() if cells]
    return (
        f"{chosen.name} was the best baseline on the validation part; on the test part {other.name} is, "
        f"{evidence.amount(other.score)}: {', '.join(parts)}."
    )


def beaten_baseline(evidence: Evidence) -> str | None:
    """If no cell beats the best baseline: the best of the baselines that some cell beats."""
    if evidence.baseline is None or evidence.against(evidence.baseline)["beat"]:
        return None
    for baseline in ranked(row for row in evidence.rows if row.kind == "baseline"):
        cells = evidence.against(baseline)["beat"]
        if cells:
            p = max(evidence.pair(cell, baseline).p_adjusted for cell in cells)
            amount = evidence.amount(baseline.score)
            return f"{names(cells)} {verb(cells, 'beats', 'beat')} {baseline.name} ({amount}; {p_value(p)})."
    return None


def reach(evidence: Evidence) -> str | None:
    """Up to which step of the horizon each cell has a smaller error than the best baseline."""
    baseline, steps = evidence.baseline, evidence.y.shape[1]
    # Errors of several series have no common unit.
    if baseline is None or evidence.series is not None:
        return None
    to_beat = np.abs(baseline.finite).mean(axis=(0, 1, 3))
    reached: dict[int, list[Row]] = {}
    for cell in evidence.cells:
        missed = np.flatnonzero(np.abs(cell.finite).mean(axis=(0, 1, 3)) >= to_beat)
        reached.setdefault(int(missed[0]) if len(missed) else steps, []).append(cell)
    if not any(0 < step < steps for step in reached):
        return None
    shown = {0: "not at step 1", steps: f"at all {steps} steps"}
    parts = [
        f"{names(cells)} {shown.get(step, f'up to step {step} of {steps}, not at step {step + 1}')}"
        for step, cells in sorted(reached.items(), reverse=True)
    ]
    return f"Step by step, below {baseline.name} in mean absolute error: {'; '.join(parts)}."


def cost(evidence: Evidence) -> str | None:
    """Parameters and training time: of a single cell its own, of several cells the smallest and the largest."""
    cells = evidence.cells
    parts = []
    smallest, largest = (choose(cells, key=lambda cell: cell.parameters) for choose in (min, max))
    if len(cells) == 1 and smallest.parameters:
        parts.append(f"{smallest.name} has {smallest.parameters:,} parameters")
    elif 0 < smallest.parameters < largest.parameters:
        parts.append(f"{smallest.name} has {smallest.parameters:,} parameters, {largest.name} {largest.parameters:,}")
    timed = [cell for cell in cells if np.isfinite(cell.seconds)]
    if timed:
        fastest, slowest = (choose(timed, key=lambda cell: cell.seconds) for choose in (min, max))
        if len(cells) == 1:
            parts.append(f"{fastest.name} trains in {seconds(fastest.seconds)} a seed")
        # Differences below a tenth are timing noise.
        elif fastest.seconds < 0.9 * slowest.seconds:
            parts.append(
                f"{fastest.name} trains in {seconds(fastest.seconds)} a seed, "
                f"{slowest.name} in {seconds(slowest.seconds)}"
            )
    return f"{'; '.join(parts)}." if parts else None


def tuned(evidence: Evidence) -> str | None:
    """How the settings of the cells were tuned."""
    if not evidence.trials:
        return None
    baselines = "" if evidence.baseline is None else "; baselines have no such settings"
    return (
        f"Settings were tuned with {evidence.trials} trial{'s' * (evidence.trials > 1)} for each cell, of one budget, "
        f"by errors on the validation part; no test row took part{baselines}."
    )


def use_a_network(evidence: Evidence) -> str | None:
    """Recommend a network if one beats the best baseline: the smallest of those worth training."""
    good = evidence.worth_training
    if evidence.baseline is None or not good:
        return None
    # Among cells of equal size the best comes first.
    choice = min(good, key=lambda row: row.parameters)
    smaller = choice.parameters < max(row.parameters for row in good)
    reason = " the smallest of those that tie," if smaller and choice.kind == "cell" else ""
    return f"Use {choice.name}:{reason} {1 - choice.score / evidence.baseline.score:.1%} below the best baseline."


def use_the_baseline(evidence: Evidence) -> str | None:
    """Recommend the best baseline if no network beats it but a cell is on a par with it."""
    if evidence.baseline is None or evidence.worth_training:
        return None
    if evidence.hindsight is not None and evidence.against(evidence.baseline)["beat"]:
        return f"Use {evidence.hindsight.name}: on the test part it is better than every {evidence.noun}."
    if not evidence.against(evidence.baseline)["par"]:
        return None
    training = ", and it needs no training" * (evidence.noun == "cell")
    return f"Use {evidence.baseline.name}: no {evidence.noun} is better{training}."


def use_no_network(evidence: Evidence) -> str | None:
    """Advise against a network if every cell loses to the best baseline."""
    if evidence.baseline is None or evidence.worth_training:
        return None
    if len(evidence.against(evidence.baseline)["lose"]) < len(evidence.cells):
        return None
    if evidence.noun != "cell":
        return f"Use {evidence.baseline.name}: every model is worse."
    window = f" at this lookback ({evidence.lookback})" if evidence.lookback else ""
    return f"Use {evidence.baseline.name}: do not use a recurrent net for this series{window}."


#: In the order in which they are read.
SENTENCES = (
    winner, tie, behind, seed_noise, time_noise, what_it_takes, where_noise_comes_from, against_best_baseline,
    better_in_hindsight, beaten_baseline, how_tested, average_ranks, reach, cost, tuned,
    use_a_network, use_the_baseline, use_no_network,
)  # fmt: skip


def names(rows: Sequence[Row]) -> str:
    """``"GRU"``, ``"GRU and LSTM"``, ``"GRU, LSTM and SimpleRNN"``."""
    return in_words([row.name for row in rows])


def verb(rows: Sequence[Row], one: str, many: str) -> str:
    """The verb's form for one row or for many."""
    return one if len(rows) == 1 else many


def p_value(p: float) -> str:
    """``"p = 0.052"``, ``"p = 0.31"``, ``"p < 0.001"``."""
    # Two digits below 0.1: 0.052 must not look like 0.05.
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}" if p < 0.1 else f"p = {p:.2f}"


def smallest_p_value(several: Sequence[float]) -> str:
    """``"p = 0.31 or more"`` of several, ``"p = 0.31"`` of one; nothing is more than one."""
    shown = p_value(min(several))
    return f"{shown} or more" if len(several) > 1 and shown != p_value(1.0) else shown


def seconds(count: float) -> str:
    """``"12 s"``, ``"0.35 s"``."""
    return f"{count:.0f} s" if count >= 10 else f"{count:.2g} s"
