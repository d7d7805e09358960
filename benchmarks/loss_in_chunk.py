"""Draw the loss of a model by the position of a word in its chunk.

    python benchmarks/loss_in_chunk.py results/runs/RUN...

Draws docs/honest-evaluation-chunk.png from the losses per token that evaluation writes beside its
record, and prints perplexities. For a model that reads only earlier words, the loss does not depend
on the position.
"""

import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from awd.files import atomic, read_json
from awd.report.figures.style import COLUMN, PALETTE, scaled, styled, width


def kind(spec: dict) -> str:
    """Return the name of a run with this spec in the suite of Yoon et al."""
    if spec["bidirectional"]:
        return "biLSTM"
    if spec.get("objective", "next-word") == "cloze":
        return "biLSTM, cloze"
    return "LSTM with attention" if spec.get("attention_window") else "LSTM"


@styled
def draw(folders: list[Path]) -> Figure:
    """Draw one line per run: nats over positions in the chunks of the test text."""
    figure = Figure((width(COLUMN), scaled(2.2)), layout="constrained")
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
