"""How figures are written."""

import pytest
from figure_study import study

from awd.report import figures
from awd.report.figures import saving


@pytest.mark.parametrize("name", sorted(figures.FIGURES))
def test_saving_twice_gives_equal_files(tmp_path, name):
    """No dates, no random identifiers: a rebuilt figure is not a change."""
    inputs = study(tmp_path, corpora=("ptb",))
    for copy in ("one", "two"):
        saving.save(figures.FIGURES[name](**inputs), tmp_path / copy)
    for kind in ("png", "pdf", "svg"):
        first = (tmp_path / f"one.{kind}").read_bytes()
        assert len(first) > 1000
        assert first == (tmp_path / f"two.{kind}").read_bytes()
