"""Text to integers and back: a corpus as arrays of word numbers, and the words they stand for.

The plan imports this module, so numpy is imported only where arrays are made.
"""

from __future__ import annotations

import hashlib
import itertools
import logging
from array import array
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from awd.corpora import known_entropy
from awd.corpora.catalogue import check_fingerprint, sizes, writing
from awd.corpora.read import TextReader
from awd.errors import InputError
from awd.files import atomic, file_sha256, read_json, write_json, write_text
from awd.vocabulary import END, HELD_OUT, UNKNOWN, Split

if TYPE_CHECKING:
    import numpy as np

log = logging.getLogger(__name__)

FORMAT = 3  # of corpus.json
FILES = (*(f"{split}.npy" for split in Split), "vocabulary.txt")
"""What stands beside corpus.json, which has their checksums."""

FEWEST_TOKENS = {"train": 3, "valid": 20, "test": 20}
"""Training needs three steps. After each epoch valid is read as ten parallel streams, of which each
must have a token to predict after its first one. Shorter test texts measure nothing."""


SHORT = 1_000
"""Tokens of a split of a user's own corpus below which a warning is due."""


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

    from awd.corpora import counts

    raw, destination = Path(raw), Path(destination)
    text = TextReader(corpus)
    ids: dict[str, array] = {split: text.read(raw / f"{split}.txt") for split in Split}
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

    splits: dict[str, np.ndarray] = {
        split: np.frombuffer(each, dtype=np.intc) for split, each in ids.items()
    }
    record = {
        "format": FORMAT,
        "corpus": corpus,
        "fingerprint": whole,
        "normalised": {key: number for key, number in text.normalised.items() if number},
        "minimum_count": minimum_count,
        "unseen": counts.unseen_words(splits, len(vocabulary)),
    }
    if minimum_count > 1:
        splits, vocabulary, record["replaced"] = counts.without_rare_words(
            splits, vocabulary, minimum_count
        )
    kind = np.uint16 if len(vocabulary) <= 1 << 16 else np.int32
    splits = {split: each.astype(kind) for split, each in splits.items()}
    record |= {
        "vocabulary": len(vocabulary),
        "tokens": {split: len(each) for split, each in splits.items()},
        "unigram_perplexity": counts.unigram_perplexity(splits, len(vocabulary)),
        "repeated_lines": counts.repeated_lines(splits, vocabulary.index(END)),
        "sha256": text.sha256,
    }
    _check_counts(corpus, record)
    if corpus == known_entropy.CORPUS:
        predicted: dict[str, np.ndarray] = {split: splits[split] for split in HELD_OUT}
        record["entropy"] = known_entropy.floor(vocabulary, predicted)
    _log(record)
    with writing(destination):
        record["files"] = _write(destination, splits, vocabulary)
        write_json(destination / "corpus.json", record)
    return record


def _write(
    destination: Path, splits: Mapping[str, np.ndarray], vocabulary: list[str]
) -> dict[str, str]:
    """Write what stands beside corpus.json; return the checksums of these files."""
    import numpy as np

    destination.mkdir(parents=True, exist_ok=True)
    # A record left from before must not vouch for what is about to be written.
    (destination / "corpus.json").unlink(missing_ok=True)
    for split, each in splits.items():
        with atomic(destination / f"{split}.npy") as temporary:
            np.save(temporary, each)
    write_text(destination / "vocabulary.txt", "".join(f"{word}\n" for word in vocabulary))
    return {name: file_sha256(destination / name) for name in FILES}


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

    def first(self, tokens: int) -> Corpus:
        """Return the corpus with the first ``tokens`` of its training text; with 0, all of it.

        Vocabulary, held-out splits and ``info`` are those of the whole corpus. Raises InputError if
        the text has fewer tokens.
        """
        if tokens > len(self.train):
            raise InputError(too_many(tokens, self.name, len(self.train)))
        return replace(self, train=self.train[:tokens]) if tokens else self


def too_many(tokens: int, corpus: str, available: int) -> str:
    """Return the complaint about more ``tokens`` for training than are ``available``."""
    return (
        f"train_tokens: {tokens} is more than the {available} tokens of the training text of "
        f"'{corpus}'; 0 takes them all"
    )


