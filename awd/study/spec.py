"""A run's hyperparameters: each named once, with its default, unit and meaning.

A run is its hyperparameters and nothing else: labels, suites and the order of keys have no part
in its name. Defaults are the plain model (no regulariser, constant learning rate), are omitted
from the canonical form, and must therefore never change; a new hyperparameter whose default is
the old behaviour leaves every existing run's name as it was.
"""

import hashlib
import json
import math
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from itertools import pairwise

from awd.errors import InputError, nearest

RECIPE = 1
"""Raised when the training code changes what a spec means; every run is then trained anew."""

GATES = {"lstm": 4, "gru": 3, "rnn": 1}
CUTOFFS = (2_800, 20_000, 76_000)
"""Adaptive softmax: ranks where a cluster of rarer words begins, as in the AWD-LSTM code."""
SHRINKING = 4.0
"""Adaptive softmax: each rarer cluster has this many times fewer features."""
OBJECTIVES = ("next-word", "both-directions", "cloze")
SCHEDULES = ("constant", "step", "plateau", "non-monotonic", "cosine", "cyclical")


def hyperparameter(default, meaning, *, minimum=None, below=None, choices=None):
    """A dataclass field that carries its meaning and what values it allows."""
    return field(
        default=default,
        metadata={"meaning": meaning, "minimum": minimum, "below": below, "choices": choices},
    )


