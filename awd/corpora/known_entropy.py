"""The corpus ``known-entropy``: a text drawn from a Markov chain.

The best perplexity that any honest model can reach on it is known in advance: a model that scores
below it reads words that it is to predict.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from random import Random
from typing import TYPE_CHECKING

from awd.errors import InputError
from awd.vocabulary import END

if TYPE_CHECKING:
    import numpy as np

CORPUS = "known-entropy"
SEED = 20180507
WORDS = tuple(consonant + vowel for consonant in "bdfgklmnprst" for vowel in "aeo")
# How a symbol's probability is divided among its few successors: one of these per symbol.
SKEWS = ((0.7, 0.2, 0.1), (0.5, 0.3, 0.15, 0.05), (0.85, 0.1, 0.05), (0.4, 0.3, 0.2, 0.1))
LENGTHS = {"train": 200_000, "valid": 20_000, "test": 20_000}  # tokens; the last line is finished


def fingerprint() -> str:
    """Return the sha256 of everything that determines the text."""
    return hashlib.sha256(json.dumps([SEED, WORDS, SKEWS, LENGTHS]).encode()).hexdigest()


def _transitions() -> list[dict[int, float]]:
    """Return for each symbol its successors' probabilities; symbol 0 is the line end.

    Every symbol may be followed by the next one, so that all can be reached; the other
    successors are drawn. A line end never follows a line end: there are no blank lines.
    """
    random, count = Random(SEED), len(WORDS) + 1
    rows = []
    for symbol in range(count):
        skew = SKEWS[int(random.random() * len(SKEWS))]
        successors = [(symbol + 1) % count]
        while len(successors) < len(skew):
            drawn = int(random.random() * count)
            if drawn not in successors and (symbol, drawn) != (0, 0):
                # before or after, so that the next symbol is not always the likeliest one
                successors.insert(int(random.random() * (len(successors) + 1)), drawn)
        rows.append(dict(zip(successors, skew, strict=True)))
    return rows


def chain() -> tuple[list[str], np.ndarray]:
    """Return the symbols (n of them, the first ``<eos>``) and the n x n transition matrix.

    Entry (i, j) is the probability that symbol j follows symbol i; rows sum to one.
    """
    import numpy as np

    rows = _transitions()
    matrix = np.zeros((len(rows), len(rows)))
    for symbol, successors in enumerate(rows):
        for successor, probability in successors.items():
            matrix[symbol, successor] = probability
    return [END, *WORDS], matrix


def entropy_rate(matrix: np.ndarray) -> float:
    """Return the entropy rate, in nats per token, of the chain with this transition matrix.

    It is the mean of the rows' entropies, weighted by the stationary distribution (Cover and
    Thomas, Elements of Information Theory, section 4.2).
    """
    import numpy as np

    count = len(matrix)
    # stationary: p = p M and the entries sum to one; the last equation replaces a redundant one
    equations = np.vstack([(matrix.T - np.eye(count))[:-1], np.ones(count)])
    stationary = np.linalg.solve(equations, np.eye(count)[-1])
    logarithms = np.log(matrix, out=np.zeros_like(matrix), where=matrix > 0)
    return float(-(stationary @ (matrix * logarithms).sum(axis=1)))


def _draw(successors: Mapping[int, float], uniform: float) -> int:
    """Return the successor that the number ``uniform``, in [0, 1), falls on."""
    for symbol, probability in successors.items():
        uniform -= probability
        if uniform < 0:
            return symbol
    return symbol  # the probabilities may add up to a hair less than one


def texts() -> dict[str, str]:
    """Draw the text of each split from the chain.

    Only ``Random.random`` is used, whose sequence Python promises to keep for a seed.
    """
    rows, names = _transitions(), [END, *WORDS]
    random, symbol, texts = Random(SEED + 1), 0, {}
    for split, length in LENGTHS.items():
        drawn: list[int] = []
        while len(drawn) < length or symbol != 0:
            symbol = _draw(rows[symbol], random.random())
            drawn.append(symbol)
        words = " ".join(names[each] for each in drawn)
        texts[split] = words.replace(f" {END} ", "\n").replace(f" {END}", "\n")
    return texts


def floor(vocabulary: Sequence[str], splits: Mapping[str, np.ndarray]) -> dict[str, object]:
    """Return the entropy rate and, per split, the exact total nats of its predicted tokens.

    ``splits`` holds integer arrays of ids into ``vocabulary``; all tokens but the first of each
    are predicted. Raises InputError if the text cannot have come from the chain.
    """
    import numpy as np

    symbols, matrix = chain()
    if set(vocabulary) != set(symbols):
        raise InputError("corpus known-entropy: the raw text holds other words than the chain's")
    place = np.array([symbols.index(word) for word in vocabulary])
    exact: dict[str, object] = {"rate": entropy_rate(matrix)}
    for split, ids in splits.items():
        path = place[ids]
        probabilities = matrix[path[:-1], path[1:]]
        if not probabilities.all():
            raise InputError(f"corpus known-entropy: {split} has a step that the chain forbids")
        exact[split] = {
            "nll": float(-np.log(probabilities).sum()),
            "tokens": len(path) - 1,
        }
    return exact
