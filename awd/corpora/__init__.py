"""Corpora: fetch the text, verify it, encode it as integers, read it back.

A corpus is one of those in corpora.yaml or any folder with train.txt, valid.txt and test.txt,
named under ``corpus_folders`` in config.yaml. Only ``fetch`` opens the network.

The plan imports this module, so numpy is imported only where arrays are made.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import tempfile
from array import array
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from awd.corpora import builtin
from awd.corpora.builtin import END, known_entropy_chain
from awd.errors import InputError, nearest
from awd.files import atomic, read_json, write_json, write_text

if TYPE_CHECKING:
    import numpy as np

__all__ = [
    "END",
    "SPLITS",
    "Corpus",
    "catalogue",
    "encode",
    "fetch",
    "fingerprint",
    "known_entropy_chain",
    "load",
    "sizes",
]

SPLITS = ("train", "valid", "test")
ENCODING = 1  # raised when the same text would be encoded otherwise, or a made text changes
NAME = re.compile(r"[a-z0-9][a-z0-9-]*")


@cache
def catalogue() -> dict[str, dict]:
    """Return corpora.yaml: the corpora known by name, with their sources and counts."""
    path = Path(__file__).with_name("corpora.yaml")
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def fingerprint(corpus: str, folders: Mapping[str, str] | None = None) -> str:
    """Return 64 hex digits that change whenever the encoded corpus would.

    ``folders`` maps the names of the user's own corpora to their folders. Nothing is fetched or
    made: a published corpus is known by its checksums, ``python-reference`` by the file it is
    made from, ``known-entropy`` by its parameters, a folder by the content of its three files.
    Raises InputError for an unknown corpus and for a folder without one of the files.
    """
    folder = _own_folder(corpus, folders)
    if folder is not None:
        parts = [_sha256(path) for path in _folder_files(corpus, folder).values()]
    elif corpus == "python-reference":
        parts = [_sha256(builtin.reference_file())]
    elif corpus == "known-entropy":
        parts = [builtin.chain_fingerprint()]
    else:
        parts = [catalogue()[corpus]["sha256"][split] for split in SPLITS]
    return hashlib.sha256(f"{ENCODING} {' '.join(parts)}".encode()).hexdigest()


def sizes(corpus: str) -> dict | None:
    """Return what is known of a corpus before it is fetched, None for a user's own.

    ``{"vocabulary": types, "tokens": {split: tokens}}``, and ``"approximate": True`` where the
    counts depend on the Python that makes the corpus.
    """
    entry = catalogue().get(corpus)
    if entry is None:
        return None
    return {key: entry[key] for key in ("vocabulary", "tokens", "approximate") if key in entry}


def fetch(
    corpus: str,
    destination: Path,
    *,
    mirror: str | None = None,
    folders: Mapping[str, str] | None = None,
) -> None:
    """Make train.txt, valid.txt and test.txt in ``destination``: all three, verified, or none.

    A published corpus is looked for in ``mirror`` (a folder or an http(s) address) and then in
    its public sources; a generated one is generated; a user's own is copied from its folder.
    Raises InputError if the corpus is unknown, if no source has it (naming each and its reason)
    or if ``destination`` cannot be written.
    """
    folder = _own_folder(corpus, folders)
    destination = Path(destination)
    own = None if folder is None else _folder_files(corpus, folder)
    with _writing(destination):
        destination.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=destination, prefix=".fetch-") as name:
            workplace = Path(name)
            if own is not None:
                files = _copy(own, workplace)
            elif "sources" in catalogue()[corpus]:
                from awd.corpora.download import download

                files = download(corpus, catalogue()[corpus], workplace, mirror)
            else:
                files = _generate(corpus, workplace)
            for path in files.values():
                with path.open("rb") as stream:
                    os.fsync(stream.fileno())
            for split in SPLITS:
                files[split].replace(destination / f"{split}.txt")


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
        "sha256": {split: _sha256(raw / f"{split}.txt") for split in SPLITS},
    }
    _check_counts(corpus, record)
    if corpus == "python-reference":
        record["python"] = platform.python_version()
    if corpus == "known-entropy":
        predicted = {split: splits[split] for split in ("valid", "test")}
        record["entropy"] = builtin.known_entropy_floor(vocabulary, predicted)

    with _writing(destination):
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


def _own_folder(corpus: str, folders: Mapping[str, str] | None) -> Path | None:
    """Return the folder of a user's own corpus, None for a corpus of the catalogue."""
    folders = folders or {}
    for name in folders:
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise InputError(
                f"corpus_folders: '{name}' cannot name a corpus; use lower-case letters, digits "
                "and hyphens, and begin with a letter or digit"
            )
        if name in catalogue():
            raise InputError(f"corpus_folders: the name '{name}' is taken by a built-in corpus")
    if corpus in folders:
        return Path(folders[corpus]).expanduser()
    if corpus in catalogue():
        return None
    raise InputError(
        f"unknown corpus '{corpus}': {nearest(corpus, [*catalogue(), *folders])} (or name a folder "
        "under corpus_folders in config.yaml)"
    )


def _folder_files(corpus: str, folder: Path) -> dict[str, Path]:
    files = {split: folder / f"{split}.txt" for split in SPLITS}
    missing = [path.name for path in files.values() if not path.is_file()]
    empty = [path.name for path in files.values() if path.is_file() and not path.stat().st_size]
    faults = [f"has no {name}" for name in missing] + [f"has an empty {name}" for name in empty]
    if faults:
        raise InputError(
            f"corpus {corpus}: the folder {folder} {' and '.join(faults)}; it must hold train.txt, "
            "valid.txt and test.txt"
        )
    return files


def _copy(files: Mapping[str, Path], folder: Path) -> dict[str, Path]:
    copies = {split: folder / f"{split}.txt" for split in files}
    for split, path in files.items():
        with _opened(path) as stream, copies[split].open("wb") as out:
            for chunk in iter(lambda stream=stream: stream.read(1 << 20), b""):
                out.write(chunk)
    return copies


def _generate(corpus: str, folder: Path) -> dict[str, Path]:
    make = {
        "python-reference": builtin.python_reference,
        "known-entropy": builtin.known_entropy,
    }[corpus]
    files = {}
    for split, text in make().items():
        files[split] = folder / f"{split}.txt"
        files[split].write_text(text, encoding="utf-8", newline="\n")
    return files


def _read_ids(corpus: str, path: Path, numbers: Mapping[str, int]) -> array:
    """Return a file's tokens as numbers; looking a new word up in ``numbers`` numbers it."""
    ids, words = array("i"), 0
    with _opened(path) as stream:
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


def _sha256(path: Path) -> str:
    with _opened(path) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextmanager
def _opened(path: Path) -> Iterator:
    try:
        stream = path.open("rb")
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    with stream:
        yield stream


@contextmanager
def _writing(destination: Path) -> Iterator[None]:
    """Say in a sentence that a disk is full or a folder not ours."""
    try:
        yield
    except OSError as error:
        raise InputError(f"cannot write {destination}: {error.strerror or error}") from error
