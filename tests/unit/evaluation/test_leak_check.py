"""The leak check finds whatever looks ahead: in models, methods, evaluation; nothing else."""

from functools import partial

import pytest
import torch

from awd.corpora.batching import evaluation_chunks
from awd.evaluation import dynamic, neural_cache, perplexity
from awd.evaluation.dynamic import dynamic_losses, gradient_statistics
from awd.evaluation.ensemble import ensemble_losses
from awd.evaluation.leak_check import first_leak, first_leak_of_losses
from awd.evaluation.neural_cache import cache_losses
from awd.evaluation.perplexity import stream_losses
from awd.model.language_model import LanguageModel
from awd.study.spec import RunSpec

WORDS = 30
REGULARISED = {"weight_drop": 0.5, "dropout_output": 0.5, "dropout_embedding": 0.5}


def model_of(seed=0, **settings):
    torch.manual_seed(seed)
    sizes = {"hidden_size": 8, "embedding_size": 8, "layers": 2, "bptt": 12}
    return LanguageModel(RunSpec(corpus="ptb", **(sizes | settings)), WORDS)


def changed(model, change):
    """The model with its outputs changed, (time, batch, features) to the same."""
    forward = model.forward

    def other(tokens, state):
        output = forward(tokens, state)
        return output._replace(dropped=change(output.dropped, tokens))

    model.forward = other
    return model


def text_of(length=40):
    return torch.randint(WORDS, (length,), generator=torch.Generator().manual_seed(1))


# causal models ------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize(
    "kind",
    [
        {},
        {"tied": True},
        {"softmax": "adaptive"},
        {"attention_window": 3},
        {"attention_window": 30, "tied": True},
        {"objective": "both-directions"},
        {"objective": "both-directions", "tied": True},
        {"objective": "cloze"},
        {"objective": "cloze", "softmax": "adaptive"},
    ],
    ids=str,
)
def test_no_false_alarm_for_causal_models(cell, kind):
    assert first_leak(model_of(cell=cell, **kind, **REGULARISED)) is None


METHODS = {
    "stream": lambda model: lambda text: stream_losses(model, text)[:, 0],
    "cache": lambda model: partial(cache_losses, model, window=8, theta=1.0, weight=0.3),
    "dynamic": lambda model: partial(
        dynamic_losses,
        model,
        statistics=gradient_statistics(model, text_of(400), batch_size=4),
        learning_rate=0.1,
        decay=0.01,
        epsilon=0.01,
    ),
    "ensemble": lambda model: partial(ensemble_losses, [model, model_of(seed=1)]),
}


@pytest.mark.parametrize("method", METHODS)
def test_no_false_alarm_for_evaluation_methods(method):
    assert first_leak_of_losses(METHODS[method](model_of()), text_of(), WORDS) is None


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("place", [1, 29])
def test_the_probabilities_of_all_words_sum_to_one(method, place):
    """What a method gives to one word it takes from others: none has seen which one comes."""
    losses, text = METHODS[method](model_of()), text_of(30)
    total = 0.0
    for word in range(WORDS):
        text[place] = word
        total += losses(text)[place - 1].neg().exp().item()
    assert total == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("objective", ["next-word", "both-directions", "cloze"])
def test_the_check_leaves_the_model_as_it_was(objective):
    model = model_of(objective=objective, **REGULARISED)
    before = [parameter.clone() for parameter in model.parameters()]
    state = torch.get_rng_state()
    first_leak(model)
    assert model.training
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(*pair) for pair in zip(before, model.parameters(), strict=True))


# planted leaks ------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_a_bidirectional_layer_reads_the_next_word(cell):
    assert first_leak(model_of(cell=cell, bidirectional=True)) == 1


@pytest.mark.parametrize("distance", [1, 3, 11])
def test_a_leak_is_told_with_its_distance(distance):
    def peek(outputs, tokens):
        ahead = torch.zeros_like(outputs)
        ahead[:-distance] = model.embedding[tokens[distance:]]
        return outputs + ahead

    model = model_of()
    assert first_leak(changed(model, peek)) == distance


def test_a_leak_at_a_single_place_is_found():
    def peek(outputs, tokens):
        outputs = outputs.clone()
        outputs[4] += model.embedding[tokens[min(5, len(tokens) - 1)]]
        return outputs

    model = model_of()
    assert first_leak(changed(model, lambda o, t: peek(o, t) if len(o) > 5 else o)) == 1


