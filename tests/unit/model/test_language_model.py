"""The built model: sizes, weight drop through the kernel, tying, and what evaluation sees."""

import pytest
import torch

from awd.model.language_model import LanguageModel
from awd.study.cost import parameters
from awd.study.spec import RunSpec

AWD = {"layers": 3, "hidden_size": 1150, "embedding_size": 400, "tied": True}


def tiny(**settings) -> LanguageModel:
    torch.manual_seed(0)
    sizes = {"layers": 2, "hidden_size": 8, "embedding_size": 6}
    return LanguageModel(RunSpec(corpus="ptb", **(sizes | settings)), vocabulary=11)


def read(model, length=5, batch=3):
    torch.manual_seed(1)
    tokens = torch.randint(11, (length, batch))
    return model(tokens, model.initial_state(batch))


@pytest.mark.parametrize(
    ("settings", "vocabulary", "expected"),
    [
        (AWD, 10_000, 24_221_600),
        (AWD, 33_278, 33_556_078),
        (AWD | {"cell": "gru"}, 10_000, 19_168_700),
        (AWD | {"cell": "gru", "layers": 5}, 10_000, 35_052_500),
        (AWD | {"bidirectional": True}, 10_000, 18_611_600),
        ({"layers": 2}, 10_000, 4_653_200),
        ({"cell": "rnn", "tied": True, "hidden_size": 300, "embedding_size": 300}, 500, None),
    ],
)
def test_parameter_counts_are_the_published_ones_and_the_plans(settings, vocabulary, expected):
    spec = RunSpec(corpus="ptb", **settings)
    with torch.device("meta"):
        model = LanguageModel(spec, vocabulary)
    count = sum(parameter.numel() for parameter in model.parameters())
    assert count == parameters(spec, vocabulary)
    assert expected is None or count == expected


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("p", [0.0, 0.5])
def test_two_training_passes_agree_at_first_and_differ_later_iff_weight_drop_is_on(cell, p):
    """At t=0 the recurrent matrix meets a zero state, so its mask cannot show."""
    model = tiny(cell=cell, layers=1, weight_drop=p)
    first, second = read(model).raw, read(model).raw
    model_passes = []
    for seed in (1, 2):
        torch.manual_seed(1)
        tokens = torch.randint(11, (5, 3))
        torch.manual_seed(seed)
        model_passes.append(model(tokens, model.initial_state(3)).raw)
    first, second = model_passes
    assert torch.equal(first[0], second[0])
    assert torch.equal(first[1:], second[1:]) is (p == 0)


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_the_raw_recurrent_matrix_gets_a_gradient_through_weight_drop(cell):
    model = tiny(cell=cell, weight_drop=0.5)
    read(model).raw.square().sum().backward()
    for layer in model.layers:
        share = (layer.weight_hh.grad != 0).float().mean()
        assert 0.2 < share < 0.8


def test_weight_drop_leaves_input_matrices_and_biases_whole():
    model = tiny(layers=1, weight_drop=0.9)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    read(model)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_evaluation_is_deterministic_and_uses_the_raw_weights():
    regularised = tiny(weight_drop=0.5, dropout_input=0.5, dropout_embedding=0.5).eval()
    plain = tiny().eval()
    assert torch.equal(read(regularised).dropped, read(regularised).dropped)
    assert torch.equal(read(regularised).dropped, read(plain).dropped)


def test_evaluation_can_be_followed_by_training():
    model = tiny(weight_drop=0.5)
    for training in (False, True, False, True):
        model.train(training)
        read(model)
    assert len(list(model.parameters())) == 2 * 4 + 3  # no dropped copy became a parameter


def test_a_tied_model_has_one_matrix_with_both_gradients():
    model = tiny(tied=True)
    assert model.decoder_weight is model.embedding
    output = read(model)
    model.loss(output.dropped, torch.zeros(5, 3, dtype=torch.int64)).backward()
    assert (model.embedding.grad.abs().sum(1) > 0).all()  # the decoder's part reaches every row


def test_state_carries_over_chunks():
    model = tiny().eval()
    tokens = torch.randint(11, (8, 3))
    whole = model(tokens, model.initial_state(3)).raw
    first = model(tokens[:5], model.initial_state(3))
    second = model(tokens[5:], first.state)
    torch.testing.assert_close(whole, torch.cat([first.raw, second.raw]))


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_a_bidirectional_model_sees_the_future_and_a_causal_one_does_not(cell):
    tokens = torch.arange(6).view(6, 1)
    changed = tokens.clone()
    changed[-1] = 9
    for bidirectional in (False, True):
        model = tiny(cell=cell, bidirectional=bidirectional, hidden_size=8).eval()
        outputs = [model(text, model.initial_state(1)).raw[0] for text in (tokens, changed)]
        assert torch.equal(*outputs) is not bidirectional


