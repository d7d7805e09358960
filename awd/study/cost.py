"""What a run costs before it is trained: parameters, operations, seconds on a core or a GPU."""

from collections.abc import Collection, Mapping
from itertools import pairwise

from awd.study.spec import GATES, SHRINKING, RunSpec, cutoffs

CPU_RATE = {"fp32": 140e9, "bf16": 230e9}
"""FLOP/s of one core (AMD EPYC, Zen 5) in the matrix products of a training."""
UPDATE = 0.003
"""Seconds that an update takes on that core beside its matrix products."""
SINGLE = 4
"""Bytes of a number in single precision."""
GPU_RATE = 2.8e12
"""FLOP/s of AWD-LSTM on a GTX 1080 Ti: 48.47 s per PTB epoch in the logs of Yoon et al."""


def core_seconds(spec: RunSpec, stages: Collection[str], sizes: Mapping | None) -> float | None:
    """Estimate how long training takes one CPU core.

    ``stages`` are those to be trained, ``sizes`` is {"vocabulary": types, "tokens": {split:
    tokens}} of the corpus. Returns None if the sizes are not known.
    """
    if sizes is None:
        return None
    tokens = _tokens(spec, stages, sizes)
    products = tokens * operations(spec, sizes["vocabulary"]) / CPU_RATE[spec.precision]
    return products + tokens / (spec.batch_size * spec.bptt) * UPDATE


def gpu_seconds(spec: RunSpec, stages: Collection[str], sizes: Mapping | None) -> float | None:
    """Estimate how long training takes a GPU; arguments as for `core_seconds`."""
    if sizes is None:
        return None
    return _tokens(spec, stages, sizes) * operations(spec, sizes["vocabulary"]) / GPU_RATE


def kept_bytes(spec: RunSpec, stages: Collection[str], sizes: Mapping | None) -> float | None:
    """Estimate the bytes that stay after training: weights, and the losses of each token.

    Arguments as for `core_seconds`; an evaluation is taken to be made of each stage. Both are in
    single precision.
    """
    if sizes is None:
        return None
    losses = sum(sizes["tokens"][split] for split in ("valid", "test"))
    return len(stages) * SINGLE * (parameters(spec, sizes["vocabulary"]) + losses)


def checkpoint_bytes(spec: RunSpec, sizes: Mapping | None) -> float | None:
    """Estimate the bytes of the checkpoints of a run that trains: two generations.

    Each has the weights, the best weights, the averages of NT-ASGD, and the two moments of AdamW.
    """
    if sizes is None:
        return None
    copies = {"sgd": 2, "nt-asgd": 3, "adamw": 4}[spec.optimizer]
    return 2 * copies * SINGLE * parameters(spec, sizes["vocabulary"])


def _tokens(spec: RunSpec, stages: Collection[str], sizes: Mapping) -> int:
    epochs = spec.epochs + ("finetune" in stages) * spec.finetune_epochs
    return train_tokens(spec, sizes["tokens"]["train"]) * epochs


def train_tokens(spec: RunSpec, available: int) -> int:
    """Return how many of the ``available`` tokens of the training text are used."""
    return min(spec.train_tokens or available, available)


def operations(spec: RunSpec, vocabulary: int) -> int:
    """Count floating-point operations of training per token: 6 per parameter in a product.

    The two directions of objective both-directions share a decoder, and use it once each.
    """
    uses = 2 if spec.objective == "both-directions" else 1
    return 6 * (_recurrent_parameters(spec) + uses * _decoder_parameters(spec, vocabulary))


def parameters(spec: RunSpec, vocabulary: int) -> int:
    """Count the trainable parameters of the model over ``vocabulary`` word types."""
    outputs = sum(width for _, width in spec.layer_sizes())
    biases = spec.stacks * 2 * GATES[spec.cell] * outputs
    embedding = 0 if spec.tied else vocabulary * spec.embedding_size
    if spec.softmax == "adaptive":
        bounds = cutoffs(vocabulary)
        biases += bounds[0] + len(bounds)
    else:
        biases += vocabulary
    matrices = _recurrent_parameters(spec) + _decoder_parameters(spec, vocabulary)
    return matrices + biases + embedding


def _recurrent_parameters(spec: RunSpec) -> int:
    features = spec.features
    count = 4 * features**2 + features if spec.attention_window else 0
    for width_in, width_out in spec.layer_sizes():
        directions = 2 if spec.bidirectional else 1
        width = width_out // directions
        count += spec.stacks * directions * GATES[spec.cell] * width * (width_in + width)
    return count


def _decoder_parameters(spec: RunSpec, vocabulary: int) -> int:
    features = spec.features
    if spec.softmax == "full":
        return vocabulary * features
    bounds = [*cutoffs(vocabulary), vocabulary]
    count = features * (bounds[0] + len(bounds) - 1)
    for number, (start, end) in enumerate(pairwise(bounds), 1):
        narrow = int(features // SHRINKING**number)
        count += narrow * (features + end - start)
    return count
