"""How figures look and are saved."""

import matplotlib
import pytest
from figure_study import study
from matplotlib.text import Text

from awd.errors import InputError
from awd.report import figures
from awd.report.figures import (
    ablation,
    curves,
    drawing,
)


@pytest.mark.parametrize("name", sorted(figures.FIGURES))
def test_saving_twice_gives_equal_files(tmp_path, name):
    """No dates, no random identifiers: a rebuilt figure is not a change."""
    inputs = study(tmp_path, corpora=("ptb",))
    for copy in ("one", "two"):
        drawing.save(figures.FIGURES[name](**inputs), tmp_path / copy)
    for kind in ("png", "pdf", "svg"):
        first = (tmp_path / f"one.{kind}").read_bytes()
        assert len(first) > 1000
        assert first == (tmp_path / f"two.{kind}").read_bytes()


def test_the_callers_style_is_left_alone(tmp_path):
    """Drawing changes no global setting of matplotlib."""
    before = dict(matplotlib.rcParams)
    drawing.save(ablation.draw(**study(tmp_path)), tmp_path / "figure")
    assert dict(matplotlib.rcParams) == before


def test_a_style_file_sets_fonts_and_widths(tmp_path):
    """What it does not set stays; small print and distances grow with the size of text."""
    style = tmp_path / "my.mplstyle"
    style.write_text("# mine\nfont.size: 9  # larger\nfont.family: serif\nfigure.figsize: 6, 2\n")
    inputs = study(tmp_path, corpora=("ptb",))
    usual, mine = ablation.draw(**inputs), ablation.draw(**inputs, style=style)
    assert mine.get_figwidth() == (6 - 0.3) / 2
    assert mine.get_figheight() == pytest.approx(usual.get_figheight() * 9 / 7.5)
    (small,) = {text.get_fontsize() for text in mine.findobj(Text) if text.get_text() == "base"}
    assert small == pytest.approx(7 * 9 / 7.5)
    (family,) = {tuple(text.get_fontfamily()) for text in mine.axes[0].get_yticklabels()}
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
    style = tmp_path / "my.mplstyle"
    style.write_text(content)
    with pytest.raises(InputError, match=f"my.mplstyle, {sentence}"):
        drawing.settings(style)
    with pytest.raises(InputError, match="absent cannot be read"):
        drawing.settings(tmp_path / "absent")


def test_one_epoch_is_a_dot_and_several_seeds_have_a_band(tmp_path):
    inputs = study(tmp_path, corpora=("ptb",))
    frame = inputs["curves"]
    first = frame[(frame["epoch"] == 1) & (frame["stage"] == "train")]
    (axis, *_) = curves.draw(**inputs | {"curves": first}).axes
    means = [line for line in axis.lines if line.get_gid() == "mean"]
    assert means
    assert {(line.get_marker(), len(line.get_xdata())) for line in means} == {("o", 1)}
    (axis, *_) = curves.draw(**inputs).axes
    means = [line for line in axis.lines if line.get_gid() == "mean"]
    assert {line.get_marker() for line in means} <= {"", "None"}
    bands = [band for band in axis.collections if band.get_gid() == "band"]
    assert len(bands) == len(means)
    of_base = frame[frame["run"].str.fullmatch("ptb.*-full") & (frame["stage"] == "train")]
    low = of_base.groupby("epoch")["valid_perplexity"].min()
    assert set(low).issubset(bands[0].get_paths()[0].vertices[:, 1])
