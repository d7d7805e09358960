"""A suite and its records -> a frame: a line per row and corpus, facts and unrounded numbers."""

import math
from collections.abc import Iterable, Mapping

import pandas as pd

from awd.report.agreement import Order, difference, judge, order
from awd.report.comparability import measured_differently
from awd.report.evaluations import Evaluation, by_seed, runs_of
from awd.report.noise import Pool, by_split, pool_of
from awd.report.noise import result as result_of_line
from awd.report.remarks import (
    AsFrequencies,
    AtEpoch,
    Backward,
    Ended,
    Incomparable,
    NeverAveraged,
    NoPublishedInterval,
    Note,
    OwnNoise,
    Remark,
    SeedsMissing,
)
from awd.report.stats import (
    Difference,
    Noise,
    Result,
    compare,
    holm,
    lacks,
    left_out,
    mean,
    mean_and_deviation,
    mean_loss,
)
from awd.vocabulary import COMBINED, FAILED, HELD_OUT, Split, Stage, Status

COLUMNS: dict[str, str | None] = {
    **dict.fromkeys(("suite", "row", "label", "corpus", "stage", "method")),
    "train_tokens": "int64",
    "params": "Int64",
    **dict.fromkeys(("published_train", "published_valid", "published_test"), "float64"),
    **dict.fromkeys(("train", "valid", "valid_sd", "test", "test_sd"), "float64"),
    "n": "int64",
    **dict.fromkeys(("delta_test", "delta_low", "delta_high", "p", "p_holm"), "float64"),
    "interval": None,
    **dict.fromkeys(("noise_valid", "noise_test", "noise_freedom"), "float64"),
    "noise_trainings": "Int64",
    "left_out": "object",
    "seconds_per_epoch": "float64",
    **dict.fromkeys(("status", "verdict")),
    "distance": "float64",
    **dict.fromkeys(
        (f"difference_{split}{end}" for split in HELD_OUT for end in ("", "_low", "_high")),
        "float64",
    ),
    "incomparable": "object",
    "note": None,
}
"""Of the csv file, with their types, None for text. In the frame, ``remarks`` (report.remarks)
stands in place of ``note``, and ``incomparable`` has what differs (report.comparability), or None.
"""
COUNTED = (Status.DONE, Status.PARTIAL)
"""The states whose values may be compared with others."""
COSTS = ("parameters", "seconds_per_epoch")  # what a published row may give besides perplexity


def build(
    suite: dict,
    records: pd.DataFrame,
    scale: str,
    planned: dict[str, dict] | None = None,
    noises: Mapping[tuple[Pool, str], Noise] | None = None,
    unfinished: Mapping[tuple[str, str], AtEpoch] = {},
) -> pd.DataFrame:
    """Build the table of a suite: a line per row and corpus, in the suite's order.

    Perplexities are those of mean losses over seeds, unrounded; differences are perplexities, too.
    The base row has no difference, nor has a row that leaks or that is ``incomparable``: measured
    by another protocol. ``interval`` is what the interval covers (report.stats); ``p_holm`` is
    ``p`` corrected for the number of rows compared on the corpus. ``noise_valid`` and
    ``noise_test`` are the standard deviations of a training's mean loss, in nats, with
    ``noise_freedom`` degrees of freedom on the test text, from ``noise_trainings``. ``left_out`` is
    why the row does not share this noise, if it does not (vocabulary.LeftOut). It is that of the
    rows on the corpus with the same ``train_tokens``: on how many tokens they train (0: all).
    ``difference_test`` is the reproduced minus the published perplexity, ``difference_test_low``
    and ``_high`` its interval (report.agreement), at scale `paper`.

    Args:
        suite: an entry of the plan's ``suites``.
        records: the frame of report.records.
        planned: the plan's ``runs``, which have the parameters of what is not trained yet.
        noises: of trainings, by pool and split; by default those of all ``records``.
        unfinished: how far trainings are that have fewer epochs than the published one, by row and
            corpus (report.equal_epochs).
    """
    planned = planned or {}
    noises = by_split(records, planned) if noises is None else noises
    found = _by_seed(suite, records)
    bases = {row["corpus"]: row for row in suite["rows"] if row["row"] == suite.get("base")}
    differing = measured_differently(suite, records)
    lines = []
    for row in suite["rows"]:
        base = bases.get(row["corpus"])
        of_base = {} if base in (None, row) else found[base["row"], base["corpus"]]
        place = (row["row"], row["corpus"])
        pool, pool_of_base = (pool_of(each, planned) for each in (row, base or row))
        noise = {str(split): noises.get((pool, split), Noise()) for split in HELD_OUT}
        noise_of_base = None
        if pool_of_base != pool:
            noise_of_base = noises.get((pool_of_base, Split.TEST), Noise())
        line = _line(
            row, found[place], of_base, differing.get(place), planned, scale, noise, noise_of_base
        )
        line["train_tokens"] = pool.train_tokens
        of_words = min((each["of_words"] for each in found[place].values()), default=math.inf)
        if compared(line) and line["test"] >= of_words:
            line["remarks"] = (AsFrequencies(of_words), *line["remarks"])
        if place in unfinished:
            line["remarks"] += (unfinished[place],)
        lines.append({"suite": suite["suite"], **line})
    frame = pd.DataFrame(lines, columns=[*COLUMNS, "remarks"]).drop(columns="note")
    frame["p_holm"] = frame.groupby("corpus", sort=False)["p"].transform(holm)
    return frame.astype({column: kind for column, kind in COLUMNS.items() if kind})


