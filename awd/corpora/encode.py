"""Text to integers and back: a corpus as arrays of word numbers, and the words they stand for.

The plan imports this module, so numpy is imported only where arrays are made.
"""

from __future__ import annotations

import platform
from array import array
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from awd.corpora import builtin
from awd.corpora.builtin import END
from awd.corpora.catalogue import SPLITS, file_sha256, readable, sizes, writing
from awd.errors import InputError
from awd.files import atomic, read_json, write_json, write_text

if TYPE_CHECKING:
    import numpy as np


def encode(corpus: str, raw: Path, destination: Path, *, fingerprint: str) -> dict:
    """Turn ``raw``/{split}.txt into ``destination``/{split}.npy, vocabulary.txt, corpus.json.

    Words are what white space separates. Every line, a blank one too, ends in ``<eos>``. Types
    are numbered in order of first appearance over train, then valid, then test. The arrays are
    one-dimensional, uint16 where the vocabulary allows and int32 otherwise. corpus.json is
    written last, and returned.

    Raises InputError if a split is missing, has no words or is not UTF-8, if the counts are not
    those expected of this corpus, and if ``destination`` cannot be written.
    """
    import numpy as np

    raw, destination = Path(raw), Path(destination)
    numbers: defaultdict[str, int] = defaultdict()
    numbers.default_factory = numbers.__len__  # a new word gets the next number
    ids = {split: _read_ids(corpus, raw / f"{split}.txt", numbers) for split in SPLITS}
    vocabulary = list(numbers)
    kind = np.uint16 if len(vocabulary) <= 1 << 16 else np.int32
    splits = {split: np.frombuffer(each, dtype=np.intc).astype(kind) for split, each in ids.items()}

    record = {
        "format": 1,
        "corpus": corpus,
        "fingerprint": fingerprint,
        "vocabulary": len(vocabulary),
        "tokens": {split: len(each) for split, each in splits.items()},
        **_unigram(splits, len(vocabulary)),
        "sha256": {split: file_sha256(raw / f"{split}.txt") for split in SPLITS},
    }
    _check_counts(corpus, record)
    if corpus == "python-reference":
        record["python"] = platform.python_version()
    if corpus == "known-entropy":
        predicted = {split: splits[split] for split in ("valid", "test")}
        record["entropy"] = builtin.known_entropy_floor(vocabulary, predicted)

    with writing(destination):
        destination.mkdir(parents=True, exist_ok=True)
        # A record left from before must not vouch for what is about to be written.
        (destination / "corpus.json").unlink(missing_ok=True)
        for split, each in splits.items():
            with atomic(destination / f"{split}.npy") as temporary:
                np.save(temporary, each)
        write_text(destination / "vocabulary.txt", "".join(f"{word}\n" for word in vocabulary))
        write_json(destination / "corpus.json", record)
    return record


@dataclass(frozen=True, eq=False)
class Corpus:
    """An encoded corpus. The splits are one-dimensional arrays of ids into ``vocabulary``."""

    name: str
    fingerprint: str
    vocabulary: list[str]
    train: np.ndarray
    valid: np.ndarray
    test: np.ndarray
    info: dict  # the whole of corpus.json


def load(folder: Path) -> Corpus:
    """Read what ``encode`` wrote. Raises InputError if anything is missing or does not fit."""
    import numpy as np

    folder = Path(folder)
    info = read_json(folder / "corpus.json")
    try:
        name, digest = info["corpus"], info["fingerprint"]
        types, tokens = info["vocabulary"], {split: info["tokens"][split] for split in SPLITS}
    except (KeyError, TypeError) as error:
        raise InputError(f"{folder / 'corpus.json'} is not the record of a corpus") from error
    try:
        words = (folder / "vocabulary.txt").read_text(encoding="utf-8").split("\n")[:-1]
        splits = {split: np.load(folder / f"{split}.npy", allow_pickle=False) for split in SPLITS}
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"the encoded corpus in {folder} is damaged: {error}") from error
    if len(words) != types:
        raise InputError(f"{folder / 'vocabulary.txt'} does not fit the corpus.json beside it")
    for split, ids in splits.items():
        fits = ids.size and ids.shape == (tokens[split],) and ids.dtype.kind in "iu"
        if not fits or ids.min() < 0 or ids.max() >= types:
            raise InputError(f"{folder / f'{split}.npy'} does not fit the corpus.json beside it")
    return Corpus(name, digest, words, **splits, info=info)


def _read_ids(corpus: str, path: Path, numbers: Mapping[str, int]) -> array:
    """Return a file's tokens as numbers; looking a new word up in ``numbers`` numbers it."""
    ids, words = array("i"), 0
    with readable(path) as stream:
        for line_number, line in enumerate(stream, 1):
            try:
                line_words = line.decode("utf-8-sig" if line_number == 1 else "utf-8").split()
            except UnicodeDecodeError as error:
                raise InputError(
                    f"corpus {corpus}: {path}, line {line_number}, is not UTF-8 text: "
                    f"byte 0x{line[error.start]:02x} at position {error.start + 1}"
                ) from error
            words += len(line_words)
            line_words.append(END)
            ids.extend(map(numbers.__getitem__, line_words))
    if not words:
        raise InputError(f"corpus {corpus}: {path} holds no words")
    return ids


def _unigram(splits: Mapping[str, np.ndarray], types: int) -> dict[str, dict]:
    """Return the perplexity of train's word frequencies, which any model must beat.

    Frequencies are maximum-likelihood estimates. If a type never occurs in train, one is added to
    every count, so that the perplexity stays finite; ``unseen`` counts such types per split.
    """
    import numpy as np

    counts = np.bincount(splits["train"], minlength=types)
    smoothed = counts + (counts == 0).any()
    surprise = np.log(smoothed.sum()) - np.log(smoothed)
    held_out = ("valid", "test")
    return {
        "unigram_perplexity": {
            split: float(np.exp(surprise[splits[split]].mean())) for split in held_out
        },
        "unseen": {split: int((counts[np.unique(splits[split])] == 0).sum()) for split in held_out},
    }


def _check_counts(corpus: str, record: Mapping) -> None:
    expected = sizes(corpus)
    if expected is None or expected.get("approximate"):
        return
    for what in ("vocabulary", "tokens"):
        if record[what] != expected[what]:
            raise InputError(
                f"corpus {corpus}: the raw text gives {what} {record[what]} where "
                f"{expected[what]} is expected; delete it and fetch it again"
            )
