"""Figures are drawn from whatever there is, say what they show, and are the same every time."""

import dataclasses
import itertools

import matplotlib
import numpy as np
import pandas as pd
import pytest
from synthetic import DIVERGED, MISSING, make_plan, write_runs

from awd.report import figures, records, tables
from awd.report.comparability import Protocol
from awd.report.costs import Costs
from awd.report.figures import (
    ablation,
    cost,
    curves,
    drawing,
    floor,
    frequencies,
    grid,
    losses,
    names,
    parameters,
    perplexities,
    schedules,
)
from awd.report.structures import UsedDevice
from awd.vocabulary import Device, Stage

SMALL_PANELS = ("losses", "perplexities")  # figures with a panel per training, not per corpus


def study(folder, scale="demo", run=True, **options):
    """The inputs of every figure, by name."""
    plan = make_plan(seeds=(1, 2), scale=scale, **options)
    if run:
        write_runs(plan, folder / "runs", epochs=12, tokens=500)
    frame, lines = records.collect(plan, folder / "runs")
    frame["floor"] = 40.0  # as if the source of the text were known
    suite = plan["suites"][0]
    table = tables.build(suite, frame, scale)
    return {"suite": suite, "table": table, "curves": lines, "records": frame, "scale": scale}


def texts(figure):
    """All text of a figure."""
    artists = figure.findobj(matplotlib.text.Text)
    return [artist.get_text() for artist in artists if artist.get_text()]


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
    drawing.save(figure, tmp_path / name)
    assert any("recorded yet" in text or "missing" in text for text in texts(figure))


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


def test_curves_continue_into_fine_tuning(tmp_path):
    """The base row's line runs over both stages; the row without fine-tuning ends before it."""
    inputs = study(tmp_path)
    figure = curves.draw(**inputs)
    lines = {line.get_label(): line for line in figure.axes[0].lines if line.get_gid() == "mean"}
    assert list(lines["AWD-LSTM"].get_xdata()) == list(range(1, 25))
    assert list(lines["− fine-tuning"].get_xdata()) == list(range(1, 13))
    frame = inputs["curves"]
    of_base = frame[frame["run"].str.fullmatch("ptb.*-full") & (frame["stage"] == "finetune")]
    mean = of_base.groupby("epoch")["valid_perplexity"].mean()
    np.testing.assert_allclose(lines["AWD-LSTM"].get_ydata()[12:], mean)
    assert "fine-tuning" in texts(figure)
    assert "averaging starts (NT-ASGD)" in texts(figure)


def test_diverged_row_is_marked(tmp_path):
    """A curve that stops because of nan says so."""
    inputs = study(tmp_path)
    label = next(row["label"] for row in inputs["suite"]["rows"] if row["row"] == DIVERGED[0])
    assert f"{label} (diverged)" in texts(curves.draw(**inputs))
    assert "diverged" in texts(ablation.draw(**inputs))


@pytest.mark.parametrize("name", ["curves", "schedules"])
def test_names_of_lines_do_not_overlap(tmp_path, name):
    """However close the lines end, and however long their names are, they can be read."""
    inputs = study(tmp_path)
    inputs["suite"]["rows"][2]["label"] = "a name that is much too long to stand in one line"
    if name == "schedules":  # one schedule for each row
        rates = inputs["curves"]["run"].str[-6:].rank(method="dense") / 1000
        inputs["curves"]["learning_rate"] += rates
    figure = figures.FIGURES[name](**inputs)
    figure.draw_without_rendering()
    for axis in figure.axes:
        labels = [line.get_label() for line in axis.lines if line.get_gid() == "mean"]
        found = [text for text in axis.texts if text.get_text().replace("\n", " ") in labels]
        assert len(found) == len(labels)
        assert len(labels) > 6
        boxes = [text.get_window_extent() for text in found]
        for one, other in itertools.combinations(boxes, 2):
            assert not one.padded(-1).overlaps(other.padded(-1))


