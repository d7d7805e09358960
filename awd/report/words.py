"""The words of tables, figures and page, made here from facts and parsed nowhere."""

from collections.abc import Iterable, Mapping
from typing import Any

from awd.report.comparability import Exclusion
from awd.report.remarks import (
    Ahead,
    AsFrequencies,
    AtEpoch,
    Backward,
    Ended,
    Incomparable,
    NeverAveraged,
    NoInterval,
    NoPublishedInterval,
    Note,
    OtherInterval,
    OwnNoise,
    Remark,
    SeedsMissing,
)
from awd.report.structures import UsedDevice
from awd.vocabulary import END, Device, LeftOut, Status

CORPORA = {
    "ptb": "Penn Treebank",
    "wikitext-2": "WikiText-2",
    "wikitext2": "WikiText-2",
}
INTERVALS = {
    "trainings and text": "over trainings and blocks of the test text",
    "trainings": "over trainings, for this test text",
}
"""What the interval of a difference covers, by its kind in report.stats."""
LEFT_OUT = {
    LeftOut.ASTRAY: "a training predicts no better than word frequencies",
    LeftOut.SPREADS: "its trainings spread far more than those of other rows",
    LeftOut.PROTOCOL: "it was measured by another protocol than most rows",
}
"""Why a row does not share the noise of training of other rows."""
HEADINGS = {
    "label": "",
    "parameters": "Params",
    "train": "train",
    "valid": "valid",
    "test": "test",
    "seeds": "Seeds",
    "delta": "Δ",
    "interval": "95% interval",
    "valid_interval": "95% interval",
    "test_interval": "95% interval",
    "p": "p",
    "p_holm": "p (Holm)",
    "seconds_per_epoch": "s/epoch",
    "verdict": "Verdict",
    "status": "Status",
    "outcome": "Outcome",
    "time": "Time",
}
"""Headings of table columns by name."""
MINUS, DASH, TIMES = "\N{MINUS SIGN}", "\N{EN DASH}", "\N{MULTIPLICATION SIGN}"
MOST_NAMES = 8  # in a sentence
BASE = "base"  # in place of a difference from itself


def corpus_name(corpus: str) -> str:
    """Return the name that readers know a corpus by."""
    return CORPORA.get(corpus, corpus)


def text_name(suite: Mapping, corpus: str) -> str:
    """Return the name of a corpus, with how much of it a suite trains on if that is a part.

    ``suite`` may have ``train_tokens``, by corpus and row the number of tokens that it trains on
    (0: all). Rows that differ there are named by `training_texts`.
    """
    used = {*suite.get("train_tokens", {}).get(corpus, {}).values()}
    return corpus_name(corpus) + first_tokens(used.pop() if len(used) == 1 else 0)


def first_tokens(train_tokens: int) -> str:
    """Return what follows the name of a corpus of which so many tokens are trained on (0: all)."""
    return f", first {train_tokens:,} tokens" if train_tokens else ""


def training_texts(suites: Iterable[Mapping]) -> list[str]:
    """Return a sentence for each corpus of which rows of ``suites`` train on a part."""
    found: dict[str, set[int]] = {}
    for suite in suites:
        for corpus, of_rows in suite.get("train_tokens", {}).items():
            found.setdefault(corpus, set()).update(of_rows.values())
    return [
        f"Trained on the first {' or '.join(f'{each:,}' for each in sorted(used) if each)} tokens"
        f"{' or all' if 0 in used else ''} of {corpus_name(corpus)}."
        for corpus, used in found.items()
        if any(used)
    ]


def plural(count: int, noun: str, many: str | None = None) -> str:
    """Return a count with its noun."""
    return f"{count:,} {noun if count == 1 else many or noun + 's'}"


def span(counts: Iterable[int]) -> str:
    """Return a range of counts: 3, 1 or 2, 1 to 3; 0 of nothing."""
    low, high = min(found := [*counts], default=0), max(found, default=0)
    return f"{high:,}" if low == high else f"{low:,} {'or' if high == low + 1 else 'to'} {high:,}"


def listed(names: list[str]) -> str:
    """Return names in a sentence, the first few of many."""
    rest = len(names) - MOST_NAMES
    return ", ".join(names[:MOST_NAMES]) + (f" and {rest:,} more" if rest > 0 else "")


def heading(name: str, group: str = "") -> str:
    """Return the heading of a table's column, under the heading of its group."""
    text = HEADINGS[name]
    return text.lower() if group and name == "parameters" else text


def group_heading(group: str) -> str:
    """Return the heading over a group of columns."""
    return group[:1].upper() + group[1:]


