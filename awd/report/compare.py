"""Two folders of results, run by run and row by row: what differs, and is it more than noise?"""

import logging
import math
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from itertools import chain, product
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.table import Table
from tabulate import tabulate

from awd.errors import InputError, nearest
from awd.files import refuse_broken_link
from awd.report import words
from awd.report.build import gather, read_plan, scales
from awd.report.evaluations import Evaluation, by_seed, evaluations_of, runs_of
from awd.report.noise import Pool, noise_of, pool_of, results_by_row
from awd.report.stats import Difference, Noise, Result, beyond_noise, compare, holm, mean_loss
from awd.report.words import DASH, MINUS, plural
from awd.runs.curve import TIMES
from awd.study import parts
from awd.study.spec import DEFAULTS
from awd.vocabulary import Stage, Status

log = logging.getLogger(__name__)

DIFFERENT, UNDECIDED = 3, 4
"""Exit codes; 0: no row differs beyond noise. 1 and 2 are those of wrong input."""
INTERVAL = words.heading("interval")
WIDTH = 200  # of lines that no terminal limits


class Outcome(StrEnum):
    """What came out of comparing a row."""

    EQUAL = "equal to the last bit"
    WITHIN = "no difference beyond noise"
    HIGHER = "higher"
    LOWER = "lower"
    UNKNOWN = "noise unknown"
    STATUS = "status differs"
    ONE_SIDED = "only in one"


@dataclass(frozen=True)
class Results:
    """The results of one plan: ``name`` as given, the plan, and the frames of its records."""

    name: str
    plan: dict
    records: pd.DataFrame
    curves: pd.DataFrame

    @cached_property
    def lines(self) -> dict[Evaluation, list]:
        """The lines of the records, as named tuples."""
        found: dict[Evaluation, list] = {}
        for line in self.records.itertuples(index=False):
            found.setdefault((line.run, line.stage, line.method), []).append(line)
        return found

    def of_row(self, row: Mapping) -> list:
        """Return the lines of a row of the plan, seed by seed."""
        return list(chain.from_iterable(by_seed(row, self.lines).values()))


@dataclass(frozen=True)
class Row:
    """A row of both; the second minus the first.

    ``means`` are the perplexities, ``counts`` the trainings, ``states`` what their records say
    (empty: nothing). ``changed`` are the hyperparameters that differ: (first, second) by name.
    """

    suite: str
    row: str
    label: str
    corpus: str
    outcome: Outcome
    means: tuple[float, float]
    counts: tuple[int, int]
    states: tuple[str, str]
    difference: Difference
    p_holm: float
    changed: dict[str, tuple[object, object]]


@dataclass(frozen=True)
class Comparison:
    """Two results of one scale. Of evaluations in both, ``equal`` are so to the last bit.

    ``alone`` has, by suite, how many rows only the first plan has, and how many only the second.
    """

    scale: str
    names: tuple[str, str]
    evaluations: int
    equal: int
    noise: dict[Pool, Noise]
    rows: list[Row]
    alone: dict[str, tuple[int, int]]

    @property
    def code(self) -> int:
        """Exit code: 0, DIFFERENT, or UNDECIDED."""
        outcomes = {row.outcome for row in self.rows}
        if outcomes & {Outcome.HIGHER, Outcome.LOWER, Outcome.STATUS}:
            return DIFFERENT
        return UNDECIDED if Outcome.UNKNOWN in outcomes else 0


def read_results(folder: Path, scale: str | None = None) -> dict[str, Results]:
    """Read results by scale from a results folder, or from the folder of one scale in it.

    Records are read from the run folders or, where those were not copied, from records.csv. Raises
    InputError if there is no plan, or a file is damaged.
    """
    folder = Path(folder)
    refuse_broken_link(folder)
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder")
    root, names = folder, [scale] if scale else []
    if parts.files(folder):
        root, names = folder.absolute().parent, [folder.absolute().name]
    found = {}
    for name in names or scales(folder):
        plan = read_plan(root, name)
        records, curves, _ = gather(root, name, plan)
        found[name] = Results(str(folder), plan, records, curves)
    return found