def recorded_sizes(path: Path) -> dict:
    """Return what the corpus.json at ``path`` counts, as `catalogue.sizes` does.

    Raises InputError if it is not the record of a corpus.
    """
    record = read_json(path)
    try:
        tokens = {split: record["tokens"][split] for split in Split}
        found = {"vocabulary": record["vocabulary"], "tokens": tokens}
    except (KeyError, TypeError) as error:
        raise _no_record(path) from error
    counts = [found["vocabulary"], *tokens.values()]
    if not all(type(each) is int and each > 0 for each in counts):
        raise _no_record(path)
    return found


def _no_record(path: Path) -> InputError:
    return InputError(
        f"{path} is not the record of a corpus: delete {path.parent} to encode the text again"
    )


def load(folder: Path) -> Corpus:
    """Read what ``encode`` wrote. Raises InputError if anything is missing or does not fit."""
    import numpy as np

    folder = Path(folder)
    remedy = f"delete {folder} to encode the text again"
    info = read_json(folder / "corpus.json")
    if info.get("format") != FORMAT:
        raise InputError(
            f"{folder / 'corpus.json'} has format {info.get('format')!r}; this version of awd "
            f"reads {FORMAT}: {remedy}"
        )
    try:
        name, digest, files = info["corpus"], info["fingerprint"], dict(info["files"])
        types, tokens = info["vocabulary"], {split: info["tokens"][split] for split in Split}
    except (KeyError, TypeError, ValueError) as error:
        raise _no_record(folder / "corpus.json") from error
    try:
        words = (folder / "vocabulary.txt").read_text(encoding="utf-8").split("\n")[:-1]
        splits = {split: np.load(folder / f"{split}.npy", allow_pickle=False) for split in Split}
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{folder} is damaged ({error}): {remedy}") from error
    misfit = f"does not fit the corpus.json beside it: {remedy}"
    if len(words) != types:
        raise InputError(f"{folder / 'vocabulary.txt'} {misfit}")
    for split, ids in splits.items():
        fits = ids.size and ids.shape == (tokens[split],) and ids.dtype.kind in "iu"
        if not fits or ids.min() < 0 or ids.max() >= types:
            raise InputError(f"{folder / f'{split}.npy'} {misfit}")
    for file in FILES:
        if files.get(file) != file_sha256(folder / file):
            raise InputError(f"{folder / file} was changed after it was encoded: {remedy}")
    return Corpus(name, digest, words, **splits, info=info)


def _check_made(corpus: str, raw: Path, sha256: Mapping[str, str]) -> None:
    """A corpus that is known by what makes it has the text that is made now."""
    if corpus == known_entropy.CORPUS:
        made = known_entropy.texts()
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


def short_texts(corpus: str, tokens: Mapping[str, int]) -> str | None:
    """Return a sentence about the splits of a user's own corpus that are SHORT; None if none is.

    ``tokens`` are their numbers by split.
    """
    found = [f"{split} has {tokens[split]:,}" for split in Split if tokens[split] < SHORT]
    if sizes(corpus) or not found:
        return None
    return (
        f"fewer than {SHORT:,} tokens are hardly enough to learn from or to measure on: "
        f"{', '.join(found)}"
    )


def same_texts(sha256: Mapping[str, str]) -> list[str]:
    """Return a sentence for each two splits that are copies of one file, as by mistake."""
    return [
        f"{one}.txt and {other}.txt are the same text, so perplexity there says nothing of new text"
        for one, other in itertools.combinations(sha256, 2)
        if sha256[one] == sha256[other]
    ]


def repeats(sha256: Mapping[str, str], lines: Mapping[str, Mapping]) -> list[str]:
    """Return a sentence for each two splits that are one text, or one for lines that recur.

    Args:
        sha256: of the text of each split.
        lines: what `counts.repeated_lines` has counted.
    """
    from awd.corpora import counts

    same = same_texts(sha256)
    shares = counts.notable_repeats({split: each["share"] for split, each in lines.items()})
    if same or not shares:
        return same
    return [
        f"of the lines of {counts.SHORTEST} words or more, {' and '.join(shares)} also stand in "
        "train, so perplexity there is partly that of text which was trained on"
    ]


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
    for sentence in repeats(record["sha256"], record["repeated_lines"]):
        log.warning("corpus %s: %s", record["corpus"], sentence)
    if short := short_texts(record["corpus"], record["tokens"]):
        log.warning("corpus %s: %s", record["corpus"], short)
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
    if expected is None:
        return
    for what in ("vocabulary", "tokens"):
        if record[what] != expected[what]:
            raise InputError(
                f"corpus {corpus}: the raw text gives {what} {record[what]} where "
                f"{expected[what]} is expected; delete it and fetch it again"
            )