def test_spread_moves_no_more_than_needed():
    """Apart already: untouched. Crowded: evenly around their middle, inside the bounds."""
    apart = np.array([0.1, 0.4, 0.9])
    np.testing.assert_allclose(names.spread(apart, 0.1, 0, 1), apart)
    crowded = names.spread(np.array([0.5, 0.5, 0.5]), 0.1, 0, 1)
    np.testing.assert_allclose(crowded, [0.4, 0.5, 0.6])
    np.testing.assert_allclose(names.spread(np.zeros(3), 0.1, 0, 1), [0, 0.1, 0.2])
    np.testing.assert_allclose(names.spread(np.ones(3), 0.1, 0, 1), [0.8, 0.9, 1.0])
    uneven = names.spread(np.zeros(3), np.array([0.1, 0.3]), 0, 1)
    np.testing.assert_allclose(uneven, [0, 0.1, 0.4])


def test_a_row_that_went_astray_does_not_flatten_the_others(tmp_path):
    """The axis turns logarithmic beyond the usual difference, and only then."""
    inputs = study(tmp_path, corpora=("ptb",))
    assert ablation.draw(**inputs).axes[0].get_xscale() == "linear"
    inputs["table"].loc[2, ["delta_test", "delta_low", "delta_high"]] = [5000.0, 4900.0, 5100.0]
    assert ablation.draw(**inputs).axes[0].get_xscale() == "symlog"


def test_ablation_shows_the_table(tmp_path):
    """Bars are the table's differences, in the suite's order, with its values beside them."""
    inputs = study(tmp_path, scale="paper")
    figure = ablation.draw(**inputs)
    table = inputs["table"][inputs["table"]["corpus"] == "ptb"]
    widths = [patch.get_width() for patch in figure.axes[0].patches]
    np.testing.assert_allclose(widths, table["delta_test"].dropna())
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert [label.replace("\n", " ") for label in labels] == list(table["label"])
    assert set(texts(figure)) >= {f"{value:.2f}" for value in table["test"].dropna()}


def test_published_differences_are_context_at_other_scales(tmp_path):
    """The legend of a demo does not let the paper's numbers pass for a comparison."""
    inputs = study(tmp_path, scale="demo")
    assert "published, at another corpus or scale" in texts(ablation.draw(**inputs))
    assert "published" in texts(ablation.draw(**inputs | {"scale": "paper"}))


def test_the_callers_style_is_left_alone(tmp_path):
    """Drawing changes no global setting of matplotlib."""
    before = dict(matplotlib.rcParams)
    drawing.save(ablation.draw(**study(tmp_path)), tmp_path / "figure")
    assert dict(matplotlib.rcParams) == before


# a panel per training -----------------------------------------------------------------------


def panel(figure, label, corpus=0):
    """The panel of a row; of the several corpora, that of the one with this number."""
    return [axis for axis in figure.axes if axis.get_title(loc="left") == label][corpus]


def values(axis, kind):
    """Epochs and values of the lines of a panel that are of this kind, by colour."""
    lines = [line for line in axis.lines if line.get_gid() == kind]
    return {line.get_color(): line.get_xydata() for line in lines}


def published(*logs):
    """Published curves: (row, corpus, stage, epochs), with training loss 4 and validation 5."""
    parts = [
        pd.DataFrame({"row": row, "corpus": corpus, "stage": stage, "epoch": range(1, last + 1)})
        for row, corpus, stage, last in logs
    ]
    return pd.concat(parts).assign(train_loss=4.0, valid_loss=5.0)


def test_losses_of_a_training_and_its_fine_tuning_share_a_panel(tmp_path):
    """Both rows of the full model are one panel: training and validation loss over both stages."""
    inputs = study(tmp_path)
    axis = panel(losses.draw(**inputs), "AWD-LSTM")
    drawn = values(axis, "mean")
    assert len(drawn) == 2
    frame = inputs["curves"]
    of_base = frame[frame["run"].str.fullmatch("ptb.*-full")]
    mean = of_base.groupby(["stage", "epoch"], sort=False)[["train_loss", "valid_loss"]].mean()
    for split in ("train", "valid"):
        line = drawn[grid.LOOKS[split]["color"]]
        np.testing.assert_allclose(line[:, 0], range(1, 25))
        np.testing.assert_allclose(line[:, 1], mean[f"{split}_loss"])
    titles = [each.get_title(loc="left") for each in losses.draw(**inputs).axes]
    assert "− fine-tuning" not in titles


