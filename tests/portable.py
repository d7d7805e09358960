"""Small trainings and evaluations whose bits must be the same on every CPU, and their digests.

    python tests/portable.py

writes tests/golden/arithmetic.json anew: only for a change that is meant to change what is
computed.
"""

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from awd.corpora import Corpus
from awd.corpora.batching import as_stream
from awd.evaluation.dynamic import dynamic_losses, gradient_statistics
from awd.evaluation.ensemble import ensemble_losses
from awd.evaluation.neural_cache import cache_losses
from awd.evaluation.perplexity import sentence_losses, stream_losses
from awd.study.spec import RunSpec
from awd.training.trainer import Trainer

CPU = torch.device("cpu")
GOLDEN = Path(__file__).parent / "golden" / "arithmetic.json"
KERNELS = Path(__file__).parents[1] / "awd" / "model" / "kernels"
PROGRAM = Path(__file__).parent / "kernels" / "digests.cpp"
FLAGS = ("-std=c++20", "-O1", "-fopenmp-simd", "-ffp-contract=off", "-Wno-psabi")
WORDS = 60

# Widths that no vector's length divides.
SIZES = {"hidden_size": 22, "embedding_size": 18, "batch_size": 4, "bptt": 7, "epochs": 2}
TRAININGS = {
    "lstm": {"layers": 2},
    "gru": {"cell": "gru", "layers": 2},
    "rnn": {"cell": "rnn", "layers": 2},
    "bidirectional lstm": {"bidirectional": True},
    "bidirectional gru": {"cell": "gru", "bidirectional": True},
    "both directions": {"objective": "both-directions", "tied": True},
    "cloze": {"objective": "cloze", "cell": "gru"},
    "attention": {"attention_window": 5},
    "adaptive softmax": {"softmax": "adaptive"},
    "tied": {"tied": True, "layers": 2},
    "uniform": {"initialization": "uniform"},
    "weight drop": {"weight_drop": 0.5},
    "embedding dropout": {"dropout_embedding": 0.2},
    "locked dropout": {"dropout_input": 0.3, "dropout_hidden": 0.3, "dropout_output": 0.3},
    "standard dropout": {"dropout_kind": "standard", "dropout_output": 0.3},
    "activation regularization": {"activation_regularization": 2.0},
    "temporal activation regularization": {"temporal_activation_regularization": 1.0},
    "weight decay": {"weight_decay": 0.01},
    "variable bptt": {"variable_bptt": True},
    "no clipping": {"clip": 0.0},
    "adamw": {"optimizer": "adamw", "learning_rate": 0.01, "weight_decay": 0.1},
    "nt-asgd": {"optimizer": "nt-asgd", "epochs": 3},
    "fine-tuning": {"finetune_epochs": 2},
    "sentences": {
        "reading": "sentences",
        "activation_regularization": 2.0,
        "temporal_activation_regularization": 1.0,
    },
    "one cycle": {"schedule": "one-cycle", "optimizer": "adamw", "learning_rate": 0.05},
    "step": {"schedule": "step", "decay_factor": 1.15, "epochs": 4},
}


def corpus() -> Corpus:
    """A made-up text in which some words are more frequent than others."""
    draw = np.random.default_rng(0)
    splits = {
        name: (draw.integers(1, WORDS, size) * draw.integers(1, WORDS, size) // WORDS)
        for name, size in {"train": 500, "valid": 130, "test": 60}.items()
    }
    splits = {name: words.astype(np.uint16) for name, words in splits.items()}
    words = ["<eos>", *(f"w{n}" for n in range(1, WORDS))]
    return Corpus("made-up", "f" * 64, words, **splits, info={})


def trained(name: str) -> Trainer:
    """The trainer of one of TRAININGS after its last epoch."""
    stage = "finetune" if name == "fine-tuning" else "train"
    spec = RunSpec(corpus="made-up", **(SIZES | {"learning_rate": 5.0} | TRAININGS[name]))
    trainer = Trainer(spec, corpus(), stage, CPU)
    while not trainer.finished:
        for chunk in trainer.chunks():
            trainer.step(chunk)
        if trainer.spec.optimizer == "nt-asgd":
            trainer.trigger.losses = [0.0] * 9  # averaging starts after the first epoch
        trainer.end_epoch()
    return trainer


def digest_of_training(name: str) -> str:
    """Of the weights that a training leaves, and of its losses."""
    trainer = trained(name)
    losses = [(epoch["train_loss"], epoch["valid_perplexity"]) for epoch in trainer.history]
    return _digest(*trainer.best_weights.values(), *trainer.parameters, losses)


EVALUATIONS: dict[str, Callable] = {
    "stream": lambda model, text: stream_losses(model, text),
    "sentences": lambda model, text: sentence_losses(model, text, 0),
    "cache": lambda model, text: cache_losses(model, text, window=20, theta=0.6, weight=0.1),
    "dynamic": lambda model, text: dynamic_losses(
        model,
        text,
        gradient_statistics(model, as_stream(corpus().train), batch_size=9),
        learning_rate=1e-3,
        decay=2e-3,
        epsilon=2e-5,
    ),
    "ensemble": lambda model, text: ensemble_losses([model, trained("gru").model], text),
}


def digest_of_evaluation(name: str) -> str:
    """Of the loss of each token of a text under a trained model, by a method."""
    return _digest(EVALUATIONS[name](trained("tied").model, as_stream(corpus().test)))


def _digest(*values) -> str:
    digest = hashlib.sha256()
    for value in values:
        if isinstance(value, torch.Tensor):
            digest.update(value.detach().contiguous().numpy().tobytes())
        else:
            digest.update(json.dumps(value).encode())
    return digest.hexdigest()[:16]


def program(folder: Path, compiler: str = "g++", *flags: str, isa: str = "generic") -> Path:
    """The program that prints digests of an instruction set's kernels, made by ``compiler``."""
    made = folder / f"digests-{isa}"
    options = [*FLAGS, f"-DISA={isa}", f"-I{KERNELS}", *flags]
    subprocess.run([compiler, *options, PROGRAM, KERNELS / f"{isa}.cpp", "-o", made], check=True)
    return made


def digests_of_kernels(*command: str | Path) -> dict[str, str]:
    """What the program prints, as a mapping; ``command`` runs it."""
    return as_digests(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def as_digests(printed: str) -> dict[str, str]:
    """What the program printed, as a mapping."""
    return dict(line.split() for line in printed.splitlines())


def main() -> None:
    """Write the golden digests."""
    import tempfile

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        kernels = digests_of_kernels(program(Path(folder)))
    golden = {
        "kernels": kernels,
        "trainings": {name: digest_of_training(name) for name in TRAININGS},
        "evaluations": {name: digest_of_evaluation(name) for name in EVALUATIONS},
    }
    GOLDEN.write_text(json.dumps(golden, indent=1) + "\n", encoding="utf-8")
    print(f"wrote {GOLDEN}", file=sys.stderr)


if __name__ == "__main__":
    main()
