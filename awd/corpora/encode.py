"""Text to integers and back: a corpus as arrays of word numbers, and the words they stand for.

The plan imports this module, so numpy is imported only where arrays are made.
"""

from __future__ import annotations

import hashlib
import logging
import platform
import re
from array import array
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from awd.corpora import builtin, catalogue, characters
from awd.corpora.builtin import END, UNKNOWN
from awd.corpora.catalogue import SPLITS, check_fingerprint, readable, sizes, writing
from awd.errors import InputError
from awd.files import atomic, read_json, write_json, write_text

if TYPE_CHECKING:
    import numpy as np

log = logging.getLogger(__name__)

FEWEST_TOKENS = {"train": 3, "valid": 20, "test": 20}
"""Training needs three steps. After each epoch valid and test are read as ten parallel streams, of
which each must have a token to predict after its first one."""

MARKER = re.compile(r"[<\[{|].*[>\]}|]")
"""What a marker such as </s> or [SEP] looks like."""


def encode(
    corpus: str, raw: Path, destination: Path, *, fingerprint: str, minimum_count: int = 1
) -> dict:
    """Turn ``raw``/{split}.txt into ``destination``/{split}.npy, vocabulary.txt, corpus.json.

    Words are what white space separates. Every line, a blank one too, ends in ``<eos>``. Types
    are numbered in order of first appearance over train, then valid, then test. The arrays are
    one-dimensional, uint16 where the vocabulary allows and int32 otherwise. corpus.json is
    written last, and returned.

    Args:
        fingerprint: what the text must have, or its first eight digits or more.
        minimum_count: words that occur less often in train become ``<unk>``, in all splits; 1 turns
            this off. Only for a user's own text.

    Raises InputError if a split is missing, is not UTF-8, holds ``<eos>`` or has too few tokens,
    if the text has another fingerprint or its counts are not those expected of this corpus, and if
    ``destination`` cannot be written.
    """
    import numpy as np

    raw, destination = Path(raw), Path(destination)
    text = _Reader(corpus)
    ids = {split: text.read(raw / f"{split}.txt") for split in SPLITS}
    vocabulary = list(text.numbers)
    whole = check_fingerprint(
        corpus,
        text.sha256,
        fingerprint,
        minimum_count,
        remedy=f"delete {raw} and run the command again",
    )
    _check_made(corpus, raw, text.sha256)
    _check_lengths(corpus, raw, ids)

    splits = {split: np.frombuffer(each, dtype=np.intc) for split, each in ids.items()}
    unseen = _unseen(splits, len(vocabulary))
    record = {
        "format": 2,
        "corpus": corpus,
        "fingerprint": whole,
        "normalised": {key: number for key, number in text.normalised.items() if number},
        "minimum_count": minimum_count,
        "unseen": unseen,
    }
    if minimum_count > 1:
        splits, vocabulary, replaced = _without_rare_words(splits, vocabulary, minimum_count)
        record["replaced"] = replaced
    kind = np.uint16 if len(vocabulary) <= 1 << 16 else np.int32
    splits = {split: each.astype(kind) for split, each in splits.items()}
    record |= {
        "vocabulary": len(vocabulary),
        "tokens": {split: len(each) for split, each in splits.items()},
        "unigram_perplexity": _unigram_perplexity(splits, len(vocabulary)),
        "sha256": text.sha256,
    }
    _check_counts(corpus, record)
    if corpus == "python-reference":
        record["python"] = platform.python_version()
    if corpus == "known-entropy":
        predicted = {split: splits[split] for split in ("valid", "test")}
        record["entropy"] = builtin.known_entropy_floor(vocabulary, predicted)
    _log(record)

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


