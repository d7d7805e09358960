"""The loss of a text in parts: by stretches of the text, and by how frequent its words are."""

import numpy as np

BLOCKS = 30
"""Few and long, so that blocks are independent though neighbouring words are not. What a model
gains or loses stays alike over a whole article: on Penn Treebank the standard error of a difference
grows with the length of blocks until they have about 2,000 tokens, 40 blocks, where it is twice
what single tokens would give. Below 30 blocks there is little to gain (Schmeiser 1982, "Batch size
effects in the analysis of simulation output", Operations Research 30)."""

BANDS = (0, 10, 100, 1_000, 10_000)
"""The least frequency of each band; the last one is open."""


def block_sums(losses: np.ndarray, targets: np.ndarray, end: int | None) -> dict[str, list]:
    """Tokens and nats of each of about BLOCKS consecutive blocks of whole lines.

    Args:
        losses: nats of each predicted token, (tokens).
        targets: the predicted tokens, (tokens).
        end: the token that ends a line; None, or one that never occurs, lets blocks end anywhere.

    Returns {"tokens": [...], "nll": [...]}, of one length: as many blocks as there are lines if
    those are fewer. Nats are rounded to 0.0001, which is nothing to a block. Raises ValueError if
    there is not one loss for each token, or none at all.
    """
    if len(losses) != len(targets) or not len(losses):
        raise ValueError(f"{len(losses)} losses cannot be those of {len(targets)} tokens")
    starts = np.arange(len(targets))
    lines = np.concatenate([[0], np.flatnonzero(targets[:-1] == end) + 1])
    starts = lines if len(lines) > 1 else starts
    wanted = np.linspace(0, len(targets), BLOCKS, endpoint=False)
    edges = np.unique(starts[np.searchsorted(starts, wanted).clip(max=len(starts) - 1)])
    nats = np.add.reduceat(np.asarray(losses, dtype=np.float64), edges)
    return {
        "tokens": np.diff(edges, append=len(targets)).tolist(),
        "nll": [round(value, 4) for value in nats.tolist()],
    }


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
