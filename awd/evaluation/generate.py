"""Sample text from a language model, word by word."""

from collections import Counter
from random import Random

import numpy as np
import torch

from awd.corpora import Corpus
from awd.corpora.new_text import NewText, read_text
from awd.errors import InputError
from awd.model.arithmetic import look_up, softmax
from awd.model.language_model import LanguageModel
from awd.vocabulary import END

LEAST_TEMPERATURE = 0.01
"""Smallest temperature above zero; below it the most probable word is certain all the same."""


@torch.no_grad()
def generate(
    model: LanguageModel,
    context: np.ndarray,
    length: int,
    *,
    temperature: float = 1.0,
    seed: int = 1,
) -> list[int]:
    """Return ``length`` word ids that follow ``context``, drawn from what the model predicts.

    The same arguments give the same words; with portable arithmetic on every CPU. A model of both
    directions uses its forward one.

    Args:
        model: in evaluation mode.
        context: (tokens), at least one, which the model reads first, from a state of zeros.
        temperature: what logarithms of probabilities are divided by: below 1 frequent words become
            more frequent; 0 always takes the most probable word.

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
    draw = Random(seed)
    words: list[int] = []
    tokens = torch.from_numpy(context.astype(np.int64)).to(model.embedding.device)
    state = model.initial_state(1)
    if spec.objective == "both-directions":
        state = state[: len(model.layers)]
    while len(words) < length:
        output, state = model.read(look_up(tokens[:, None], model.embedding), state)
        logarithms = model.log_probabilities(output[-1])
        if temperature:
            weights = softmax(logarithms / temperature)[0].tolist()
            # Sums in the order of the words, and random numbers, are Python's: the same everywhere.
            words += draw.choices(range(len(weights)), weights)
        else:
            words.append(int(logarithms.argmax()))
        tokens = tokens.new_tensor(words[-1:])
    return words


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


def in_lines(corpus: Corpus, ids: list[int]) -> str:
    """Return words as text: separated by spaces, and with lines where ``<eos>`` is."""
    words = " ".join(corpus.vocabulary[each] for each in ids)
    return "\n".join(line.strip() for line in words.split(END))
