"""The smallest difference that a planned study can find, given the noise of training."""

import logging
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table
from scipy.special import nctdtrinc, stdtrit

from awd.errors import InputError
from awd.report import words
from awd.report.build import read_plan
from awd.report.noise import alike, noise_of, results_by_row
from awd.report.records import collect
from awd.report.stats import SIGNIFICANCE, satterthwaite, text_variance
from awd.study import parts

log = logging.getLogger(__name__)

POWER = 0.8
BLOCKS = 30  # of the text, evaluation.breakdown
MOST_SEEDS = 10  # of the table


class Assumption(NamedTuple):
    """What power is computed from: standard deviations in nats, and their ``source``.

    ``training`` is the deviation of a training's mean loss on the test text, ``text`` that of the
    difference between two models over blocks of the text.
    """

    training: float
    text: float
    source: str


DEFAULT = Assumption(
    0.0115, 0.0056, "the default: four LSTMs of kim2024 and rows of three suites on Penn Treebank"
)
"""Measured from the records in results/runs: the pooled noise of scale paper (2 degrees of
freedom), and the median over the rows of bonetto2024, kim2024 and merity2018 at all scales."""


class Design(NamedTuple):
    """What is planned on a corpus: ``rows`` compared with a base row, and trainings of each.

    ``replicates`` are the trainings of each group that differ in their seed alone.
    """

    corpus: str
    rows: int
    seeds: int
    base_seeds: int
    replicates: tuple[int, ...]

    @property
    def freedom(self) -> int:
        """Degrees of freedom for the noise of training."""
        return sum(count - 1 for count in self.replicates)

    def with_seeds(self, seeds: int) -> "Design":
        """Return the design with ``seeds`` trainings of a row; those with more now keep theirs."""
        replicates = tuple(
            max(seeds, count) if count > self.seeds else seeds for count in self.replicates
        )
        base_seeds = max(seeds, self.base_seeds)
        return self._replace(seeds=seeds, base_seeds=base_seeds, replicates=replicates)


def smallest_difference(assumed: Assumption, design: Design, rows: int = 1) -> float:
    """Find the difference, in nats, that is significant with probability POWER.

    The test is two-sided at SIGNIFICANCE, for one row or for all ``rows`` together (Bonferroni, the
    first step of Holm's). Infinite if no row has two trainings.
    """
    if not design.freedom:
        return math.inf
    training = assumed.training**2 * (1 / design.seeds + 1 / design.base_seeds)
    text = assumed.text**2
    degrees = satterthwaite([(training, design.freedom), (text, BLOCKS - 1)])
    critical = float(stdtrit(degrees, 1 - SIGNIFICANCE / 2 / rows))
    # The noncentral t distribution exceeds the critical value with this probability. It falls below
    # the negative one with practically none.
    return float(nctdtrinc(degrees, 1 - POWER, critical)) * math.sqrt(training + text)


def designs(plan: Mapping) -> list[Design]:
    """Take the design on each corpus from ``plan``, that of study.parts.read.

    The seeds are the fewest of any row. Ensembles do not count, their noise is another.
    """
    found: dict[str, list[tuple[Mapping, bool]]] = {}
    rows: dict[str, int] = {}
    for suite in plan["suites"]:
        for row in suite["rows"]:
            base = row["row"] == suite["base"]
            found.setdefault(row["corpus"], []).append((row, base))
        for corpus in found:
            count = sum(row["corpus"] == corpus for row in suite["rows"]) - 1
            rows[corpus] = max(rows.get(corpus, 0), count)
    return [
        _design(corpus, rows[corpus], of_corpus, plan["runs"])
        for corpus, of_corpus in found.items()
        if rows[corpus] > 0
    ]


def _design(
    corpus: str, rows: int, planned: Iterable[tuple[Mapping, bool]], runs: Mapping[str, Mapping]
) -> Design:
    groups: dict[str, set[str]] = {}
    counts: dict[bool, list[int]] = {False: [], True: []}
    for row, base in planned:
        counts[base].append(len(row["runs"]))
        if row["method"].startswith("ensemble"):
            continue
        for item in row["runs"]:
            key = alike(runs[item["run"]]["spec"])
            groups.setdefault(key, set()).add(item["run"])
    replicates = tuple(len(names) for names in groups.values())
    return Design(corpus, rows, min(counts[False]), min(counts[True]), replicates)


