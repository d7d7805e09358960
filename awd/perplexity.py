"""Perplexity of a model on a stream of text."""

import math

import torch
from torch import Tensor

from awd.batching import batchify, evaluation_chunks
from awd.model import LanguageModel


def perplexity(loss: float) -> float:
    """exp(``loss``), infinite where that exceeds what a float holds or ``loss`` is not a number."""
    return math.exp(loss) if loss < 709 else math.inf


@torch.no_grad()
def stream_losses(model: LanguageModel, stream: Tensor, batch_size: int = 1) -> Tensor:
    """Negative log likelihood of every predicted token of ``stream``, in nats.

    The model is put in evaluation mode (no dropout, raw weights) and reads the stream as
    ``batch_size`` parallel ones, carrying its state from a zero start; the first token of each is
    never predicted. Chunks are as long as the model's bptt, which matters only to models that
    look ahead within a chunk.

    Args:
        stream: (tokens), int64.

    Returns (predicted tokens per stream, batch_size). Leaves the model in the mode it was in.
    """
    was_training = model.training
    model.eval()
    batches = batchify(stream, batch_size)
    state, losses = model.initial_state(batch_size), []
    for tokens, targets in evaluation_chunks(batches, model.spec.bptt):
        output, _, state = model(tokens, state)
        losses.append(model.token_losses(output, targets))
    model.train(was_training)
    return torch.cat(losses)


def mean_loss(losses: Tensor) -> float:
    """Mean of token losses in nats, summed in double precision."""
    return losses.double().mean().item()
