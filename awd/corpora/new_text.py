"""Encode a new text with the vocabulary of a corpus that a model was trained on."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from awd.corpora.catalogue import entries
from awd.corpora.encode import Corpus
from awd.corpora.read import TextReader
from awd.errors import InputError
from awd.files import readable
from awd.vocabulary import END, UNKNOWN

if TYPE_CHECKING:
    import numpy as np

REMEDY = f"; set minimum_count=2, so that words that occur once are {UNKNOWN}, and train again"


@dataclass(frozen=True, eq=False)
class NewText:
    """A text as word numbers of a corpus.

    Attributes:
        ids: (tokens), int64; every line ends in ``<eos>``.
        replaced: (tokens), bool: whether the token is a word that the corpus does not have, and is
            now ``<unk>``.
        unknown: these words, and how often they occur.
    """

    ids: np.ndarray
    replaced: np.ndarray
    unknown: Counter[str]


def read_file(corpus: Corpus, path: Path) -> NewText:
    """Encode the file as the text of ``corpus`` was encoded; unknown words become ``<unk>``.

    A text for a user's own corpus is normalised as that corpus was. Raises InputError for what
    ``TextReader`` refuses, and for an unknown word if the corpus has no ``<unk>``.
    """
    with readable(path) as stream:
        return _read(corpus, stream, path)


def read_text(corpus: Corpus, text: str, name: str) -> NewText:
    """Encode ``text`` as ``read_file`` does; ``name`` is what it is called in errors."""
    return _read(corpus, io.BytesIO(text.encode("utf-8", "surrogateescape")), name)


def _read(corpus: Corpus, stream: Iterable[bytes], name: object) -> NewText:
    import numpy as np

    types = len(corpus.vocabulary)
    reader = TextReader(corpus.name, corpus.vocabulary)
    ids = np.array(reader.read_lines(stream, name), dtype=np.int64)
    replaced = ids >= types
    words = list(reader.numbers)
    if replaced.any():
        if UNKNOWN not in corpus.vocabulary:
            place = int(replaced.argmax())
            line = int((ids[:place] == reader.numbers[END]).sum()) + 1
            remedy = "" if corpus.name in entries() else REMEDY
            raise InputError(
                f"{name}, line {line}: the corpus '{corpus.name}' has no word "
                f"'{words[ids[place]]}', and no {UNKNOWN} to read it as{remedy}"
            )
        unknown = Counter(words[each] for each in ids[replaced])
        ids[replaced] = corpus.vocabulary.index(UNKNOWN)
        return NewText(ids, replaced, unknown)
    return NewText(ids, replaced, Counter())