class _Reader:
    """Reads the files of a corpus one after the other, numbering words as they appear."""

    def __init__(self, corpus: str) -> None:
        self.corpus = corpus
        self.own = corpus not in catalogue.entries()
        self.numbers: defaultdict[str, int] = defaultdict()
        self.numbers.default_factory = self.numbers.__len__  # a new word gets the next number
        self.normalised: Counter = Counter()
        self.sha256: dict[str, str] = {}  # of what was read, by split

    def read(self, path: Path) -> array:
        """Return a file's tokens as numbers, and note its sha256."""
        ids, lines, filled, marker = array("i"), 0, 0, None
        digest = hashlib.sha256()
        with readable(path) as stream:
            for number, line in enumerate(stream, 1):
                digest.update(line)
                for text in self._lines(line, number == 1, f"{path}, line {lines + 1},"):
                    lines += 1
                    if END in text:
                        raise InputError(
                            f"corpus {self.corpus}: {path}, line {lines}, holds {END}, which awd "
                            "adds at each line end: remove it from the text"
                        )
                    line_words = text.split()
                    if line_words:
                        last = line_words[-1]
                        marker = last if not filled or last == marker else None
                        filled += 1
                    line_words.append(END)
                    ids.extend(map(self.numbers.__getitem__, line_words))
        if not filled:
            raise InputError(f"corpus {self.corpus}: {path} holds no words")
        if marker not in (None, UNKNOWN) and filled > 1 and MARKER.fullmatch(marker):
            raise InputError(
                f"corpus {self.corpus}: every line of {path} ends in {marker}, and awd adds {END} "
                "at each line end: remove the marker from the text"
            )
        self.sha256[path.stem] = digest.hexdigest()
        return ids

    def _lines(self, line: bytes, first: bool, where: str) -> list[str]:
        """Return the lines of text in what was read up to a line feed: usually one."""
        where = f"corpus {self.corpus}: {where}"
        try:
            text = line.decode("utf-8-sig" if first else "utf-8")
        except UnicodeDecodeError as error:
            utf16 = " (if it is UTF-16, save it as UTF-8)" if b"\0" in line else ""
            raise InputError(
                f"{where} is not UTF-8 text: byte 0x{line[error.start]:02x} at position "
                f"{error.start + 1}{utf16}"
            ) from error
        if not self.own:
            return [text]
        lines = characters.normalise(text, self.normalised, whole_file=first)
        for each in lines:
            characters.refuse(each, where)
        return lines


def _unseen(splits: Mapping[str, np.ndarray], types: int) -> dict[str, dict]:
    """Return the words of valid and test that never occur in train: types, tokens, share."""
    import numpy as np

    seen = np.zeros(types, dtype=bool)
    seen[splits["train"]] = True
    unseen = {}
    for split in ("valid", "test"):
        new = splits[split][~seen[splits[split]]]
        unseen[split] = {
            "types": len(np.unique(new)),
            "tokens": len(new),
            "share": len(new) / len(splits[split]),
        }
    return unseen


def _without_rare_words(
    splits: Mapping[str, np.ndarray], vocabulary: list[str], minimum_count: int
) -> tuple[dict[str, np.ndarray], list[str], dict[str, dict]]:
    """Return splits and vocabulary where words rarer than that in train are ``<unk>``.

    And how many tokens of each split were replaced. Types are numbered anew, by first appearance.
    """
    import numpy as np

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


def _unigram_perplexity(splits: Mapping[str, np.ndarray], types: int) -> dict[str, float]:
    """Return the perplexity of train's word frequencies, which any model must beat.

    Frequencies are maximum-likelihood estimates. If a type never occurs in train, one is added to
    every count, so that the perplexity stays finite.
    """
    import numpy as np

    counts = np.bincount(splits["train"], minlength=types)
    smoothed = counts + (counts == 0).any()
    surprise = np.log(smoothed.sum()) - np.log(smoothed)
    return {split: float(np.exp(surprise[splits[split]].mean())) for split in ("valid", "test")}


def _check_made(corpus: str, raw: Path, sha256: Mapping[str, str]) -> None:
    """A made corpus has the text that is made now."""
    if corpus in builtin.TEXTS:
        made = builtin.TEXTS[corpus]()
        if any(hashlib.sha256(made[split].encode()).hexdigest() != sha256[split] for split in made):
            raise InputError(
                f"the text of corpus '{corpus}' in {raw} is not as it was made: delete it and run "
                "the command again"
            )


def _check_lengths(corpus: str, raw: Path, ids: Mapping[str, array]) -> None:
    for split, fewest in FEWEST_TOKENS.items():
        if len(ids[split]) < fewest:
            raise InputError(
                f"corpus {corpus}: {raw / f'{split}.txt'} has {len(ids[split])} tokens, with {END} "
                f"at each line end; at least {fewest} are needed"
            )


def _log(record: Mapping) -> None:
    """Report what was changed in the text, and what of it training cannot teach."""
    if record["normalised"]:
        changes = [
            f"{number:,} {key.replace('_', ' ')}" for key, number in record["normalised"].items()
        ]
        log.warning("corpus %s: normalised %s", record["corpus"], ", ".join(changes))
    for split, replaced in record.get("replaced", {}).items():
        log.info(
            "corpus %s: %s tokens of %s (%.1f%%) are words that occur fewer than %d times in "
            "train, now %s",
            record["corpus"],
            f"{replaced['tokens']:,}",
            split,
            100 * replaced["share"],
            record["minimum_count"],
            UNKNOWN,
        )
    for split, unseen in record["unseen"].items():
        if unseen["tokens"]:
            log.warning(
                "corpus %s: %s tokens of %s (%.1f%%) are words that never occur in train",
                record["corpus"],
                f"{unseen['tokens']:,}",
                split,
                100 * unseen["share"],
            )


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
