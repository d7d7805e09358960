"""What is observed on a built model is what its spec says, and what a row's label promises."""

import numpy as np
import pytest
import torch

import awd.model.language_model
from awd.corpora import Corpus
from awd.errors import InputError
from awd.model import regularizers
from awd.model.language_model import DROPOUTS
from awd.model.recurrent_layer import RecurrentLayer
from awd.places import SUITES
from awd.study.config import CONFIG, load_config
from awd.study.plan import Plan
from awd.study.spec import RunSpec
from awd.training import optimizers, trainer
from awd.training.expected import contradiction, differences, expected
from awd.training.ntasgd import Average, NonMonotonicTrigger
from awd.training.probes import observe
from awd.training.stage import train_stage
from awd.training.trainer import Trainer

CPU = torch.device("cpu")
PLAIN = {"hidden_size": 32, "embedding_size": 28, "layers": 2, "batch_size": 8, "bptt": 20}
FULL = PLAIN | {
    "tied": True,
    "weight_drop": 0.5,
    "dropout_embedding": 0.1,
    "dropout_input": 0.4,
    "dropout_hidden": 0.3,
    "dropout_output": 0.2,
    "activation_regularization": 2,
    "temporal_activation_regularization": 1,
    "weight_decay": 1.2e-6,
    "variable_bptt": True,
    "optimizer": "nt-asgd",
    "learning_rate": 30,
    "finetune_epochs": 3,
}


@pytest.fixture(scope="module")
def text() -> Corpus:
    """Random words, enough of them for a dozen chunks, in lines."""
    draw = np.random.default_rng(0)
    splits = {
        name: draw.integers(0, 1000, size).astype(np.uint16)
        for name, size in {"train": 3000, "valid": 200, "test": 200}.items()
    }
    for tokens in splits.values():
        tokens[9::10] = 0
    words = ["<eos>", *(f"w{number}" for number in range(1, 1000))]
    return Corpus("words", "f" * 64, words, **splits, info={})


def spec_of(**settings) -> RunSpec:
    return RunSpec(corpus="words", **settings)


def seen(text, spec, stage="train") -> dict:
    return observe(Trainer(spec, text, stage, CPU))


# every row of every suite -------------------------------------------------------------------

SHOWN_BY = {
    "variable_bptt": {"variable_bptt", "rate_rescaling"},
    "optimizer": {"optimizer", "averaging_from"},
    "non_monotone_interval": {"averaging_from", "ends_early", "learning_rate_changes"},
    "bidirectional": {"bidirectional", "weight_drop_backward"},
    "objective": {"objective", "weight_drop_backward"},
    "patience": {"ends_early"},
    "stop_hopeless": {"stop_hopeless"},
    "reading": {"carried_state"},
    "schedule": {"learning_rate_changes"},
    "decay_factor": {"learning_rate_changes"},
    "decay_first": {"learning_rate_changes"},
    "decay_every": {"learning_rate_changes"},
    # With the first or last dropout, the kind of mask comes or goes.
    **{
        name: {name, "dropout_kind"}
        for name in ("dropout_input", "dropout_hidden", "dropout_output")
    },
}


def reduced(plan: Plan) -> dict[str, RunSpec]:
    """Each run's spec with the same mechanisms and small sizes; equal sizes stay equal.

    The seed is the same: another one shows no other mechanisms.
    """
    specs = {name: run.spec for name, run in plan.runs.items()}
    sizes = {size for s in specs.values() for size in (s.hidden_size, s.embedding_size)}
    small = {size: 24 + 4 * rank for rank, size in enumerate(sorted(sizes))}
    return {
        name: spec.changed(
            corpus="words",
            seed=1,
            hidden_size=small[spec.hidden_size],
            embedding_size=small[spec.embedding_size],
            batch_size=8,
            bptt=20,
            train_tokens=0,
        )
        for name, spec in specs.items()
    }


