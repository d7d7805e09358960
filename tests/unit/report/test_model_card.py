"""A model card states what the records state."""

import json
from pathlib import Path

import pytest
import yaml

from awd.report.model_card import model_card

RUNS = Path(__file__).parents[3] / "results" / "runs"
WORDS = ["<unk>", "<eos>"]


def records_of(run: str) -> tuple[dict, list[dict]]:
    record, evaluation = (
        json.loads((RUNS / run / f"train{kind}.json").read_text("utf-8"))
        for kind in ("", ".stream")
    )
    return record, [evaluation]


def parts(card: str) -> tuple[dict, str]:
    """The metadata and the text of a card."""
    _, metadata, text = card.split("---\n", 2)
    return yaml.safe_load(metadata), text


@pytest.fixture(scope="module")
def records():
    return records_of("ptb-gru2x200-sgd-s1-77ebf3b55c")


def test_a_card_has_what_the_model_is_its_data_numbers_and_training(records):
    record, (evaluation,) = records
    metadata, text = parts(model_card(record, [evaluation], WORDS))
    assert "2 GRU layers of 200 units, word vectors of size 200, a decoder of its own" in text
    assert f"{record['parameters']:,} parameters, 10,000 word types" in text
    assert "Penn Treebank (`ptb`): tokens 929,589 (train), 73,760 (valid), 82,430 (test)" in text
    assert record["corpus"]["fingerprint"] in text
    (index,) = metadata["model-index"]
    assert index["name"] == record["run"]
    for result in index["results"]:
        values = evaluation["splits"][result["dataset"]["split"]]
        assert result["metrics"][0]["value"] == values["perplexity"]
        shown = f"{values['tokens']:,} | {values['perplexity']:.2f} | done |"
        assert f"| stream | {result['dataset']['split']} | {shown}" in text
    assert len(index["results"]) == len(evaluation["splits"]) >= 2
    assert "| `decay_factor` | 1.65 |" in text
    assert "| `schedule` | step | divides the learning rate after decay_first epochs" in text
    assert "one-cycle:" not in text, "only what the run did"
    assert "`clip`" in text
    assert "`weight_drop`" not in text, "as in a plain model"
    for value in ("commit", "awd", "weights_sha256", "started"):
        assert str(record[value]) in text
    assert f"the weights are those of epoch {record['result']['best_epoch']}" in text
    best = f"{record['result']['valid_perplexity']:.2f}"
    assert f"with the best validation perplexity, {best} in parallel streams" in text
    spec = record["spec"] | {"reading": "sentences", "variable_bptt": False}
    assert f"{best} line by line" in model_card(record | {"spec": spec}, [evaluation], WORDS)


def test_limits_follow_the_records(records):
    record, evaluations = records
    _, text = parts(model_card(record, evaluations, WORDS))
    assert "ends with other numbers, as another seed would" in text
    assert "is `<unk>` to the model" in text
    _, text = parts(model_card(record | {"arithmetic": "portable"}, evaluations, ["a"]))
    assert "ends with the same bits" in text
    assert "it has no `<unk>`" in text
    assert "It has read 929,589 tokens of one text: Penn Treebank." in text
    part = record | {"spec": record["spec"] | {"train_tokens": 5000}}
    assert "It has read 5,000 tokens" in model_card(part, evaluations, WORDS)
    metadata, text = parts(model_card(record, [], WORDS))
    assert "These weights have not been evaluated." in text
    assert "model-index" not in metadata


def test_a_leak_is_a_limit_and_no_result():
    record, evaluations = records_of("ptb-bilstm2x250-nt-asgd-s1-0301cfec96")
    metadata, text = parts(model_card(record, evaluations, WORDS))
    assert "bidirectional LSTM layers" in text
    assert f"it leaks: {evaluations[0]['reason']}" in text
    assert "model-index" not in metadata


def test_a_cloze_model_is_no_language_model():
    _, text = parts(model_card(*records_of("ptb-cloze-lstm2x250-nt-asgd-s1-cfa15a9bbc"), WORDS))
    assert "not that of a language model" in text


def test_fine_tuning_that_was_no_better_is_stated(records):
    record, evaluations = records
    kept = record | {"stage": "finetune", "result": record["result"] | {"best_epoch": 0}}
    _, text = parts(model_card(kept, evaluations, WORDS))
    assert "the weights are those that fine-tuning started from" in text
    assert "training, then fine-tuning" in text


def test_how_a_text_was_read_is_that_of_the_protocol(records):
    record, (evaluation,) = records
    assert "read as one stream, and the state is carried over" in model_card(
        record, [evaluation], WORDS
    )
    by_line = evaluation | {"protocol": evaluation["protocol"] | {"carried_state": False}}
    card = model_card(record, [by_line], WORDS)
    assert "read line by line, each line from a state of zeros" in card
    assert "The first token of a line is not predicted." in card