def test_published_losses_lie_behind_at_their_own_epochs(tmp_path):
    """At paper scale they are the row's, of its corpus; fine-tuning follows their training."""
    theirs = published(
        ("minus-fine-tuning", "ptb", "train", 20),
        ("full", "ptb", "finetune", 5),
        ("minus-nt-asgd", "wikitext-2", "finetune", 5),
    )
    figure = losses.draw(**study(tmp_path, scale="paper"), published=theirs)
    axis = panel(figure, "AWD-LSTM")
    for split, loss in (("train", 4.0), ("valid", 5.0)):
        line = values(axis, f"published {split}")[grid.PALE]
        np.testing.assert_allclose(line[:, 0], range(1, 26))
        np.testing.assert_allclose(line[:, 1], loss)
    dashes = {line.get_linestyle() for line in axis.lines if line.get_color() == grid.PALE}
    assert len(dashes) == 2
    assert not values(panel(figure, "AWD-LSTM", 1), "published valid")
    assert not values(panel(figure, "− NT-ASGD"), "published valid")
    assert "published" in texts(figure)


def test_published_losses_are_context_at_other_scales(tmp_path):
    """They are those of the corpus of the published values, as long as ours, and labelled so."""
    inputs = study(tmp_path, scale="demo", corpora=("python-reference",))
    for row in inputs["suite"]["rows"]:
        row["published"][0]["corpus"] = "ptb"
    theirs = published(("minus-fine-tuning", "ptb", "train", 500), ("full", "ptb", "finetune", 405))
    figure = losses.draw(**inputs, published=theirs)
    line = values(panel(figure, "AWD-LSTM"), "published valid")[grid.PALE]
    assert len(line) == 905
    assert line[[0, 499, 500, 904], 0].tolist() == [1, 12, 13, 24]
    assert "published (PTB, paper scale; epochs compressed)" in texts(figure)


def test_absurd_losses_leave_the_panel(tmp_path):
    """A divergence to 60 nats is told, not shown: what follows it stays readable."""
    inputs = study(tmp_path)
    frame = inputs["curves"]
    run = frame["run"].str.fullmatch("ptb.*-full") & (frame["stage"] == "train")
    frame.loc[run & (frame["epoch"] < 6), ["train_loss", "valid_loss"]] = 60.0
    axis = panel(losses.draw(**inputs), "AWD-LSTM")
    assert axis.get_ylim()[1] < 12
    assert "↑ peak 60" in texts(axis)
    assert "↑ peak 60" not in texts(panel(losses.draw(**inputs), "− NT-ASGD"))


def test_a_later_rise_stays_in_the_panel(tmp_path):
    """Overfitting is seen: only the first, steep epochs are cut."""
    inputs = study(tmp_path)
    frame = inputs["curves"]
    chosen = frame["run"].str.fullmatch("ptb.*-full") & (frame["stage"] == "train")
    frame.loc[chosen & frame["epoch"].between(8, 11), "valid_loss"] = 7.5
    assert panel(losses.draw(**inputs), "AWD-LSTM").get_ylim()[1] > 7.4


@pytest.mark.parametrize("name", SMALL_PANELS)
def test_a_training_without_record_has_an_empty_panel(tmp_path, name):
    """Its place is kept, and says why it is empty."""
    inputs = study(tmp_path)
    label = next(row["label"] for row in inputs["suite"]["rows"] if row["row"] == MISSING[0])
    axis = panel(figures.FIGURES[name](**inputs), label)
    assert not values(axis, "mean")
    assert "not recorded yet" in texts(axis)
    losses = [column for column in inputs["curves"] if column.endswith("_loss")]
    inputs["curves"].loc[inputs["curves"]["run"].str.endswith("minus-nt-asgd"), losses] = np.nan
    axis = panel(figures.FIGURES[name](**inputs), "− NT-ASGD")
    assert "diverged in its first epoch" in texts(axis)