def compare_folders(
    one: Path, other: Path, scale: str | None = None, suites: Collection[str] | None = None
) -> list[Comparison]:
    """Compare two folders, by default at every scale that both have; warn of the others.

    ``suites`` limits it to these. Raises InputError if they have no scale or no row in common, or
    what cannot be compared: other texts of a corpus, other protocols, other scales.
    """
    first, second = (read_results(folder, scale) for folder in (one, other))
    if len(first) == len(second) == 1:
        pairs = [*zip(first.values(), second.values(), strict=True)]
    else:
        pairs = [(first[name], second[name]) for name in first if name in second]
    if not pairs:
        raise InputError(
            f"{one} has the scales {', '.join(first)}, {other} has {', '.join(second)}: none in "
            "common"
        )
    if len(pairs) < max(len(first), len(second)):
        names = ", ".join(
            f"{name} (only in {one if name in first else other})"
            for name in [*first, *second]
            if (name in first) != (name in second)
        )
        log.warning("scales not compared: %s", names)
    if suites is not None:
        pairs = _limited(pairs, suites)
    return [compare_results(*pair) for pair in pairs]


def _limited(
    pairs: list[tuple[Results, Results]], suites: Collection[str]
) -> list[tuple[Results, Results]]:
    """The pairs with these suites alone, of which each must be in a plan."""
    known = {suite["suite"] for each in chain(*pairs) for suite in each.plan["suites"]}
    for name in suites:
        if name not in known:
            raise InputError(f"suites: neither folder has '{name}'; {nearest(name, known)}")
    limited = [(_of_suites(one, suites), _of_suites(two, suites)) for one, two in pairs]
    return [(one, two) for one, two in limited if one.plan["suites"] or two.plan["suites"]]


def _of_suites(results: Results, suites: Collection[str]) -> Results:
    """The results with these suites alone in the plan, whose noise is that of all records."""
    kept = [suite for suite in results.plan["suites"] if suite["suite"] in suites]
    return replace(results, plan=results.plan | {"suites": kept})


def compare_results(first: Results, second: Results) -> Comparison:
    """Compare two results; raises InputError as `compare_folders` does."""
    _check_comparable(first, second)
    runs = {**second.plan["runs"], **first.plan["runs"]}
    added = second.records[~second.records["run"].isin(first.records["run"])]
    frames = [frame for frame in (first.records, added) if len(frame)]
    noise = noise_of(pd.concat(frames, ignore_index=True), runs) if frames else {}
    same = _equal_evaluations(first, second)
    chosen = {run for suite in first.plan["suites"] for run in runs_of(suite)}
    counted = [equal for (run, *_), equal in same.items() if run in chosen]
    rows = [
        _row(suite, row, other, (first, second), noise, same)
        for suite, row, other in _common_rows(first, second)
    ]
    if not rows:
        raise InputError(f"{first.name} and {second.name} have no row in common")
    corrected = holm([row.difference.p for row in rows])
    return Comparison(
        first.plan["scale"],
        (first.name, second.name),
        len(counted),
        sum(counted),
        noise,
        [_decided(row, p) for row, p in zip(rows, corrected, strict=True)],
        _alone(first, second),
    )


def _check_comparable(first: Results, second: Results) -> None:
    names = f"{first.name} and {second.name}"
    scales_of = first.plan["scale"], second.plan["scale"]
    if len(set(scales_of)) > 1:
        raise InputError(f"{names} cannot be compared: their scales are {' and '.join(scales_of)}")
    texts = [
        {run["corpus"]["name"]: run["corpus"]["fingerprint"] for run in each.plan["runs"].values()}
        for each in (first, second)
    ]
    for corpus in texts[0].keys() & texts[1].keys():
        if texts[0][corpus] != texts[1][corpus]:
            raise InputError(
                f"{names} cannot be compared: their texts of '{corpus}' differ (fingerprints "
                f"{texts[0][corpus][:10]} and {texts[1][corpus][:10]})"
            )


