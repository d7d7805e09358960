"""A run's hyperparameters: each is named once, with its default, unit and meaning.

Only hyperparameters decide a run's name: labels, suites and the order of keys have no part in it.
Defaults are the plain model (no regulariser, constant learning rate). The canonical form omits
defaults, so a default must never change, and a new hyperparameter whose default is the old
behaviour keeps the names of all existing runs.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from awd.errors import InputError
from awd.study.validation import Model, Name, Whole, described, refuse, validate, whole

RECIPE = 1
"""Raised when the training code changes what a spec means; every run is then trained anew."""

GATES = {"lstm": 4, "gru": 3, "rnn": 1}
CUTOFFS = (2_800, 20_000, 76_000)
"""Adaptive softmax: ranks where a cluster of rarer words begins, as in the AWD-LSTM code."""
SHRINKING = 4.0
"""Adaptive softmax: each rarer cluster has this many times fewer features."""
FEWEST_STEPS = 3
"""Of each parallel stream of the training text: a chunk of two, and the last word to predict."""
Objective = Literal["next-word", "both-directions", "cloze"]

MOST = 1 << 63
Count = Annotated[Whole, Field(ge=1, lt=MOST)]
OrNone = Annotated[Whole, Field(ge=0, lt=MOST)]
Share = Annotated[float, Field(ge=0, lt=1)]
Amount = Annotated[float, Field(ge=0)]


VALUES = {
    "softmax": {"adaptive": "rare words are in clusters of fewer features"},
    "objective": {
        "next-word": "predict each word from those before it",
        "both-directions": "also predict each word from those after it, with a second model",
        "cloze": "predict each word from both sides",
    },
    "initialization": {
        "embedding-uniform": "word vectors and decoder U(-r, r), recurrent U(-1/sqrt(h), "
        "1/sqrt(h))",
        "uniform": "every parameter U(-r, r)",
    },
    "dropout_kind": {
        "locked": "one mask for all time steps",
        "standard": "a new mask at each step",
    },
    "reading": {
        "stream": "the text is one sequence, and the state is carried over",
        "sentences": "each line is read by itself, from a state of zeros, in batches of batch_size "
        "lines that are shuffled in each epoch. The first word of a line is not predicted, and "
        "bptt has no effect",
    },
    "optimizer": {"nt-asgd": "SGD, averaged from the epoch in which the trigger fires"},
    "schedule": {
        "step": "divides the learning rate after decay_first epochs and every decay_every epochs "
        "from then on",
        "plateau": "divides the learning rate after each epoch without a new best validation loss",
        "non-monotonic": "divides the learning rate when the NT-ASGD trigger fires",
        "one-cycle": "raises the learning rate from 1/25 of it in the first 30% of all updates, "
        "then lowers it to nearly 0, while AdamW's momentum goes from 0.95 to 0.85 and back",
    },
    "precision": {
        "bf16": "training rounds the operands of matrix products to bfloat16, except in an "
        "adaptive softmax"
    },
}
"""What the values of a hyperparameter mean that are names."""


def _values(name: str) -> str:
    return "; ".join(f"{value}: {meaning}" for value, meaning in VALUES[name].items())


class Hyperparameters(Model):
    """Everything about a training but its corpus and seed."""

    part: ClassVar[str] = "hyperparameter"

    # The network
    cell: Literal["lstm", "gru", "rnn"] = described("recurrent cell", "lstm")
    layers: Annotated[Count, Field(lt=1000)] = described("number of recurrent layers", 1)
    hidden_size: Count = described(
        "units per layer; if tied, the last layer has embedding_size units instead", 200
    )
    embedding_size: Count = described("size of a word vector", 200)
    tied: bool = described(
        "decoder and embedding share one matrix, so the last layer has embedding_size units", False
    )
    softmax: Literal["full", "adaptive"] = described(_values("softmax"), "full")
    bidirectional: bool = described(
        "each layer also reads backwards, so the model sees the words it predicts", False
    )
    objective: Objective = described(_values("objective"), "next-word")
    attention_window: OrNone = described(
        "number of earlier outputs of the last layer to attend to; 0: no attention", 0
    )
    initialization: Literal["embedding-uniform", "uniform"] = described(
        _values("initialization"), "embedding-uniform"
    )
    initial_range: Amount = described("r of the initialization", 0.1)

    # Regularisers
    weight_drop: Share = described("share of recurrent weights dropped in each forward pass", 0.0)
    dropout_kind: Literal["locked", "standard"] = described(_values("dropout_kind"), "locked")
    dropout_embedding: Share = described(
        "share of word types whose vectors are dropped in each forward pass", 0.0
    )
    dropout_input: Share = described("dropout on word vectors", 0.0)
    dropout_hidden: Share = described("dropout between layers", 0.0)
    dropout_output: Share = described("dropout on the output of the last layer", 0.0)
    activation_regularization: Amount = described(
        "coefficient alpha of AR, on the mean square of the dropped output", 0.0
    )
    temporal_activation_regularization: Amount = described(
        "coefficient beta of TAR, on the mean square of changes of the output", 0.0
    )
    weight_decay: Amount = described("L2 coefficient on every parameter", 0.0)

    # Batches
    reading: Literal["stream", "sentences"] = described(_values("reading"), "stream")
    train_tokens: OrNone = described(
        "train on the first so many tokens of the training split; 0: all. The vocabulary stays "
        "that of the whole corpus",
        0,
    )
    batch_size: Count = described("number of parallel streams of text", 20)
    bptt: Annotated[Whole, Field(ge=2, lt=MOST)] = described(
        "time steps between truncations of the gradient", 35
    )
    variable_bptt: bool = described(
        "draw each length around bptt (5%: around half of it) and scale the learning rate by it",
        False,
    )

    # Optimisation
    optimizer: Literal["sgd", "adamw", "nt-asgd"] = described(_values("optimizer"), "sgd")
    learning_rate: Amount = described("initial step size; of one-cycle the largest", 1.0)
    schedule: Literal["constant", "step", "plateau", "non-monotonic", "one-cycle"] = described(
        _values("schedule"), "constant"
    )
    decay_factor: Annotated[float, Field(ge=1)] = described(
        "the schedule divides the learning rate by this number", 2.0
    )
    decay_first: Count = described("step: epochs before the first division", 1)
    decay_every: Count = described("step: epochs from one division to the next", 1)
    non_monotone_interval: Count = described("epochs of patience n of the NT-ASGD trigger", 5)
    precision: Literal["fp32", "bf16"] = described(_values("precision"), "fp32")
    clip: Amount = described("largest global norm of the gradient; 0: no clipping", 0.25)
    epochs: Count = described("largest number of passes over the training split", 40)
    patience: OrNone = described(
        "end training after this many epochs without better validation; 0: never", 0
    )
    stop_hopeless: OrNone = described(
        "end training after this many epochs if no validation perplexity was below that of the "
        "training text's word frequencies; its status is then hopeless; 0: never",
        0,
    )
    finetune_epochs: OrNone = described(
        "largest number of epochs of the ASGD stage after training; 0: no such stage", 0
    )


class RunSpec(Hyperparameters):
    """Everything that decides the outcome of one training."""

    corpus: Name = described("name of the training text")
    seed: OrNone = described("seed of initial weights, dropout masks and sequence lengths", 1)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        halved = {"bidirectional": self.bidirectional, "cloze": self.objective == "cloze"}
        for name, is_halved in halved.items():
            if is_halved and any(width % 2 for width in self._widths()):
                raise refuse(
                    f"{name}: hidden_size (and embedding_size if tied) must be even, "
                    f"not {self.hidden_size} ({self.embedding_size})"
                )
        if self.bidirectional and self.objective != "next-word":
            raise refuse(
                f"objective: '{self.objective}' has two separate directions; bidirectional layers "
                "would mix them"
            )
        if self.attention_window and self.objective != "next-word":
            raise refuse("attention_window: attention needs objective 'next-word'")
        if self.reading == "sentences":
            self._fits_sentences()
        elif 0 < self.train_tokens < FEWEST_STEPS * self.batch_size:
            raise refuse(
                f"train_tokens: {self.train_tokens} tokens are too few for batch_size "
                f"{self.batch_size}: each of the parallel streams needs {FEWEST_STEPS}"
            )
        if self.tied and self.softmax == "adaptive":
            raise refuse("softmax: 'adaptive' has matrices of its own; it cannot be tied")
        if self.optimizer == "nt-asgd" and self.schedule == "non-monotonic":
            raise refuse(
                "schedule: 'non-monotonic' shares its trigger with optimizer 'nt-asgd'; "
                "use it with 'sgd' or 'adamw'"
            )
        return self

    def _fits_sentences(self) -> None:
        wrong = {
            "bidirectional": self.bidirectional,
            f"objective '{self.objective}'": self.objective != "next-word",
            "variable_bptt": self.variable_bptt,
        }
        for what, is_set in wrong.items():
            if is_set:
                raise refuse(f"reading: 'sentences' does not go together with {what}")

    def canonical(self) -> str:
        """Return the spec as JSON: keys sorted, numbers normalised, defaults left out."""
        values = self.model_dump(exclude_defaults=True)
        values = {key: whole(value) for key, value in values.items()}
        return json.dumps(values, sort_keys=True, separators=(",", ":"))

    def as_dict(self) -> dict:
        """Return every hyperparameter, defaults included, corpus and seed first."""
        values = {"corpus": self.corpus, "seed": self.seed} | self.__dict__
        return {key: whole(value) for key, value in values.items()}

    def changed(self, **values: object) -> Self:
        """Return the spec with other ``values``, checked as `make_spec` does."""
        return validate(type(self), {**self.__dict__, **values}, "the changed spec")

    def run(self, fingerprint: str) -> str:
        """Return the name of the run of this spec on the corpus with this ``fingerprint``."""
        identity = json.dumps([self.canonical(), fingerprint, RECIPE])
        digest = hashlib.sha256(identity.encode()).hexdigest()[:10]
        kind = "" if self.objective == "next-word" else f"{self.objective}-"
        cell = kind + ("bi" if self.bidirectional else "") + self.cell
        size = f"{self.layers}x{self.hidden_size}"
        return f"{self.corpus}-{cell}{size}-{self.optimizer}-s{self.seed}-{digest}"

    @property
    def stacks(self) -> int:
        """The number of stacks of layers: a second one reads backwards."""
        return 1 if self.objective == "next-word" else 2

    @property
    def features(self) -> int:
        """Width of the decoder's input: the embedding's if tied."""
        return self.embedding_size if self.tied else self.hidden_size

    def _widths(self) -> list[int]:
        return [self.hidden_size] * (self.layers - 1) + [self.features]

    def layer_sizes(self) -> list[tuple[int, int]]:
        """Return the (input, output) width of each recurrent layer of a stack.

        The last layer is as wide as the decoder's input. Both directions of a bidirectional layer
        are counted together; the two stacks of a cloze model have half of each width.
        """
        outputs = self._widths()
        if self.objective == "cloze":
            outputs = [width // 2 for width in outputs]
        return list(zip([self.embedding_size, *outputs[:-1]], outputs, strict=True))


def too_few_steps(spec: RunSpec, available: int) -> str | None:
    """Return the complaint about a training text of ``available`` tokens, None if they suffice.

    Each of the parallel streams needs FEWEST_STEPS tokens; a model that reads line by line has no
    such streams.
    """
    tokens = min(spec.train_tokens or available, available)
    steps = tokens // spec.batch_size
    if spec.reading == "sentences" or steps >= FEWEST_STEPS:
        return None
    return (
        f"batch_size {spec.batch_size} leaves {steps} steps of the {tokens} training tokens of "
        f"'{spec.corpus}'; at least {FEWEST_STEPS} are needed"
    )


HYPERPARAMETERS = RunSpec.model_fields
DEFAULTS = {key: field.default for key, field in HYPERPARAMETERS.items() if not field.is_required()}


def meaning(name: str, value: object) -> str:
    """Return what a hyperparameter does with this ``value``; empty where the value says it."""
    if name in VALUES:
        return VALUES[name].get(str(value), "")
    return HYPERPARAMETERS[name].description or ""


def without_defaults(values: Mapping) -> dict:
    """Return what of a spec's ``values``, as `RunSpec.as_dict` gives them, is no default.

    Plans and records of an older version lack the hyperparameters that were added since: what they
    have in common with newer ones shows only without defaults.
    """
    return {
        key: each for key, each in values.items() if key not in DEFAULTS or each != DEFAULTS[key]
    }


def cutoffs(vocabulary: int) -> list[int]:
    """Return where the clusters of an adaptive softmax begin: at least one.

    >>> cutoffs(33_278), cutoffs(1_600)
    ([2800, 20000], [400])
    """
    return [rank for rank in CUTOFFS if rank < vocabulary] or [max(1, vocabulary // 4)]


def make_spec(settings: Mapping, where: str) -> RunSpec:
    """Return a RunSpec from plain ``settings``.

    Raises InputError, prefixed with ``where``, for a value that is not allowed and for a
    hyperparameter that does not exist, with the nearest one that does.
    """
    return validate(RunSpec, settings, where)


def parse_spec(text: str) -> RunSpec:
    """Return a RunSpec from its canonical JSON, as given on a command line; raises InputError."""
    try:
        settings = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"the run's spec is not JSON: {error}") from error
    return make_spec(settings, "the run's spec")