def test_perplexities_in_training_and_test(tmp_path):
    """Means over seeds of the exponential of the losses; an ensemble has none."""
    inputs = study(tmp_path)
    inputs["suite"]["rows"][2]["method"] = "ensemble-2"
    figure = perplexities.draw(**inputs)
    assert len(figure.axes) == 8 + 7
    drawn = values(panel(figure, "AWD-LSTM"), "mean")
    frame = inputs["curves"]
    frame = frame[frame["run"].str.fullmatch("ptb.*-full")]
    for split in ("train", "test"):
        each = np.exp(frame[f"{split}_loss"]).groupby([frame["stage"], frame["epoch"]], sort=False)
        np.testing.assert_allclose(drawn[grid.LOOKS[split]["color"]][:, 1], each.mean())
    without = inputs | {"curves": inputs["curves"].drop(columns="test_loss")}
    axis = panel(perplexities.draw(**without), "AWD-LSTM")
    assert len(values(axis, "mean")) == 1, "records of training perplexity alone are drawn, too"


@pytest.mark.parametrize(("scale", "label"), [("paper", "published"), ("demo", "at another")])
def test_published_perplexities_are_marked_at_the_edge(tmp_path, scale, label):
    """Training and test, on the axis, opaque only where they are a comparison."""
    inputs = study(tmp_path, scale=scale)
    for row in inputs["suite"]["rows"]:
        row["published"][0]["train"] = 31.5
    figure = perplexities.draw(**inputs)
    axis = panel(figure, "− NT-ASGD")
    marks = {line.get_gid(): line for line in axis.lines if "published" in str(line.get_gid())}
    assert marks["published train"].get_xydata().tolist() == [[1, 31.5]]
    assert marks["published test"].get_xydata().tolist() == [[1, 63.7]]
    assert axis.get_ylim()[0] < 31.5
    *_, opacity = matplotlib.colors.to_rgba(marks["published test"].get_markeredgecolor())
    assert opacity == (1 if scale == "paper" else 0.4)
    assert any(label in text for text in texts(figure))


# schedules ----------------------------------------------------------------------------------


def test_rows_of_one_schedule_share_a_line(tmp_path):
    """Seven rows keep rate 30, one is decayed: two lines, and each start of averaging is marked."""
    inputs = study(tmp_path)
    frame = inputs["curves"]
    decayed = frame["run"].str.endswith("minus-nt-asgd")
    frame.loc[decayed, "learning_rate"] = 30 / 2.0 ** frame.loc[decayed, "epoch"]
    axis = schedules.draw(**inputs).axes[0]
    lines = {line.get_label(): line for line in axis.lines if line.get_gid() == "mean"}
    assert set(lines) == {"AWD-LSTM and 6 more", "− NT-ASGD"}
    assert set(lines["AWD-LSTM and 6 more"].get_ydata()) == {30.0}
    assert lines["− NT-ASGD"].get_ydata()[:3].tolist() == [15, 7.5, 3.75]
    assert axis.get_yscale() == "log"
    # the six trainings and the row without fine-tuning, which is one of them
    assert sum(line.get_marker() == "D" for line in axis.lines) == 7


def test_rates_close_together_have_a_linear_axis_from_zero(tmp_path):
    """A logarithm would make a small difference look large."""
    inputs = study(tmp_path)
    inputs["curves"].loc[inputs["curves"]["run"].str.endswith("full"), "learning_rate"] = 10.0
    axis = schedules.draw(**inputs).axes[0]
    assert axis.get_yscale() == "linear"
    assert axis.get_ylim()[0] == 0


def test_lowered_rates_are_marked_where_they_are_lowered(tmp_path):
    """On the curve, at the first epoch with the lower rate; a rate that only falls a little is."""
    inputs = study(tmp_path, corpora=("ptb",))
    frame = inputs["curves"]
    chosen = frame["run"].str.endswith("minus-nt-asgd") & (frame["stage"] == "train")
    frame.loc[chosen & (frame["epoch"] >= 5), "learning_rate"] = 15.0
    frame.loc[chosen & (frame["epoch"] >= 9), "learning_rate"] = 14.9
    figure = curves.draw(**inputs)
    marks = [line for line in figure.axes[0].lines if line.get_marker() == "v"]
    assert [list(mark.get_xdata()) for mark in marks] == [[5]]
    assert "lower learning rate" in texts(figure)


