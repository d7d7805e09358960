"""The smallest difference that a planned study can find, given the noise of training."""

import logging
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table
from scipy.special import nctdtrinc, stdtrit

from awd.errors import InputError
from awd.report import words
from awd.report.noise import Pool, alike, noise_of, pool_of, results_by_row
from awd.report.records import collect
from awd.report.stats import SIGNIFICANCE, freedom_of_row, satterthwaite, text_variance

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
    0.0115, 0.0056, "a default (LSTMs on Penn Treebank), as no records show it yet"
)
"""Measured from records in results/runs: the pooled noise of scale paper when only the base row of
kim2024 had several seeds (2 degrees of freedom), and the median over the rows of bonetto2024,
kim2024 and merity2018 at all scales."""


class Design(NamedTuple):
    """What is planned for a pool: trainings of each row, and of the base row.

    The base row may be of another pool; its noise counts as that of this one. ``rows`` is for how
    many p values are corrected: all rows compared on the corpus, also those of other pools.
    ``replicates`` are the trainings of each group that differ in their seed alone. ``others`` are
    the degrees of freedom of trainings that the pool shares with this plan.
    """

    pool: Pool
    rows: int
    seeds: int
    base_seeds: int
    replicates: tuple[int, ...]
    others: int = 0

    @property
    def text(self) -> str:
        """The text that is trained on."""
        return self.pool.corpus + words.first_tokens(self.pool.train_tokens)

    @property
    def freedom(self) -> int:
        """Degrees of freedom for the noise of training."""
        return sum(count - 1 for count in self.replicates) + self.others

    def with_seeds(self, seeds: int) -> "Design":
        """Return the design with ``seeds`` trainings of a row; those with more now keep theirs."""
        replicates = tuple(
            max(seeds, count) if count > self.seeds else seeds for count in self.replicates
        )
        base_seeds = max(seeds, self.base_seeds)
        if base_seeds > max(replicates):  # the base row keeps its trainings
            replicates = (base_seeds, *replicates[1:])
        return self._replace(seeds=seeds, base_seeds=base_seeds, replicates=replicates)


def smallest_difference(assumed: Assumption, design: Design, rows: int = 1) -> float:
    """Find the difference, in nats, that is significant with probability POWER.

    The test is two-sided at SIGNIFICANCE, for one row or for all ``rows`` together (Bonferroni, the
    first step of Holm's). Infinite if no row has two trainings.
    """
    if not design.freedom:
        return math.inf
    counts, text = (design.seeds, design.base_seeds), (assumed.text**2, BLOCKS - 1)
    squares = [(assumed.training**2 / n, freedom_of_row(design.freedom, n)) for n in counts]
    training = sum(square for square, _ in squares)
    pooled = [(training, design.freedom)]
    degrees = min(satterthwaite([*each, text]) for each in (squares, pooled))
    error = math.sqrt(training + assumed.text**2)
    critical = float(stdtrit(degrees, 1 - SIGNIFICANCE / 2 / rows))
    # The noncentral t distribution exceeds the critical value with this probability. It falls below
    # the negative one with practically none.
    return float(nctdtrinc(degrees, 1 - POWER, critical)) * error


def designs(plan: Mapping, asked: Mapping | None = None) -> list[Design]:
    """Take the design of each pool from ``plan``, that of study.parts.read.

    The seeds are the fewest of any row. Ensembles do not count, their noise is another; a pool of
    ensembles alone has no design. ``asked`` is a plan of some of the suites and corpora, whose
    designs are returned; trainings of the other suites show the noise of the same pools.
    """
    asked = asked or plan
    names = {suite["suite"] for suite in asked["suites"]}
    pools = {pool_of(row, asked["runs"]) for suite in asked["suites"] for row in suite["rows"]}
    own: dict[Pool, set[str]] = {}  # what trainings of those suites have in common
    planned: dict[Pool, dict[str, set[str]]] = {}  # trainings by what they have in common
    seeds: dict[Pool, list[tuple[int, int]]] = {}  # of each row, and of the base row
    rows: Counter[Pool] = Counter()
    for suite in plan["suites"]:
        bases = {row["corpus"]: row for row in suite["rows"] if row["row"] == suite["base"]}
        compared: dict[str, list[Pool]] = {}  # the pool of each row, by corpus
        for row in suite["rows"]:
            pool, base = pool_of(row, plan["runs"]), bases.get(row["corpus"])
            if base is not None and row is not base and suite["suite"] in names:
                seeds.setdefault(pool, []).append((len(row["runs"]), len(base["runs"])))
                compared.setdefault(pool.corpus, []).append(pool)
            if not row["method"].startswith("ensemble"):
                groups = planned.setdefault(pool, {})
                for item in row["runs"]:
                    key = alike(plan["runs"][item["run"]]["spec"])
                    if suite["suite"] in names:
                        own.setdefault(pool, set()).add(key)
                    groups.setdefault(key, set()).add(item["run"])
        rows |= Counter({pool: len(found) for found in compared.values() for pool in found})
    return [
        Design(
            pool,
            rows[pool],
            seeds=min(of_row for of_row, _ in each),
            base_seeds=min(of_base for _, of_base in each),
            replicates=tuple(len(planned[pool][key]) for key in planned[pool] if key in own[pool]),
            others=sum(
                len(runs) - 1 for key, runs in planned[pool].items() if key not in own[pool]
            ),
        )
        for pool, each in seeds.items()
        if pool in own and pool in pools
    ]


