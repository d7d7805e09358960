"""Dynamic evaluation: a model that goes on learning from the text it has just been scored on.

Krause, Kahembwe, Murray and Renals 2018, "Dynamic Evaluation of Neural Sequence Models". After
each chunk of text the weights w take one step down the gradient g of its mean loss and are pulled
back towards the trained weights w0 (section 5):

    w  <-  w + min(decay * norm, 1) (w0 - w) - learning_rate * g / (rms + epsilon)

Here rms is the root mean square of each single weight's gradient over the training text, and norm
is rms over its own mean: the mean over weight tensors of each tensor's mean. The cap, which the
authors' implementation has, keeps the pull from overshooting w0.

Gradients are those of the model as it is evaluated, without dropout. cuDNN's recurrent kernels
have a backward pass in training mode only, so on a GPU torch's own, slower ones are used.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor

from awd.corpora.batching import batchify, chunks, evaluation_chunks
from awd.errors import InputError
from awd.model.arithmetic import mean, sqrt
from awd.model.language_model import LanguageModel, State


def gradient_statistics(
    model: LanguageModel, train_stream: Tensor, batch_size: int = 100, bptt: int = 5
) -> dict[str, Tensor]:
    """Root mean square of each weight's gradient over the training text.

    The mean is over chunks, each a step of ``bptt`` tokens in ``batch_size`` parallel streams
    whose state is carried; a chunk's gradient is that of its mean loss per token, in nats.

    Args:
        train_stream: (tokens), int64.

    Returns a tensor for each name of the model's parameters, shaped as the parameter. Leaves the
    model as it was. Raises InputError if the text is too short for ``batch_size``.
    """
    batches = batchify(train_stream, batch_size)
    plan = chunks(len(batches), bptt)
    if not plan:
        raise InputError(
            f"dynamic evaluation: batch_size {batch_size} leaves {len(batches)} steps of the "
            f"{len(train_stream)} training tokens; at least 3 are needed"
        )
    squares = {name: torch.zeros_like(value) for name, value in model.named_parameters()}
    with _evaluation_with_gradients(model):
        state = model.initial_state(batch_size)
        for start, length, _ in plan:
            tokens = batches[start : start + length]
            targets = batches[start + 1 : start + 1 + length]
            _, gradients, state = _score(model, tokens, targets, state)
            for square, gradient in zip(squares.values(), gradients, strict=True):
                square += gradient * gradient
    return {name: sqrt(square.div_(len(plan))) for name, square in squares.items()}


def dynamic_losses(
    model: LanguageModel,
    stream: Tensor,
    statistics: Mapping[str, Tensor],
    *,
    learning_rate: float,
    decay: float,
    epsilon: float,
    bptt: int = 5,
) -> Tensor:
    """Negative log likelihood of every predicted token under dynamic evaluation, in nats.

    Reads the stream as evaluation.perplexity.stream_losses does at batch size 1, but in chunks of
    ``bptt``: each is scored with the weights its predecessors left, and only then learned from.
    Nothing is scored by weights that have seen it. The authors' implementation leaves out a last
    chunk of a single token; here it is scored, too.

    Args:
        stream: (tokens), int64.
        statistics: what gradient_statistics returned for this model.
        learning_rate: step size; the authors' default is 5e-5 for AWD-LSTM on Penn Treebank.
        decay: strength of the pull to the trained weights; 2e-3.
        epsilon: keeps weights with tiny gradients from moving far, above 0; 2e-5.
        bptt: tokens between updates; learning_rate and decay should grow in proportion.

    Returns (tokens - 1). The model's weights and mode are afterwards what they were, also if the
    evaluation fails. Raises InputError for values outside their range or foreign statistics.
    """
    if not (learning_rate >= 0 and decay >= 0 and epsilon > 0):
        raise InputError(
            "dynamic evaluation: learning_rate and decay must be at least 0 and epsilon above 0, "
            f"not {learning_rate}, {decay} and {epsilon}"
        )
    parameters = dict(model.named_parameters())
    shapes = {name: value.shape for name, value in parameters.items()}
    if {name: value.shape for name, value in statistics.items()} != shapes:
        raise InputError("dynamic evaluation: these gradient statistics are of another model")
    rms = [statistics[name] for name in parameters]
    typical = mean(torch.stack([mean(value) for value in rms]))
    pulls = [(decay / typical * value).clamp_(max=1) for value in rms]
    steps = [learning_rate / (value + epsilon) for value in rms]

    weights, losses = list(parameters.values()), []
    with _weights_restored(model) as trained, _evaluation_with_gradients(model):
        state = model.initial_state(1)
        for tokens, targets in evaluation_chunks(batchify(stream, 1), bptt):
            scored, gradients, state = _score(model, tokens, targets, state)
            losses.append(scored)
            with torch.no_grad():
                # Not torch's lerp and addcmul, which round once or twice, depending on the CPU.
                back = torch._foreach_sub(trained, weights)
                torch._foreach_mul_(back, pulls)
                torch._foreach_add_(weights, back)
                torch._foreach_sub_(weights, torch._foreach_mul(steps, gradients))
    return torch.cat(losses)[:, 0]


def _score(
    model: LanguageModel, tokens: Tensor, targets: Tensor, state: State
) -> tuple[Tensor, tuple[Tensor, ...], State]:
    """Losses of ``targets`` (time, batch), gradients of their mean, and the state, detached."""
    output = model(tokens, state)
    losses = model.token_losses(output.dropped, targets)
    gradients = torch.autograd.grad(model.loss(output.dropped, targets), list(model.parameters()))
    return losses, gradients, [tuple(part.detach() for part in layer) for layer in output.state]


@contextmanager
def _evaluation_with_gradients(model: LanguageModel) -> Iterator[None]:
    """Within the block there is no dropout, yet there are gradients."""
    was_training, had_cudnn = model.training, torch.backends.cudnn.enabled
    model.eval()
    torch.backends.cudnn.enabled = False
    try:
        with torch.enable_grad():
            yield
    finally:
        torch.backends.cudnn.enabled = had_cudnn
        model.train(was_training)


@contextmanager
def _weights_restored(model: LanguageModel) -> Iterator[list[Tensor]]:
    """Yield a copy of the weights, which the model has again after the block, whatever happens."""
    trained = [parameter.detach().clone() for parameter in model.parameters()]
    try:
        yield trained
    finally:
        with torch.no_grad():
            for parameter, values in zip(model.parameters(), trained, strict=True):
                parameter.copy_(values)
