"""Sampled text follows the model's probabilities, the temperature and the seed."""

from collections import Counter

import numpy as np
import pytest
import torch

from awd.corpora import Corpus
from awd.errors import InputError
from awd.evaluation import generate as module
from awd.evaluation.generate import Lines, in_lines, lines_of, read_prompt
from awd.model.language_model import LanguageModel
from awd.study.spec import RunSpec

WORDS = ["a", "<unk>", "b", "<eos>", "c", "d"]
CONTEXT = np.array([3, 0])


def model_of(vocabulary: int = len(WORDS), **settings) -> LanguageModel:
    torch.manual_seed(3)
    spec = RunSpec(corpus="mine", **({"hidden_size": 8, "embedding_size": 8} | settings))
    model = LanguageModel(spec, vocabulary).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(6)
    return model


def generate(*words, **settings) -> list[int]:
    return list(module.generate(*words, **settings))


def next_words(model: LanguageModel, context: list[int]) -> torch.Tensor:
    """Probabilities of the word after ``context``, by what the evaluation measures."""
    loss = []
    for word in range(len(model.embedding)):
        text = torch.tensor([*context, word])[:, None]
        output = model(model.arrange(text[:-1]), model.initial_state(1))
        loss.append(model.token_losses(output.dropped[:, :1], text[1:])[-1, 0])
    return torch.stack(loss).neg().exp()


SETTINGS = {
    "lstm": {},
    "gru": {"cell": "gru", "layers": 2, "tied": True},
    "attention": {"attention_window": 3},
    "adaptive": {"softmax": "adaptive"},
    "both directions": {"objective": "both-directions"},
}


@pytest.mark.parametrize("name", SETTINGS)
def test_the_first_word_is_drawn_from_the_evaluated_probabilities(name):
    model = model_of(**SETTINGS[name])
    expected = next_words(model, CONTEXT.tolist())
    assert expected.sum() == pytest.approx(1, rel=1e-5)
    drawn = Counter(generate(model, CONTEXT, 1, seed=seed)[0] for seed in range(2000))
    for word, p in enumerate(expected.tolist()):
        assert drawn[word] / 2000 == pytest.approx(p, abs=5 * (p * (1 - p) / 2000) ** 0.5 + 1e-9)


@pytest.mark.parametrize("name", SETTINGS)
def test_later_words_have_all_before_them_as_context(name):
    """At temperature 0 each is the most probable one after all others."""
    model = model_of(**SETTINGS[name])
    words = generate(model, CONTEXT, 8, temperature=0)
    context = CONTEXT.tolist()
    for word in words:
        assert word == int(next_words(model, context).argmax())
        context.append(word)


def test_temperature_sharpens_and_flattens():
    model = model_of()
    expected = next_words(model, CONTEXT.tolist())
    for temperature in (0.5, 2.0):
        powers = expected ** (1 / temperature)
        shares = powers / powers.sum()
        drawn = Counter(
            generate(model, CONTEXT, 1, seed=seed, temperature=temperature)[0]
            for seed in range(1000)
        )
        for word, p in enumerate(shares.tolist()):
            deviation = (p * (1 - p) / 1000) ** 0.5
            assert drawn[word] / 1000 == pytest.approx(p, abs=5 * deviation + 1e-9)


def test_a_low_temperature_is_the_most_probable_word():
    model = model_of()
    assert generate(model, CONTEXT, 20, temperature=0.01) == generate(
        model, CONTEXT, 20, temperature=0
    )


def test_the_same_seed_gives_the_same_words_and_another_one_others():
    model = model_of()
    first = generate(model, CONTEXT, 50, seed=1)
    torch.manual_seed(99)  # torch's random numbers have no part in it
    assert generate(model, CONTEXT, 50, seed=1) == first
    assert generate(model, CONTEXT, 50, seed=2) != first
    assert generate(model, CONTEXT, 10, seed=1) == first[:10]


@pytest.mark.parametrize(
    ("settings", "kind"),
    [({"bidirectional": True}, "bidirectional"), ({"objective": "cloze"}, "cloze")],
)
def test_a_model_that_sees_later_words_cannot_generate(settings, kind):
    with pytest.raises(InputError, match=f"a {kind} model cannot generate text"):
        generate(model_of(**settings), CONTEXT, 1)


@pytest.mark.parametrize("temperature", [0.001, 1000.0, float("nan")])
def test_a_temperature_out_of_range_is_one_sentence(temperature):
    with pytest.raises(InputError, match=r"temperature is .*; allowed: 0, or 0\.01 to 100"):
        generate(model_of(), CONTEXT, 1, temperature=temperature)


def corpus() -> Corpus:
    none = np.zeros(1, dtype=np.uint16)
    return Corpus("mine", "f" * 64, WORDS, none, none, none, info={})


def test_a_prompt_begins_a_line_and_stays_open():
    text = read_prompt(corpus(), "a new b")
    assert text.ids.tolist() == [3, 0, 1, 2]
    assert text.replaced.tolist() == [False, False, True, False]
    assert text.unknown == {"new": 1}
    assert read_prompt(corpus(), "a\nb").ids.tolist() == [3, 0, 3, 2]
    empty = read_prompt(corpus(), " ")
    assert (empty.ids.tolist(), empty.replaced.tolist(), empty.unknown) == ([3], [False], {})


def test_words_become_lines():
    assert list(in_lines(corpus(), [0, 2, 3, 3, 4])) == ["a b", "", "c"]


def test_a_line_is_there_before_the_next_is_drawn():
    """A long text can be read, or cut off, while it is written."""
    drawn = []
    ids = (drawn.append(each) or each for each in module.generate(model_of(), CONTEXT, 10**9))
    lines = in_lines(corpus(), ids)
    first = next(lines)
    assert len(drawn) == len(first.split()) + 1
    assert drawn[-1] == WORDS.index("<eos>")


def test_a_model_of_sentences_begins_each_line_anew():
    """Its first word is drawn as lines begin; the others depend on their own line alone."""
    model = model_of(reading="sentences")
    lines = Lines(3, [3, 0, 0, 0, 1, 0])
    words = generate(model, np.array([3]), 3000, lines=lines)
    text = " ".join(map(str, words)).split(" 3 ")
    first = Counter(line.split()[0] for line in text)
    assert len(text) > 100
    assert set(first) == {"0", "4"}
    share = first["0"] / len(text)
    assert share == pytest.approx(0.75, abs=5 * (0.75 * 0.25 / len(text)) ** 0.5)
    most = generate(model, np.array([1, 3, 2]), 20, temperature=0, lines=lines)
    context = [2]
    for word in most:
        fresh = not context or context[-1] == 3
        context = [] if fresh else context
        assert word == (0 if fresh else int(next_words(model, context).argmax()))
        context.append(word)


def test_how_lines_begin_is_counted():
    """A line without words is no line that training reads."""
    text = np.array([0, 2, 3, 3, 0, 4, 3, 2, 5, 3], dtype=np.uint16)
    corpus = Corpus("mine", "f" * 64, WORDS, text, text, text, info={})
    assert lines_of(corpus, "sentences") == Lines(3, [2, 0, 1, 0, 0, 0])
    assert lines_of(corpus, "stream") is None
