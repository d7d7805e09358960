"""The corpora that are known: names, sources, fingerprints and sizes, without numpy."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import yaml

from awd.corpora import known_entropy
from awd.errors import InputError, nearest
from awd.files import file_sha256, readable, user_path, without_byte_order_mark
from awd.vocabulary import RESERVED, Split

NAME = re.compile(r"[a-z0-9][a-z0-9-]*")
# Raised when the same text would be encoded otherwise, or a made text changes.
ENCODING = 1  # of published and made texts
OWN_ENCODING = 3  # of users' own texts


@cache
def entries() -> dict[str, dict]:
    """Return corpora.yaml: the corpora known by name, with their sources and counts."""
    path = Path(__file__).with_name("corpora.yaml")
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def fingerprint(
    corpus: str, folders: Mapping[str, str] | None = None, *, minimum_count: int = 1
) -> str:
    """Return 64 hex digits that change whenever the encoded corpus would.

    ``folders`` maps the names of the user's own corpora to their folders. Nothing is fetched or
    made: a corpus of the catalogue is known by its checksums, ``known-entropy`` by its parameters,
    a folder by the content of its three files, whichever line ends they have.
    ``minimum_count`` is that of ``encode``. Raises InputError for an unknown corpus, for a folder
    without one of the files, and for a minimum count that the corpus cannot have.
    """
    folder = own_folder(corpus, folders)
    if folder is None:
        sha256 = entries()[corpus].get("sha256", {})
    else:
        files = folder_files(corpus, folder)
        sha256 = {split: text_sha256(path, own=True) for split, path in files.items()}
    return text_fingerprint(corpus, sha256, minimum_count)


def text_fingerprint(corpus: str, sha256: Mapping[str, str], minimum_count: int = 1) -> str:
    """Return the fingerprint of a corpus whose texts have these checksums, by split.

    ``known-entropy`` is known by its parameters, whatever the checksums. Raises InputError for a
    ``minimum_count`` that is not allowed for the corpus.
    """
    own = corpus not in entries()
    if isinstance(minimum_count, bool) or not isinstance(minimum_count, int) or minimum_count < 1:
        raise InputError(f"corpus {corpus}: minimum_count is {minimum_count!r}; allowed: 1, 2, ...")
    if minimum_count > 1 and not own:
        raise InputError(
            f"corpus {corpus}: minimum_count is for corpora of your own; the words of this one are "
            "as published"
        )
    if corpus == known_entropy.CORPUS:
        parts = [known_entropy.fingerprint()]
    else:
        parts = [sha256[split] for split in Split]
    if minimum_count > 1:
        parts.append(f"minimum_count {minimum_count}")
    encoding = OWN_ENCODING if own else ENCODING
    return hashlib.sha256(f"{encoding} {' '.join(parts)}".encode()).hexdigest()


def check_fingerprint(
    corpus: str, sha256: Mapping[str, str], planned: str, minimum_count: int, *, remedy: str
) -> str:
    """Return the fingerprint of texts with these checksums.

    Raises InputError, ending in the ``remedy``, unless it begins with the ``planned`` one, of
    which eight digits or more are needed.
    """
    found = text_fingerprint(corpus, sha256, minimum_count)
    if len(planned) < 8 or not found.startswith(planned):
        raise InputError(
            f"the text of corpus '{corpus}' changed since it was planned: {remedy} "
            f"(its fingerprint is {found[:8]}, planned was {planned[:8]})"
        )
    return found


def sizes(corpus: str) -> dict | None:
    """Return what is known of a corpus before it is fetched, None for a user's own.

    ``{"vocabulary": types, "tokens": {split: tokens}}``.
    """
    entry = entries().get(corpus)
    if entry is None:
        return None
    return {key: entry[key] for key in ("vocabulary", "tokens")}


def own_folder(corpus: str, folders: Mapping[str, str] | None) -> Path | None:
    """Return the folder of a user's own corpus, None for a corpus of the catalogue.

    Raises InputError for an unknown corpus and for names in ``folders`` that cannot be used.
    """
    folders = folders or {}
    for name in folders:
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise InputError(
                f"corpus_folders: '{name}' cannot name a corpus; use lower-case letters, digits "
                "and hyphens, and begin with a letter or digit"
            )
        if name in RESERVED:
            raise InputError(f"corpus_folders: '{name}' is reserved ({RESERVED[name]})")
        if name in entries():
            raise InputError(f"corpus_folders: the name '{name}' is taken by a built-in corpus")
    if corpus in folders:
        return user_path(folders[corpus])
    if corpus in entries():
        return None
    raise InputError(
        f"unknown corpus '{corpus}': {nearest(corpus, [*entries(), *folders])} (or name a folder "
        "under corpus_folders in config.yaml)"
    )


def folder_files(corpus: str, folder: Path) -> dict[str, Path]:
    """Return the file of each split in a user's folder; InputError if one is missing or empty."""
    files: dict[str, Path] = {split: folder / f"{split}.txt" for split in Split}
    missing = [path.name for path in files.values() if not path.exists()]
    empty = [path.name for path in files.values() if path.is_file() and not path.stat().st_size]
    faults = [f"has no {name}" for name in missing] + [f"has an empty {name}" for name in empty]
    if faults:
        raise InputError(
            f"corpus {corpus}: the folder {folder} {' and '.join(faults)}; it must hold train.txt, "
            "valid.txt and test.txt"
        )
    return files


def text_sha256(path: Path, *, own: bool) -> str:
    """Return the sha256 of a text; of a user's ``own`` one that of its `plain` lines.

    Raises InputError if it cannot be read.
    """
    if not own:
        return file_sha256(path)
    digest = hashlib.sha256()
    with readable(path) as stream:
        for number, line in enumerate(stream):
            digest.update(plain(line, first=number == 0))
    return digest.hexdigest()


def plain(line: bytes, *, first: bool) -> bytes:
    """Return a line of a text, the ``first`` or another, without what other systems add to it.

    That is a byte order mark at the beginning, and the carriage return of CRLF. Editors and git add
    and remove them: the same words must keep their fingerprint, or they are trained again.
    """
    text = without_byte_order_mark(line) if first else line
    return text[:-2] + b"\n" if text.endswith(b"\r\n") else text


@contextmanager
def writing(destination: Path) -> Iterator[None]:
    """Raise InputError for an OSError within the block, as of a full disk, in one sentence."""
    try:
        yield
    except OSError as error:
        raise InputError(f"cannot write {destination}: {error.strerror or error}") from error
