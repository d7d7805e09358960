"""Probe what a training really does, on the model and the optimizer to be trained.

A configured regulariser may still have no effect, and a row may change more than its label states.
So each mechanism has a probe, which runs the code of training and measures its effect, and never
reads the setting. Probes work on a copy of the trainer with random numbers of its own, so they do
not change one bit of the training.

Probe results have the names of the hyperparameters that they measure. There are also

rate_rescaling          the learning rate follows the length of each chunk
averaging_from          the epoch whose end starts averaging, if validation only gets worse; 0: the
                        first step; None: never, or later than WORSE epochs
learning_rate_changes   [epoch, factor of the initial rate] where the rate changes, under the same
                        ever worse validation
ends_early              the epoch whose end ends the stage before its time, under the same
stop_hopeless           the same, if validation gets better, but not as good as word frequencies
                        are; 0: it goes on, or would also end with a validation as good as those
weight_drop_backward    weight drop on what reads backwards; None where nothing does
carried_state           a chunk starts in the state in which the last one ended
"""

import copy
import math
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from awd.corpora import Corpus
from awd.corpora.batching import Chunk
from awd.model.language_model import LanguageModel
from awd.model.recurrent_layer import RecurrentLayer
from awd.study.spec import GATES, RunSpec
from awd.training import optimizers
from awd.training.ntasgd import NonMonotonicTrigger
from awd.training.trainer import Diverged, Trainer
from awd.vocabulary import END, Device, Stage

STEPS, COLUMNS = 4, 256
"""Size of the random text whose dropout masks are looked at."""
WORDS = 900
"""Word types, of one pass or several, that dropout of whole words is looked for among."""
LENGTH = 8
"""Time steps of an observed update."""
WORSE = 40
"""Epochs of ever worse validation that learning rate and averaging are watched for."""
FEWEST_CHUNKS = 8
LINE = 12
"""Tokens of a line of random text."""


def observe(trainer: Trainer) -> dict:
    """Return the probe results of a trainer that has not begun, by name; changes nothing."""
    devices = [trainer.device] if trainer.device.type == Device.CUDA else []
    with torch.random.fork_rng(devices):
        torch.manual_seed(0)
        shared = (trainer.batches, trainer.valid, trainer.best_weights)
        shared += (trainer.sentences, trainer.vocabulary)
        twin = copy.deepcopy(trainer, {id(each): each for each in shared})
        twin.update, twin.new_update = twin._update, lambda: twin._update  # can be looked into
        observed = _of_chunks(twin)
        twin.batches = torch.randint(
            len(twin.model.embedding), (LENGTH + 1, twin.batches.shape[1]), device=twin.device
        )
        observed |= {
            **_of_structure(twin.model),
            "precision": _precision(twin.model),
            **_of_dropouts(twin.model),
            **_of_weight_drop(twin.model),
            **_of_penalties(twin),
            **_of_updates(twin),
            **_of_worse_epochs(twin),
            "stop_hopeless": _stops_hopeless(twin),
        }
    follows = observed.pop("rate_follows_chunks", True)
    if "rate_rescaling" in observed:
        observed["rate_rescaling"] &= follows
    return observed


def observe_spec(spec: RunSpec, vocabulary: int) -> dict:
    """Return the probe results of ``spec``, built at its full size for a random text."""
    draw = np.random.default_rng(0)
    words = [END, *(str(number) for number in range(1, vocabulary))]
    sizes = {"train": 2 * FEWEST_CHUNKS * spec.bptt * spec.batch_size, "valid": 100, "test": 100}
    splits = {name: draw.integers(0, vocabulary, size) for name, size in sizes.items()}
    for tokens in splits.values():
        tokens[LINE::LINE] = 0
    corpus = Corpus(spec.corpus, "", words, **splits, info={})
    spec = spec.changed(train_tokens=0)  # the text is no real one
    return observe(Trainer(spec, corpus, Stage.TRAIN, torch.device("cpu")))


# the model ----------------------------------------------------------------------------------