def combine(suites: list[dict], frames: list[pd.DataFrame]) -> tuple[dict, pd.DataFrame]:
    """Join all suites as one, to be written like one: the rows of each under its name."""
    parts = [part for part in suites if part["rows"]]
    together = {"suite": COMBINED, "title": "All studies", "parts": parts}
    return together, pd.concat([f for f in frames if len(f)] or frames, ignore_index=True)


def published_columns(row: dict) -> dict[str, dict]:
    """Return the published values of a row by column; the first one given for a value counts."""
    columns: dict[str, dict] = {}
    for entry in row.get("published") or []:
        column = columns.setdefault(entry.get("column", "paper"), {})
        for value in ("train", "valid", "test", *COSTS):
            if entry.get(value) is not None and value not in column:
                column[value] = entry[value]
    return columns


def compared(line: dict) -> bool:
    """Return whether a line is compared with others: it counts, and by the same protocol."""
    return line["status"] in COUNTED and not line["incomparable"]


def beats_frequencies(line: dict) -> bool:
    """Return whether a line predicts better than word frequencies, as far as that is known."""
    return not any(isinstance(each, AsFrequencies) for each in line["remarks"])


def order_agreement(lines: Iterable[dict]) -> Order:
    """Compare the order of perplexities with the published one, over ``lines`` of a frame.

    Rows of a suite that train on the same part of a corpus, and that may be compared, are set
    beside each other: by their test perplexity or, where that was published of fewer than two, by
    that of the validation text. Where the noise of training is known, rows that do not share it are
    left out: it does not measure which published differences from them are beyond noise.
    """
    groups, noises = [], []
    found: dict[tuple[str, Pool], list[dict]] = {}
    for line in filter(compared, lines):
        pool = Pool(line["corpus"], line["train_tokens"])
        found.setdefault((line["suite"], pool), []).append(line)
    for group in found.values():
        for split in ("test", "valid"):
            noise = noise_of_line(group[0], split)
            pairs = [
                (line[f"published_{split}"], line[split])
                for line in group
                if not (noise.freedom and isinstance(line["left_out"], str))
            ]
            known = [pair for pair in pairs if not math.isnan(sum(pair))]
            if len(known) > 1:
                groups.append(tuple((math.log(one), math.log(other)) for one, other in known))
                noises.append(noise)
                break
    return order(tuple(groups), tuple(noises))


def noise_of_line(line: dict, split: str) -> Noise:
    """Return the noise of training that a line of the frame has."""
    if math.isnan(line["noise_freedom"]) or math.isnan(line[f"noise_{split}"]):
        return Noise()
    return Noise(line[f"noise_{split}"] ** 2, int(line["noise_freedom"]))


