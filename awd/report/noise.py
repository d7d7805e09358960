"""The noise of training, from the records of runs that differ in their seed alone."""

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from awd.report.stats import Apart, Noise, Result, pool
from awd.study.spec import without_defaults
from awd.vocabulary import HELD_OUT, LeftOut, Split, Status


def noise_of(
    records: pd.DataFrame, runs: Mapping[str, Mapping], split: str = Split.TEST
) -> dict[str, Noise]:
    """Noise of the mean loss on ``split`` by corpus, pooled over all trainings of a plan.

    Of each training one evaluation counts, that of its stream by the protocol that most trainings
    on the corpus have. Ensembles, and trainings that diverged or leak, do not count. The noise
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
    found: dict[str, Noise] = {}
    for corpus, of_corpus in lines.groupby("corpus", sort=False):
        every = list(of_corpus.itertuples(index=False))
        protocols = Counter(line.protocol for line in every if line.protocol is not None)
        usual = max(protocols, key=lambda protocol: protocols[protocol], default=None)
        kept = [line for line in every if line.protocol in (None, usual)]
        others = [line for line in every if line.protocol not in (None, usual)]
        apart = [
            Apart(tuple(each.run for each in group), LeftOut.PROTOCOL)
            for group in _by_training(others, runs)
        ]
        noise = pool(_by_training(kept, runs))
        found[corpus] = noise._replace(left_out=(*noise.left_out, *apart))
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
    """Results by training; of several stages one without an astray seed, and of most seeds."""
    groups: dict[str, dict[str, list[Result]]] = {}
    for line in lines:
        stages = groups.setdefault(alike(runs[line.run]["spec"]), {})
        stages.setdefault(line.stage, []).append(result(line))
    return [max(stages.values(), key=_worth) for stages in groups.values()]


def _worth(group: list[Result]) -> tuple[bool, int]:
    return not any(each.astray for each in group), len(group)