def _of_structure(model: LanguageModel) -> dict:
    layers, first = list(model.layers), model.layers[0]
    gates = first.weight_hh.shape[0] // first.weight_hh.shape[1]
    model.eval()
    tokens = torch.randint(len(model.embedding), (LENGTH, 2), device=model.embedding.device)
    arranged = model.arrange(tokens)
    with torch.no_grad():
        output = model(arranged, model.initial_state(2))
        hidden = layers[0](model.embedding[tokens], layers[0].initial_state(2))[0].shape[2]
        # A later word moves an earlier output: the one to be predicted, or the one after it.
        moves = []
        for place in (1, 2):
            changed = arranged.clone()
            changed[place] = (changed[place] + 1) % len(model.embedding)
            moved = model(changed, model.initial_state(2)).raw[0]
            moves.append(not torch.equal(moved, output.raw[0]))
        bidirectional = all(_reads_backwards(layer) for layer in layers)
        objective = "next-word"
        if arranged.shape[1] > tokens.shape[1]:
            objective = "both-directions"
        elif moves == [False, True]:
            objective, hidden = "cloze", 2 * hidden
        # A word's score moves with its vector only if the decoder has the same matrix.
        word = torch.zeros_like(arranged)
        before = model.token_losses(output.dropped, word)
        vector = model.embedding[0].clone()
        model.embedding[0] += 1
        tied = not torch.equal(before, model.token_losses(output.dropped, word))
        model.embedding[0] = vector
    return {
        "cell": next(cell for cell, count in GATES.items() if count == gates),
        "layers": len(layers),
        "hidden_size": hidden,
        "embedding_size": model.embedding.shape[1],
        "tied": tied,
        "softmax": "full" if model.adaptive is None else "adaptive",
        "bidirectional": bidirectional,
        "objective": objective,
        "attention_window": _attended(model, arranged),
    }


def _reads_backwards(layer: RecurrentLayer) -> bool:
    inputs = torch.randn(LENGTH, 1, layer.weight_ih.shape[1], device=layer.weight_ih.device)
    changed = inputs.clone()
    changed[-1] += 1
    first, second = (layer(each, layer.initial_state(1))[0][0] for each in (inputs, changed))
    return not torch.equal(first, second)


def _attended(model: LanguageModel, tokens: Tensor) -> int:
    """How many earlier outputs have a part in the first one."""
    if model.attention is None:
        return 0
    state = model.initial_state(tokens.shape[1])
    memory = torch.randn_like(state[-1][0]).requires_grad_()
    output = model(tokens, [*state[:-1], (memory,)]).raw[0]
    (gradient,) = torch.autograd.grad(output.square().sum(), memory)
    return int(gradient.abs().sum((1, 2)).count_nonzero())


@torch.no_grad()
def _precision(model: LanguageModel) -> str:
    """Of products in training, by the smallest difference of inputs that has an outcome."""
    model.train()
    found = set()
    for layer in [*model.layers, *(model.backward_layers or [])]:
        read = partial(_seeded, layer, state=layer.initial_state(2))
        found.add(_precision_of(read, layer.weight_ih))
    if model.adaptive is None:
        found.add(_precision_of(partial(_losses, model), model.decoder_weight))
    return found.pop() if len(found) == 1 else "mixed"


def _precision_of(product: Callable[[Tensor], Tensor], weight: Tensor) -> str:
    """The precision in which ``product`` reads (time, 2, inputs), to be multiplied by ``weight``.

    1 + 2^-9 is 1 in bfloat16, and 1 + 2^-12 is 1 in TF32. A power of two keeps that, and makes the
    outcome about as large as 1, where a difference shows best.
    """
    largest = weight.abs().max().item() * weight.shape[1] ** 0.5
    size = 2.0 ** -round(math.log2(largest)) if largest else 1.0
    one, bf16, tf32 = (
        product(weight.new_full((LENGTH, 2, weight.shape[1]), size * value))
        for value in (1, 1 + 2**-9, 1 + 2**-12)
    )
    if torch.equal(one, bf16):
        return "bf16"
    return "tf32" if torch.equal(one, tf32) else "fp32"


def _losses(model: LanguageModel, output: Tensor) -> Tensor:
    """The mean loss of ``output`` for each of several words that might all be the next one.

    That of a single word may well be the same for inputs that differ so little.
    """
    shape = output.shape[:2]
    words = range(min(LENGTH, len(model.embedding)))
    targets = (torch.full(shape, word, device=output.device) for word in words)
    return torch.stack([model.loss(output, each) for each in targets])


def _seeded(layer: RecurrentLayer, values: Tensor, state: tuple[Tensor, ...]) -> Tensor:
    torch.manual_seed(0)  # the same weights are dropped each time
    return layer(values, state)[0]


