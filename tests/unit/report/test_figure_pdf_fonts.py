"""What of a font a PDF gets."""

from contextlib import suppress
from io import BytesIO
from pathlib import Path

import matplotlib
import pytest
from fontTools import subset
from fontTools.pens.recordingPen import RecordingPen
from fontTools.ttLib import TTFont

from awd.report.figures import pdf_fonts

FONT = Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")


@pytest.fixture
def cuts(monkeypatch) -> list[set[int]]:
    """The glyphs of each cut that is made, from none on."""
    monkeypatch.setattr(pdf_fonts, "_cuts", {})
    made, usual = [], subset.Subsetter.subset

    def counted(self, font):
        made.append(set(self.glyph_ids_requested))
        return usual(self, font)

    monkeypatch.setattr(subset.Subsetter, "subset", counted)
    return made


def cut(text: str) -> tuple[bytes, dict[int, int], TTFont]:
    """Cut as matplotlib does: the file, the new numbers of glyphs, and the whole font."""
    options = subset.Options(glyph_names=True, recommended_glyphs=True)
    font, whole = subset.load_font(FONT, options), TTFont(FONT)
    subsetter = pdf_fonts.Subsetter(options=options)
    subsetter.populate(gids=[whole.getGlyphID(whole.getBestCmap()[ord(sign)]) for sign in text])
    subsetter.subset(font)
    content = BytesIO()
    font.save(content, reorderTables=False)
    return content.getvalue(), subsetter.glyph_index_map, whole


def outline(font: TTFont, number: int) -> list:
    pen, glyphs = RecordingPen(), font.getGlyphSet()
    glyphs[font.getGlyphName(number)].draw(pen)
    return pen.value


@pytest.mark.parametrize("text", ["AWD-LSTM 3.5", "Δ −1 ≥ 10⁻³", "naïve ♞ ∅"])
def test_a_cut_has_the_signs_of_a_text_as_the_font_has_them(text):
    content, numbers, whole = cut(text)
    font = TTFont(BytesIO(content))
    for sign in set(text) - {"ï"}:  # which is made of two glyphs, that have new numbers, too
        number = whole.getGlyphID(whole.getBestCmap()[ord(sign)])
        assert outline(font, numbers[number]) == outline(whole, number), sign
    assert len(content) < FONT.stat().st_size / 10
    assert not {"GSUB", "GPOS", "GDEF"} & set(font.keys())


def test_texts_of_usual_signs_share_a_cut(cuts):
    first, second = cut("AWD-LSTM"), cut("validation perplexity 105.7")
    assert first[:2] == second[:2]
    assert len(cuts) == 1


def test_another_sign_gets_its_own_cut_whatever_was_cut_before(cuts):
    """Equal figures are equal files, in whichever order they are drawn."""
    before = cut("♞ knight")
    cut("AWD-LSTM")
    assert cut("♞ knight")[:2] == before[:2]
    assert len(cuts) == 2
    assert len(cuts[0]) == len(set("♞ knight"))


def test_fonttools_is_as_it_was_afterwards():
    usual = subset.Subsetter
    with suppress(OSError), pdf_fonts.shared_cuts():
        assert subset.Subsetter is pdf_fonts.Subsetter
        raise OSError("no space left")
    assert subset.Subsetter is usual