def same_words(batches, length):
    """Each word is to be predicted from itself."""
    for tokens, _ in evaluation_chunks(batches, length):
        yield tokens, tokens


def last_word_off(batches, length):
    """Only the last target of each chunk is off by one."""
    for tokens, targets in evaluation_chunks(batches, length):
        yield tokens, torch.cat([targets[:-1], tokens[-1:]])


@pytest.mark.parametrize("chunks", [same_words, last_word_off])
@pytest.mark.parametrize("objective", ["next-word", "both-directions"])
def test_targets_that_are_off_by_one_are_found(monkeypatch, chunks, objective):
    """The model is causal; it is the evaluation that asks for what it has read."""
    model = model_of(objective=objective)
    monkeypatch.setattr(perplexity, "evaluation_chunks", chunks)
    assert first_leak(model) == 1


def test_attention_to_the_future_is_found():
    def attend(outputs, _):
        scores = torch.einsum("tbf,sbf->bts", outputs, outputs)
        return torch.einsum("bts,sbf->tbf", scores.softmax(-1), outputs)

    assert first_leak(changed(model_of(), attend)) == 1


def test_a_window_one_too_far_is_found():
    """The planted mistake is one index: the window ends one output later than it should."""
    model = model_of(attention_window=3)
    forward = model.attention.forward

    def late(outputs, memory):
        following = torch.cat([outputs[1:], outputs[-1:]])
        attended, _ = forward(following, torch.cat([memory, outputs[:1]])[1:])
        return attended, torch.cat([memory, outputs])[len(outputs) :]

    model.attention.forward = late
    assert first_leak(model) == 1


def test_statistics_over_time_are_found():
    def normalise(outputs, _):
        return (outputs - outputs.mean(0)) / (outputs.std(0, correction=0) + 1e-5)

    assert first_leak(changed(model_of(), normalise)) == 1


def test_batch_normalisation_over_time_and_streams_is_found():
    """Side by side, all variants of a text would share its statistics, and nothing would show."""

    def normalise(outputs, _):
        rows = outputs.flatten(0, 1)
        return (outputs - rows.mean(0)) / (rows.std(0, correction=0) + 1e-5)

    assert first_leak(changed(model_of(), normalise)) == 1


def test_a_cloze_model_that_sees_the_missing_word_is_found(monkeypatch):
    def read_too_much(model, values, state):
        left, state = model.read(values, state)
        zeros = [layer.initial_state(values.shape[1]) for layer in model.backward_layers]
        right, _ = model.read(values.flip(0), zeros, model.backward_layers)
        right = right.flip(0)
        return torch.cat([left, torch.cat([right[1:], 0 * right[:1]])], dim=2), state

    monkeypatch.setattr(LanguageModel, "_read_around", read_too_much)
    assert first_leak(model_of(objective="cloze")) == 1


def test_two_directions_that_meet_before_the_decoder_are_found(monkeypatch):
    read_both = LanguageModel._read_both

    def read_mixed(model, values, state):
        raw, state = read_both(model, values, state)
        return raw + raw.roll(raw.shape[1] // 2, 1).flip(0), state

    monkeypatch.setattr(LanguageModel, "_read_both", read_mixed)
    # In the text of 14 words the backward stack's 12th output has read all but the first two.
    assert first_leak(model_of(objective="both-directions")) == 2


def test_dynamic_evaluation_that_learns_before_it_scores_is_found(monkeypatch):
    score = dynamic._score

    def late(model, tokens, targets, state):
        _, gradients, _ = score(model, tokens, targets, state)
        with torch.no_grad():
            for weights, gradient in zip(model.parameters(), gradients, strict=True):
                weights -= gradient
        return score(model, tokens, targets, state)

    model = model_of()
    losses = METHODS["dynamic"](model)
    monkeypatch.setattr(dynamic, "_score", late)
    assert first_leak_of_losses(losses, text_of(), WORDS) == 2


def test_a_cache_of_what_is_to_come_is_found(monkeypatch):
    """Each place is told which of the words before a later place occur there."""
    blocks = neural_cache._blocks

    def late(*arguments):
        for block in blocks(*arguments):
            yield block._replace(matches=block.matches.roll(-3, 0))

    losses = METHODS["cache"](model_of())
    monkeypatch.setattr(neural_cache, "_blocks", late)
    assert first_leak_of_losses(losses, text_of(), WORDS) is not None
