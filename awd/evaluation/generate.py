"""Sample text from a language model, word by word."""

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from random import Random
from typing import NamedTuple

import numpy as np
import torch

from awd.corpora import Corpus
from awd.corpora.new_text import NewText, read_text
from awd.corpora.sentences import Sentences, line_end
from awd.errors import InputError
from awd.model.arithmetic import look_up, softmax
from awd.model.language_model import LanguageModel
from awd.vocabulary import END

LEAST_TEMPERATURE = 0.01
"""Smallest temperature above zero; below it the most probable word is certain all the same."""


class Lines(NamedTuple):
    """What a model that reads line by line does not predict: how lines begin.

    end: the token that ends a line.
    first: (types), how often each word begins a line of the training text.
    """

    end: int
    first: list[int]


def lines_of(corpus: Corpus, reading: str) -> Lines | None:
    """Return how lines of the training text begin; None if the text is read as one stream.

    Lines without words are left out, as in training.
    """
    end = line_end(reading, corpus.vocabulary)
    if end is None:
        return None
    starts = Sentences(torch.from_numpy(corpus.train.astype(np.int64)), end).starts
    first = np.bincount(corpus.train[starts], minlength=len(corpus.vocabulary))
    return Lines(end, first.tolist())


def generate(
    model: LanguageModel,
    context: np.ndarray,
    length: int,
    *,
    temperature: float = 1.0,
    seed: int = 1,
    lines: Lines | None = None,
) -> Iterator[int]:
    """Return ``length`` word ids that follow ``context``, drawn from what the model predicts.

    Each is drawn when it is asked for.

    The same arguments give the same words; with portable arithmetic on every CPU. A model of both
    directions uses its forward one.

    Args:
        model: in evaluation mode.
        context: (tokens), at least one, which the model reads first, from a state of zeros.
        temperature: what logarithms of probabilities are divided by: below 1 frequent words become
            more frequent; 0 always takes the most probable word.
        lines: of a model that reads line by line. Then each line begins from a state of zeros, with
            a word that is drawn as often as it begins lines (at temperature 0 the most frequent).

    Raises InputError if the model predicts words from those after them, or for a temperature that
    is not allowed.
    """
    spec = model.spec
    if spec.bidirectional or spec.objective == "cloze":
        kind = "bidirectional" if spec.bidirectional else "cloze"
        raise InputError(
            f"a {kind} model cannot generate text: it predicts a word from the words after it, too"
        )
    if temperature != 0 and not LEAST_TEMPERATURE <= temperature <= 1 / LEAST_TEMPERATURE:
        raise InputError(
            f"temperature is {temperature:g}; allowed: 0, or {LEAST_TEMPERATURE} to "
            f"{1 / LEAST_TEMPERATURE:g}"
        )
    return islice(_draw(model, context, temperature, Random(seed), lines), length)


@torch.no_grad()
def _draw(
    model: LanguageModel, context: np.ndarray, temperature: float, draw: Random, lines: Lines | None
) -> Iterator[int]:
    tokens = torch.from_numpy(context.astype(np.int64)).to(model.embedding.device)
    if lines is not None:  # of which earlier ones have no part in what follows
        ends = (tokens == lines.end).nonzero().flatten().tolist()
        tokens = tokens[max(ends, default=-1) + 1 :]
    state = model.initial_state(1)
    if model.spec.objective == "both-directions":
        state = state[: len(model.layers)]
    while True:
        if lines is not None and (not len(tokens) or tokens[-1] == lines.end):
            word = _first_word(lines.first, temperature, draw)
            tokens, state = tokens.new_tensor([word]), model.initial_state(1)
            yield word
            continue
        output, state = model.read(look_up(tokens[:, None], model.embedding), state)
        logarithms = model.log_probabilities(output[-1])
        if temperature:
            weights = softmax(logarithms / temperature)[0].tolist()
            # Sums in the order of the words, and random numbers, are Python's: the same everywhere.
            (word,) = draw.choices(range(len(weights)), weights)
        else:
            word = int(logarithms.argmax())
        tokens = tokens.new_tensor([word])
        yield word


def _first_word(counts: list[int], temperature: float, draw: Random) -> int:
    if not temperature:
        return counts.index(max(counts))
    (word,) = draw.choices(range(len(counts)), counts)
    return word


def read_prompt(corpus: Corpus, prompt: str) -> NewText:
    """Encode a prompt, which may be empty, as the corpus was: after the end of a line.

    Raises InputError for text that the corpus could not hold.
    """
    if not prompt.strip():
        end = np.array([corpus.vocabulary.index(END)])
        return NewText(end, np.zeros(1, dtype=bool), Counter())
    text = read_text(corpus, prompt, "the prompt")
    # Its own end of a line moves to its beginning.
    return NewText(np.roll(text.ids, 1), np.roll(text.replaced, 1), text.unknown)


def in_lines(corpus: Corpus, ids: Iterable[int]) -> Iterator[str]:
    """Yield words as lines of text, which end where ``<eos>`` is; each as soon as it is whole."""
    line: list[str] = []
    for each in ids:
        word = corpus.vocabulary[each]
        if word == END:
            yield " ".join(line)
            line = []
        else:
            line.append(word)
    yield " ".join(line)