def assumptions(plan: Mapping, results: Path, name: str) -> dict[str, Assumption]:
    """Measure the noise by corpus, of those that have records with several seeds.

    Where all of those are left out of the noise (report.stats), it is the default, and says so.

    Records are those of ``plan`` and of the plan in results/{name}, whose other suites share the
    noise. Runs whose records cannot be read are named and not counted.
    """
    if parts.files(results / name):
        written = read_plan(results, name)
        runs, suites = written["runs"] | plan["runs"], [*written["suites"], *plan["suites"]]
        plan = {"runs": runs, "suites": suites}
    records = _readable(plan, results / "runs")
    noises = noise_of(records, plan["runs"])
    texts: dict[str, list[float]] = {}
    for suite in plan["suites"]:
        found = results_by_row(suite, records)
        for row in suite["rows"]:
            base = found.get((suite["base"], row["corpus"]))
            of_row = found.get((row["row"], row["corpus"]))
            if row["row"] != suite["base"] and base and of_row:
                texts.setdefault(row["corpus"], []).append(text_variance(of_row, base))
    measured = {}
    for corpus, noise in noises.items():
        apart = words.left_out(noise.counts_left_out())
        if noise.freedom:
            text = np.array(texts.get(corpus, []))
            text = text[~np.isnan(text)]
            deviation = math.sqrt(np.median(text)) if len(text) else DEFAULT.text
            source = f"{noise.trainings} trainings of the existing records"
            assumed = Assumption(math.sqrt(noise.variance), deviation, source)
            measured[corpus] = _with(assumed, apart)
        elif apart:
            measured[corpus] = _with(DEFAULT, apart)
    return measured


def _readable(plan: Mapping, runs: Path) -> pd.DataFrame:
    """Return the records of the runs that can be read; warn of each other run."""
    try:
        return collect(plan, runs)[0]
    except InputError:
        kept = {}
    for name, run in plan["runs"].items():
        try:
            collect({**plan, "runs": {name: run}}, runs)
            kept[name] = run
        except InputError as error:
            log.warning("the noise of training is measured without %s: %s", name, error)
    return collect({**plan, "runs": kept}, runs)[0]


def _with(assumed: Assumption, apart: str) -> Assumption:
    """The assumption with what is left out of it named in its source."""
    return assumed._replace(source="; ".join(filter(None, (assumed.source, apart))))


def summary(plan: Mapping, measured: Mapping[str, Assumption]) -> list[str]:
    """Say, by corpus, which differences the plan can find; a sentence each."""
    return [_sentence(design, measured.get(design.corpus, DEFAULT)) for design in designs(plan)]


def _sentence(design: Design, assumed: Assumption) -> str:
    seeds = words.plural(design.seeds, "seed")
    least = smallest_difference(assumed, design)
    noise = f"(noise of training {assumed.training:.1%}, from {assumed.source})"
    if math.isinf(least):
        return (
            f"{design.corpus}: one training of each row cannot show which differences are noise; "
            "plan several of all (seeds), or of the base row (base_seeds, if seeds is a count)."
        )
    return (
        f"{design.corpus}: with {seeds} of a row and {design.base_seeds} of the base row, "
        f"differences in perplexity of {percent(least)} and more are found with 80% power {noise}."
    )


def power_table(plan: Mapping, measured: Mapping[str, Assumption]) -> pd.DataFrame:
    """Compute the smallest differences for 1 to 10 seeds.

    Columns are corpus, seeds, base_seeds, freedom, one_row and whole_table; the last two in percent
    of perplexity, for a single row and after correction for all rows of the largest suite.
    """
    lines = []
    for design in designs(plan):
        assumed = measured.get(design.corpus, DEFAULT)
        for seeds in range(1, MOST_SEEDS + 1):
            wider = design.with_seeds(seeds)
            least = [smallest_difference(assumed, wider, rows) for rows in (1, design.rows)]
            one, whole = (100 * math.expm1(nats) for nats in least)
            lines.append((design.corpus, seeds, wider.base_seeds, wider.freedom, one, whole))
    columns = ["corpus", "seeds", "base_seeds", "freedom", "one_row", "whole_table"]
    return pd.DataFrame(lines, columns=columns)


def show_power(
    plan: Mapping, measured: Mapping[str, Assumption], console: Console | None = None
) -> None:
    """Print the table and what it assumes."""
    console = console or Console()
    table = Table(title="Smallest difference in perplexity found with 80% power", box=None)
    for heading in ("corpus", "seeds", "of the base row", "one row", "any row of a table"):
        table.add_column(heading, justify="left" if heading == "corpus" else "right")
    for line in power_table(plan, measured).itertuples(index=False):
        ends = (percent(math.log1p(value / 100)) for value in (line.one_row, line.whole_table))
        table.add_row(line.corpus, str(line.seeds), str(line.base_seeds), *ends)
    console.print(table)
    for design in designs(plan):
        assumed = measured.get(design.corpus, DEFAULT)
        console.print(
            f"{design.corpus}: noise of a training {assumed.training:.2%}, of the text "
            f"{assumed.text:.2%}, from {assumed.source}.",
            soft_wrap=True,
        )


def percent(nats: float) -> str:
    """A difference of mean losses as one of perplexities, in percent."""
    if math.isinf(nats):
        return "none"
    value = 100 * math.expm1(nats)
    return f"{value:.1f}%" if value < 100 else f"{value:.0f}%"
