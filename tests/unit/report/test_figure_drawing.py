"""How figures look and are saved."""

import matplotlib
import pytest
from figure_study import study

from awd.report import figures
from awd.report.figures import (
    ablation,
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


def test_colours_are_those_of_seaborn():
    import seaborn

    assert seaborn.color_palette("colorblind").as_hex() == drawing.PALETTE
