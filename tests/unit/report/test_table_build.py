"""A table has the facts of the records."""

import dataclasses
import json
import math

import numpy as np
import pandas as pd
import pytest
from synthetic import MISSING, make_plan, write_runs
from table_study import line, measured_otherwise, rewrite, study, with_frequencies

from awd.report import records, tables, words
from awd.report.comparability import Protocol
from awd.report.remarks import (
    AsFrequencies,
    Backward,
    Ended,
    Incomparable,
    NeverAveraged,
    NoInterval,
    OwnNoise,
    SeedsMissing,
)
from awd.report.tables.markdown import markdown
from awd.vocabulary import LeftOut, Status


def test_values_of_three_seeds(tmp_path):
    """Perplexity of the mean loss, deviation over seeds, and the difference from the base row."""
    _, table = study(tmp_path, seeds=(1, 2, 3))
    values = {}
    for row in ("full", "minus-weight-drop"):
        paths = sorted(tmp_path.glob(f"runs/ptb-*-{row}/finetune.stream.json"))
        splits = [json.loads(path.read_text())["splits"] for path in paths]
        values[row] = np.array([split["test"]["perplexity"] for split in splits])
    found = line(table, "minus-weight-drop")
    means = {row: np.exp(np.log(tests).mean()) for row, tests in values.items()}
    assert found["test"] == pytest.approx(means["minus-weight-drop"], rel=1e-14)
    assert found["test_sd"] == pytest.approx(values["minus-weight-drop"].std(ddof=1))
    difference = means["minus-weight-drop"] - means["full"]
    assert found["delta_test"] == pytest.approx(difference)
    assert found["delta_low"] < difference < found["delta_high"]
    assert (found["n"], found["status"], found["remarks"]) == (3, "done", ())
    assert found["interval"] == "trainings and text"
    assert found["noise_freedom"] == 14, "of seven rows that are there, each trained for itself"
    # tests/synthetic.py multiplies perplexities with 1.01 + 0.006 times a normal variate.
    assert 0.003 < found["noise_test"] < 0.012
    assert np.isnan(line(table, "full")["delta_test"]), "the base row has no difference"


def test_one_training_of_each_row_has_a_difference_and_nothing_more(tmp_path):
    """No interval, no p value and no best value: one training cannot show what is noise."""
    suite, table = study(tmp_path)
    found = line(table, "minus-weight-drop")
    assert found["delta_test"] > 0
    assert found[["delta_low", "delta_high", "p", "p_holm", "test_sd"]].isna().all()
    assert (found["interval"], found["remarks"]) == ("", (NoInterval(),))
    text = markdown(table, suite, "paper")
    assert f"from “AWD-LSTM”, {words.remark(NoInterval())}." in text
    assert "95% interval" not in text
    assert "**" not in text
    assert "Bold" not in text


def test_base_rows_with_several_seeds_give_every_row_an_interval(tmp_path):
    """Rows of one seed are compared with the noise of the base row's trainings."""
    plan = make_plan(seeds=(1, 2, 3), corpora=("ptb",))
    shared = [row["runs"] for row in plan["suites"][0]["rows"] if row["row"] == "full"]
    for row in plan["suites"][0]["rows"]:
        if row["row"] not in ("full", "minus-fine-tuning"):
            del row["runs"][1:]
    write_runs(plan, tmp_path / "runs")
    frame, _ = records.collect(plan, tmp_path / "runs")
    suite = plan["suites"][0]
    table = tables.build(suite, frame, "paper", plan["runs"])
    assert len(shared[0]) == 3
    assert set(table["noise_freedom"]) == {2}
    for row in ("minus-weight-drop", "minus-fine-tuning"):
        found = line(table, row)
        assert found["delta_low"] < found["delta_test"] < found["delta_high"]
    assert "**" in markdown(table, suite, "paper")


BASE = ("full", "minus-fine-tuning")  # of the same trainings


