"""Fonts, colours and sizes of figures, and style files of users."""

import itertools

import matplotlib
import pytest
from figure_study import study
from matplotlib.text import Text

from awd.errors import InputError
from awd.report.figures import ablation, curves, frequencies, layout, parameters, saving, style


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
    assert other.get_figheight() >= usual.get_figheight() * 9 / 7.5
    (small,) = {text.get_fontsize() for text in other.findobj(Text) if text.get_text() == "base"}
    assert small == pytest.approx(7 * 9 / 7.5)
    (family,) = {tuple(text.get_fontfamily()) for text in other.axes[0].get_yticklabels()}
    assert family[:2] == ("serif", "DejaVu Sans")


def boxes(texts, renderer):
    return [text.get_window_extent(renderer) for text in texts if text.get_text().strip()]


@pytest.mark.parametrize("figure", [ablation, curves, parameters, frequencies])
def test_all_text_grows_with_one_setting_and_still_fits(tmp_path, figure):
    """Nothing leaves the figure, and no number of an axis touches another."""
    mine = tmp_path / "my.mplstyle"
    mine.write_text("font.size: 15")
    inputs = study(tmp_path, corpora=("ptb",))
    drawn, usual = figure.draw(**inputs, style=mine), figure.draw(**inputs)
    with matplotlib.rc_context(style.settings(mine)):
        layout.settle(drawn)
    renderer = drawn.canvas.get_renderer()
    (axis,), (before,) = drawn.axes, usual.axes
    for ours, theirs in ((axis.xaxis, before.xaxis), (axis.yaxis, before.yaxis)):
        sizes = [each.get_ticklabels()[0].get_fontsize() for each in (ours, theirs)]
        assert sizes[0] == pytest.approx(sizes[1] * 2)
    assert drawn.get_figheight() >= 2 * usual.get_figheight()
    assert drawn.get_figwidth() == usual.get_figwidth()
    for side, labels in ((0, axis.get_xticklabels()), (1, axis.get_yticklabels())):
        found = sorted((box.min[side], box.max[side]) for box in boxes(labels, renderer))
        assert all(after[0] > one[1] for one, after in itertools.pairwise(found))
    shown = [text for text in drawn.findobj(Text) if text.get_visible()]
    for box in boxes(shown, renderer):
        assert box.x0 > -1
        assert box.x1 < drawn.bbox.x1 + 1


def test_a_size_that_the_file_sets_is_as_it_says(tmp_path):
    mine = tmp_path / "my.mplstyle"
    mine.write_text("font.size: 15\nxtick.labelsize: 5\n")
    found = style.settings(mine)
    assert (found["xtick.labelsize"], found["ytick.labelsize"]) == (5, 14)
    assert found["figure.figsize"] == [6.9, 2 * 2.3]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("font.size: large", "line 1: .*large.*"),
        ("\nfont.sizes: 7", "line 2: no setting 'font.sizes'; did you mean 'font.size'"),
        ("font.family: Dejavu Sanss", "font.family: .* no font .* did you mean 'DejaVu Sans'"),
        ("font.family: serif\nfont.serif: No Such Face", "font.family: .* 'No Such Face' .*STIXG"),
        ("font.family: STIXGeneral, No Such Face", "font.family: .* 'No Such Face' here; it comes"),
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


@pytest.mark.parametrize("family", ["STIXGeneral", "stixgeneral", "serif", "sans"])
def test_fonts_that_come_with_matplotlib_are_found(tmp_path, family):
    mine = tmp_path / "my.mplstyle"
    mine.write_text(f"font.family: {family}")
    assert style.settings(mine)["font.family"][0] == family