def test_the_published_curve_lies_behind_at_its_own_scale_alone(tmp_path):
    """Its epochs are not ours elsewhere."""
    theirs = published(("full", "ptb", "train", 20))
    for scale, lines in (("paper", 1), ("demo", 0)):
        inputs = study(tmp_path / scale, corpora=("ptb",), scale=scale)
        axis = curves.draw(**inputs, published=theirs).axes[0]
        found = [line for line in axis.lines if line.get_gid() == "published"]
        assert len(found) == lines
        if found:
            np.testing.assert_allclose(found[0].get_ydata(), np.exp(5.0))


def leak(inputs, row):
    """Make a row one that reads ahead: a loss near zero, and a record that says so."""
    run = inputs["curves"]["run"].str.endswith(row)
    inputs["curves"].loc[run, "valid_perplexity"] = 1.1
    run = inputs["records"]["run"].str.endswith(row)
    inputs["records"].loc[run, ["status", "perplexity"]] = ["leaks", 1.1]
    inputs["table"].loc[inputs["table"]["row"] == row, "status"] = "leaks"


def test_a_row_that_leaks_does_not_flatten_the_others(tmp_path):
    """It is named as such, beside the panel; it is no point of a comparison."""
    inputs = study(tmp_path, corpora=("ptb",))
    leak(inputs, "minus-nt-asgd")
    figure = curves.draw(**inputs)
    assert figure.axes[0].get_ylim()[0] > 40
    assert "− NT-ASGD (leaks)" in texts(figure)
    for draw in (parameters.draw, cost.draw):
        figure = draw(**inputs)
        assert figure.axes[0].get_ylim()[0] > 40
        assert "not shown: − NT-ASGD (leaks); − AR/TAR (missing)" in texts(figure)
    labels = [label.get_text() for label in frequencies.draw(**inputs).axes[0].get_yticklabels()]
    assert "− NT-ASGD" not in labels


def test_a_row_measured_otherwise_is_no_point_of_a_comparison(tmp_path):
    """Not of any figure: its number stands in grey, and its curve does not decide what is seen."""
    inputs = study(tmp_path, corpora=("ptb",))
    row = "minus-nt-asgd"
    of_row = inputs["records"]["run"].str.endswith(row)
    usual = Protocol("stream", "left", 1, True, True, 10_000, 500, 500)
    cloze = dataclasses.replace(usual, context="left and right")
    inputs["records"]["protocol"] = [cloze if differs else usual for differs in of_row]
    inputs["table"] = tables.build(inputs["suite"], inputs["records"], "paper")
    of_row = inputs["curves"]["run"].str.endswith(row)
    inputs["curves"].loc[of_row, "valid_perplexity"] = 1.1
    figure = ablation.draw(**inputs)
    value = inputs["table"].set_index("row").loc[row, "test"]
    (number,) = [text for text in figure.axes[0].texts if text.get_text() == f"{value:.2f}"]
    assert number.get_color() == drawing.GREY
    figure = curves.draw(**inputs)
    assert figure.axes[0].get_ylim()[0] > 40
    assert "− NT-ASGD (not comparable)" in texts(figure)
    for draw in (parameters.draw, cost.draw):
        told = "not shown: − NT-ASGD (not comparable); − AR/TAR (missing)"
        assert told in texts(draw(**inputs))
    labels = [label.get_text() for label in frequencies.draw(**inputs).axes[0].get_yticklabels()]
    assert "− NT-ASGD" not in labels


# seeds, parameters, cost, frequencies -------------------------------------------------------