def _common_rows(first: Results, second: Results) -> list[tuple[str, dict, dict]]:
    """(suite, row of the first plan, row of the second)."""
    others = {
        (suite["suite"], row["row"], row["corpus"]): row
        for suite in second.plan["suites"]
        for row in suite["rows"]
    }
    return [
        (suite["suite"], row, others[key])
        for suite in first.plan["suites"]
        for row in suite["rows"]
        if (key := (suite["suite"], row["row"], row["corpus"])) in others
    ]


def _alone(first: Results, second: Results) -> dict[str, tuple[int, int]]:
    """By suite, how many rows only the first plan has, and how many only the second."""
    rows = [
        {
            (suite["suite"], row["row"], row["corpus"])
            for suite in each.plan["suites"]
            for row in suite["rows"]
        }
        for each in (first, second)
    ]
    one, two = (Counter(suite for suite, *_ in own - (rows[0] & rows[1])) for own in rows)
    return {suite: (one[suite], two[suite]) for suite in sorted(one | two)}


def _equal_evaluations(first: Results, second: Results) -> dict[Evaluation, bool]:
    """(run, stage, method) of every evaluation in both -> whether all its numbers are the same."""
    evaluations = [_numbers(each) for each in (first, second)]
    return {
        key: numbers == evaluations[1][key]
        for key, numbers in evaluations[0].items()
        if key in evaluations[1]
    }


def _numbers(results: Results) -> dict[Evaluation, tuple]:
    """Everything that an evaluation and its training measured, but for times."""
    curves = {
        key: lines.drop(columns=[name for name in TIMES if name in lines])
        .astype(object)
        .where(lines.notna(), None)
        .to_dict("records")
        for key, lines in results.curves.groupby(["run", "stage"], sort=False)
    }
    found = {}
    for key, lines in results.lines.items():
        numbers = []
        for line in lines:
            values = (line.split, line.nll, line.tokens, line.perplexity)
            known = [None if pd.isna(value) else value for value in values]
            numbers.append((*known, line.status, line.blocks, line.by_frequency))
        found[key] = (numbers, *(curves.get((key[0], stage)) for stage in Stage))
    return found


def _row(
    suite: str,
    row: dict,
    other: dict,
    both: tuple[Results, Results],
    noise: Mapping[Pool, Noise],
    same: Mapping[Evaluation, bool],
) -> Row:
    """A row's results in both, its difference, and what is decided without a correction."""
    pair = list(zip(both, (row, other), strict=True))
    results = [_results(each, r) for each, r in pair]
    first, second = (_state(each, r) for each, r in pair)
    _check_protocols(suite, row, other, both)
    noises = [noise.get(pool_of(r, each.plan["runs"]), Noise()) for each, r in pair]
    difference = compare(results[1], results[0], noises[1], noises[0])
    keys = [{*evaluations_of(r)} & each.lines.keys() for each, r in pair]
    if keys[0] and keys[0] == keys[1] and all(same[key] for key in keys[0]):
        outcome, difference = Outcome.EQUAL, Difference()
    elif not (keys[0] and keys[1]):
        outcome = Outcome.ONE_SIDED
    elif first != second:
        outcome, difference = Outcome.STATUS, Difference()
    else:
        outcome = Outcome.UNKNOWN
    # A plan of an older version lacks hyperparameters that were added since.
    one, two = (
        DEFAULTS | next((each.plan["runs"][item["run"]]["spec"] for item in r["runs"]), {})
        for each, r in pair
    )
    changed = {
        key: (one.get(key), two.get(key))
        for key in sorted(one.keys() | two.keys())
        if key != "seed" and one.get(key) != two.get(key)
    }
    return Row(
        suite,
        row["row"],
        row["label"],
        row["corpus"],
        outcome,
        (math.exp(mean_loss(results[0])), math.exp(mean_loss(results[1]))),
        (len(results[0]), len(results[1])),
        (first, second),
        difference,
        math.nan,
        changed,
    )