def astray(tmp_path, row, seeds, several=None):
    """The study with a row whose last seed has a perplexity beyond 10,000, as frame and Markdown.

    That is the size of its vocabulary. Only rows of ``several`` (None: all) have several seeds.
    """
    plan = make_plan(seeds=seeds, corpora=("ptb",))
    suite = plan["suites"][0]
    for each in suite["rows"]:
        if several and each["row"] not in several:
            del each["runs"][1:]
    write_runs(plan, tmp_path / "runs")
    frame, _ = records.collect(plan, tmp_path / "runs")
    apart = frame["run"].str.endswith(f"merity2018-{row}") & (frame["split"] == "test")
    apart &= frame["seed"] == frame.loc[apart, "seed"].max()
    frame.loc[apart, "perplexity"] *= 300
    table = tables.build(suite, frame, "small", plan["runs"])
    return table, markdown(table, suite, "small")


def test_a_row_that_went_astray_has_the_noise_of_its_own_trainings(tmp_path):
    """The others keep theirs, and a footnote gives the reason."""
    table, text = astray(tmp_path, "minus-weight-drop", (1, 2))
    found, usual = line(table, "minus-weight-drop"), line(table, "minus-nt-asgd")
    assert found["left_out"] is LeftOut.ASTRAY
    assert pd.isna(usual["left_out"])
    assert found["remarks"] == (OwnNoise(LeftOut.ASTRAY),)
    assert found["noise_trainings"] == 2 * 6, "seven rows are trained for themselves"
    assert found["p"] > 0.05
    assert found["delta_low"] < 0, "with the noise of others far above zero"
    assert usual["delta_high"] - usual["delta_low"] < 5
    assert "Its noise is that of its own trainings alone, because a training predicts no" in text
    assert "Noise of training, over all studies: 12 trainings on Penn Treebank (6 degrees" in text


def test_one_training_that_went_astray_has_no_interval(tmp_path):
    """Although the base row has several, whose noise the others have."""
    table, text = astray(tmp_path, "minus-weight-drop", (1, 2, 3), several=BASE)
    assert line(table, "minus-nt-asgd")["interval"] == "trainings and text"
    found = line(table, "minus-weight-drop")
    assert found["remarks"] == (NoInterval("row", (LeftOut.ASTRAY,)),)
    assert found["delta_test"] > 0
    assert found[["delta_low", "delta_high", "p", "p_holm"]].isna().all()
    assert "<sup>1</sup> No interval: this row has one training here and does not share" in text


def test_a_base_row_that_went_astray_with_one_training_leaves_no_interval(tmp_path):
    """The caption has the reason, since it is that of every row."""
    several = ("minus-nt-asgd", "minus-weight-drop")
    table, text = astray(tmp_path, "full", (1, 2), several=several)
    lacks = NoInterval("base row", (LeftOut.ASTRAY,))
    assert line(table, "minus-nt-asgd")["remarks"] == (lacks,)
    assert f"from “AWD-LSTM”, {words.remark(lacks)}." in text
    assert line(table, "full")["left_out"] is LeftOut.ASTRAY


def test_rows_that_train_on_other_parts_of_a_text_do_not_share_noise(tmp_path):
    """Those on all of it have one training each; the noise of the others says nothing of them."""

    def change(plan):
        for row in plan["suites"][0]["rows"]:
            if row["row"] == "minus-weight-drop" and row["corpus"] == "ptb":
                for item in row["runs"]:
                    plan["runs"][item["run"]]["spec"]["train_tokens"] = 8_000
            else:
                for item in row["runs"][1:]:
                    plan["runs"].pop(item["run"], None)
                del row["runs"][1:]

    _, table = study(tmp_path, change=change, seeds=(1, 2, 3))
    part, whole = line(table, "minus-weight-drop"), line(table, "minus-nt-asgd")
    assert (part["train_tokens"], part["noise_trainings"], part["noise_freedom"]) == (8_000, 3, 2)
    assert part["remarks"] == (NoInterval("pool of the base row"),)
    assert (whole["train_tokens"], whole["remarks"]) == (0, (NoInterval(),))
    assert math.isnan(whole["noise_freedom"])
    assert table["delta_low"].isna().all()
    assert table["delta_test"].notna().any()


