"""Published learning curves of a suite: a file of logs -> epochs by row and corpus."""

from collections.abc import Collection

import pandas as pd

from awd.errors import InputError
from awd.files import is_there, open_regular
from awd.study.published_studies import published_file

COLUMNS = ["row", "corpus", "stage", "epoch", "train_loss", "valid_loss", "valid_perplexity"]


def published_curves(suite: dict) -> pd.DataFrame:
    """The epochs that a suite's ``curves`` name, with exactly COLUMNS; losses in nats per token.

    Empty if the suite names none or the file is not there: reports do not depend on it. Raises
    InputError if the file cannot be read, or has not the log that a row names.
    """
    named = suite.get("curves")
    if not named:
        return pd.DataFrame(columns=COLUMNS)
    path = published_file(named["file"])
    if not is_there(path):
        return pd.DataFrame(columns=COLUMNS)
    try:
        with open_regular(path) as stream:
            epochs = pd.read_csv(stream).rename(columns={"valid_ppl": "valid_perplexity"})
        logs = dict(list(epochs.groupby(["log", "corpus"], sort=False)))
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{path} is not a file of published curves: {error}") from error
    parts = []
    for row, by_corpus in named["logs"].items():
        for corpus, log in by_corpus.items():
            if (log, corpus) not in logs:
                raise InputError(f"{path} has no log '{log}' of {corpus}, named by row '{row}'")
            parts.append(logs[log, corpus].assign(row=row))
    return pd.concat(parts, ignore_index=True)[COLUMNS] if parts else pd.DataFrame(columns=COLUMNS)


def curve_of(
    published: pd.DataFrame, rows: Collection[str], corpus: str, stage: str
) -> pd.DataFrame:
    """Return the epochs of a stage of ``rows`` on a corpus, of those in ``published``."""
    found = published[published["row"].isin(rows)]
    return found[(found["corpus"] == corpus) & (found["stage"] == stage)]