def _of_dropouts(model: LanguageModel) -> dict:
    """Dropout rates read off the masks: what is kept is larger by 1 / (1 - p)."""
    model.train()
    tokens = torch.randint(len(model.embedding), (STEPS, COLUMNS), device=model.embedding.device)
    inputs, outputs = [], []

    def note(_, given, made):
        inputs.append(given[0])
        outputs.append(made[0])

    watches = [layer.register_forward_hook(note) for layer in model.layers]
    state, drop = model.initial_state(_streams(model, COLUMNS)), model.drop
    with torch.no_grad():
        output = model(tokens, state)
        looked_up, *_ = inputs
        between = list(zip(outputs[:-1], inputs[1:], strict=True))
        vectors = functional.embedding(tokens, model.embedding)[:, : looked_up.shape[1]]
        model.drop = lambda values, _, **__: values  # leaves dropout of whole words alone
        # Of a small vocabulary a single pass may well drop nothing.
        for _ in range(math.ceil(WORDS / len(tokens.unique()))):
            inputs.clear()
            model(tokens, state)
            embedding, _ = _dropped(vectors, inputs[0])
            if embedding:
                break
    model.drop = drop
    for watch in watches:
        watch.remove()
    kept = looked_up.abs().amax(2, keepdim=True) > 0  # words that are there at all
    masks = [
        _dropped(vectors.where(kept, 0) / (1 - embedding), looked_up),
        *(_dropped(*pair) for pair in between),
        _dropped(output.raw, output.dropped),
    ]
    hidden = {p for p, _ in masks[1:-1]}
    kinds = {kind for _, kind in masks if kind}
    return {
        "dropout_embedding": embedding,
        "dropout_input": masks[0][0],
        # rates that differ between layers are none that a spec can mean
        "dropout_hidden": (max(hidden) if max(hidden) - min(hidden) < 1e-3 else sorted(hidden))
        if hidden
        else None,
        "dropout_output": masks[-1][0],
        "dropout_kind": kinds.pop() if len(kinds) == 1 else None,
    }


def _streams(model: LanguageModel, columns: int) -> int:
    return columns // 2 if model.spec.objective == "both-directions" else columns


def _dropped(before: Tensor, after: Tensor) -> tuple[float, str | None]:
    """The rate of dropout between two (time, batch, features), and whether its mask is locked."""
    alive = before != 0
    zero = alive & (after == 0)
    if not zero.any():
        return 0.0, None
    scale = (after / before)[alive & ~zero].median().item()
    # Of units that are alive all the time, which are dropped at one time and not at another?
    varies = (zero.any(0) & ~zero.all(0) & alive.all(0)).any().item()
    return round(1 - 1 / scale, 6), "standard" if varies else "locked"


def _of_weight_drop(model: LanguageModel) -> dict:
    """Shares of recurrent weights without part in a pass: no gradient comes to them."""
    shares, backward = [], []
    for layer in model.layers:
        shares.append(_undriven(layer, layer.weight_hh))
        if layer.bidirectional:
            backward.append(_undriven(layer, layer.weight_hh_reverse))
    backward += [_undriven(layer, layer.weight_hh) for layer in model.backward_layers or ()]
    return {
        "weight_drop": _mean(shares),
        "weight_drop_backward": _mean(backward) if backward else None,
    }


def _mean(shares: list[float]) -> float:
    """The smallest if they disagree: a layer without weight drop is not made up for by others."""
    return round(sum(shares) / len(shares) if min(shares) > 0 else 0.0, 4)


def _undriven(layer: RecurrentLayer, weight: Tensor) -> float:
    layer.train()
    inputs = torch.randn(LENGTH, 4, layer.weight_ih.shape[1], device=weight.device)
    passes = [layer(inputs, layer.initial_state(4))[0] for _ in range(2)]
    (gradient,) = torch.autograd.grad(passes[0].square().sum(), weight, allow_unused=True)
    if gradient is None or torch.equal(*passes):
        return 0.0
    return (gradient == 0).float().mean().item()


# what training does with it -----------------------------------------------------------------


def _of_penalties(twin: Trainer) -> dict:
    """AR and TAR coefficients: what outputs of one, and outputs that grow by one, cost."""
    ones = torch.ones(LENGTH, 2, 3, device=twin.device)
    rising = ones.cumsum(0)
    return {
        "activation_regularization": float(twin.penalty(ones, 0 * ones)),
        "temporal_activation_regularization": float(twin.penalty(0 * ones, rising)),
    }