def interval(kind: str) -> str:
    """Return what an interval of this kind covers."""
    return INTERVALS[kind]


def status(state: str, there: int = 0, planned: int = 0, epochs: int | None = None) -> str:
    """Return the state of a row; of a partial one with its seeds, of a hopeless one with epochs."""
    if state == Status.PARTIAL:
        return f"partial ({there} of {planned} seeds)"
    if state == Status.HOPELESS and epochs is not None:
        return f"hopeless after {plural(epochs, 'epoch')}"
    return str(state)


def verdict(kind: str, distance: float) -> str:
    """Return a verdict with the distance of our perplexity from the published one."""
    return f"{kind} ({deviation(distance)})"


def deviation(share: float) -> str:
    """Return a deviation from a published perplexity in percent."""
    return f"{share:+.1%}".replace("-", MINUS)


def unfinished(at: AtEpoch) -> str:
    """Return how an unfinished training compares with the published one, in a few words."""
    return f"unfinished: epoch {at.epoch}, {deviation(at.deviation)}"


def order(pairs: int, agree: int, tau: float, p: float, with_noise: bool) -> str:
    """Return how the order of rows compares with the published one, as a sentence."""
    which = "pairs of rows that were published further apart than noise"
    if not with_noise:
        which = "pairs of rows"
    return (
        f"Order: {agree} of {pairs} {which} stand as published "
        f"(Kendall's τ {tau:.2f}, permutation test {_p_value(p)})."
    ).replace("-", MINUS)