def test_the_caption_does_not_deny_trainings_that_are_left_out(tmp_path):
    """The base row has two, one of which went astray."""
    table, text = astray(tmp_path, "full", (1, 2), several=BASE)
    lacks = NoInterval("pool", (LeftOut.ASTRAY,))
    assert line(table, "minus-nt-asgd")["remarks"] == (lacks,)
    assert "no row trained on the same text has several trainings" not in text
    assert (
        "No interval: every row with several trainings on the same text is left out (a training "
        "predicts no better than word frequencies)."
    ) in text
    assert line(table, "minus-fine-tuning")["interval"], "of the same trainings, in pairs"


def test_p_values_are_corrected_for_the_rows_of_a_corpus(tmp_path):
    """The smallest of a corpus counts as often as it has rows that are compared."""
    _, table = study(tmp_path, seeds=(1, 2))
    for corpus, rows in (("ptb", 7), ("wikitext-2", 7)):
        lines = table[(table["corpus"] == corpus) & table["p"].notna()]
        assert len(lines) == rows
        smallest = lines.loc[lines["p"].idxmin()]
        assert smallest["p_holm"] == pytest.approx(min(1, rows * smallest["p"]))
        assert (lines["p_holm"] >= lines["p"]).all()
    assert table["p_holm"].isna().equals(table["p"].isna())


def test_records_without_losses_by_block(tmp_path):
    """Their intervals are over trainings alone, and the caption says so."""
    suite, table = study(tmp_path, blocks=False, seeds=(1, 2))
    found = line(table, "minus-weight-drop")
    assert found["delta_low"] < found["delta_test"] < found["delta_high"]
    assert (found["interval"], found["remarks"]) == ("trainings", ())
    assert "95% interval over trainings, for this test text." in markdown(table, suite, "paper")


def test_states(tmp_path):
    """done, partial, diverged, missing and leaks are distinct, with their reasons."""
    plan = make_plan(seeds=(1, 2))
    runs = tmp_path / "runs"
    write_runs(plan, runs)
    name = "ptb-lstm-s{}-merity2018-minus-{}"
    (runs / name.format(2, "nt-asgd") / "finetune.stream.json").unlink()
    rewrite(
        runs / name.format(1, "weight-drop") / "finetune.stream.json",
        status="leaks",
        reason="position 3 sees token 4",
    )
    frame, _ = records.collect(plan, runs)
    table = tables.build(plan["suites"][0], frame, "paper", plan["runs"])
    assert line(table, "full")["status"] == "done"
    partial = line(table, "minus-nt-asgd")
    assert (partial["status"], partial["n"]) == ("partial", 1)
    assert (partial["remarks"], partial["interval"]) == (
        (SeedsMissing(1, 2),),
        "trainings and text",
    )
    leaks = line(table, "minus-weight-drop")
    assert leaks["status"] == "leaks"
    assert pd.isna(leaks["verdict"])
    assert np.isnan(leaks["delta_test"])
    assert leaks["remarks"] == (Ended(Status.LEAKS, "position 3 sees token 4", (1,)),)
    diverged = line(table, "minus-weight-decay", "wikitext-2")
    assert (diverged["status"], diverged["n"]) == ("diverged", 0)
    reason = "loss became nan at epoch 4, step 120"
    assert diverged["remarks"] == (Ended(Status.DIVERGED, reason, (1, 2)),)
    missing = line(table, *MISSING)
    assert (missing["status"], missing["n"], missing["params"]) == ("missing", 0, 24_221_600)


@pytest.mark.parametrize(
    ("published", "verdict"),
    [
        ({"test": 100.0}, "close"),
        ({"test": 100 / 1.029}, "close"),
        ({"test": 100 / 1.031}, "higher"),
        ({"test": 100 / 0.969}, "lower"),
        ({"valid": 200.0}, "close"),
        ({"valid": 200.0, "test": 50.0}, "higher"),
        ({"train": 40.0}, None),
    ],
)
def test_verdict(tmp_path, published, verdict):
    """Within 3% of the published test value (or valid, where there is no other) is close."""

    def change(plan):
        row = plan["suites"][0]["rows"][0]
        row["published"] = [{"column": "paper", **published}]
        splits = {
            split: {"nll": math.log(value), "tokens": 1, "perplexity": value}
            for split, value in (("valid", 200.0), ("test", 100.0))
        }
        rewrite(tmp_path / "runs" / row["runs"][0]["run"] / "finetune.stream.json", splits=splits)

    _, table = study(tmp_path, change=change, tokens=500)
    found = line(table, "full")["verdict"]
    assert found == verdict if verdict else pd.isna(found)