def _of_chunks(twin: Trainer) -> dict:
    """Lengths and rates of the first epoch's chunks; too few of them say nothing."""
    chunks = twin.chunks()[:-1]  # the last one is cut
    if twin.sentences is not None and chunks:
        lengths, scales = zip(*((chunk.length, chunk.rate_scale) for chunk in chunks), strict=True)
        return {
            "batch_size": max(lengths),
            "variable_bptt": len(set(lengths)) > 1,
            "rate_rescaling": len(set(scales)) > 1,
        }
    seen = {"batch_size": _streams(twin.model, twin.batches.shape[1])}
    if len(chunks) < FEWEST_CHUNKS:
        return seen
    proportional = {round(chunk.length / chunk.rate_scale) for chunk in chunks}
    return seen | {
        "bptt": proportional.pop() if len(proportional) == 1 else None,
        "variable_bptt": len({chunk.length for chunk in chunks}) > 1,
        "rate_rescaling": len({chunk.rate_scale for chunk in chunks}) > 1,
    }


class Update(NamedTuple):
    """What one step did, over all weights: norms are Euclidean, ``along`` is a cosine.

    The weights are zero before it, unless weight decay alone is looked at.

    moved: how far the weights went; gradient: of the gradients the optimizer was given; along: how
    much the way was down the gradient; each: how far a typical single weight went that has one;
    shrinks: the share of themselves that the weights lost.
    """

    moved: float
    gradient: float
    along: float
    each: float
    shrinks: float


def _of_updates(twin: Trainer) -> dict:
    """What single updates do to the weights, with the loss times a factor.

    0      Weight decay alone moves the weights: they lose rate times decay of themselves.
    1e4    Without decay. SGD moves the weights by rate times gradient; AdamW moves each weight by
           the rate, whatever its gradient is.
    1e4    On a chunk that asks for half the rate: it moves half as far if that counts.
    1e6    The optimizer is given a gradient as long as with 1e4 only if something clips it, and
           that length is the limit.
    """
    quiet = _update(twin, 0.0)
    loud, half = _update(twin, 1e4), _update(twin, 1e4, scale=0.5)
    seen = {"carried_state": _carries(twin)}
    if loud.moved == 0:
        return seen | {"learning_rate": 0.0}
    if not math.isfinite(loud.moved):  # a rate beyond what the weights' numbers can hold
        return seen
    proportional = loud.along > 0.99
    rate = loud.moved / loud.gradient if proportional else loud.each
    clipped = math.isclose(_update(twin, 1e6).gradient, loud.gradient, rel_tol=0.01)
    return seen | {
        "optimizer": "sgd" if proportional else "adamw",
        "learning_rate": _rounded(rate),
        "rate_follows_chunks": math.isclose(half.moved, loud.moved / 2, rel_tol=0.01),
        "clip": _rounded(loud.gradient) if clipped else 0.0,
        "weight_decay": _rounded(quiet.shrinks / rate) if quiet.moved else 0.0,
    }


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")


