"""The noise of training, from the records of runs that differ in their seed alone."""

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from awd.report.stats import Noise, Result, pool
from awd.study.spec import without_defaults
from awd.vocabulary import HELD_OUT, Split, Status


def noise_of(
    records: pd.DataFrame, runs: Mapping[str, Mapping], split: str = Split.TEST
) -> dict[str, Noise]:
    """Noise of the mean loss on ``split`` by corpus, pooled over all trainings of a plan.

    Of each training one evaluation counts, that of its stream by the protocol that most trainings
    on the corpus have. Ensembles, and trainings that diverged, leak or predict worse than a uniform
    distribution over the vocabulary, are left out.

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
    found: dict[str, Noise] = {}
    for corpus, of_corpus in lines.groupby("corpus", sort=False):
        kept = [line for line in of_corpus.itertuples(index=False) if not _worse_than_uniform(line)]
        protocols = Counter(line.protocol for line in kept if line.protocol is not None)
        usual = max(protocols, key=lambda protocol: protocols[protocol], default=None)
        kept = [line for line in kept if line.protocol is None or line.protocol == usual]
        found[corpus] = pool(_by_training(kept, runs))
    return found


def by_split(records: pd.DataFrame, runs: Mapping[str, Mapping]) -> dict[tuple[str, str], Noise]:
    """Noise by (corpus, split), of validation and test text; see `noise_of`."""
    return {
        (corpus, split): noise
        for split in HELD_OUT
        for corpus, noise in noise_of(records, runs, split).items()
    }


def alike(spec: Mapping) -> str:
    """What trainings that differ in their seed alone have in common."""
    same = {key: value for key, value in spec.items() if key != "seed"}
    return json.dumps(without_defaults(same), sort_keys=True)


def result(line) -> Result:
    """What can be compared of a ``line`` (a named tuple) of the frame of records."""
    blocks = () if line.blocks is None else map(np.array, line.blocks)
    tokens, nll = blocks or (None, None)
    return Result(math.log(line.perplexity), tokens, nll, line.run)


def results_by_row(
    suite: Mapping, records: pd.DataFrame, split: str = Split.TEST
) -> dict[tuple[str, str], list[Result]]:
    """Results of each (row, corpus) of a suite, an entry of the plan's ``suites``, by its seeds.

    Those that diverged or leak are left out, and so are rows without any.
    """
    wanted = {item["run"] for row in suite["rows"] for item in row["runs"]}
    lines = records[
        (records["split"] == split)
        & (records["status"] == Status.DONE)
        & records["run"].isin(wanted)
        & records["perplexity"].notna()
    ]
    results = {
        (line.run, line.stage, line.method): result(line) for line in lines.itertuples(index=False)
    }
    found = {}
    for row in suite["rows"]:
        keys = [(item["run"], row["stage"], row["method"]) for item in row["runs"]]
        if of_row := [results[key] for key in keys if key in results]:
            found[row["row"], row["corpus"]] = of_row
    return found


def _by_training(lines: Iterable, runs: Mapping[str, Mapping]) -> list[list[Result]]:
    """Results by training; of several stages the one that most of its seeds have."""
    groups: dict[str, dict[str, list[Result]]] = {}
    for line in lines:
        stages = groups.setdefault(alike(runs[line.run]["spec"]), {})
        stages.setdefault(line.stage, []).append(result(line))
    return [max(stages.values(), key=len) for stages in groups.values()]


def _worse_than_uniform(line) -> bool:
    types = None if line.protocol is None else line.protocol.vocabulary
    return types is not None and line.perplexity > types
