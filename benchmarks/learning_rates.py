"""Search the learning rate of a cell or an optimizer by validation perplexity.

    python benchmarks/learning_rates.py demo results/corpora/networkx-docs-40ac1731

Trains the base row of the suite ``factors``, at the scale and on the encoded corpus given, for a
few epochs at each rate, and writes benchmarks/learning_rates-{scale}.csv. The suites use the best
rate of each block. The test text is not used.

The committed learning_rates-demo.csv was measured with awd 0.1.0 on another small corpus, the
language reference of Python 3.11 (63,000 tokens).
"""

import csv
import math
import sys
from pathlib import Path

from rich.progress import track

from awd import corpora
from awd.corpora.batching import chunks
from awd.machine import devices
from awd.study.config import load_config
from awd.study.plan import Plan
from awd.training.trainer import Diverged, Trainer

BLOCKS = {
    "gru": ({"cell": "gru"}, [0.5, 1, 2, 5, 10, 20, 30]),
    "rnn": ({"cell": "rnn"}, [0.5, 1, 2, 5, 10, 20, 30]),
    "adamw": ({"optimizer": "adamw", "weight_decay": 0.01}, [0.0005, 0.001, 0.002, 0.005, 0.01]),
    "sgd": ({"optimizer": "sgd"}, [5, 10, 20, 30, 40]),
}
EPOCHS = {"demo": 5, "small": 2}


def search(scale: str, folder: Path) -> None:
    """Train each block at each of its rates and write the validation perplexities."""
    device = devices.prepare("auto")
    corpus = corpora.load(folder)
    chosen = {"scale": scale, "suites": "factors", "corpora": corpus.name}
    plan = Plan(load_config(overrides=chosen))
    base = next(run.spec for run in plan.runs.values() if "factors/full" in run.rows)
    trials = [(name, rate) for name, (_, rates) in BLOCKS.items() for rate in rates]
    with Path(f"benchmarks/learning_rates-{scale}.csv").open("w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["block", "learning_rate", "epochs", "valid_perplexity"])
        for name, rate in track(trials, "learning rates"):
            spec = base.changed(learning_rate=rate, epochs=EPOCHS[scale], **BLOCKS[name][0])
            found = best_perplexity(spec, corpus, device)
            table.writerow([name, rate, spec.epochs, round(found, 2)])
            file.flush()


def best_perplexity(spec, corpus, device) -> float:
    """Return the best validation perplexity of a short training; infinity if it diverges."""
    trainer = Trainer(spec, corpus, "train", device)
    lengths = {"variable": spec.variable_bptt}
    try:
        while not trainer.finished:
            seed = (*trainer.seeds, trainer.epoch)
            for chunk in chunks(len(trainer.batches), spec.bptt, **lengths, seed=seed):
                trainer.step(chunk)
            trainer.end_epoch()
    except Diverged:
        pass
    return math.exp(trainer.best["loss"]) if trainer.best["epoch"] else math.inf


if __name__ == "__main__":
    search(sys.argv[1], Path(sys.argv[2]))