@pytest.mark.parametrize("scale", ["demo", "small", "paper"])
@pytest.mark.parametrize("suite", sorted(path.stem for path in SUITES.glob("*.yaml")))
def test_a_row_differs_from_its_base_in_exactly_what_it_declares(text, suite, scale):
    """Observed on the built model of every row, at every scale."""
    plan = Plan(load_config(CONFIG, {"suites": suite, "scale": scale}))
    specs = reduced(plan)
    fingerprints = {}
    for spec in dict.fromkeys(specs.values()):
        fingerprints[spec] = seen(text, spec)
        assert contradiction(spec, "train", fingerprints[spec]) is None
    rows = plan.suites[suite]["rows"]
    bases = {row["corpus"]: row for row in rows if row["row"] == plan.suites[suite]["base"]}
    for row in rows:
        spec, base = (specs[each["runs"][0]["run"]] for each in (row, bases[row["corpus"]]))
        changed = set(differences(fingerprints[spec], fingerprints[base], spec))
        declared = {name: SHOWN_BY.get(name, {name}) for name in row["changes"]}
        assert changed <= set().union(*declared.values()), row["row"]
        for name, shown in declared.items():
            unused = name == "hidden_size" and spec.layers == 1 and spec.tied
            assert unused or changed & shown, (row["row"], name)


def test_what_without_dropout_really_switched_off(text):
    """Yoon et al.'s label; most of the dropout is on."""
    plan = Plan(load_config(CONFIG, {"suites": "yoon2019", "scale": "paper", "corpora": "ptb"}))
    specs = reduced(plan)
    runs = {row["row"]: row["runs"][0]["run"] for row in plan.suites["yoon2019"]["rows"]}
    rows = ("lstm", "lstm-without-dropout", "lstm-without-hidden-dropout")
    base, ptb, wikitext = (seen(text, specs[runs[row]]) for row in rows)
    spec = specs[runs["lstm"]]
    assert differences(ptb, base, spec) == {
        "dropout_input": (0.0, 0.4),
        "dropout_hidden": (0.0, 0.25),
    }
    assert differences(wikitext, base, spec) == {"dropout_hidden": (0.0, 0.25)}
    assert ptb["weight_drop"] == pytest.approx(0.5, abs=0.05)
    assert (ptb["dropout_embedding"], ptb["dropout_output"]) == (0.1, 0.4)


# single mechanisms --------------------------------------------------------------------------


@pytest.mark.parametrize("stage", ["train", "finetune"])
@pytest.mark.parametrize(
    "change",
    [
        {},
        *({name: 0} for name in FULL if name.startswith("dropout") or name == "weight_drop"),
        {"activation_regularization": 0},
        {"temporal_activation_regularization": 0},
        {"weight_decay": 0},
        {"clip": 0},
        {"clip": 5},
        {"tied": False},
        {"softmax": "adaptive", "tied": False},
        {"variable_bptt": False},
        {"optimizer": "sgd"},
        {"optimizer": "sgd", "schedule": "non-monotonic", "non_monotone_interval": 2},
        {"optimizer": "adamw", "learning_rate": 0.002, "weight_decay": 0.01},
        {"schedule": "step", "decay_first": 3},
        {"dropout_kind": "standard"},
        {"cell": "gru", "attention_window": 7},
        {"cell": "rnn", "objective": "cloze"},
        {"objective": "both-directions"},
        {"bidirectional": True},
        {"layers": 1},
        {"layers": 3, "learning_rate": 0},
        {"reading": "sentences", "variable_bptt": False},
        {"schedule": "one-cycle", "epochs": 30, "finetune_epochs": 20},
        {"schedule": "one-cycle", "optimizer": "adamw", "learning_rate": 0.01},
        {"stop_hopeless": 3},
        {"stop_hopeless": 39, "patience": 2},
        {"stop_hopeless": 4, "epochs": 4},
        {"stop_hopeless": 70, "epochs": 90},
    ],
    ids=str,
)
def test_what_is_observed_is_what_the_spec_says(text, change, stage):
    """Whatever is on and off, and no observation is left out where there is something to see."""
    spec = spec_of(**FULL | change)
    observed = seen(text, spec, stage)
    assert contradiction(spec, stage, observed) is None
    assert expected(spec, stage).keys() <= observed.keys()