def test_initial_weights_lie_where_the_spec_says():
    model = tiny(initial_range=0.1)
    assert model.embedding.abs().max() <= 0.1 < model.layers[0].weight_hh.abs().max()
    assert model.layers[0].weight_hh.abs().max() <= 8**-0.5
    assert (model.bias == 0).all()
    uniform = tiny(initialization="uniform", initial_range=0.05)
    assert all(0 < parameter.abs().max() <= 0.05 for parameter in uniform.parameters())


# attention, two directions ------------------------------------------------------------------


@pytest.mark.parametrize("length", [1, 2, 7])
@pytest.mark.parametrize("cell", ["lstm", "rnn"])
def test_attention_is_its_definition_step_by_step(cell, length):
    """Daniluk et al. 2017, section 3.1; before the first output there are zeros."""
    model = tiny(cell=cell, attention_window=3).eval()
    plain, attention = tiny(cell=cell).eval(), model.attention
    plain.load_state_dict(model.state_dict(), strict=False)
    tokens = torch.randint(11, (length, 2), generator=torch.Generator().manual_seed(0))
    outputs = plain(tokens, plain.initial_state(2)).raw
    expected = []
    for time, now in enumerate(outputs):
        before = [outputs[t] if t >= 0 else 0 * now for t in range(time - 3, time)]
        scores = [
            torch.tanh(h @ attention.key.t() + now @ attention.query.t()) @ attention.score
            for h in before
        ]
        weights = torch.stack(scores).softmax(0)
        remembered = sum(w[:, None] * h for w, h in zip(weights, before, strict=True))
        combined = remembered @ attention.remembered.t() + now @ attention.current.t()
        expected.append(torch.tanh(combined))
    torch.testing.assert_close(
        model(tokens, model.initial_state(2)).raw, torch.stack(expected), atol=1e-6, rtol=1e-5
    )


@pytest.mark.parametrize(
    "settings",
    [{"attention_window": 3}, {"attention_window": 9}, {"objective": "both-directions"}],
    ids=str,
)
def test_the_state_of_every_causal_model_carries_over_chunks(settings):
    model = tiny(**settings).eval()
    tokens = model.arrange(torch.randint(11, (8, 3)))
    whole = model(tokens, model.initial_state(3)).raw
    first = model(tokens[:5], model.initial_state(3))
    second = model(tokens[5:], first.state)
    torch.testing.assert_close(whole, torch.cat([first.raw, second.raw]))


def test_the_backward_direction_is_a_model_of_the_text_from_its_end():
    """Two causal models in one: each alone does what it does beside the other."""
    model = tiny(objective="both-directions", tied=True).eval()
    ahead, back = (tiny(tied=True).eval() for _ in range(2))
    shared = {"embedding": model.embedding, "bias": model.bias}
    ahead.load_state_dict({f"layers.{k}": v for k, v in model.layers.state_dict().items()} | shared)
    weights = model.backward_layers.state_dict()
    back.load_state_dict({f"layers.{name}": value for name, value in weights.items()} | shared)
    tokens = torch.randint(11, (6, 2))
    raw = model(model.arrange(tokens), model.initial_state(2)).raw
    torch.testing.assert_close(raw[:, :2], ahead(tokens, ahead.initial_state(2)).raw)
    torch.testing.assert_close(raw[:, 2:], back(tokens.flip(0), back.initial_state(2)).raw)


def test_a_cloze_output_holds_the_words_before_and_after_the_missing_one():
    """Output t predicts word t + 1: one half from words up to t, the other from t + 2 on."""
    model = tiny(objective="cloze").eval()
    tokens = torch.arange(7).view(7, 1)
    raw = model(tokens, model.initial_state(1)).raw
    for place in range(7):
        changed = tokens.clone()
        changed[place] = 10
        moved = (model(changed, model.initial_state(1)).raw != raw).view(7, 2, 4).any(2)
        assert moved[:, 0].tolist() == [place <= t for t in range(7)]
        assert moved[:, 1].tolist() == [t + 2 <= place for t in range(7)]


@pytest.mark.parametrize("settings", [{}, {"tied": True}, {"softmax": "adaptive"}])
def test_probabilities_of_all_words_are_those_of_the_loss(settings):
    model = tiny(**settings).eval()
    rows = read(model).dropped[:, 0]
    found = model.log_probabilities(rows)
    for word in range(11):
        targets = torch.full((len(rows), 1), word)
        losses = model.token_losses(rows[:, None], targets)[:, 0]
        torch.testing.assert_close(found[:, word], -losses)