def _line(
    row: dict,
    results: dict[int, dict],
    of_base: dict[int, dict],
    differing: tuple[tuple[str, object], ...] | None,
    planned: dict[str, dict],
    scale: str,
    noise: Mapping[str, Noise],
    noise_of_base: Noise | None,
) -> dict:
    """A row's facts, from its results by seed and those of the base row.

    ``noise_of_base`` is that of the base row's pool if it is another one.
    """
    status = _status(row, results)
    counts = status in COUNTED and not differing
    own, base = _measured(results), _measured(of_base)
    delta = compare(own, base, noise[Split.TEST], noise_of_base) if counts else Difference()
    apart = left_out(own, noise[Split.TEST]) if counts else None
    published = published_columns(row).get("paper", {})
    beside = _beside(published, results, noise) if scale == "paper" and counts else {}
    judgement = next((judge(*each) for each in beside.values()), None)
    no_interval = next(filter(None, (lacks(own, n) for own, _, n in beside.values())), None)
    remarks = [
        Note(row["note"]) if row.get("note") else None,
        *_state_remarks(row, results, planned),
        _backward(results),
        _never_averaged(row, results, planned),
        Incomparable(differing) if differing else None,
        delta.lacks or (NoPublishedInterval(no_interval) if no_interval else None),
        OwnNoise(apart) if apart and len(own) > 1 else None,
    ]
    perplexities = _perplexities(results)
    return {
        **{key: row[key] for key in ("row", "label", "corpus", "stage", "method")},
        "params": _parameters(row, results, planned),
        **{f"published_{split}": published.get(split) for split in Split},
        **perplexities,
        **_difference(delta, math.exp(mean_loss(base))),
        **{f"noise_{split}": math.sqrt(noise[split].variance) for split in HELD_OUT},
        "noise_freedom": noise[Split.TEST].freedom or math.nan,
        "noise_trainings": noise[Split.TEST].trainings or None,
        "left_out": apart,
        "seconds_per_epoch": mean(
            [r["seconds"] for r in results.values() if not math.isnan(r["seconds"])]
        ),
        "status": status,
        "verdict": judgement.verdict if judgement else None,
        "distance": judgement.distance if judgement else math.nan,
        **{
            f"difference_{split}": perplexities[split] - published[split]
            for split in HELD_OUT
            if counts and published.get(split) is not None
        },
        **{
            f"difference_{split}_{end}": value
            for split, each in beside.items()
            for end, value in zip(("low", "high"), difference(*each), strict=True)
        },
        "incomparable": differing,
        "remarks": tuple(filter(None, remarks)),
    }


def _perplexities(results: dict[int, dict]) -> dict[str, float]:
    """A row's mean perplexities, their deviations over seeds, and how many there are."""
    values = {str(split): [r[split] for r in results.values() if split in r] for split in Split}
    means = {split: mean_and_deviation(each) for split, each in values.items()}
    return {
        **{split: each for split, (each, _) in means.items()},
        **{f"{split}_sd": means[split][1] for split in HELD_OUT},
        "n": max(len(values[split]) for split in HELD_OUT),
    }


def _difference(delta: Difference, level: float) -> dict[str, float | str]:
    """A difference in nats as one of perplexity, from a base row at ``level``."""
    return {
        "delta_test": level * math.expm1(delta.nats),
        "delta_low": level * math.expm1(delta.low),
        "delta_high": level * math.expm1(delta.high),
        "p": delta.p,
        "interval": delta.covers,
    }


def _by_seed(suite: dict, records: pd.DataFrame) -> dict[tuple[str, str], dict[int, dict]]:
    """Per (row, corpus) and seed: status, reason, parameters, seconds, and by split perplexities.

    ``measured`` has, by split, what can be compared; ``of_words`` is the perplexity of the test
    text's word frequencies, infinite if unknown.
    """
    lines = records[records["run"].isin(runs_of(suite))]
    found: dict[Evaluation, dict] = {}
    for line in lines.itertuples(index=False):
        result = found.setdefault(
            (line.run, line.stage, line.method), {"of_words": math.inf, "measured": {}}
        )
        result["run"], result["status"] = line.run, line.status
        result["reason"] = line.reason if isinstance(line.reason, str) else None
        result["parameters"] = line.parameters
        result["epochs"], result["averaging_starts"] = line.epochs, line.switch_epoch
        result["seconds"] = line.seconds_per_epoch
        if not math.isnan(line.perplexity):
            result[line.split] = line.perplexity
            result["measured"][line.split] = result_of_line(line)
            if line.split == Split.TEST and not math.isnan(line.unigram_perplexity):
                result["of_words"] = line.unigram_perplexity
    return {(row["row"], row["corpus"]): by_seed(row, found) for row in suite["rows"]}


