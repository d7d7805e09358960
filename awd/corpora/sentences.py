"""A text as single lines, each to be read by itself: padded batches of them, and their order.

The first word of a line has nothing before it, so it is not predicted; the ``<eos>`` that ends the
line is. A line of a single token, such as a blank one, has nothing to predict and is left out.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from awd.errors import InputError
from awd.vocabulary import END


class Padded(NamedTuple):
    """Some lines side by side, the shorter ones filled up at their ends.

    tokens: (time + 1, lines), int64; row t + 1 is to be predicted from the rows up to t.
    real: numbers of the predictions that are none of filling, in the (time, lines) flattened.
    going_on: those of ``real`` whose line has another prediction after it.
    """

    tokens: Tensor
    real: Tensor
    going_on: Tensor


class Sentences:
    """The lines of a text that have something to predict.

    Args:
        text: (tokens), int64.
        end: the token that ends a line; the last line may lack it.

    Raises InputError if no line has two tokens.
    """

    def __init__(self, text: Tensor, end: int):
        self.text = text
        tokens = text.cpu().numpy()
        starts = np.concatenate([[0], np.flatnonzero(tokens == end) + 1])
        lengths = np.diff(starts, append=len(tokens))
        kept = lengths > 1
        if not kept.any():
            raise InputError("reading 'sentences' needs a line of at least two tokens")
        self.starts, self.lengths = starts[kept], lengths[kept]
        self.predicted = self.lengths - 1
        """By line, how many tokens are predicted."""

    def __len__(self) -> int:
        return len(self.starts)

    def batch(self, lines: np.ndarray) -> Padded:
        """Return the lines of these numbers side by side, in that order."""
        lengths = self.lengths[lines]
        steps = np.arange(lengths.max())[:, None]
        # A line is filled up with its own last token, which is in every vocabulary.
        places = self.starts[lines] + np.minimum(steps, lengths - 1)
        real = steps[:-1] < lengths - 1
        going_on = steps[:-1] < lengths - 2
        device = self.text.device
        return Padded(
            self.text[torch.from_numpy(places).to(device)],
            *(torch.from_numpy(np.flatnonzero(each)).to(device) for each in (real, going_on)),
        )

    def shuffled(self, seed: tuple[int, ...]) -> np.ndarray:
        """Return the numbers of all lines in an order that ``seed`` decides."""
        return np.random.default_rng(seed).permutation(len(self))


def line_end(reading: str, vocabulary: Sequence[str]) -> int | None:
    """Return the token that ends a line, None if the text is read as a stream.

    Raises InputError if it is to be read by sentences, but has no lines.
    """
    if reading == "stream":
        return None
    if END not in vocabulary:
        raise InputError(f"reading '{reading}' needs a text whose lines end in {END}")
    return vocabulary.index(END)


def predicted_places(tokens: np.ndarray, end: int | None) -> np.ndarray:
    """Return the places of the ``tokens`` of a text that are predicted, in their order.

    With ``end`` the text is read line by line, see `Sentences`; None reads it as one stream, of
    which all but the first token are predicted.
    """
    places = np.arange(1, len(tokens))
    return places if end is None else places[tokens[:-1] != end]