def test_a_verdict_uses_the_noise_where_it_is_known(tmp_path):
    """The published perplexity is that of one more training, or not; its distance is shown."""
    suite, table = study(tmp_path, seeds=(1, 2, 3))
    found = line(table, "full")
    assert found["verdict"] == "reproduced"
    assert found["distance"] == pytest.approx(found["test"] / found["published_test"] - 1)
    assert f"reproduced ({found['distance']:+.1%})" in markdown(table, suite, "paper")


@pytest.mark.parametrize("base_is_there", [True, False])
def test_a_row_measured_by_another_protocol_is_not_best(tmp_path, base_is_there):
    """Not struck through, but neither best nor compared, with what differs in a footnote."""
    plan = make_plan()
    write_runs(plan, tmp_path / "runs")
    frame, _ = records.collect(plan, tmp_path / "runs")
    if not base_is_there:
        frame = frame[~frame["run"].str.endswith("merity2018-full")]
    apart = frame["run"] == "ptb-lstm-s1-merity2018-minus-weight-drop"
    frame.loc[apart, "perplexity"] = 2.0
    usual = Protocol("stream", "left", 1, True, True, 10_000, 4_000, 4_000)
    cloze = dataclasses.replace(usual, context="left and right")
    frame["protocol"] = [cloze if is_apart else usual for is_apart in apart]
    suite = plan["suites"][0]
    table = tables.build(suite, frame, "paper")
    found = line(table, "minus-weight-drop")
    assert (found["status"], found["test"]) == ("done", 2.0)
    assert found["incomparable"] == (("context", "left and right"),)
    assert found[["delta_test", "p", "p_holm", "verdict"]].isna().all()
    assert table["delta_test"].notna().sum() == (13 if base_is_there else 0), "as before"
    text = markdown(table, suite, "paper")
    assert "**2.00**" not in text
    assert "~~" not in text
    assert "<sup>1</sup> Not comparable with the other rows: left and right context (" in text


def test_a_row_of_nt_asgd_that_never_averaged_has_a_remark(tmp_path):
    """It is SGD then, and may equal another row to the last digit."""
    plan = make_plan(seeds=(1, 2))
    write_runs(plan, tmp_path / "runs")
    frame, _ = records.collect(plan, tmp_path / "runs")
    for run in plan["runs"].values():
        run["spec"]["optimizer"] = "nt-asgd"

    def note():
        table = tables.build(plan["suites"][0], frame, "paper", plan["runs"])
        for found in table.query("stage == 'finetune'")["remarks"]:
            assert not any(isinstance(each, NeverAveraged) for each in found)
        return line(table, "minus-fine-tuning")["remarks"]

    trained = frame["stage"] == "train"
    epochs = frame.loc[trained, "epochs"].iloc[0]
    assert note() == ()
    frame.loc[trained & (frame["seed"] == 2), "switch_epoch"] = pd.NA
    assert note() == (NeverAveraged(epochs, 1, 2),)
    for run in plan["runs"].values():
        run["spec"]["optimizer"] = "sgd"
    assert note() == ()


def test_a_row_of_another_protocol_is_not_compared(tmp_path):
    """No difference, no verdict, not the best; the footnote says what is otherwise."""
    suite, table = measured_otherwise(tmp_path, seeds=(1, 2), context="left and right")
    found = line(table, "minus-weight-drop")
    assert (found["status"], found["test"]) == ("done", 2.0)
    assert np.isnan(found["delta_test"])
    assert pd.isna(found["verdict"])
    assert found["remarks"] == (Incomparable((("context", "left and right"),)),)
    assert not np.isnan(line(table, "minus-nt-asgd")["delta_test"])
    text = markdown(table, suite, "paper")
    assert "**2.00**" not in text
    assert text.split("### WikiText-2")[0].count("**") == 4, "the best of the others is bold"


