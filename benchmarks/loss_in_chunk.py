"""The loss of a model by the place of a word in the chunk that it is read in.

    python benchmarks/loss_in_chunk.py results/runs/RUN...

Draws docs/honest-evaluation-chunk.png from the losses per token that evaluation leaves beside its
record, and prints perplexities. To a model that sees only what came before, places are alike.
"""

import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from awd.files import atomic, read_json
from awd.report.figures.drawing import COLUMN, PALETTE, styled


def kind(spec: dict) -> str:
    """What a run of this spec is called in the suite of Yoon et al."""
    if spec["bidirectional"]:
        return "biLSTM"
    if spec.get("objective", "next-word") == "cloze":
        return "biLSTM, cloze"
    return "LSTM with attention" if spec.get("attention_window") else "LSTM"


@styled
def draw(folders: list[Path]) -> Figure:
    """A line per run, nats over places of the test text's chunks."""
    figure = Figure((COLUMN, 2.2), layout="constrained")
    axis = figure.subplots()
    for number, folder in enumerate(folders):
        record = read_json(folder / "train.stream.json")
        length = record["protocol"]["chunk"]
        losses = np.load(folder / "train.stream.npz")["test"]
        whole = losses[: len(losses) // length * length].reshape(-1, length)
        means, name = whole.mean(0, dtype=np.float64), kind(record["spec"])
        axis.plot(np.arange(1, length + 1), means, "o-", ms=2.5, color=PALETTE[number], label=name)
        first = np.exp(means[:-1].mean())
        print(f"{name}: {np.exp(losses.mean(dtype=np.float64)):.2f} in all; places 1 to", end=" ")
        print(f"{length - 1}: {first:.2f}, place {length}: {np.exp(means[-1]):,.0f}")
    axis.set(xlabel="place of the word in its chunk", ylabel="nats per token", ylim=(0, None))
    axis.legend()
    return figure


if __name__ == "__main__":
    with atomic(Path("docs/honest-evaluation-chunk.png")) as temporary:
        drawn = draw([Path(name) for name in sys.argv[1:]])
        drawn.savefig(temporary, format="png", dpi=200, metadata={"Software": None})
