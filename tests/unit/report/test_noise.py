"""Which trainings count towards the noise, and which of their evaluations."""

import dataclasses
import math

import numpy as np
import pandas as pd
import pytest

from awd.report.comparability import Protocol
from awd.report.noise import Pool, alike, by_split, noise_of, pool_of, results_by_row
from awd.report.stats import Apart
from awd.vocabulary import LeftOut

PTB, OTHER = Pool("ptb"), Pool("wikitext-2")
USUAL = Protocol("stream", "left", 1, True, True, 10_000, 500, 500)
RUNS = {
    f"{name}-s{seed}": {"spec": {"layers": layers, "seed": seed}}
    for name, layers in {"full": 3, "half": 1}.items()
    for seed in (1, 2)
}
LOSSES = {"full-s1": 4.0, "full-s2": 4.1, "half-s1": 5.0, "half-s2": 5.3}


def records(**changes):
    """A line of the test text for each run; ``changes`` are of half-s2."""
    lines = []
    for run, loss in LOSSES.items():
        line = {
            "run": run,
            "corpus": "ptb",
            "stage": "train",
            "method": "stream",
            "split": "test",
            "status": "done",
            "perplexity": np.exp(loss),
            "unigram_perplexity": math.nan,
            "protocol": USUAL,
            "blocks": None,
        }
        lines.append(line | (changes if run == "half-s2" else {}))
    return pd.DataFrame(lines)


def test_noise_is_pooled_over_the_trainings_that_differ_in_their_seed_alone():
    """The variance within each pair is half of its squared difference."""
    noise = noise_of(records(), RUNS)[PTB]
    assert noise.variance == pytest.approx((0.1**2 / 2 + 0.3**2 / 2) / 2)
    assert noise.freedom == 2


@pytest.mark.parametrize(
    "change",
    [
        {"status": "diverged"},
        {"status": "leaks"},
        {"method": "cache-5-1-0.1"},
        {"split": "valid"},
        {"run": "not-planned"},
        {"perplexity": float("nan")},
        {"protocol": dataclasses.replace(USUAL, batch_size=10)},
    ],
    ids=str,
)
def test_what_is_no_ordinary_result_does_not_count(change):
    """Then one pair is left."""
    noise = noise_of(records(**change), RUNS)[PTB]
    assert noise.variance == pytest.approx(0.1**2 / 2)
    assert noise.freedom == 1


@pytest.mark.parametrize(
    "change",
    [{"perplexity": 10_001.0}, {"unigram_perplexity": float(np.exp(5.3))}],
    ids=["worse than uniform", "no better than word frequencies"],
)
def test_a_row_with_an_astray_training_is_left_out_whole(change):
    """A single seed of it that did not go astray would seem steady."""
    noise = noise_of(records(**change), RUNS)[PTB]
    assert noise.variance == pytest.approx(0.1**2 / 2)
    assert noise.left_out == (Apart(("half-s1", "half-s2"), LeftOut.ASTRAY),)
    assert noise_of(records(), RUNS)[PTB].left_out == ()


def test_the_noise_names_what_was_measured_by_another_protocol():
    other = dataclasses.replace(USUAL, batch_size=10)
    noise = noise_of(records(protocol=other), RUNS)[PTB]
    assert noise.left_out == (Apart(("half-s2",), LeftOut.PROTOCOL),)


def test_a_stage_that_did_not_go_astray_counts():
    """One evaluation of a training counts; the fine-tuned one may be the sound one."""
    frame = records(perplexity=10_001.0)
    tuned = records().assign(stage="finetune")
    noise = noise_of(pd.concat([frame, tuned]), RUNS)[PTB]
    assert (noise.freedom, noise.left_out) == (2, ())


@pytest.mark.parametrize("first", ["train", "finetune"])
def test_the_last_stage_counts(first):
    """Before fine-tuning trainings may spread so far that the pool would leave them out."""
    tuned = records().assign(stage="finetune")
    spread = records().assign(perplexity=[math.exp(loss) for loss in (4.0, 7.0, 5.0, 5.3)])
    frame = pd.concat([tuned, spread] if first == "finetune" else [spread, tuned])
    assert noise_of(frame, RUNS)[PTB] == noise_of(records(), RUNS)[PTB]


def test_results_that_went_astray_are_marked():
    row = {"row": "half", "corpus": "ptb", "stage": "train", "method": "stream"}
    row["runs"] = [{"seed": seed, "run": f"half-s{seed}"} for seed in (1, 2)]
    found = results_by_row({"rows": [row]}, records(perplexity=10_001.0))
    assert [each.astray for each in found["half", "ptb"]] == [False, True]


def test_each_split_and_corpus_has_its_own():
    frame = records()
    other = frame.assign(corpus="wikitext-2")
    valid = frame.assign(split="valid", perplexity=frame["perplexity"] ** 0.5)
    found = by_split(pd.concat([frame, other, valid]), RUNS)
    assert found.keys() == {(PTB, "test"), (OTHER, "test"), (PTB, "valid")}
    assert found[PTB, "test"] == found[OTHER, "test"]
    assert found[PTB, "valid"].variance == pytest.approx(found[PTB, "test"].variance / 4)


def test_each_part_of_a_training_text_has_its_own():
    """The noise of trainings on less text is another; a row has that of its own hyperparameters."""
    runs = {name: {"spec": dict(run["spec"])} for name, run in RUNS.items()}
    for seed in (1, 2):
        runs[f"half-s{seed}"]["spec"]["train_tokens"] = 40_000
    part = Pool("ptb", 40_000)
    noises = noise_of(records(), runs)
    assert noises.keys() == {PTB, part}
    assert noises[PTB].variance == pytest.approx(0.1**2 / 2)
    assert noises[part].variance == pytest.approx(0.3**2 / 2)
    row = {"corpus": "ptb", "runs": [{"seed": 1, "run": "half-s1"}]}
    assert (pool_of(row, runs), pool_of(row, RUNS), pool_of(row, {})) == (part, PTB, PTB)


def test_trainings_are_alike_whatever_the_order_of_their_settings():
    assert alike({"layers": 3, "tied": True, "seed": 1}) == alike({"tied": True, "layers": 3})
    assert alike({"layers": 3}) != alike({"layers": 2})


def test_results_of_rows_are_in_the_order_of_their_seeds():
    """Without seeds that diverged, and without rows that have no result."""
    rows = [
        {
            "row": name,
            "corpus": "ptb",
            "stage": "train",
            "method": "stream",
            "runs": [{"seed": seed, "run": f"{name}-s{seed}"} for seed in (2, 1)],
        }
        for name in ("full", "half", "never")
    ]
    found = results_by_row({"rows": rows}, records(status="diverged"))
    losses = {place: [round(each[0], 6) for each in results] for place, results in found.items()}
    assert losses == {("full", "ptb"): [4.1, 4.0], ("half", "ptb"): [5.0]}