def test_the_same_protocol_in_other_words_is_compared(tmp_path):
    suite, table = measured_otherwise(
        tmp_path, seeds=(1, 2), context="left", batch_size=1, chunk=70
    )
    assert line(table, "minus-weight-drop")["delta_test"] < -50
    assert "**2.00" in markdown(table, suite, "paper")


def test_a_second_direction_has_a_remark(tmp_path):
    def change(_):
        path = tmp_path / "runs/ptb-lstm-s1-merity2018-minus-weight-drop/finetune.stream.json"
        splits = json.loads(path.read_text())["splits"]
        for split, value in {"valid": 71.111, "test": 70.0}.items():
            splits[f"{split}-backward"] = {"nll": math.log(value), "tokens": 1, "perplexity": value}
        rewrite(path, splits=splits)

    _, table = study(tmp_path, change=change)
    assert line(table, "minus-weight-drop")["remarks"] == (Backward(71.111, 70.0), NoInterval())


def hopeless(runs, *names):
    """Make the rows ``names`` of the made-up study hopeless."""
    for name in names:
        for path in (runs / name).glob("*.json"):
            splits = {"splits": {}} if path.name.count(".") == 2 else {}
            rewrite(path, status="hopeless", reason="it is no better", **splits)


@pytest.mark.parametrize("seeds", [(1,), (1, 2)])
def test_a_hopeless_row_has_published_numbers_and_none_of_its_own(tmp_path, seeds):
    """It has no interval and no verdict, and says after how many epochs it was stopped."""
    plan = make_plan(seeds=(1, 2))
    for run in plan["runs"].values():
        run["spec"]["stop_hopeless"] = 3
    runs = tmp_path / "runs"
    write_runs(plan, runs)
    hopeless(runs, *(f"ptb-lstm-s{seed}-merity2018-minus-weight-drop" for seed in seeds))
    frame, _ = records.collect(plan, runs)
    suite = plan["suites"][0]
    table = tables.build(suite, frame, "paper", plan["runs"])
    found = line(table, "minus-weight-drop")
    assert found["remarks"][-1] == Ended(Status.HOPELESS, "it is no better", seeds, 3)
    assert not np.isnan(found["published_test"])
    if len(seeds) == 2:
        assert (found["status"], found["n"]) == ("hopeless", 0)
        for name in ("test", "valid", "delta_test", "delta_low", "p", "distance"):
            assert np.isnan(found[name])
        assert pd.isna(found["verdict"])
        assert "hopeless after 3 epochs" in markdown(table, suite, "paper")
    else:
        assert (found["status"], found["n"]) == ("partial", 1)
        assert not np.isnan(found["delta_test"])
        assert "Seed 1 is hopeless after 3 epochs: it is no better." in markdown(
            table, suite, "paper"
        )


def test_a_row_that_is_no_better_than_word_frequencies_is_never_bold(tmp_path):
    suite, table = study(tmp_path, seeds=(1, 2), change=lambda _: with_frequencies(tmp_path, 2.0))
    remarked = [each for found in table["remarks"] for each in found if each == AsFrequencies(2.0)]
    assert len(remarked) == 8, "all with a result on this corpus"
    text = markdown(table, suite, "paper")
    of_ptb, of_other = text.split("### WikiText-2")
    assert "**" not in of_ptb
    assert "**" in of_other
    assert "No better than word frequencies, 2.00; its noise is that of its own" in text


def test_a_row_that_is_no_better_than_word_frequencies_does_not_share_their_noise(tmp_path):
    _, table = study(tmp_path, seeds=(1, 2), change=lambda _: with_frequencies(tmp_path, 2.0))
    assert set(table[table["corpus"] == "ptb"]["left_out"].dropna()) == {LeftOut.ASTRAY}
    assert set(table[table["corpus"] != "ptb"]["left_out"].dropna()) == set()