@pytest.mark.parametrize("p", [0.01, 0.001])
def test_dropout_too_rare_to_be_seen_is_no_contradiction(text, p):
    rates = dict.fromkeys(("dropout_embedding", "dropout_input", "weight_drop"), p)
    spec = spec_of(**PLAIN | rates)
    assert contradiction(spec, "train", seen(text, spec)) is None


@pytest.mark.parametrize("rate", [0.00553, 0.012345, 0.99123])
def test_a_rate_may_have_many_digits(text, rate):
    """A random search draws such rates."""
    names = ("dropout_embedding", "dropout_input", "dropout_hidden", "dropout_output")
    spec = spec_of(**FULL | dict.fromkeys(names, rate))
    observed = seen(text, spec)
    assert contradiction(spec, "train", observed) is None
    assert observed["dropout_input"] == pytest.approx(rate, abs=1e-6)


def inactive(monkeypatch, name):
    """Make a mechanism of the training code do nothing."""

    def through(values, *_, **__):
        return values

    if name == "weight_drop":
        monkeypatch.setattr("awd.model.recurrent_layer.weight_drop", through)
    elif name == "dropout_embedding":
        lookup = regularizers.embedding_dropout
        monkeypatch.setattr(
            awd.model.language_model,
            "embedding_dropout",
            lambda tokens, embedding, *_, training: lookup(tokens, embedding, 0, training=training),
        )
    elif name == "dropout_output":
        monkeypatch.setitem(DROPOUTS, "locked", through)
    elif name == "dropout_kind":
        monkeypatch.setitem(DROPOUTS, "locked", DROPOUTS["standard"])
    elif name.endswith("activation_regularization"):
        monkeypatch.setattr(trainer, name, lambda _: 0.0)
    elif name == "clip":
        monkeypatch.setattr("awd.training.optimizers.clip", lambda *_: 1.0)
    elif name == "weight_decay":
        new_optimizer = optimizers.new_optimizer

        def without(*given):
            optimizer = new_optimizer(*given)
            optimizer.param_groups[0]["weight_decay"] = 0
            return optimizer

        monkeypatch.setattr(optimizers, "new_optimizer", without)
    elif name == "variable_bptt":
        chunks = trainer.batching.chunks
        monkeypatch.setattr(
            trainer.batching, "chunks", lambda *given, **named: chunks(*given, seed=named["seed"])
        )
    elif name == "rate_rescaling":
        step = Trainer.step
        monkeypatch.setattr(
            Trainer, "step", lambda self, chunk: step(self, chunk._replace(rate_scale=1.0))
        )
    elif name == "averaging_from":
        monkeypatch.setattr(NonMonotonicTrigger, "fires", lambda *_: False)
    elif name == "stop_hopeless":
        monkeypatch.setattr(Trainer, "hopeless", False)
    elif name == "carried_state":
        read = awd.model.language_model.LanguageModel.read
        monkeypatch.setattr(
            awd.model.language_model.LanguageModel,
            "read",
            lambda self, values, *_: read(self, values, self.initial_state(values.shape[1])),
        )
    elif name == "tied":
        monkeypatch.setattr(
            awd.model.language_model.LanguageModel,
            "decoder_weight",
            property(lambda self: self.__dict__.setdefault("copy", self.embedding.clone())),
        )
    else:
        raise ValueError(name)


@pytest.mark.parametrize(
    "name",
    [
        "weight_drop",
        "dropout_embedding",
        "dropout_output",
        "dropout_kind",
        "activation_regularization",
        "temporal_activation_regularization",
        "clip",
        "weight_decay",
        "variable_bptt",
        "rate_rescaling",
        "averaging_from",
        "carried_state",
        "tied",
        "stop_hopeless",
    ],
)
def test_a_mechanism_that_silently_does_nothing_is_found(text, monkeypatch, name):
    """The setting is there, the effect is not."""
    if name == "averaging_from":  # what is expected is computed with the trigger, too
        spec = spec_of(**FULL)
        wanted = expected(spec, "train")[name]
        inactive(monkeypatch, name)
        assert (wanted, seen(text, spec)[name]) == (7, None)
        return
    inactive(monkeypatch, name)
    spec = spec_of(**FULL, stop_hopeless=3)
    observed = seen(text, spec)
    assert contradiction(spec, "train", observed) is not None
    wanted = expected(spec, "train")
    assert name in differences({key: observed[key] for key in wanted}, wanted, spec)


