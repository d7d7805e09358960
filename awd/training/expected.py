"""Expected probe results for a spec, compared with the observed ones.

See `training.probes` for the names. A training does not begin if its model contradicts its spec,
and rows are compared by what they really change.
"""

import math
from collections.abc import Mapping

from awd.study.spec import GATES, RunSpec
from awd.training.ntasgd import NonMonotonicTrigger
from awd.training.probes import COLUMNS, WORDS, WORSE, changes
from awd.training.schedules import Schedule
from awd.vocabulary import Stage

SEEN_FOR_SURE = 30
"""Expected number of dropped units above which none at all means that there is no dropout."""


def contradiction(spec: RunSpec, stage: str, observed: Mapping) -> str | None:
    """Return the first observation that contradicts ``spec`` as a sentence, or None."""
    for name, value in expected(spec, stage).items():
        if name in observed and differs(name, observed[name], value, spec):
            return (
                f"{name} is {plain(observed[name])} as observed on the model to be trained, but "
                f"its spec requires {plain(value)}"
            )
    return None


def differences(one: Mapping, other: Mapping, spec: RunSpec) -> dict[str, tuple]:
    """Return (one, other) of each observation that differs; ``spec`` belongs to the first."""
    return {
        name: (one[name], other[name])
        for name in one
        if name in other and differs(name, one[name], other[name], spec)
    }


def expected(spec: RunSpec, stage: str) -> dict:
    """Return the probe results that ``spec`` requires, without those that no probe can show."""
    rate, decay = Schedule(spec).rate, spec.weight_decay
    last = spec.layers == 1
    dropouts = {name: getattr(spec, name) for name in ("dropout_input", "dropout_output")}
    if not last:
        dropouts["dropout_hidden"] = spec.dropout_hidden
    same = (
        "cell",
        "layers",
        "embedding_size",
        "tied",
        "softmax",
        "bidirectional",
        "objective",
        "attention_window",
        "precision",
        "dropout_embedding",
        "weight_drop",
        "activation_regularization",
        "temporal_activation_regularization",
        "batch_size",
        "bptt",
        "variable_bptt",
    )
    values = {name: getattr(spec, name) for name in same} | dropouts
    if not (last and spec.tied):
        values["hidden_size"] = spec.hidden_size
    if any(dropouts.values()):
        values["dropout_kind"] = spec.dropout_kind
    if spec.bidirectional or spec.stacks == 2:
        # As in the implementation Yoon et al. ran; stacks of their own are all dropped.
        values["weight_drop_backward"] = 0.0 if spec.bidirectional else spec.weight_drop
    if spec.reading == "sentences":
        del values["bptt"]
    values |= {"carried_state": spec.reading == "stream", "learning_rate": rate}
    values["rate_rescaling"] = spec.variable_bptt
    if rate:
        values["optimizer"] = (
            "adamw" if (spec.optimizer, stage) == ("adamw", Stage.TRAIN) else "sgd"
        )
        values["clip"] = spec.clip
        if rate * decay > 1e-6 or not decay:  # else it is lost in rounding
            values["weight_decay"] = decay
    values["averaging_from"] = _averaging_from(spec, stage)
    values["epochs"] = spec.epochs if stage == Stage.TRAIN else spec.finetune_epochs
    values["learning_rate_changes"] = _rate_changes(spec, values["epochs"])
    values["ends_early"] = _ends_early(spec, stage, values["epochs"])
    stops = stage == Stage.TRAIN and spec.stop_hopeless < min(WORSE, spec.epochs)
    values["stop_hopeless"] = spec.stop_hopeless if stops else 0
    return values


def differs(name: str, one: object, other: object, spec: RunSpec) -> bool:
    """Return whether two values of a probe differ by more than its measurement error.

    Shares of dropped recurrent weights are counts; rates and coefficients are computed from
    single-precision weights; rare dropout may not show at all.
    """
    if (
        isinstance(one, bool)
        or not isinstance(one, int | float)
        or not isinstance(other, int | float)
    ):
        return one != other
    if name.startswith("weight_drop"):
        width = min(width for _, width in spec.layer_sizes()) // (2 if spec.bidirectional else 1)
        count, p = GATES[spec.cell] * width**2, max(one, other)
        return abs(one - other) > 5 * math.sqrt(p * (1 - p) / count) + 1e-3
    if name.startswith("dropout") and min(one, other) == 0:
        units = WORDS if name == "dropout_embedding" else COLUMNS * spec.embedding_size
        return max(one, other) * units >= SEEN_FOR_SURE
    error = 1e-6 if name.startswith("dropout") else 0.0
    relative = 0.03 if name == "weight_decay" else 0.005
    return not math.isclose(one, other, rel_tol=relative, abs_tol=error)


def plain(value: object) -> str:
    """Return the result of a probe in words."""
    if isinstance(value, bool) or value is None:
        return {True: "on", False: "off", None: "absent"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)


def _averaging_from(spec: RunSpec, stage: str) -> int | None:
    if stage == Stage.FINETUNE:
        return 0
    return _first_firing(spec) if spec.optimizer == "nt-asgd" else None


def _first_firing(spec: RunSpec) -> int | None:
    trigger = NonMonotonicTrigger(spec.non_monotone_interval)
    return next((epoch for epoch in range(1, WORSE + 1) if trigger.fires(epoch)), None)


def _ends_early(spec: RunSpec, stage: str, epochs: int) -> int | None:
    if stage == Stage.FINETUNE:
        end = _first_firing(spec)
    else:
        end = spec.patience + 1 if spec.patience else None  # the first epoch stays the best
    return end if end is not None and end < min(WORSE + 1, epochs) else None


def _rate_changes(spec: RunSpec, epochs: int) -> list[list]:
    schedule, rates = Schedule(spec, epochs), []
    for epoch in range(1, WORSE + 1):
        rates.append(schedule.rate)
        schedule.epoch_ended(float(epoch))
    return changes(rates) if spec.learning_rate else []