@dataclass(frozen=True, kw_only=True)
class RunSpec:
    """Everything that decides the outcome of one training.

    Raises InputError if a value has the wrong type or lies outside what its field allows.
    """

    corpus: str
    seed: int = hyperparameter(1, "seed of initial weights, dropout masks and lengths", minimum=0)

    # The network
    cell: str = hyperparameter("lstm", "recurrent cell", choices=tuple(GATES))
    layers: int = hyperparameter(1, "recurrent layers", minimum=1, below=1000)
    hidden_size: int = hyperparameter(200, "units of each layer but a tied last", minimum=1)
    embedding_size: int = hyperparameter(200, "size of a word vector", minimum=1)
    tied: bool = hyperparameter(False, "decoder and embedding share one matrix")
    softmax: str = hyperparameter(
        "full", "adaptive: rare words in clusters of fewer features", choices=("full", "adaptive")
    )
    bidirectional: bool = hyperparameter(False, "each layer also reads backwards: sees the future")
    objective: str = hyperparameter(
        "next-word",
        "next-word: each word from those before it; both-directions: and each by a second model "
        "from those after it; cloze: each word from both sides",
        choices=OBJECTIVES,
    )
    attention_window: int = hyperparameter(
        0, "attention over this many earlier outputs of the last layer; 0: none", minimum=0
    )
    initialization: str = hyperparameter(
        "embedding-uniform",
        "embedding-uniform: word vectors and decoder U(-r, r), recurrent U(-1/sqrt(h), 1/sqrt(h)); "
        "uniform: every parameter U(-r, r)",
        choices=("embedding-uniform", "uniform"),
    )
    initial_range: float = hyperparameter(0.1, "r of the initialisation", minimum=0)

    # Regularisers
    weight_drop: float = hyperparameter(
        0.0, "share of recurrent weights dropped per forward pass", minimum=0, below=1
    )
    dropout_kind: str = hyperparameter(
        "locked",
        "locked: one mask for all time steps; standard: a new one at each",
        choices=("locked", "standard"),
    )
    dropout_embedding: float = hyperparameter(
        0.0, "share of word types dropped whole per forward pass", minimum=0, below=1
    )
    dropout_input: float = hyperparameter(0.0, "dropout on word vectors", minimum=0, below=1)
    dropout_hidden: float = hyperparameter(0.0, "dropout between layers", minimum=0, below=1)
    dropout_output: float = hyperparameter(
        0.0, "dropout on the last layer's output", minimum=0, below=1
    )
    activation_regularization: float = hyperparameter(
        0.0, "AR coefficient alpha, on the dropped output's mean square", minimum=0
    )
    temporal_activation_regularization: float = hyperparameter(
        0.0, "TAR coefficient beta, on the mean square of output changes", minimum=0
    )
    weight_decay: float = hyperparameter(0.0, "L2 coefficient on every parameter", minimum=0)

    # Batches
    batch_size: int = hyperparameter(20, "parallel streams of text", minimum=1)
    bptt: int = hyperparameter(35, "time steps between truncations of the gradient", minimum=2)
    variable_bptt: bool = hyperparameter(
        False, "draw each length around bptt (5%: around half of it) and scale the rate by it"
    )

    # Optimisation
    optimizer: str = hyperparameter(
        "sgd", "nt-asgd: SGD, averaged once triggered", choices=("sgd", "adamw", "nt-asgd")
    )
    learning_rate: float = hyperparameter(1.0, "initial step size", minimum=0)
    schedule: str = hyperparameter(
        "constant", "how the rate changes over the epochs: see schedules.py", choices=SCHEDULES
    )
    decay_factor: float = hyperparameter(2.0, "what a schedule divides the rate by", minimum=1)
    decay_first: int = hyperparameter(1, "step: epochs before the first division", minimum=1)
    decay_every: int = hyperparameter(1, "step: epochs from one division to the next", minimum=1)
    minimum_rate: float = hyperparameter(0.0, "cosine, cyclical: the lowest rate", minimum=0)
    cycle_epochs: int = hyperparameter(2, "cyclical: epochs of a period", minimum=2)
    non_monotone_interval: int = hyperparameter(
        5, "epochs of patience n of the NT-ASGD trigger", minimum=1
    )
    precision: str = hyperparameter(
        "fp32",
        "bf16: training rounds the operands of matrix products to bfloat16; an adaptive softmax's "
        "stay as they are",
        choices=("fp32", "bf16"),
    )
    clip: float = hyperparameter(0.25, "largest global gradient norm; 0: no clipping", minimum=0)
    epochs: int = hyperparameter(40, "most passes over the training split", minimum=1)
    patience: int = hyperparameter(
        0, "training ends after so many epochs without better validation; 0: never", minimum=0
    )
    finetune_epochs: int = hyperparameter(
        0, "most epochs of the ASGD stage after training; 0: no such stage", minimum=0
    )

    def __post_init__(self):
        for item in fields(self):
            object.__setattr__(self, item.name, _checked(item, getattr(self, item.name)))
        halved = {"bidirectional": self.bidirectional, "cloze": self.objective == "cloze"}
        for name, is_halved in halved.items():
            if is_halved and any(width % 2 for width in self._widths()):
                raise InputError(
                    f"{name}: hidden_size (and embedding_size if tied) must be even, "
                    f"not {self.hidden_size} ({self.embedding_size})"
                )
        if self.bidirectional and self.objective != "next-word":
            raise InputError(
                f"objective: '{self.objective}' has two separate directions; bidirectional layers "
                "would mix them"
            )
        if self.attention_window and self.objective != "next-word":
            raise InputError("attention_window: attention needs objective 'next-word'")
        if self.tied and self.softmax == "adaptive":
            raise InputError("softmax: 'adaptive' has matrices of its own; it cannot be tied")
        if self.optimizer == "nt-asgd" and self.schedule == "non-monotonic":
            raise InputError(
                "schedule: 'non-monotonic' shares its trigger with optimizer 'nt-asgd'; "
                "use it with 'sgd' or 'adamw'"
            )

    def canonical(self) -> str:
        """The spec as JSON: keys sorted, numbers normalised, fields at their default left out."""
        return json.dumps(
            {
                item.name: _normal(getattr(self, item.name))
                for item in fields(self)
                if getattr(self, item.name) != item.default
            },
            sort_keys=True,
            separators=(",", ":"),
        )

    def as_dict(self) -> dict:
        """Every hyperparameter, defaults included."""
        return {name: _normal(value) for name, value in asdict(self).items()}

    def run(self, fingerprint: str) -> str:
        """The name of the run of this spec on the corpus with this ``fingerprint``."""
        identity = json.dumps([self.canonical(), fingerprint, RECIPE])
        digest = hashlib.sha256(identity.encode()).hexdigest()[:10]
        kind = "" if self.objective == "next-word" else f"{self.objective}-"
        cell = kind + ("bi" if self.bidirectional else "") + self.cell
        size = f"{self.layers}x{self.hidden_size}"
        return f"{self.corpus}-{cell}{size}-{self.optimizer}-s{self.seed}-{digest}"

    @property
    def stacks(self) -> int:
        """How many stacks of layers there are: a second one reads backwards."""
        return 1 if self.objective == "next-word" else 2

    @property
    def features(self) -> int:
        """Width of what the decoder reads: the embedding's if tied."""
        return self.embedding_size if self.tied else self.hidden_size

    def _widths(self) -> list[int]:
        return [self.hidden_size] * (self.layers - 1) + [self.features]

    def layer_sizes(self) -> list[tuple[int, int]]:
        """(input, output) width of each recurrent layer of a stack.

        The last layer is as wide as what the decoder reads. Both directions of a bidirectional
        layer are counted together; the two stacks of a cloze model have half of each width.
        """
        outputs = self._widths()
        if self.objective == "cloze":
            outputs = [width // 2 for width in outputs]
        return list(zip([self.embedding_size, *outputs[:-1]], outputs, strict=True))

    def operations(self, vocabulary: int) -> int:
        """Floating-point operations of training on a token: 6 for each parameter in a product.

        The two directions of a model of both share a decoder, and use it once each.
        """
        decoded = 2 if self.objective == "both-directions" else 1
        decoder = self._decoder_parameters(vocabulary)
        return 6 * (self._recurrent_parameters() + decoded * decoder)

    def _recurrent_parameters(self) -> int:
        features = self.features
        count = 4 * features**2 + features if self.attention_window else 0
        for width_in, width_out in self.layer_sizes():
            directions = 2 if self.bidirectional else 1
            width = width_out // directions
            count += self.stacks * directions * GATES[self.cell] * width * (width_in + width)
        return count

    def _decoder_parameters(self, vocabulary: int) -> int:
        features = self.features
        if self.softmax == "full":
            return vocabulary * features
        bounds = [*cutoffs(vocabulary), vocabulary]
        count = features * (bounds[0] + len(bounds) - 1)
        for number, (start, end) in enumerate(pairwise(bounds), 1):
            narrow = int(features // SHRINKING**number)
            count += narrow * (features + end - start)
        return count

    def parameters(self, vocabulary: int) -> int:
        """Trainable parameters of the model over ``vocabulary`` word types."""
        outputs = sum(width for _, width in self.layer_sizes())
        biases = self.stacks * 2 * GATES[self.cell] * outputs
        embedding = 0 if self.tied else vocabulary * self.embedding_size
        if self.softmax == "adaptive":
            bounds = cutoffs(vocabulary)
            biases += bounds[0] + len(bounds)
        else:
            biases += vocabulary
        matrices = self._recurrent_parameters() + self._decoder_parameters(vocabulary)
        return matrices + biases + embedding


def cutoffs(vocabulary: int) -> list[int]:
    """Where the clusters of an adaptive softmax begin: at least one, so that it is adaptive.

    >>> cutoffs(33_278), cutoffs(1_600)
    ([2800, 20000], [400])
    """
    return [rank for rank in CUTOFFS if rank < vocabulary] or [max(1, vocabulary // 4)]


HYPERPARAMETERS = {item.name: item for item in fields(RunSpec)}


def check_value(name: str, value: object) -> None:
    """Raise InputError if ``value`` is not allowed for the hyperparameter called ``name``."""
    _checked(HYPERPARAMETERS[name], value)


def make_spec(settings: Mapping, where: str) -> RunSpec:
    """A RunSpec from plain ``settings``; errors are prefixed with ``where`` they were written.

    Raises InputError for a hyperparameter that does not exist, with the nearest that does.
    """
    for key in settings:
        if key not in HYPERPARAMETERS:
            raise InputError(f"{where}: no hyperparameter '{key}'; {nearest(key, HYPERPARAMETERS)}")
    if "corpus" not in settings:
        raise InputError(f"{where}: corpus is missing")
    try:
        return RunSpec(**settings)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


def parse_spec(text: str) -> RunSpec:
    """A RunSpec from its canonical JSON, as given on a command line."""
    try:
        settings = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"the run's spec is not JSON: {error}") from error
    if not isinstance(settings, dict):
        raise InputError("the run's spec must be a JSON object of hyperparameters")
    return make_spec(settings, "the run's spec")


def _normal(value):
    """30.0 and 30 are the same number, so they must print the same."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _checked(item, value):
    name, rules = item.name, item.metadata
    if item.type is float and type(value) is int and abs(value) <= sys.float_info.max:
        value = float(value)
    if item.type is int and type(value) is float and value.is_integer():
        value = int(value)
    if type(value) is int and abs(value) >= 1 << 63:
        raise InputError(f"{name} is too large")
    if type(value) is not item.type:
        kind = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
        hint = ""
        if item.type is float and isinstance(value, str) and _is_number(value):
            hint = f"; YAML reads {value} as text, write {float(value)!r} with a decimal point"
        raise InputError(f"{name} must be {kind[item.type]}, not {value!r}{hint}")
    if isinstance(value, float) and not math.isfinite(value):
        raise InputError(f"{name} must be finite, not {value}")
    if rules.get("choices") and value not in rules["choices"]:
        raise InputError(f"{name}: no '{value}'; {nearest(value, rules['choices'])}")
    if rules.get("minimum") is not None and value < rules["minimum"]:
        raise InputError(f"{name} must be at least {rules['minimum']}, not {_normal(value)}")
    if rules.get("below") is not None and value >= rules["below"]:
        raise InputError(f"{name} must be below {rules['below']}, not {_normal(value)}")
    return value


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