def test_an_average_that_is_none_is_found(text, monkeypatch):
    monkeypatch.setattr(Average, "take", lambda _: None)
    assert seen(text, spec_of(**FULL), "finetune")["averaging_from"] is None


def test_a_backward_direction_without_weight_drop_is_found(text, monkeypatch):
    """Of two stacks the second could be forgotten, as a bidirectional layer's other half was."""
    original = RecurrentLayer.forward

    def forward(self, inputs, state):
        p, self.p = self.p, 0.0 if self.forgotten else self.p
        result = original(self, inputs, state)
        self.p = p
        return result

    monkeypatch.setattr(RecurrentLayer, "forward", forward)
    monkeypatch.setattr(RecurrentLayer, "forgotten", False, raising=False)
    spec = spec_of(**FULL | {"objective": "cloze"})
    trainer = Trainer(spec, text, "train", CPU)
    for layer in trainer.model.backward_layers:
        layer.forgotten = True
    said = contradiction(spec, "train", observe(trainer))
    assert said == (
        "weight_drop_backward is 0 as observed on the model to be trained, but its "
        "spec requires 0.5"
    )


# observing changes nothing ------------------------------------------------------------------


@pytest.mark.parametrize("settings", [PLAIN, FULL, FULL | {"objective": "both-directions"}])
@pytest.mark.parametrize("stage", ["train", "finetune"])
def test_a_training_is_the_same_with_and_without_being_observed(text, settings, stage):
    """To the last bit: random numbers, weights, and what comes after."""
    ends = []
    for watched in (False, True):
        trainer = Trainer(spec_of(**settings), text, stage, CPU)
        if watched:
            observe(trainer)
        for chunk in trainer.chunks():
            trainer.step(chunk)
        trainer.end_epoch()
        ends.append((trainer._weights(), torch.get_rng_state(), trainer.history[0]["valid_loss"]))
    (one, chance, loss), (other, chance_after, loss_after) = ends
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert torch.equal(chance, chance_after)
    assert loss == loss_after


def test_a_stage_records_what_was_observed(text, tmp_path):
    spec = spec_of(**PLAIN, epochs=1, weight_drop=0.5)
    folder = tmp_path / "runs" / spec.run(text.fingerprint)
    record = train_stage(spec, text, "train", folder, device=CPU, checkpoints=tmp_path)
    assert record["mechanisms"]["weight_drop"] == pytest.approx(0.5, abs=0.05)
    assert record["mechanisms"]["dropout_output"] == 0


def test_a_training_that_is_not_what_it_says_does_not_begin(text, tmp_path, monkeypatch):
    inactive(monkeypatch, "weight_drop")
    monkeypatch.setattr(Trainer, "run", lambda *_: pytest.fail("it began"))
    spec = spec_of(**PLAIN, weight_drop=0.5)
    folder = tmp_path / "runs" / spec.run(text.fingerprint)
    with pytest.raises(InputError, match="weight_drop is 0 as observed on the model") as caught:
        train_stage(spec, text, "train", folder, device=CPU, checkpoints=tmp_path)
    assert str(caught.value).startswith(folder.name)
    assert list(folder.iterdir()) == []


def test_a_threshold_that_ends_every_training_is_found(text, monkeypatch):
    """It must end those above the loss of word frequencies, and no others."""
    spec = spec_of(**PLAIN, stop_hopeless=3)
    assert seen(text, spec)["stop_hopeless"] == 3
    monkeypatch.setattr(Trainer, "hopeless", property(lambda self: len(self.history) >= 3))
    assert seen(text, spec)["stop_hopeless"] == 0
