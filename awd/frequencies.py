"""Losses by how often a word occurs in the training text: is a model good at rare words or not?"""

import numpy as np

BANDS = (0, 10, 100, 1_000, 10_000)
"""The least frequency of each band; the last one is open."""


def losses_by_frequency(
    losses: np.ndarray, targets: np.ndarray, training: np.ndarray, vocabulary: int
) -> dict[str, list]:
    """Split the losses of a text by the training frequency of the words that were predicted.

    Args:
        losses: nats of each predicted token, (tokens).
        targets: the word types that were predicted, (tokens).
        training: the word types of the training text.
        vocabulary: number of word types.

    Returns, by the least frequency of each band that occurs, [sum of nats, tokens].
    """
    counts = np.bincount(training, minlength=vocabulary)
    bands = np.searchsorted(BANDS, counts[targets], side="right") - 1
    nats = np.bincount(bands, weights=losses, minlength=len(BANDS))
    tokens = np.bincount(bands, minlength=len(BANDS))
    return {
        str(least): [float(total), int(number)]
        for least, total, number in zip(BANDS, nats, tokens, strict=True)
        if number
    }
