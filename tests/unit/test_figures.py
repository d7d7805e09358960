"""Figures are drawn from whatever there is, say what they show, and are the same every time."""

import itertools

import matplotlib
import numpy as np
import pytest
from synthetic import DIVERGED, make_plan, write_runs

from awd import figures, records, tables


def study(folder, scale="demo", run=True, **options):
    """The inputs of every figure, by name."""
    plan = make_plan(seeds=(1, 2), scale=scale, **options)
    if run:
        write_runs(plan, folder / "runs", epochs=12, tokens=500)
    frame, curves = records.collect(plan, folder / "runs")
    suite = plan["suites"][0]
    table = tables.build(suite, frame, folder / "runs", scale)
    return {"suite": suite, "table": table, "curves": curves, "records": frame, "scale": scale}


def words(figure):
    """All text of a figure."""
    artists = figure.findobj(matplotlib.text.Text)
    return [artist.get_text() for artist in artists if artist.get_text()]


@pytest.mark.parametrize("corpora", [("ptb",), ("ptb", "wikitext-2"), ("a", "b", "c")])
@pytest.mark.parametrize("name", sorted(figures.FIGURES))
def test_every_figure_has_a_panel_per_corpus(tmp_path, name, corpora):
    """One panel is a column wide, several fill the page, and sizes stay those of print."""
    figure = figures.FIGURES[name](**study(tmp_path, corpora=corpora))
    assert len(figure.axes) == len(corpora)
    assert figure.get_figwidth() == (3.4 if len(corpora) == 1 else 7.0)
    sizes = [t.get_fontsize() for t in figure.findobj(matplotlib.text.Text) if t.get_text()]
    assert min(sizes) >= 6
    assert max(sizes) <= 9


@pytest.mark.parametrize("name", sorted(figures.FIGURES))
def test_nothing_recorded_yet_is_said(tmp_path, name):
    """Before the first run a figure is a sentence or words in place of bars, not an error."""
    figure = figures.FIGURES[name](**study(tmp_path, run=False))
    figures.save(figure, tmp_path / name)
    assert any("recorded yet" in text or "missing" in text for text in words(figure))


@pytest.mark.parametrize("name", sorted(figures.FIGURES))
def test_saving_twice_gives_equal_files(tmp_path, name):
    """No dates, no random identifiers: a rebuilt figure is not a change."""
    inputs = study(tmp_path)
    for copy in ("one", "two"):
        figures.save(figures.FIGURES[name](**inputs), tmp_path / copy)
    for kind in ("png", "pdf", "svg"):
        first = (tmp_path / f"one.{kind}").read_bytes()
        assert len(first) > 1000
        assert first == (tmp_path / f"two.{kind}").read_bytes()


def test_curves_continue_into_fine_tuning(tmp_path):
    """The base row's line runs over both stages; the row without fine-tuning ends before it."""
    inputs = study(tmp_path)
    figure = figures.learning_curves(**inputs)
    lines = {line.get_label(): line for line in figure.axes[0].lines if line.get_gid() == "mean"}
    assert list(lines["AWD-LSTM"].get_xdata()) == list(range(1, 25))
    assert list(lines["− fine-tuning"].get_xdata()) == list(range(1, 13))
    curves = inputs["curves"]
    of_base = curves[curves["run"].str.fullmatch("ptb.*-full") & (curves["stage"] == "finetune")]
    mean = of_base.groupby("epoch")["valid_perplexity"].mean()
    np.testing.assert_allclose(lines["AWD-LSTM"].get_ydata()[12:], mean)
    assert "fine-tuning" in words(figure)
    assert "averaging starts (NT-ASGD)" in words(figure)


def test_diverged_row_is_marked(tmp_path):
    """A curve that stops because of nan says so."""
    inputs = study(tmp_path)
    label = next(row["label"] for row in inputs["suite"]["rows"] if row["row"] == DIVERGED[0])
    assert f"{label} (diverged)" in words(figures.learning_curves(**inputs))
    assert "diverged" in words(figures.ablation(**inputs))


def test_names_of_lines_do_not_overlap(tmp_path):
    """However close the lines end, their names can be read."""
    figure = figures.learning_curves(**study(tmp_path))
    figure.draw_without_rendering()
    for axis in figure.axes:
        labels = [line.get_label() for line in axis.lines if line.get_gid() == "mean"]
        boxes = [text.get_window_extent() for text in axis.texts if text.get_text() in labels]
        assert len(boxes) == len(labels)
        for one, other in itertools.combinations(boxes, 2):
            assert not one.padded(-1).overlaps(other.padded(-1))


def test_spread_moves_no_more_than_needed():
    """Apart already: untouched. Crowded: evenly around their middle, inside the bounds."""
    apart = np.array([0.1, 0.4, 0.9])
    np.testing.assert_allclose(figures.spread(apart, 0.1, 0, 1), apart)
    crowded = figures.spread(np.array([0.5, 0.5, 0.5]), 0.1, 0, 1)
    np.testing.assert_allclose(crowded, [0.4, 0.5, 0.6])
    np.testing.assert_allclose(figures.spread(np.zeros(3), 0.1, 0, 1), [0, 0.1, 0.2])
    np.testing.assert_allclose(figures.spread(np.ones(3), 0.1, 0, 1), [0.8, 0.9, 1.0])


def test_ablation_shows_the_table(tmp_path):
    """Bars are the table's differences, in the suite's order, with its values beside them."""
    inputs = study(tmp_path, scale="paper")
    figure = figures.ablation(**inputs)
    table = inputs["table"][inputs["table"]["corpus"] == "ptb"]
    bars = [patch.get_width() for patch in figure.axes[0].patches]
    np.testing.assert_allclose(bars, table["delta_test"].dropna())
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == list(table["label"])
    assert set(words(figure)) >= {f"{value:.2f}" for value in table["test"].dropna()}


def test_published_differences_are_context_at_other_scales(tmp_path):
    """The legend of a demo does not let the paper's numbers pass for a comparison."""
    inputs = study(tmp_path, scale="demo")
    assert "published, at another corpus or scale" in words(figures.ablation(**inputs))
    assert "published" in words(figures.ablation(**inputs | {"scale": "paper"}))


def test_the_callers_style_is_left_alone(tmp_path):
    """Drawing changes no global setting of matplotlib."""
    before = dict(matplotlib.rcParams)
    figures.save(figures.ablation(**study(tmp_path)), tmp_path / "figure")
    assert dict(matplotlib.rcParams) == before