def test_seeds_are_points(tmp_path):
    """Of the bars, and of the perplexities; a single seed is the value itself."""
    inputs = study(tmp_path, corpora=("ptb",))
    tests = inputs["records"].query("split == 'test' and stage == 'finetune'")
    by_seed = {run: tests.set_index("run")["perplexity"][run] for run in tests["run"]}
    row, base = (
        np.array([by_seed[f"ptb-lstm-s{seed}-merity2018-{name}"] for seed in (1, 2)])
        for name in ("minus-nt-asgd", "full")
    )
    drawn = [line for line in ablation.draw(**inputs).axes[0].lines if line.get_gid() == "seed"]
    assert any(np.allclose(line.get_xdata(), row - base) for line in drawn)
    drawn = parameters.draw(**inputs).axes[0].lines
    assert any(np.array_equal(line.get_ydata(), row) for line in drawn)
    assert "single seed" in texts(ablation.draw(**inputs))
    alone = inputs | {"records": inputs["records"].query("seed == 1")}
    assert "single seed" not in texts(ablation.draw(**alone))


def test_bars_keep_their_width_beside_long_names(tmp_path):
    """However long a name is, an inch of the column is left for the bars."""
    inputs = study(tmp_path, corpora=("ptb",))
    inputs["table"]["label"] += " and a name that goes on until it fills the whole column"
    figure = ablation.draw(**inputs)
    figure.draw_without_rendering()
    assert figure.axes[0].get_position().width * figure.get_figwidth() > 1.0
    for text in figure.axes[0].get_yticklabels():
        assert text.get_window_extent().x0 >= 0


def test_parameters_and_perplexities_are_those_of_the_table(tmp_path):
    """A point per row that has a perplexity; what was published only where it compares."""
    for scale in ("paper", "demo"):
        inputs = study(tmp_path / scale, corpora=("ptb",), scale=scale)
        table = inputs["table"].dropna(subset="test")
        lines = parameters.draw(**inputs).axes[0].lines
        points = {tuple(line.get_xydata()[0]) for line in lines if line.get_marker() == "o"}
        assert points >= set(zip(table["params"].astype(float), table["test"], strict=True))
        assert any(line.get_marker() == "D" for line in lines) is (scale == "paper")


CPU = UsedDevice(Device.CPU, "AMD EPYC", 1)
GPU = UsedDevice(Device.CUDA, "NVIDIA H200", None)


def on(records, *devices):
    """The same results, computed on other devices."""
    used = dict.fromkeys(Stage, devices)
    return records.assign(devices=[used] * len(records))


def training_hours(row, curves, records):
    return Costs(records, curves).training_hours(row)


def test_cost_is_the_time_of_both_stages_on_all_threads(tmp_path):
    """Twelve epochs of training and of fine-tuning; an ensemble of two costs twice as much."""
    inputs = study(tmp_path, corpora=("ptb",))
    lines, frame = inputs["curves"], inputs["records"]
    full, without = inputs["suite"]["rows"][:2]
    hours = 12 * 85.1 / 3600
    assert training_hours(without, lines, frame) == (pytest.approx(hours), Device.CPU)
    assert training_hours(full, lines, frame) == (pytest.approx(2 * hours), Device.CPU)
    ensemble = frame.assign(trainings=2)
    assert training_hours(without, lines, ensemble)[0] == pytest.approx(2 * hours)
    four = on(frame, CPU._replace(threads=4))
    assert training_hours(without, lines, four) == (pytest.approx(4 * hours), Device.CPU)
    gpu = on(frame, GPU)
    assert training_hours(without, lines, gpu) == (pytest.approx(hours), Device.CUDA)
    missing = next(row for row in inputs["suite"]["rows"] if row["row"] == MISSING[0])
    assert np.isnan(training_hours(missing, lines, frame)[0])
    assert "training (core-minutes)" in texts(cost.draw(**inputs))
    assert "training (GPU-minutes)" in texts(cost.draw(**inputs | {"records": gpu}))


