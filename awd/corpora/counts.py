"""Counts of words: the unseen, the rare, and what frequencies alone predict."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal, localcontext

import numpy as np

from awd.vocabulary import END, HELD_OUT, UNKNOWN

SHORTEST = 8
"""Words of a line from which it is noted if it stands in two splits.

11% of the lines of WikiText-2's test text with five words stand in train, nearly all of them
headings, "= = Early life = ="; 1.4% of those with eight.
"""
NOTABLE = 0.05
"""Share of such lines from which they matter; Penn Treebank and WikiText-2 have 1.0 to 1.5%."""


def unseen_words(splits: Mapping[str, np.ndarray], types: int) -> dict[str, dict]:
    """Return the words of valid and test that never occur in train: types, tokens, share."""
    seen = np.zeros(types, dtype=bool)
    seen[splits["train"]] = True
    unseen: dict[str, dict] = {}
    for split in HELD_OUT:
        new = splits[split][~seen[splits[split]]]
        unseen[split] = {
            "types": len(np.unique(new)),
            "tokens": len(new),
            "share": len(new) / len(splits[split]),
        }
    return unseen


def repeated_lines(splits: Mapping[str, np.ndarray], end: int) -> dict[str, dict]:
    """Return how many lines of valid and test also stand in train: lines, of, share.

    Only lines of at least SHORTEST words count, ``of`` is their number; shorter ones, such as
    headings, recur in any text.

    Args:
        end: the number of ``<eos>``, which ends each line.
    """
    held_out = {split: _long_lines(splits[split], end) for split in HELD_OUT}
    wanted = set().union(*held_out.values())
    found = wanted.intersection(_long_lines(splits["train"], end))
    repeated: dict[str, dict] = {}
    for split, lines in held_out.items():
        number = sum(line in found for line in lines)
        share = number / len(lines) if lines else 0.0
        repeated[split] = {"lines": number, "of": len(lines), "share": share}
    return repeated


def notable_repeats(shares: Mapping[str, float]) -> list[str]:
    """Return "12.3% (test)" for each split whose share of `repeated_lines` matters."""
    return [f"{share:.1%} ({split})" for split, share in shares.items() if share >= NOTABLE]


def _long_lines(ids: np.ndarray, end: int) -> list[bytes]:
    """The lines of at least SHORTEST words, without ``<eos>``."""
    ends = np.flatnonzero(ids == end)
    starts = np.concatenate([[0], ends[:-1] + 1])
    kept = ends - starts >= SHORTEST
    text, size = np.ascontiguousarray(ids).view(np.uint8).data, ids.itemsize
    places = zip((starts[kept] * size).tolist(), (ends[kept] * size).tolist(), strict=True)
    return [bytes(text[first:last]) for first, last in places]


def without_rare_words(
    splits: Mapping[str, np.ndarray], vocabulary: list[str], minimum_count: int
) -> tuple[dict[str, np.ndarray], list[str], dict[str, dict]]:
    """Return splits and vocabulary where words rarer than that in train are ``<unk>``.

    And how many tokens of each split were replaced. Types are numbered anew, by first appearance.
    """
    words = vocabulary if UNKNOWN in vocabulary else [*vocabulary, UNKNOWN]
    unknown = words.index(UNKNOWN)
    kept = np.bincount(splits["train"], minlength=len(words)) >= minimum_count
    kept[[unknown, words.index(END)]] = True
    mapped = np.where(kept, np.arange(len(words)), unknown)
    replaced = {}
    for split, ids in splits.items():
        tokens = int((~kept[ids]).sum())
        replaced[split] = {"tokens": tokens, "share": tokens / len(ids)}
    text = {split: mapped[ids] for split, ids in splits.items()}
    types, first = np.unique(np.concatenate([*text.values()]), return_index=True)
    order = types[np.argsort(first)]
    numbers = np.empty(len(words), dtype=np.intc)
    numbers[order] = np.arange(len(order))
    return (
        {split: numbers[ids] for split, ids in text.items()},
        [words[each] for each in order],
        replaced,
    )


def unigram_perplexity(splits: Mapping[str, np.ndarray], types: int) -> dict[str, float]:
    """Return the perplexity of train's word frequencies, which any model must beat."""
    losses = {split: unigram_loss(splits["train"], splits[split], types) for split in HELD_OUT}
    return {split: float(Decimal(loss).exp()) for split, loss in losses.items()}


def unigram_loss(train: np.ndarray, words: np.ndarray, types: int) -> float:
    """Return the mean loss of ``words`` in nats, if each is predicted by its frequency in train.

    Frequencies are maximum-likelihood estimates. If a type never occurs in train, one is added to
    every count, so that the loss stays finite. The result is the same on every CPU.

    Args:
        train: (tokens), the text that is counted.
        words: (predictions), at least one.
        types: size of the vocabulary.
    """
    counts = np.bincount(train, minlength=types)
    smoothed = counts + (counts == 0).any()
    # Words of equal counts have equal losses. Python's decimal logarithms are the same everywhere.
    kinds, kind = np.unique(smoothed, return_inverse=True)
    predicted = np.bincount(kind[words], minlength=len(kinds))
    with localcontext(prec=25):
        logarithms = [float(Decimal(int(count)).ln()) for count in kinds]
        whole = float(Decimal(int(smoothed.sum())).ln())
    products = (number * each for number, each in zip(predicted.tolist(), logarithms, strict=True))
    return whole - math.fsum(products) / len(words)