def _decided(row: Row, p: float) -> Row:
    """The row with its corrected p value, and the outcome that follows from it."""
    outcome = row.outcome
    if outcome is Outcome.UNKNOWN and not math.isnan(p):
        outcome = Outcome.WITHIN
        if beyond_noise(p):
            outcome = Outcome.HIGHER if row.difference.nats > 0 else Outcome.LOWER
    return replace(row, p_holm=p, outcome=outcome)


def _results(results: Results, row: dict) -> list[Result]:
    found = results_by_row({"rows": [row]}, results.records)
    return found.get((row["row"], row["corpus"]), [])


def _state(results: Results, row: dict) -> str:
    """The state of a row's evaluations: done if one is, else what they ended with."""
    states = {line.status for line in results.of_row(row)}
    return "" if not states else str(Status.DONE) if Status.DONE in states else min(states)


def _check_protocols(suite: str, row: dict, other: dict, both: tuple[Results, Results]) -> None:
    lines = (each.of_row(r) for each, r in zip(both, (row, other), strict=True))
    protocols = ([line.protocol for line in found if line.protocol] for found in lines)
    for one, two in product(*protocols):
        if differing := one.difference(two):
            name = differing[0][0]
            raise InputError(
                f"{both[0].name} and {both[1].name} cannot be compared: row '{row['row']}' of "
                f"{suite} on {row['corpus']} was measured by other protocols, "
                f"{name.replace('_', ' ')} {getattr(one, name)} and {getattr(two, name)}"
            )


def sentences(comparison: Comparison) -> list[str]:
    """Say what was compared, and what came out."""
    first, second = comparison.names
    counts = {each: sum(row.outcome is each for row in comparison.rows) for each in Outcome}
    found = [f"Scale {comparison.scale}: B ({second}) compared with A ({first})."]
    matched = len(comparison.rows) - counts[Outcome.ONE_SIDED]
    found.append(
        f"Of {plural(comparison.evaluations, 'evaluation')} that both have, {comparison.equal} "
        "equal to the last bit."
    )
    found += _left_out(comparison)
    if counts[Outcome.EQUAL] == matched:
        found.append(
            f"All {matched} rows that both have are equal to the last bit."
            if matched
            else "No row has results in both."
        )
        return found
    differ = counts[Outcome.HIGHER] + counts[Outcome.LOWER]
    parts = [
        (counts[Outcome.EQUAL], "equal to the last bit"),
        (counts[Outcome.WITHIN], "without a difference beyond noise"),
        (differ, "different beyond noise"),
        (counts[Outcome.STATUS], "with another status"),
        (counts[Outcome.UNKNOWN], _undecided(comparison)),
    ]
    listed = ", ".join(f"{count} {text}" for count, text in parts if count)
    found.append(f"Of {matched} rows that both have: {listed}.")
    for (corpus, train_tokens), noise in comparison.noise.items():
        if noise.freedom:
            text = corpus + words.first_tokens(train_tokens)
            found.append(
                f"Noise of training on {text}: {math.sqrt(noise.variance):.2%} of perplexity, "
                f"from {noise.trainings} trainings."
            )
    return found


def _left_out(comparison: Comparison) -> list[str]:
    """Say which rows the table has not."""
    found = []
    if empty := sum(not any(row.states) for row in comparison.rows):
        found.append(f"Left out: {plural(empty, 'row')} without a result in A and B.")
    for place, name in enumerate("AB"):
        rows = [
            f"{suite} ({plural(counts[place], 'row')})"
            for suite, counts in comparison.alone.items()
            if counts[place]
        ]
        if rows:
            found.append(f"Left out, as only the plan of {name} has them: {', '.join(rows)}.")
    return found


