"""An overview of a corpus: how much text, how many words, and what training cannot teach."""

from __future__ import annotations

import logging
import tempfile
import textwrap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from awd.corpora import catalogue
from awd.corpora.encode import Corpus, encode, load, repeats, short_texts
from awd.corpora.fetch import fetch
from awd.errors import InputError
from awd.vocabulary import END, UNKNOWN, Split

LINES, WIDTH = 3, 78  # lines of the text that are shown, and their longest
NOTABLE = 0.01
"""Share of unseen words from which they are worth a remedy."""


@dataclass(frozen=True)
class TextFile:
    """What one file of a corpus holds; the end of each of its ``lines`` is one of its ``tokens``.

    ``longest`` is the number of words of the longest line and ``longest_at`` its number from 1.
    ``unseen`` tokens, a ``share`` of all, are words that training never reads; 0 for train.
    """

    tokens: int
    lines: int
    longest: int
    longest_at: int
    unseen: int
    share: float


@dataclass(frozen=True)
class Overview:
    """An overview of a corpus; see ``look``."""

    name: str
    fingerprint: str
    types: int
    once: int  # types that occur once in train
    minimum_count: int
    unknown: dict[str, float]  # share of <unk> in each split; empty: new words cannot be read
    unigram_perplexity: dict[str, float]  # of valid and test
    normalised: dict[str, int]  # what was changed in the text, and how often
    splits: dict[str, TextFile]
    repeats: list[str]  # what text means that two splits share
    first: list[str]  # lines of train


@contextmanager
def opened(
    name: str, results: Path, folders: Mapping[str, str], minimum_count: int = 1
) -> Iterator[Corpus]:
    """Yield the corpus called ``name``, encoded under ``results`` or encoded here and now.

    ``folders`` maps the names of the user's own corpora to their folders. Nothing is downloaded.
    Raises InputError for an unknown corpus, a text that cannot be encoded, and a published corpus
    that no command has fetched yet.
    """
    fingerprint = catalogue.fingerprint(name, folders, minimum_count=minimum_count)
    encoded = results / "corpora" / f"{name}-{fingerprint[:8]}"
    if (encoded / "corpus.json").is_file():
        yield load(encoded)
        return
    if "sources" in catalogue.entries().get(name, {}):
        counts = catalogue.sizes(name) or {}
        tokens = ", ".join(f"{counts['tokens'][split]:,} ({split})" for split in Split)
        raise InputError(
            f"corpus {name} is not here yet; the first study on it fetches its {tokens} tokens of "
            f"{counts['vocabulary']:,} types, or `python -m awd fetch {name} FOLDER` does"
        )
    own = catalogue.own_folder(name, folders)
    with tempfile.TemporaryDirectory(prefix="awd-") as place, _quietly():
        encoded = Path(place)
        raw = own or encoded / "raw"  # messages name the user's file
        if own is None:
            fetch(name, raw)
        encode(name, raw, encoded, fingerprint=fingerprint, minimum_count=minimum_count)
        yield load(encoded)


def look(corpus: Corpus) -> Overview:
    """Count what ``corpus`` holds, and read the first LINES of its training text."""
    import numpy as np

    end = corpus.vocabulary.index(END)
    unknown = {}
    if UNKNOWN in corpus.vocabulary:
        number = corpus.vocabulary.index(UNKNOWN)
        unknown = {str(split): float((getattr(corpus, split) == number).mean()) for split in Split}
    counts = np.bincount(corpus.train, minlength=len(corpus.vocabulary))
    splits: dict[str, TextFile] = {}
    for split in Split:
        ids = getattr(corpus, split)
        ends = np.flatnonzero(ids == end)
        lengths = np.diff(ends, prepend=-1) - 1
        unseen = corpus.info["unseen"].get(split, {"tokens": 0, "share": 0.0})
        splits[split] = TextFile(
            len(ids),
            len(ends),
            int(lengths.max()),
            int(lengths.argmax()) + 1,
            unseen["tokens"],
            unseen["share"],
        )
    ends = np.flatnonzero(corpus.train == end)[:LINES]
    words = [corpus.vocabulary[each] for each in corpus.train[: ends[-1] + 1]]
    return Overview(
        corpus.name,
        corpus.fingerprint,
        len(corpus.vocabulary),
        int((counts == 1).sum()),
        corpus.info["minimum_count"],
        unknown,
        corpus.info["unigram_perplexity"],
        corpus.info["normalised"],
        splits,
        # corpora that awd 0.2.0 encoded have no such count
        repeats(corpus.info["sha256"], corpus.info.get("repeated_lines", {})),
        [line.strip() for line in " ".join(words).split(END)[:-1]],
    )


def describe(overview: Overview) -> str:
    """Return the overview as text of several lines."""
    lines = [f"corpus {overview.name}, fingerprint {overview.fingerprint[:8]}", ""]
    lines.append(f"{'':8}{'tokens':>12}{'lines':>10}{'longest line':>24}{'not in train':>24}")
    for name, split in overview.splits.items():
        longest = f"{split.longest:,} words (line {split.longest_at:,})"
        unseen = "" if name == "train" else f"{split.unseen:,} ({split.share:.1%})"
        lines.append(f"{name:8}{split.tokens:12,}{split.lines:10,}{longest:>24}{unseen:>24}")
    if overview.minimum_count > 1:
        least = f"words with fewer than {overview.minimum_count} occurrences are {UNKNOWN}"
        lines += ["", f"{overview.types:,} types; {least}"]
    else:
        lines += ["", f"{overview.types:,} types, {overview.once:,} of them once in train"]
    if overview.unknown:
        shares = [f"{share:.1%} ({split})" for split, share in overview.unknown.items()]
        lines.append(f"share of {UNKNOWN}: {', '.join(shares)}")
    else:
        lines.append(f"no {UNKNOWN} in the text: a model can score only texts of these types")
    perplexities = overview.unigram_perplexity
    lines.append(
        f"perplexity of word frequencies alone: valid {perplexities['valid']:,.1f}, "
        f"test {perplexities['test']:,.1f}"
    )
    if overview.normalised:
        changes = [f"{n:,} {what.replace('_', ' ')}" for what, n in overview.normalised.items()]
        lines.append(f"normalised: {', '.join(changes)}")
    tokens = {name: split.tokens for name, split in overview.splits.items()}
    notes = [*overview.repeats, short_texts(overview.name, tokens)]
    lines += [line for each in filter(None, notes) for line in textwrap.wrap(each, WIDTH)]
    if overview.minimum_count == 1 and overview.name not in catalogue.entries():
        share = max(split.share for split in overview.splits.values())
        if share >= NOTABLE:
            lines += [
                "",
                f"No model can learn words that are not in train; at {share:.1%} they make the",
                f"perplexity high. minimum_count=2 turns words that occur once into {UNKNOWN}.",
            ]
    lines += ["", "train begins with"]
    lines += [
        f"  {line if len(line) <= WIDTH else line[: WIDTH - 3] + '...'}" for line in overview.first
    ]
    return "\n".join(lines)


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep back what encoding logs: the overview shows it."""
    logger = logging.getLogger("awd.corpora")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
