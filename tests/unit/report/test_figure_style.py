"""Fonts, colours and sizes of figures, and style files of users."""

import matplotlib
import pytest
from figure_study import study
from matplotlib.text import Text

from awd.errors import InputError
from awd.report.figures import ablation, saving, style


def test_the_callers_style_is_left_alone(tmp_path):
    """Drawing changes no global setting of matplotlib."""
    before = dict(matplotlib.rcParams)
    saving.save(ablation.draw(**study(tmp_path)), tmp_path / "figure")
    assert dict(matplotlib.rcParams) == before


def test_a_style_file_sets_fonts_and_widths(tmp_path):
    """What it does not set stays; small print and distances grow with the size of text."""
    mine = tmp_path / "my.mplstyle"
    mine.write_text("# mine\nfont.size: 9  # larger\nfont.family: serif\nfigure.figsize: 6, 2\n")
    inputs = study(tmp_path, corpora=("ptb",))
    usual, other = ablation.draw(**inputs), ablation.draw(**inputs, style=mine)
    assert other.get_figwidth() == (6 - 0.3) / 2
    assert other.get_figheight() == pytest.approx(usual.get_figheight() * 9 / 7.5)
    (small,) = {text.get_fontsize() for text in other.findobj(Text) if text.get_text() == "base"}
    assert small == pytest.approx(7 * 9 / 7.5)
    (family,) = {tuple(text.get_fontfamily()) for text in other.axes[0].get_yticklabels()}
    assert family[:2] == ("serif", "DejaVu Sans")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("font.size: large", "line 1: .*large.*"),
        ("\nfont.sizes: 7", "line 2: no setting 'font.sizes'; did you mean 'font.size'"),
        ("font.size 7", "line 1: 'font.size 7' must have the form SETTING: VALUE"),
    ],
)
def test_a_mistake_in_a_style_file_is_one_sentence(tmp_path, content, sentence):
    mine = tmp_path / "my.mplstyle"
    mine.write_text(content)
    with pytest.raises(InputError, match=f"my.mplstyle, {sentence}"):
        style.settings(mine)
    with pytest.raises(InputError, match="absent cannot be read"):
        style.settings(tmp_path / "absent")