def _undecided(comparison: Comparison) -> str:
    """Why rows are undecided, each reason once."""
    reasons = dict.fromkeys(
        words.unknown_noise(lacks, "the row in B", "the row in A") if lacks else "no perplexity"
        for lacks in (
            row.difference.lacks for row in comparison.rows if row.outcome is Outcome.UNKNOWN
        )
    )
    return f"undecided ({'; '.join(reasons)})"


def cells(comparison: Comparison) -> list[dict[str, str]]:
    """The rows as text, by column; without those that have no result in either."""
    lines = []
    for row in comparison.rows:
        if not any(row.states):
            continue
        first, second = row.means
        delta = row.difference
        apart = [first * math.expm1(nats) for nats in (delta.nats, delta.low, delta.high)]
        # A row without a difference of its own still has two means, which may be equal.
        value = second - first if math.isnan(delta.nats) else apart[0]
        interval = "" if math.isnan(delta.low) else f"[{apart[1]:+.2f}, {apart[2]:+.2f}]"
        outcome = str(row.outcome)
        if row.outcome is Outcome.STATUS:
            outcome = f"{row.states[0]} in A, {row.states[1]} in B"
        elif row.outcome is Outcome.ONE_SIDED:
            outcome = "only in A" if row.states[0] else "only in B"
        elif row.outcome in (Outcome.HIGHER, Outcome.LOWER):
            outcome = f"B is {outcome}"
        if row.changed:
            outcome += "; " + ", ".join(
                f"{key} {one} → {two}" for key, (one, two) in row.changed.items()
            )
        lines.append(
            {
                "row": f"{row.suite}: {row.label}",
                "corpus": row.corpus,
                "A": _number(first, row.counts[0]),
                "B": _number(second, row.counts[1]),
                "B − A": DASH if math.isnan(value) else f"{value:+.2f}",
                INTERVAL: interval or DASH,
                "p (Holm)": DASH if math.isnan(row.p_holm) else f"{row.p_holm:.3f}",
                "outcome": outcome,
            }
        )
    for line in lines:
        for key in ("B − A", INTERVAL):
            line[key] = line[key].replace("-", MINUS)
    return lines


def _number(perplexity: float, count: int) -> str:
    if math.isnan(perplexity):
        return DASH
    return f"{perplexity:.2f}" + (f" ({count})" if count > 1 else "")


def markdown(comparisons: Collection[Comparison]) -> str:
    """Return the comparisons as Markdown: a paragraph and a table for each scale."""
    parts = []
    for comparison in comparisons:
        table = tabulate(
            cells(comparison), headers="keys", tablefmt="github", disable_numparse=True
        )
        parts.append(f"{' '.join(sentences(comparison))}\n\n{table}\n")
    return "\n".join(parts)


def show(comparisons: Collection[Comparison], console: Console | None = None) -> None:
    """Print the comparisons on the terminal."""
    console = console or Console()
    if not console.is_terminal:
        console.width = WIDTH
    for comparison in comparisons:
        table = Table(box=None, pad_edge=False)
        lines = cells(comparison)
        for name in lines[0] if lines else ():
            left = name in ("row", "corpus", "outcome")
            table.add_column(name, justify="left" if left else "right", no_wrap=not left)
        for line in lines:
            table.add_row(*line.values())
        console.print(table)
        console.print(*sentences(comparison), sep="\n", soft_wrap=True)


def exit_code(comparisons: Collection[Comparison]) -> int:
    """The exit code of all: DIFFERENT before UNDECIDED before 0."""
    codes = {comparison.code for comparison in comparisons}
    return DIFFERENT if DIFFERENT in codes else max(codes)