def assumptions(plan: Mapping, results: Path) -> dict[Pool, Assumption]:
    """Measure the noise by pool, of those that have records with several seeds.

    Where all of those are left out of the noise (report.stats), it is the default, and says so.

    Records are those of ``plan`` in the folder of ``results``. Runs whose records cannot be read
    are named and not counted.
    """
    records = _readable(plan, results / "runs")
    noises = noise_of(records, plan["runs"])
    texts: dict[Pool, list[float]] = {}
    for suite in plan["suites"]:
        found = results_by_row(suite, records)
        for row in suite["rows"]:
            base = found.get((suite["base"], row["corpus"]))
            of_row = found.get((row["row"], row["corpus"]))
            if row["row"] != suite["base"] and base and of_row:
                pool = pool_of(row, plan["runs"])
                texts.setdefault(pool, []).append(text_variance(of_row, base))
    measured = {}
    for pool, noise in noises.items():
        apart = words.left_out(noise.counts_left_out())
        if noise.freedom:
            text = np.array(texts.get(pool, []))
            text = text[~np.isnan(text)]
            deviation = math.sqrt(np.median(text)) if len(text) else DEFAULT.text
            source = f"{noise.trainings} trainings of the existing records"
            assumed = Assumption(math.sqrt(noise.variance), deviation, source)
            measured[pool] = _with(assumed, apart)
        elif apart:
            measured[pool] = _with(DEFAULT, apart)
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


def summary(found: Iterable[Design], measured: Mapping[Pool, Assumption]) -> list[str]:
    """Say which differences each design can find; a sentence each."""
    return [_sentence(design, measured.get(design.pool, DEFAULT)) for design in found]


def _sentence(design: Design, assumed: Assumption) -> str:
    found = {
        count: percent(smallest_difference(assumed, design.with_seeds(count)))
        for count in (design.seeds - 1, design.seeds, design.seeds + 1)
        if count
    }
    here, (*_, more) = found.pop(design.seeds), found.values()
    others = ", ".join(f"{words.plural(count, 'seed')}: {each}" for count, each in found.items())
    text = (
        f"differences in perplexity of {here} and more are found with "
        f"{words.plural(design.seeds, 'seed')} of each row and {design.base_seeds} of the base row "
        f"({others})"
    )
    if not design.freedom:
        text = (
            "one training of each row cannot show which differences are noise; plan several of the "
            "base row (base_seeds, if seeds is a count) or of all (seeds), of which "
            f"{design.seeds + 1} find differences in perplexity of {more} and more"
        )
    return (
        f"{design.text}: {text}, at 80% power; noise of training {assumed.training:.1%}, from "
        f"{assumed.source}."
    )


def power_table(found: Iterable[Design], measured: Mapping[Pool, Assumption]) -> pd.DataFrame:
    """Compute the smallest differences for 1 to 10 seeds.

    Columns are text, seeds, base_seeds, freedom, one_row and whole_table; the last two in percent
    of perplexity, for a single row and after correction for all rows of the largest suite.
    """
    lines = []
    for design in found:
        assumed = measured.get(design.pool, DEFAULT)
        for seeds in range(1, MOST_SEEDS + 1):
            wider = design.with_seeds(seeds)
            least = [smallest_difference(assumed, wider, rows) for rows in (1, design.rows)]
            one, whole = (100 * math.expm1(nats) for nats in least)
            lines.append((design.text, seeds, wider.base_seeds, wider.freedom, one, whole))
    columns = ["text", "seeds", "base_seeds", "freedom", "one_row", "whole_table"]
    return pd.DataFrame(lines, columns=columns)


def show_power(
    found: Sequence[Design], measured: Mapping[Pool, Assumption], console: Console | None = None
) -> None:
    """Print the table and what it assumes."""
    console = console or Console()
    table = Table(title="Smallest difference in perplexity found with 80% power", box=None)
    for heading in ("corpus", "seeds", "of the base row", "one row", "any row of a table"):
        table.add_column(heading, justify="left" if heading == "corpus" else "right")
    for line in power_table(found, measured).itertuples(index=False):
        ends = (percent(math.log1p(value / 100)) for value in (line.one_row, line.whole_table))
        table.add_row(line.text, str(line.seeds), str(line.base_seeds), *ends)
    console.print(table)
    for design in found:
        assumed = measured.get(design.pool, DEFAULT)
        console.print(
            f"{design.text}: noise of a training {assumed.training:.2%}, of the text "
            f"{assumed.text:.2%}, from {assumed.source}.",
            soft_wrap=True,
        )


def percent(nats: float) -> str:
    """A difference of mean losses as one of perplexities, in percent."""
    if math.isinf(nats):
        return "none"
    value = 100 * math.expm1(nats)
    return f"{value:.1f}%" if value < 100 else f"{value:.0f}%"
