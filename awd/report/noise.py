"""The noise of training, from the records of runs that differ in their seed alone."""

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from awd.report.evaluations import by_seed, runs_of
from awd.report.stats import Apart, Noise, Result, pool
from awd.study.spec import without_defaults
from awd.vocabulary import HELD_OUT, LeftOut, Split, Status, stages_to


class Pool(NamedTuple):
    """The trainings of a plan that share one noise: those on the same part of a corpus.

    ``train_tokens`` is how many tokens of its training text they train on (0: all): trainings on
    another share of it have another noise. A plan has one scale.
    """

    corpus: str
    train_tokens: int = 0


def pool_of(row: Mapping, runs: Mapping[str, Mapping]) -> Pool:
    """Return the pool of a row of the plan, whose ``runs`` have the hyperparameters."""
    specs = (runs[item["run"]]["spec"] for item in row["runs"] if item["run"] in runs)
    return Pool(row["corpus"], next((_train_tokens(spec) for spec in specs), 0))


def _train_tokens(spec: Mapping) -> int:
    return spec.get("train_tokens", 0)


def noise_of(
    records: pd.DataFrame, runs: Mapping[str, Mapping], split: str = Split.TEST
) -> dict[Pool, Noise]:
    """Noise of the mean loss on ``split``, by pool, of all trainings of a plan.

    Of each training one evaluation counts, that of its stream by the protocol that most trainings
    of the pool have. Ensembles, and trainings that diverged or leak, do not count. The noise
    names the other rows that do not share it (report.stats): those of which a training predicts no
    better than word frequencies, that spread far more than the others, or that were measured by
    another protocol.

    Args:
        records: the frame of report.records.
        runs: the plan's ``runs``.
    """
    lines = records[
        (records["split"] == split)
        & (records["status"] == Status.DONE)
        & (records["method"] == "stream")
        & records["run"].isin(runs.keys())
        & np.isfinite(records["perplexity"])
    ]
    pools: dict[Pool, list] = {}
    for line in lines.itertuples(index=False):
        key = Pool(line.corpus, _train_tokens(runs[line.run]["spec"]))
        pools.setdefault(key, []).append(line)
    found: dict[Pool, Noise] = {}
    for key, every in pools.items():
        protocols = Counter(line.protocol for line in every if line.protocol is not None)
        usual = max(protocols, key=lambda protocol: protocols[protocol], default=None)
        kept = [line for line in every if line.protocol in (None, usual)]
        others = [line for line in every if line.protocol not in (None, usual)]
        apart = [
            Apart(tuple(each.run for each in group), LeftOut.PROTOCOL)
            for group in _by_training(others, runs)
        ]
        noise = pool(_by_training(kept, runs))
        found[key] = noise._replace(left_out=(*noise.left_out, *apart))
    return found


def by_split(records: pd.DataFrame, runs: Mapping[str, Mapping]) -> dict[tuple[Pool, str], Noise]:
    """Noise by (pool, split), of validation and test text; see `noise_of`."""
    return {
        (key, split): noise
        for split in HELD_OUT
        for key, noise in noise_of(records, runs, split).items()
    }


def alike(spec: Mapping) -> str:
    """What trainings that differ in their seed alone have in common."""
    same = {key: value for key, value in spec.items() if key != "seed"}
    return json.dumps(without_defaults(same), sort_keys=True)


def result(line) -> Result:
    """What can be compared of a ``line`` (a named tuple) of the frame of records."""
    blocks = () if line.blocks is None else map(np.array, line.blocks)
    tokens, nll = blocks or (None, None)
    return Result(math.log(line.perplexity), tokens, nll, line.run, went_astray(line))


def went_astray(line) -> bool:
    """Return whether a ``line`` of the frame of records has a model that went astray.

    It predicts no better than the word frequencies of its text do. Where their perplexity is not
    recorded, it predicts worse than a uniform distribution over the vocabulary.
    """
    if not math.isnan(line.unigram_perplexity):
        return line.perplexity >= line.unigram_perplexity
    types = None if line.protocol is None else line.protocol.vocabulary
    return types is not None and line.perplexity > types


def results_by_row(suite: Mapping, records: pd.DataFrame) -> dict[tuple[str, str], list[Result]]:
    """Results on the test text by (row, corpus) of a suite, an entry of the plan's ``suites``.

    Those that diverged or leak are left out, and so are rows without any.
    """
    lines = records[
        (records["split"] == Split.TEST)
        & (records["status"] == Status.DONE)
        & records["run"].isin(runs_of(suite))
        & records["perplexity"].notna()
    ]
    results = {
        (line.run, line.stage, line.method): result(line) for line in lines.itertuples(index=False)
    }
    found = {(r["row"], r["corpus"]): [*by_seed(r, results).values()] for r in suite["rows"]}
    return {place: of_row for place, of_row in found.items() if of_row}


def _by_training(lines: Iterable, runs: Mapping[str, Mapping]) -> list[list[Result]]:
    """Results by training, of one of its stages.

    That is one without an astray seed, of most seeds, and the last of those: most rows are
    measured at the end of fine-tuning.
    """
    groups: dict[str, dict[str, list[Result]]] = {}
    for line in lines:
        stages = groups.setdefault(alike(runs[line.run]["spec"]), {})
        stages.setdefault(line.stage, []).append(result(line))
    return [max(stages.items(), key=_worth)[1] for stages in groups.values()]


def _worth(stage: tuple[str, list[Result]]) -> tuple[bool, int, int]:
    name, group = stage
    return not any(each.astray for each in group), len(group), len(stages_to(name))