def _counts(result: dict) -> bool:
    return result["status"] not in (*FAILED, Status.LEAKS)


def _backward(results: dict[int, dict]) -> Backward | None:
    names = ("valid-backward", "test-backward")
    values = [[result.get(name, math.nan) for result in results.values()] for name in names]
    means = [mean_and_deviation(each)[0] for each in values]
    return None if any(map(math.isnan, means)) else Backward(*means)


def _never_averaged(
    row: dict, results: dict[int, dict], planned: dict[str, dict]
) -> NeverAveraged | None:
    """A row of NT-ASGD whose trigger did not fire is one of SGD."""
    specs = [planned.get(item["run"], {}).get("spec", {}) for item in row["runs"]]
    if row["stage"] != Stage.TRAIN or "nt-asgd" not in [spec.get("optimizer") for spec in specs]:
        return None
    finished = [result for result in results.values() if _counts(result)]
    plain = [result for result in finished if pd.isna(result["averaging_starts"])]
    if not plain or pd.isna(plain[0]["epochs"]):
        return None
    return NeverAveraged(int(plain[0]["epochs"]), len(plain), len(finished))


def _measured(results: dict[int, dict], split: str = Split.TEST) -> list[Result]:
    """The results to compare."""
    counted = filter(_counts, results.values())
    return [each["measured"][split] for each in counted if split in each["measured"]]


def _status(row: dict, results: dict[int, dict]) -> Status:
    """The row's state over its seeds."""
    good = sum(_counts(result) for result in results.values())
    states = {result["status"] for result in results.values()}
    if Status.LEAKS in states:
        return Status.LEAKS
    if not good and (failed := [each for each in FAILED if each in states]):
        return failed[0]
    if good == 0:
        return Status.MISSING
    return Status.PARTIAL if good < len(row["runs"]) else Status.DONE


def _state_remarks(row: dict, results: dict[int, dict], planned: dict[str, dict]) -> list[Remark]:
    """How many seeds a partial row has; and its seeds that ended badly, alike ones together."""
    bad: dict[tuple, list[int]] = {}
    for seed, result in results.items():
        if not _counts(result):
            epochs = None
            if result["status"] == Status.HOPELESS:
                epochs = planned.get(result["run"], {}).get("spec", {}).get("stop_hopeless")
            bad.setdefault((result["status"], result["reason"], epochs), []).append(seed)
    several = len(row["runs"]) > 1
    remarks: list[Remark] = [
        Ended(Status(status), reason, tuple(seeds) if several else (), epochs)
        for (status, reason, epochs), seeds in bad.items()
    ]
    good = sum(_counts(result) for result in results.values())
    if _status(row, results) in (Status.PARTIAL, Status.MISSING):
        remarks.insert(0, SeedsMissing(good, len(row["runs"])))
    return remarks


def _parameters(row: dict, results: dict[int, dict], planned: dict[str, dict]) -> int | None:
    counts = [result["parameters"] for result in results.values()]
    counts += [planned.get(item["run"], {}).get("parameters") for item in row["runs"]]
    return next((int(count) for count in counts if count is not None and not pd.isna(count)), None)


def _beside(
    published: Mapping[str, float], results: dict[int, dict], noise: Mapping[str, Noise]
) -> dict[str, tuple[list[Result], float, Noise]]:
    """By split: what was measured, the published value, and the noise; the test text first.

    A verdict is made by the first.
    """
    return {
        split: (measured, published[split], noise[split])
        for split in (Split.TEST, Split.VALID)
        if published.get(split) is not None and (measured := _measured(results, split))
    }
