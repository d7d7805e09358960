"""Lines of rows in a panel per corpus: which there are, which is strong, what they are called."""

import matplotlib
from figure_study import leak, study, texts

from awd.report.figures.lines import line_figure, name_lines, recorded
from awd.report.figures.style import settings
from awd.report.words import corpus_name


def draw(inputs, together=()):
    """A line per trace; the traces of rows in ``together`` share one."""
    found = recorded(inputs["suite"], inputs["curves"], inputs["records"])
    groups = {}
    for corpus, traces in found.items():
        joined = [t for t in traces if t.rows[0]["row"] in together]
        single = [[t] for t in traces if t.rows[0]["row"] not in together]
        groups[corpus] = ([joined] if joined else []) + single
    with matplotlib.rc_context(settings()):
        figure, drawn = line_figure(inputs["suite"], groups, "valid_perplexity", "height")
        return name_lines(figure, drawn), drawn


def test_each_corpus_has_a_panel_with_a_line_for_each_recorded_row(tmp_path):
    figure, drawn = draw(study(tmp_path))
    assert [axis.get_title("left") for axis in figure.axes] == list(
        map(corpus_name, ("ptb", "wikitext-2"))
    )
    assert figure.axes[0].get_ylabel() == "height"
    labels = [[line.get_label() for _, line in panel.lines] for panel in drawn]
    assert "− AR/TAR" not in labels[0], "it was never run on the first corpus"
    assert "− AR/TAR" in labels[1]
    assert "− weight decay (diverged)" in labels[1]
    assert all(set(names) <= set(texts(figure)) for names in labels)


def test_only_the_base_rows_line_is_strong_and_lies_above(tmp_path):
    _, (panel,) = draw(study(tmp_path, corpora=("ptb",)))
    widths = {line.get_label(): line.get_linewidth() for _, line in panel.lines}
    heights = {line.get_label(): line.get_zorder() for _, line in panel.lines}
    assert [name for name in widths if widths[name] > 1] == ["AWD-LSTM"]
    assert max(heights, key=heights.get) == "AWD-LSTM"


def test_rows_that_share_a_line_share_its_name(tmp_path):
    """Two are both named, the base row first; of more the number is given."""
    inputs = study(tmp_path, corpora=("ptb",))
    _, (panel,) = draw(inputs, ("minus-nt-asgd", "full"))
    assert "AWD-LSTM; − NT-ASGD" in [line.get_label() for _, line in panel.lines]
    _, (panel,) = draw(inputs, ("minus-nt-asgd", "full", "minus-weight-drop"))
    assert "AWD-LSTM and 2 more" in [line.get_label() for _, line in panel.lines]


def test_a_leak_stands_behind_the_name(tmp_path):
    inputs = study(tmp_path, corpora=("ptb",))
    leak(inputs, "minus-nt-asgd")
    assert "− NT-ASGD (leaks)" in texts(draw(inputs)[0])


def test_a_corpus_without_curves_has_an_empty_panel(tmp_path):
    inputs = study(tmp_path, corpora=("ptb",), run=False)
    figure, (panel,) = draw(inputs)
    assert "no curve recorded yet" in texts(figure)
    assert (panel.means, panel.lines) == ([], [])