def _update(twin: Trainer, factor: float, scale: float = 1.0) -> Update:
    """One step with the loss times ``factor``, alone, on a chunk with this ``rate_scale``.

    The weights are afterwards what they were.
    """
    loss, penalty = twin.model.loss, twin.penalty
    twin.model.loss, twin.penalty = lambda *given: factor * loss(*given), lambda *_: 0.0
    twin.optimizer = optimizers.new_optimizer(twin.spec, twin.stage, twin.parameters)
    if factor:  # the decay is seen where nothing else moves the weights
        twin.optimizer.param_groups[0]["weight_decay"] = 0.0
    before = [parameter.detach().clone() for parameter in twin.parameters]
    gradients: list[Tensor] = []

    def note(optimizer, *_) -> None:
        gradients.extend(parameter.grad * optimizer.scale for parameter in twin.parameters)
        if factor:  # from zero the smallest step shows; from a weight it may be lost in rounding
            torch._foreach_zero_([parameter.detach() for parameter in twin.parameters])

    twin.optimizer.register_step_pre_hook(note)
    torch.manual_seed(0)
    twin.position = 0  # of which the rate may depend
    twin.step(Chunk(0, LENGTH, scale))
    twin.model.loss, twin.penalty = loss, penalty
    sums, typical = torch.zeros(5, dtype=torch.float64), []
    with torch.no_grad():
        for parameter, old, gradient in zip(twin.parameters, before, gradients, strict=True):
            start = torch.zeros_like(old) if factor else old
            moved, given, was = (parameter - start).double(), gradient.double(), old.double()
            pairs = ((moved, moved), (given, given), (moved, given), (moved, was), (was, was))
            sums += torch.stack([(one * other).sum() for one, other in pairs]).cpu()
            if given.any():
                typical.append(moved[given != 0].abs().median().item())
            parameter.copy_(old)
    moved_moved, given_given, moved_given, moved_was, was_was = sums.tolist()
    return Update(
        moved=moved_moved**0.5,
        gradient=given_given**0.5,
        along=-moved_given / ((moved_moved * given_given) ** 0.5 or 1.0),
        each=sorted(typical)[len(typical) // 2] if typical else 0.0,
        shrinks=-moved_was / was_was,
    )


@torch.no_grad()
def _carries(twin: Trainer) -> bool:
    """Whether the state that a step has left makes the next chunk's outputs others."""
    twin.model.eval()
    fresh = twin.model.initial_state(_streams(twin.model, twin.batches.shape[1]))
    first, second = (twin.model(twin.batches[:2], state).raw for state in (fresh, twin.hidden))
    return not torch.equal(first, second)


def _of_worse_epochs(twin: Trainer) -> dict:
    """What the ends of epochs do to learning rate and averaging, if validation gets ever worse."""
    averaging = 0 if twin.average is not None else None
    twin.unigram_loss = math.inf  # only the validation's changes shall end the training
    ends: list[int] = []
    twin.validate = map(float, range(1, WORSE + 1)).__next__
    for epoch in range(1, WORSE + 1):
        twin.token_steps, twin.epoch_seconds = 1, 1.0
        twin.end_epoch()
        if averaging is None and twin.average is not None:
            averaging = epoch
        if twin.finished and epoch < twin.epochs:
            ends.append(epoch)
    rates = [line["learning_rate"] for line in twin.history]
    seen = {}
    with suppress(Diverged):  # at so large a rate two steps show nothing
        averages = averaging is None or _averages(twin)
        seen["averaging_from"] = averaging if averages else None
    return seen | {
        "learning_rate_changes": changes(rates),
        "epochs": twin.epochs,
        "ends_early": ends[0] if ends else None,
    }


def _stops_hopeless(twin: Trainer) -> int:
    """The epoch that ends a training which stays above the loss of word frequencies."""
    twin.unigram_loss, twin.average = 1.0, None
    twin._weights = dict  # nobody needs copies of them
    ends = []
    for best, worst in ((1.0, 2.0), (0.8, 0.9)):
        twin.history, twin.best = [], {"epoch": 0, "loss": math.inf}
        twin.epoch, twin.finished = 1, False
        twin.trigger = NonMonotonicTrigger(twin.spec.non_monotone_interval)
        better = [best + (worst - best) / epoch for epoch in range(1, WORSE + 1)]
        twin.validate = iter(better).__next__
        while not twin.finished and twin.epoch <= WORSE:
            twin.token_steps, twin.epoch_seconds = 1, 1.0
            twin.end_epoch()
        ends.append(len(twin.history))
    above, below = ends
    return above if above < below else 0


def _averages(twin: Trainer) -> bool:
    """Whether what is evaluated after two steps is the mean of what they left."""
    assert twin.average is not None
    twin.average.count, sums = 0, [torch.zeros_like(parameter) for parameter in twin.parameters]
    for _ in range(2):
        twin.step(Chunk(0, LENGTH, 1.0))
        torch._foreach_add_(sums, [parameter.detach() for parameter in twin.parameters])
    with twin.average.applied():
        pairs = zip(twin.parameters, sums, strict=True)
        return all(torch.allclose(mean, total / 2, atol=1e-5) for mean, total in pairs)


def changes(rates: list[float]) -> list[list]:
    """[epoch, share of the first rate] for each epoch whose rate is not that of the one before."""
    return [
        [epoch, round(rate / rates[0], 4)]
        for epoch, (before, rate) in enumerate(pairwise(rates), 2)
        if rate != before
    ]
