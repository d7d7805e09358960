"""The two corpora that need no download: one of real English, one whose entropy is known.

``python-reference`` is the language reference that every CPython carries for its ``help()``.
``known-entropy`` is drawn from a Markov chain, so the best perplexity that any honest model can
reach on it is known in advance: a model that scores below it has seen the future.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from awd.errors import InputError

if TYPE_CHECKING:
    import numpy as np

END = "<eos>"
UNKNOWN = "<unk>"

# python-reference ---------------------------------------------------------------------------

TOPICS = "pydoc_data.topics"
SHARES = {"train": 0.8, "valid": 0.1, "test": 0.1}
MINIMUM_COUNT = 3  # rarer types become <unk>, as in WikiText-2
RULER = re.compile(r"\s*([^\w\s])\1{2,}\s*")  # the line of *** or === under a heading
TOKEN = re.compile(
    r"(?:[a-z]\.){2,}"  # e.g.
    r"|\d+(?:\.\d+)+"  # 3.11
    r"|\w+(?:'\w+)*"  # words, names, whole numbers, doesn't
    r"|[!<>=:+*/%-]{1,2}=|->"  # operators: == ::= += !=
    r"|([^\w\s])\1*"  # any other mark; a run of the same mark is one token
)


def reference_file() -> Path:
    """Return the file of this Python's help topics, without importing it.

    Raises InputError if this Python was installed without them.
    """
    try:
        found = importlib.util.find_spec(TOPICS)
    except ModuleNotFoundError:
        found = None
    if found is None or found.origin is None or not Path(found.origin).is_file():
        raise InputError(
            f"corpus python-reference: this Python has no {TOPICS} (some systems package it "
            "apart); choose another corpus or another Python"
        )
    return Path(found.origin)


def tokenize(text: str) -> list[str]:
    """Split English or code into lower-case words and punctuation marks.

    >>> tokenize("It's **bold**: x != 3.11, e.g. here")
    ["it's", '**', 'bold', '**', ':', 'x', '!=', '3.11', ',', 'e.g.', 'here']
    """
    return [match.group() for match in TOKEN.finditer(text.lower().replace("\u2019", "'"))]


def distinct_paragraphs(topics: Mapping[str, str]) -> dict[str, list[list[str]]]:
    """Return the tokenised paragraphs of each topic, each paragraph once over all topics.

    The topics repeat each other at length. A paragraph stays with the first topic, in sorted
    order, that has it; topics left with nothing are left out.
    """
    seen: set[tuple[str, ...]] = set()
    kept: dict[str, list[list[str]]] = {}
    for name in sorted(topics):
        for paragraph in re.split(r"\n\s*\n", topics[name]):
            lines = [line for line in paragraph.split("\n") if not RULER.fullmatch(line)]
            tokens = tokenize("\n".join(lines))
            if tokens and tuple(tokens) not in seen:
                seen.add(tuple(tokens))
                kept.setdefault(name, []).append(tokens)
    return kept


def split_topics(paragraphs: Mapping[str, Sequence[Sequence[str]]]) -> dict[str, list[str]]:
    """Deal whole topics out to the splits, 80/10/10 by tokens.

    The largest topic goes first and each goes to the split that lacks most of its share, so that
    the largest ones train and valid and test get many smaller ones, on mixed subjects.
    """
    sizes = {name: sum(len(line) + 1 for line in lines) for name, lines in paragraphs.items()}
    lacking = {split: share * sum(sizes.values()) for split, share in SHARES.items()}
    topics: dict[str, list[str]] = {split: [] for split in SHARES}
    for name in sorted(sizes, key=lambda name: (-sizes[name], name)):
        split = max(lacking, key=lacking.__getitem__)
        lacking[split] -= sizes[name]
        topics[split].append(name)
    return {split: sorted(names) for split, names in topics.items()}


def python_reference() -> dict[str, str]:
    """Return the text of each split: a paragraph a line, as in WikiText-2.

    A type seen fewer than three times in train is ``<unk>``, in every split, so that valid and
    test hold no type that train does not.
    """
    reference_file()  # fails with a sentence where the import would not
    from pydoc_data.topics import topics

    paragraphs = distinct_paragraphs(topics)
    lines = {
        split: [line for name in names for line in paragraphs[name]]
        for split, names in split_topics(paragraphs).items()
    }
    counts = Counter(word for line in lines["train"] for word in line)
    known = {word for word, count in counts.items() if count >= MINIMUM_COUNT}
    return {
        split: "".join(
            " ".join(word if word in known else UNKNOWN for word in line) + "\n" for line in each
        )
        for split, each in lines.items()
    }


# known-entropy ------------------------------------------------------------------------------

SEED = 20180507
WORDS = tuple(consonant + vowel for consonant in "bdfgklmnprst" for vowel in "aeo")
# How a symbol's probability is divided among its few successors: one of these per symbol.
SKEWS = ((0.7, 0.2, 0.1), (0.5, 0.3, 0.15, 0.05), (0.85, 0.1, 0.05), (0.4, 0.3, 0.2, 0.1))
LENGTHS = {"train": 200_000, "valid": 20_000, "test": 20_000}  # tokens; the last line is finished


def chain_fingerprint() -> str:
    """Return the sha256 of everything that determines ``known-entropy``."""
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


def known_entropy_chain() -> tuple[list[str], np.ndarray]:
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


def known_entropy() -> dict[str, str]:
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


def known_entropy_floor(
    vocabulary: Sequence[str], splits: Mapping[str, np.ndarray]
) -> dict[str, object]:
    """Return the entropy rate and, per split, the exact total nats of its predicted tokens.

    ``splits`` holds integer arrays of ids into ``vocabulary``; all tokens but the first of each
    are predicted. Raises InputError if the text cannot have come from the chain.
    """
    import numpy as np

    symbols, matrix = known_entropy_chain()
    if set(vocabulary) != set(symbols):
        raise InputError("corpus known-entropy: the raw text holds other words than the chain's")
    place = np.array([symbols.index(word) for word in vocabulary])
    floor: dict[str, object] = {"rate": entropy_rate(matrix)}
    for split, ids in splits.items():
        path = place[ids]
        probabilities = matrix[path[:-1], path[1:]]
        if not probabilities.all():
            raise InputError(f"corpus known-entropy: {split} has a step that the chain forbids")
        floor[split] = {
            "nll": float(-np.log(probabilities).sum()),
            "tokens": len(path) - 1,
        }
    return floor


TEXTS = {"python-reference": python_reference, "known-entropy": known_entropy}
"""Corpus -> what makes the text of each of its splits."""
