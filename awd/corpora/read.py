"""From the bytes of a text to the numbers of its words, line by line."""

import hashlib
import re
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from awd.corpora import catalogue
from awd.corpora.normalise import normalise, refuse
from awd.errors import InputError
from awd.files import readable, without_byte_order_mark
from awd.vocabulary import END, UNKNOWN, Split

MARKER = re.compile(r"[<\[{|].*[>\]}|]")
"""What a marker such as </s> or [SEP] looks like."""


class TextReader:
    """Reads the files of a corpus one after the other and numbers words as they appear.

    Args:
        corpus: its name decides whether the text is normalised.
        vocabulary: words that have numbers already, 0, 1, ...

    Attributes:
        numbers: word -> number.
        normalised: what of a user's own text was changed, and how often; see `normalise`.
        sha256: `catalogue.text_sha256` of each file that was read, by its name without ``.txt``.
    """

    def __init__(self, corpus: str, vocabulary: Iterable[str] = ()) -> None:
        self.corpus = corpus
        self.own = corpus not in catalogue.entries()
        self.numbers: defaultdict[str, int] = defaultdict()
        self.numbers.update((word, number) for number, word in enumerate(vocabulary))
        self.numbers.default_factory = self.numbers.__len__  # a new word gets the next number
        self.normalised: Counter = Counter()
        self.sha256: dict[str, str] = {}

    def read(self, path: Path) -> array:
        """Return a file's tokens as numbers. Every line, a blank one too, ends in ``<eos>``.

        Raises InputError if the file cannot be read, is not UTF-8, has no words, holds ``<eos>``
        or, at the end of every line, another marker, or, in a user's own text, a control character.
        """
        with readable(path) as stream:
            digest = hashlib.sha256()
            ids = self.read_lines(self._digested(stream, digest), path)
        self.sha256[path.stem] = digest.hexdigest()
        return ids

    def read_lines(self, stream: Iterable[bytes], name: object) -> array:
        """Return the tokens of the lines of ``stream``, as ``read`` does.

        ``name`` is what the text is called in errors. Raises InputError, with the line's number,
        for what a text must not hold.
        """
        ids, lines, filled, marker = array("i"), 0, 0, None
        for number, line in enumerate(stream, 1):
            where = f"corpus {self.corpus}: {name}, line"
            for text in self._lines(line, number == 1, f"{where} {lines + 1},"):
                lines += 1
                if self.own:
                    refuse(text, f"{where} {lines},")
                if END in text:
                    raise InputError(
                        f"{where} {lines}, holds {END}, which awd adds at each line end: "
                        "remove it from the text"
                    )
                line_words = text.split()
                if line_words:
                    last = line_words[-1]
                    marker = last if not filled or last == marker else None
                    filled += 1
                line_words.append(END)
                ids.extend(map(self.numbers.__getitem__, line_words))
        if not filled:
            raise InputError(f"corpus {self.corpus}: {name} holds no words")
        if marker not in (None, UNKNOWN) and filled > 1 and MARKER.fullmatch(marker):
            raise InputError(
                f"corpus {self.corpus}: every line of {name} ends in {marker}, and awd adds {END} "
                "at each line end: remove the marker from the text"
            )
        return ids

    def _digested(self, stream: Iterable[bytes], digest) -> Iterator[bytes]:
        """Yield the lines of ``stream`` and update ``digest`` with each, as `text_sha256` does."""
        for number, line in enumerate(stream):
            digest.update(catalogue.plain(line, first=number == 0) if self.own else line)
            yield line

    def _lines(self, line: bytes, first: bool, where: str) -> list[str]:
        """Return the lines of text in what was read up to a line feed: usually one."""
        try:
            text = (without_byte_order_mark(line) if first else line).decode("utf-8")
        except UnicodeDecodeError as error:
            utf16 = " (if it is UTF-16, save it as UTF-8)" if b"\0" in line else ""
            raise InputError(
                f"{where} is not UTF-8 text: byte 0x{line[error.start]:02x} at position "
                f"{error.start + 1}{utf16}"
            ) from error
        return normalise(text, self.normalised, whole_file=first) if self.own else [text]


def count(corpus: str, raw: Path, minimum_count: int = 1) -> dict:
    """Return {"vocabulary": types, "tokens": {split: tokens}} that ``encode`` would count.

    Reads the text and writes nothing. Raises InputError as ``encode`` does.
    """
    text = TextReader(corpus)
    ids = {str(split): text.read(Path(raw) / f"{split}.txt") for split in Split}
    types = len(text.numbers)
    if minimum_count > 1:
        kept = {each for each, number in Counter(ids["train"]).items() if number >= minimum_count}
        kept.add(text.numbers[END])
        if UNKNOWN in text.numbers:
            kept.add(text.numbers[UNKNOWN])
        types = len(kept) + (len(kept) < types and UNKNOWN not in text.numbers)
    return {"vocabulary": types, "tokens": {split: len(each) for split, each in ids.items()}}
