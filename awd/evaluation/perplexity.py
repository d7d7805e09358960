"""Perplexity of a model on a stream of text."""

import math
from collections.abc import Iterator, Sequence
from decimal import Decimal

import numpy as np
import torch
from torch import Tensor

from awd.corpora.batching import batchify, evaluation_chunks
from awd.corpora.sentences import Sentences, line_end
from awd.model.language_model import LanguageModel, Output
from awd.study.spec import RunSpec

READ_AT_ONCE = 2_000
"""Tokens that are read at once in evaluation: as many as still make it faster."""


def reading_length(spec: RunSpec, streams: int) -> int:
    """Time steps of a chunk in which text is read in evaluation, as ``streams`` parallel ones.

    It has no part in the result but for models that look ahead within a chunk. They are given as
    many words as in training.
    """
    if spec.bidirectional or spec.objective == "cloze":
        return spec.bptt
    return max(spec.bptt, READ_AT_ONCE // streams)


def perplexity(loss: float) -> float:
    """exp(``loss``), infinite where that exceeds what a float holds or ``loss`` is not a number."""
    # By whole numbers, as C's exp has other last digits on some CPUs.
    return float(Decimal(loss).exp()) if loss < 709 else math.inf


def readings(
    model: LanguageModel, batches: Tensor, length: int | None = None
) -> Iterator[tuple[Output, Tensor]]:
    """What the model makes of each chunk of ``batches``, and the words it is to predict from that.

    The model is put in evaluation mode (no dropout, raw weights), carries its state from a zero
    start, and is left in the mode it was in.

    Args:
        batches: (time, streams), int64; the first row is never predicted.
        length: of the chunks; by default see ``reading_length``.

    Yields outputs and targets, (steps, columns), columns as the model arranges them.
    """
    was_training = model.training
    model.eval()
    try:
        state = model.initial_state(batches.shape[1])
        length = length or reading_length(model.spec, batches.shape[1])
        for tokens, targets in evaluation_chunks(model.arrange(batches), length):
            output = model(tokens, state)
            state = output.state
            yield output, targets
    finally:
        model.train(was_training)


@torch.no_grad()
def stream_losses(model: LanguageModel, stream: Tensor, batch_size: int = 1) -> Tensor:
    """Negative log likelihood of every predicted token of ``stream``, in nats.

    The stream is read as ``batch_size`` parallel ones; see ``readings``.

    Args:
        stream: (tokens), int64.

    Returns (predicted tokens per stream, batch_size); twice as many columns if the model predicts
    in both directions, the second half in reading order from the end of each stream.
    """
    losses = [
        model.token_losses(output.dropped, targets)
        for output, targets in readings(model, batchify(stream, batch_size))
    ]
    return torch.cat(losses)


@torch.no_grad()
def sentence_losses(model: LanguageModel, text: Tensor, end: int) -> Tensor:
    """Negative log likelihood of every predicted token of ``text``, read line by line, in nats.

    Each line is read from a state of zeros. Lines of like length are read side by side, which has
    no part in the result.

    Args:
        text: (tokens), int64.
        end: the token that ends a line.

    Returns (predicted tokens, 1), in the order of the text; see corpora.sentences for what is
    predicted. Raises InputError if that is nothing.
    """
    sentences = Sentences(text, end)
    before = np.cumsum(sentences.predicted) - sentences.predicted
    losses = torch.empty(int(sentences.predicted.sum()), 1, device=text.device)
    was_training = model.training
    model.eval()
    try:
        order = np.argsort(-sentences.predicted, kind="stable")
        start = 0
        while start < len(order):
            count = max(1, READ_AT_ONCE // int(sentences.predicted[order[start]]))
            lines = order[start : start + count]
            batch = sentences.batch(lines)
            output = model(batch.tokens[:-1], model.initial_state(len(lines)))
            rows = output.dropped.flatten(0, 1)[batch.real]
            targets = batch.tokens[1:].flatten()[batch.real]
            # Prediction t of a line is the t-th after those of all lines before it.
            time, column = np.divmod(batch.real.cpu().numpy(), len(lines))
            places = torch.from_numpy(before[lines][column] + time).to(text.device)
            losses[places, 0] = model.token_losses(rows[:, None], targets[:, None])[:, 0]
            start += count
    finally:
        model.train(was_training)
    return losses


def text_losses(
    model: LanguageModel, text: Tensor, vocabulary: Sequence[str], batch_size: int = 1
) -> Tensor:
    """Return the losses of a text as the model's spec reads it: `stream_losses`, or by sentences.

    Arguments as of those; ``batch_size`` parallel streams are no part of reading by sentences.
    """
    end = line_end(model.spec.reading, vocabulary)
    return (
        stream_losses(model, text, batch_size) if end is None else sentence_losses(model, text, end)
    )


def mean_loss(losses: Tensor) -> float:
    """Mean of token losses in nats; their sum is rounded once, so that no order matters."""
    return total(losses) / losses.numel()


def total(losses: Tensor) -> float:
    """The sum of ``losses``, rounded once."""
    return math.fsum(losses.flatten().tolist())