def _p_value(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def published_difference(*, with_interval: bool) -> str:
    """Return the sentence that says what a difference from a published number is."""
    text = "Difference: reproduced minus published perplexity"
    if not with_interval:
        return f"{text}."
    return (
        f"{text}, with its {HEADINGS['interval']} over trainings, of which the published number "
        "is one."
    )


def bold(where: str) -> str:
    """Return the sentence that says what a bold number is, of rows that are ``where``."""
    return f"Bold: best reproduced value of {where}."


def exclusion(why: str) -> str:
    """Return why a row is not compared, in a word or two."""
    return "not comparable" if why == Exclusion.INCOMPARABLE else str(why)


def remark(each: Remark) -> str:
    """Return a remark as a clause, to stand in a list of several."""
    match each:
        case Note(text):
            return text
        case AtEpoch(epoch, epochs, perplexity, published):
            return (
                f"unfinished training: epoch {epoch} of {epochs}: valid {perplexity:.2f}, "
                f"published {published:.2f} ({deviation(each.deviation)})"
            )
        case SeedsMissing(0, _):
            return status(Status.MISSING)
        case SeedsMissing(there, planned):
            return status(Status.PARTIAL, there, planned)
        case Ended(state, reason, seeds, epochs):
            return _ended(state, reason, seeds, epochs)
        case Backward(valid, test):
            return f"perplexity of the backward direction, valid and test: {valid:.2f}, {test:.2f}"
        case NeverAveraged(epochs, seeds, finished):
            share = f" with {seeds} of {finished} seeds" if finished > 1 else ""
            return f"averaging did not start in its {epochs} epochs{share}"
        case Incomparable(found):
            return f"not comparable with the other rows: {differences(found)}"
        case AsFrequencies(perplexity):
            return f"no better than word frequencies, {perplexity:,.2f}"
        case NoInterval():
            return f"no interval: {unknown_noise(each)}"
        case NoPublishedInterval(lacks):
            return f"no interval of the published difference: {unknown_noise(lacks)}"
        case OwnNoise(why):
            return f"its noise is that of its own trainings alone, because {LEFT_OUT[why]}"
        case OtherInterval(kind):
            return f"interval {interval(kind)}"
        case Ahead(second):
            return f"second best: “{second}”, {_ahead(each)}"
    raise TypeError(f"{each!r} is no remark")


def _ahead(each: Ahead) -> str:
    apart, low, high = (f"{x:+.2f}" for x in (each.difference, each.low, each.high))
    decided = "beyond noise" if each.beyond else "undecided"
    text = f"{apart} ({HEADINGS['interval']} [{low}, {high}], {_p_value(each.p)}): {decided}"
    return text.replace("-", MINUS)


def unknown_noise(lacks: NoInterval, row: str = "this row", base_row: str = "the base row") -> str:
    """Return why a difference has no interval, with the names of both rows."""
    why = " or ".join(LEFT_OUT[each] for each in lacks.why)
    if lacks.whose in ("pool", "pool of the base row"):
        text = "the same text" if lacks.whose == "pool" else f"the text of {base_row}"
        if not why:
            return (
                f"no row trained on {text} has several trainings, and one cannot show what is noise"
            )
        return f"every row with several trainings on {text} is left out ({why})"
    name = row if lacks.whose == "row" else base_row
    return f"{name} has one training here and does not share the noise of other rows, because {why}"


def left_out(counts: Mapping[LeftOut, int]) -> str:
    """Return how many trainings do not share the noise of other rows, and why."""
    return "; ".join(
        f"{plural(count, 'training')} left out ({LEFT_OUT[why]})" for why, count in counts.items()
    )


def noise_source(trainings: Mapping[tuple[str, int], tuple[int, int]]) -> str:
    """Return a sentence on where the noise of training is from.

    ``trainings`` has their number and the degrees of freedom by corpus and how many tokens of it
    are trained on (0: all).
    """
    found = " and ".join(
        f"{plural(count, 'training')} on {corpus_name(corpus)}{first_tokens(train_tokens)} "
        f"({plural(freedom, 'degree')} of freedom)"
        for (corpus, train_tokens), (count, freedom) in trainings.items()
    )
    return f"Noise of training, over all studies: {found}."


def remarks(found: Iterable[Remark]) -> str:
    """Return remarks as one text."""
    return "; ".join(remark(each) for each in found)


def _ended(state: Status, reason: str | None, seeds: tuple[int, ...], epochs: int | None) -> str:
    text = status(state, epochs=epochs)
    if seeds:
        many = len(seeds) > 1
        verbs = {
            Status.LEAKS: "leak" if many else "leaks",
            Status.HOPELESS: f"{'are' if many else 'is'} {text}",
        }
        text = f"seed{'s' * many} {', '.join(map(str, seeds))} {verbs.get(state, text)}"
    return f"{text}: {reason}" if reason else text


def differences(found: Iterable[tuple[str, object]]) -> str:
    """Return what differs between two protocols, by the values of the first."""
    return ", ".join(_difference(name, value) for name, value in found)


def _difference(name: str, value: Any) -> str:
    match name, value:
        case "mode", _:
            return f"read as {value}"
        case "context", _:
            cloze = " (pseudo-perplexity)" if value == "left and right" else ""
            return f"{value} context{cloze}"
        case "batch_size", _:
            return plural(value, "text side by side", "texts side by side")
        case "carried_state", _:
            return "state carried" if value else "fresh state per sentence"
        case "eos_counted", _:
            return f"{END} counted" if value else f"no {END} counted"
        case "vocabulary", _:
            return f"{value} word types"
        case "valid_tokens" | "test_tokens", _:
            return f"{value} {name.removesuffix('_tokens')} tokens"
    raise TypeError(f"'{name}' is no part of a protocol")


def device_names(devices: Iterable[UsedDevice] | None) -> str:
    """Return the devices of a stage in order of use."""
    return (
        ", then ".join(
            each.name if each.threads is None else f"{each.name}, {plural(each.threads, 'thread')}"
            for each in devices or ()
        )
        or DASH
    )


def hours(totals: Mapping[Device | None, float]) -> str:
    """Return a cost: hours by kind of device, None where that is not known."""
    return " and ".join(_hours(value, kind) for kind, value in totals.items())


def cost(totals: Mapping[Device | None, float], joules: float | None) -> str:
    """Return hours as `hours` does, and the energy if it is known."""
    return f"{hours(totals)}, {energy(joules)}" if joules is not None else hours(totals)


def energy(joules: float) -> str:
    """Return an amount of energy in watt-hours or kilowatt-hours."""
    watt_hours = joules / 3600
    if watt_hours < 1000:
        return f"{watt_hours:.2g} Wh" if watt_hours < 10 else f"{watt_hours:,.0f} Wh"
    kilo = watt_hours / 1000
    return f"{kilo:.2g} kWh" if kilo < 10 else f"{kilo:,.0f} kWh"


def _hours(value: float, kind: Device | None) -> str:
    unit = unit_name(kind)
    shown, noun = (value, "hour") if value >= 1 else (60 * value, "minute")
    if shown < 1:
        shown, noun = 60 * shown, "second"
    digits = f"{shown:,.0f}" if noun == "second" or shown >= 10 else f"{shown:.2g}"
    return f"{digits} {unit}-{noun}s" if unit else f"{digits} {noun}s on mixed or unknown devices"


def unit_name(kind: Device | None) -> str:
    """Return what is counted of a kind of device: cores or GPUs."""
    return {Device.CPU: "core", Device.CUDA: "GPU"}[kind] if kind else ""
