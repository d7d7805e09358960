"""Every figure fits the page and draws what exists."""

import matplotlib
import pytest
from figure_study import SMALL_PANELS, study, texts

from awd.report import figures
from awd.report.figures import (
    saving,
)


@pytest.mark.parametrize("corpora", [("ptb",), ("ptb", "wikitext-2"), ("a", "b", "c")])
@pytest.mark.parametrize("name", sorted(figures.FIGURES))
def test_every_figure_fits_the_page(tmp_path, name, corpora):
    """A panel per corpus, or eight small ones; a column or a page wide; in sizes of print."""
    figure = figures.FIGURES[name](**study(tmp_path, corpora=corpora))
    small = name in SMALL_PANELS
    assert len(figure.axes) == len(corpora) * (8 if small else 1)
    assert figure.get_figwidth() == (3.3 if len(corpora) == 1 and not small else 6.9)
    assert figure.get_figheight() < 10
    sizes = [t.get_fontsize() for t in figure.findobj(matplotlib.text.Text) if t.get_text()]
    assert min(sizes) >= 6
    assert max(sizes) <= 9


@pytest.mark.parametrize("name", sorted(figures.FIGURES))
def test_nothing_recorded_yet_is_said(tmp_path, name):
    """Before the first run a figure is a sentence or words in place of bars, not an error."""
    figure = figures.FIGURES[name](**study(tmp_path, run=False))
    saving.save(figure, tmp_path / name)
    assert any("recorded yet" in text or "missing" in text for text in texts(figure))
