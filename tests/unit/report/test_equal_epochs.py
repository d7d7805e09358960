"""SeedsMissing trainings beside published curves, from their file to table, page and figure."""

import numpy as np
import pandas as pd
import pytest
from figure_study import published, study, texts

from awd.report.build import report
from awd.report.equal_epochs import COLUMNS, equal_epochs
from awd.report.figures import curves, losses
from awd.report.published_curves import published_curves
from awd.runs.progress import curve_file
from awd.study.config import CONFIG, load_config
from awd.study.plan import Plan


@pytest.fixture
def inputs(tmp_path):
    return study(tmp_path, corpora=("ptb",), scale="paper")


def test_rows_are_compared_at_the_epochs_that_all_seeds_have(inputs):
    """The mean is that of losses; epochs that one seed has not are left out."""
    frame = inputs["curves"]
    rows = frame["run"].str.endswith("-full") & (frame["stage"] == "train")
    late = rows & (frame["seed"] == 2) & (frame["epoch"] > 9)
    frame = frame[~late]
    theirs = published(("minus-fine-tuning", "ptb", "train", 20), ("full", "ptb", "finetune", 5))
    found, unfinished = equal_epochs(inputs["suite"], frame, theirs)
    assert list(found) == COLUMNS
    mine = found[found["row"] == "minus-fine-tuning"]
    assert mine["epoch"].tolist() == list(range(1, 10))
    values = inputs["curves"][rows & (inputs["curves"]["epoch"] == 3)]["valid_perplexity"]
    assert mine["valid_perplexity"].iloc[2] == pytest.approx(np.sqrt(values.prod()))
    expected = np.sqrt(values.prod()) / np.exp(5.0) - 1
    assert mine["deviation"].iloc[2] == pytest.approx(expected)
    assert mine["unfinished"].all()
    assert not found[found["row"] == "full"]["unfinished"].any(), (
        "it has more epochs than published"
    )
    ((place, at),) = unfinished.items()
    assert place == ("minus-fine-tuning", "ptb")
    assert (at.epoch, at.epochs, at.published) == (9, 20, pytest.approx(np.exp(5.0)))


def test_without_published_curves_there_is_nothing(inputs):
    found, unfinished = equal_epochs(inputs["suite"], inputs["curves"], published_curves({}))
    assert found.empty
    assert list(found) == COLUMNS
    assert unfinished == {}


def test_figures_have_the_deviation_and_the_published_curve(inputs):
    """At the published scale alone; the name of the line and the title of the panel say it."""
    theirs = published(("minus-nt-asgd", "ptb", "finetune", 50))
    _, unfinished = equal_epochs(inputs["suite"], inputs["curves"], theirs)
    (at,) = unfinished.values()
    expected = f"(unfinished: epoch 12, {at.deviation:+.1%})".replace("-", "\N{MINUS SIGN}")
    for draw in (curves.draw, losses.draw):
        said = " ".join(texts(draw(**inputs | {"published": theirs}))).replace("\n", " ")
        assert expected.strip("()") in said
        said = " ".join(texts(draw(**inputs | {"scale": "demo", "published": theirs})))
        assert "unfinished" not in said
    (axis, *_) = curves.draw(**inputs | {"published": theirs}).axes
    behind = [line for line in axis.lines if line.get_gid() == "published"]
    assert [len(line.get_xdata()) for line in behind] == [48], "twice as many as the longest here"


def test_a_training_under_way_is_in_table_and_page(tmp_path):
    """Its curve lies beside its checkpoint; values are 0.5% above those of the published log."""
    changes = {"scale": "paper", "suites": "yoon2019", "corpora": "ptb", "results": str(tmp_path)}
    plan = Plan(load_config(CONFIG, changes | {"base_seeds": 1}))
    plan.write()
    suite = plan.suites["yoon2019"]
    suite["figures"] = []
    (row,) = (row for row in suite["rows"] if row["row"] == "lstm")
    theirs = published_curves(suite)
    log = theirs[(theirs["row"] == "lstm") & (theirs["corpus"] == "ptb")][:40]
    perplexities = 1.005 * log["valid_perplexity"]
    lines = log[["epoch", "train_loss"]].assign(
        valid_loss=np.log(perplexities),
        valid_perplexity=perplexities,
        learning_rate=30.0,
        event="",
    )
    path = curve_file(tmp_path / "checkpoints", row["runs"][0]["run"], "train")
    path.parent.mkdir(parents=True)
    lines.to_csv(path, index=False)
    report(tmp_path, "paper", formats=("csv", "md", "tex", "html"))
    tables = tmp_path / "paper/tables"
    epochs = pd.read_csv(tables / "yoon2019-epochs.csv")
    assert set(epochs["row"]) == {"lstm"}
    assert epochs["epoch"].tolist() == list(range(1, 41))
    np.testing.assert_allclose(epochs["deviation"], 0.005)
    assert epochs["unfinished"].all()
    published_value = log["valid_perplexity"].iloc[-1]
    sentence = (
        f"unfinished training: epoch 40 of 500: valid {1.005 * published_value:.2f}, "
        f"published {published_value:.2f} (+0.5%)"
    )
    assert f"missing; {sentence}" in (tables / "yoon2019.md").read_text(encoding="utf-8")
    table = pd.read_csv(tables / "yoon2019.csv").set_index("row")
    assert sentence in table.loc["lstm", "note"]
    assert sentence in (tmp_path / "paper/report.html").read_text(encoding="utf-8")
    tex = (tables / "yoon2019.tex").read_text(encoding="utf-8").replace(r"\%", "%")
    assert sentence in tex