@pytest.mark.parametrize("devices", [(CPU, GPU), (CPU, CPU._replace(threads=4)), ()])
def test_a_cost_that_is_not_known_is_no_cost(tmp_path, devices):
    """A training that moved from a CPU to a GPU is neither core-hours nor GPU-hours."""
    inputs = study(tmp_path, corpora=("ptb",))
    full, without = inputs["suite"]["rows"][:2]
    frame = on(inputs["records"], *devices)
    assert np.isnan(training_hours(without, inputs["curves"], frame)[0])
    costs = Costs(frame, inputs["curves"])
    assert costs.hours(costs.of_row(without)) == {None: pytest.approx(2 * 12 * 85.1 / 3600)}
    mixed = inputs["records"].copy()
    mixed["devices"] = [{Stage.TRAIN: (CPU,), Stage.FINETUNE: (GPU,)}] * len(mixed)
    assert np.isnan(training_hours(full, inputs["curves"], mixed)[0])
    costs = Costs(mixed, inputs["curves"])
    assert set(costs.hours(costs.of_row(full))) == {Device.CPU, Device.CUDA}
    figure = cost.draw(**inputs | {"records": mixed})
    assert any("AWD-LSTM" in text and cost.UNPLACED in joined(text) for text in texts(figure))


def joined(text):
    return text.replace("\n", " ")


def test_frequencies_compare_nats_with_the_base_row(tmp_path):
    """Rare words carry three quarters of the loss and are half of the text, in every row."""
    inputs = study(tmp_path, corpora=("ptb",))
    inputs["records"] = inputs["records"].query("seed == 1")
    tests = inputs["records"].query("split == 'test' and stage == 'finetune'").set_index("run")
    row, base = (
        tests["nll"][f"ptb-lstm-s1-merity2018-{name}"] / 500 for name in ("minus-nt-asgd", "full")
    )
    said = texts(frequencies.draw(**inputs))
    assert {"0–999\n50%", "≥ 1k\n50%"} <= set(said)
    assert {f"{1.5 * base:.2f}", f"{0.5 * base:.2f}"} <= set(said)
    assert {f"+{share * (row - base):.2f}" for share in (1.5, 0.5)} <= set(said)


def test_records_without_frequencies_are_left_out(tmp_path):
    """Those of evaluations before there were any: the row is missing, the figure is not."""
    inputs = study(tmp_path, corpora=("ptb",))
    old = inputs["records"]["run"].str.endswith("minus-nt-asgd")
    bands = inputs["records"]["by_frequency"]
    inputs["records"]["by_frequency"] = bands.where(~old, None)
    labels = [label.get_text() for label in frequencies.draw(**inputs).axes[0].get_yticklabels()]
    assert "AWD-LSTM" in labels
    assert "− NT-ASGD" not in labels
    inputs["records"]["by_frequency"] = None
    assert any("recorded yet" in text for text in texts(frequencies.draw(**inputs)))


@pytest.mark.parametrize(
    ("value", "text"), [(0.126, "+0.13"), (-0.5, "−0.50"), (-0.001, "0.00"), (np.nan, "–")]
)
def test_differences_have_a_sign_unless_they_are_zero(value, text):
    """The signs tell better from worse to those who do not see the colours."""
    assert frequencies._signed(value) == text


def test_losses_are_drawn_above_the_floor_and_below(tmp_path):
    """In nats; what cannot be reached lies below a line at zero."""
    inputs = study(tmp_path, corpora=("ptb",))
    axis = floor.draw(**inputs).axes[0]
    lines = {line.get_label(): line.get_ydata() for line in axis.lines if line.get_gid() == "mean"}
    run = next(row for row in inputs["suite"]["rows"] if row["row"] == "full")["runs"][0]["run"]
    losses = inputs["curves"].query(f"run == '{run}' and stage == 'train'")["valid_loss"]
    assert len(lines["AWD-LSTM"]) > 12
    assert lines["AWD-LSTM"][0] == pytest.approx(losses.iloc[0] - np.log(40), abs=0.1)
    inputs["records"]["floor"] = 100.0
    axis = floor.draw(**inputs).axes[0]
    assert axis.get_ylim()[0] < min(min(line.get_ydata()) for line in axis.lines) < 0


def test_a_text_of_unknown_source_has_no_floor(tmp_path):
    inputs = study(tmp_path, corpora=("ptb",))
    inputs["records"]["floor"] = np.nan
    assert any("known entropy" in text for text in texts(floor.draw(**inputs)))


def test_colours_are_those_of_seaborn():
    import seaborn

    assert seaborn.color_palette("colorblind").as_hex() == drawing.PALETTE
