"""Cuts of fonts for PDFs: figures share them, because a cut takes longer than drawing a figure."""

import string
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import NamedTuple

from fontTools import subset
from fontTools.ttLib import TTFont

USUAL = f"{string.ascii_letters}{string.digits} .,:;()+-/%='×Δ±−–≥→↑⁻⁰¹²³⁴⁵⁶⁷⁸⁹"
"""Signs that the font in a PDF has, used or not; a font with others has those it needs alone."""


class _Cut(NamedTuple):
    """A font with some of its glyphs: its file, and their new numbers by the old ones."""

    content: bytes
    numbers: dict[int, int]


_cuts: dict[tuple, _Cut] = {}
_usual: dict[tuple, frozenset[int]] = {}


class Subsetter(subset.Subsetter):
    """Cuts a font once for all figures of this process with no other than USUAL signs."""

    glyph_ids_requested: set[int]
    unicodes_requested: set[int]
    glyph_index_map: dict[int, int]

    def subset(self, font: TTFont) -> None:
        """Make ``font.save`` write the cut font; leave out tables for shaping text."""
        for table in ("GSUB", "GPOS", "GDEF"):
            if table in font:
                del font[table]
        name = font.reader.file.name, self.options.font_number
        if name not in _usual:
            glyphs = font.getBestCmap() or {}
            signs = [glyphs[ord(sign)] for sign in USUAL if ord(sign) in glyphs]
            _usual[name] = frozenset(map(font.getGlyphID, signs))
        wanted = frozenset(self.glyph_ids_requested)
        if wanted <= _usual[name]:
            wanted = _usual[name]
        key = name, wanted, frozenset(self.unicodes_requested)
        if key not in _cuts:
            self.glyph_ids_requested = set(wanted)
            super().subset(font)
            content = BytesIO()
            font.save(content, reorderTables=False)
            _cuts[key] = _Cut(content.getvalue(), self.glyph_index_map)
        cut = _cuts[key]
        self.glyph_index_map = cut.numbers
        font.save = lambda file, **_: file.write(cut.content)


@contextmanager
def shared_cuts() -> Iterator[None]:
    """Let matplotlib, which cuts fonts with fontTools, use `Subsetter`."""
    usual, subset.Subsetter = subset.Subsetter, Subsetter
    try:
        yield
    finally:
        subset.Subsetter = usual
