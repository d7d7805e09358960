"""Perplexity of a new text under a model, in total and line by line.

The text is read as the evaluation reads a held-out text: as one stream, from a state of zeros, so
that a line is predicted from all lines before it. The first word of all is not predicted. A model
that reads by sentences reads each line by itself, and predicts no line's first word.
"""

from typing import NamedTuple

import numpy as np
import torch

from awd.corpora.new_text import NewText
from awd.corpora.sentences import line_end, predicted_places
from awd.errors import InputError
from awd.evaluation.leak_check import first_leak
from awd.evaluation.perplexity import perplexity, text_losses, total
from awd.evaluation.trained_model import TrainedModel
from awd.vocabulary import END


class Scored(NamedTuple):
    """Part of a text: what was predicted of it, and how well.

    ``tokens`` were predicted, with an ``nll`` (negative log likelihood, nats) in total. ``unknown``
    words of the part are ``<unk>`` to the model.
    """

    tokens: int
    unknown: int
    nll: float

    @property
    def perplexity(self) -> float | None:
        """exp(nll / tokens); None if nothing was predicted."""
        return perplexity(self.nll / self.tokens) if self.tokens else None


def score(trained: TrainedModel, text: NewText) -> tuple[Scored, list[Scored]]:
    """Return the score of ``text`` and that of each of its lines.

    A line whose first word is not predicted has one predicted token less than it has tokens. Raises
    InputError if the model reads the words that it predicts, of which no perplexity can be taken
    seriously.
    """
    model, corpus, record = trained
    if (ahead := first_leak(model)) is not None:
        raise InputError(
            f"{record['run']} has no perplexity: the model reads {ahead} token(s) ahead of what it "
            "predicts"
        )
    stream = torch.from_numpy(text.ids).to(model.embedding.device)
    losses = text_losses(model, stream, corpus.vocabulary)[:, 0].cpu()
    places = predicted_places(text.ids, line_end(model.spec.reading, corpus.vocabulary))
    ends = np.flatnonzero(text.ids == corpus.vocabulary.index(END)) + 1
    lines, start = [], 0
    for end in ends.tolist():
        first, last = np.searchsorted(places, (start, end))
        part = losses[first:last]
        lines.append(Scored(len(part), int(text.replaced[start:end].sum()), total(part)))
        start = end
    return Scored(len(losses), int(text.replaced.sum()), total(losses)), lines
