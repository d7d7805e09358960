"""Draw which predictions of a model change when a word of its text is replaced.

    python benchmarks/what_a_word_moves.py

Draws docs/honest-evaluation-moves.png: a panel per kind of model, a column per replaced word, a row
per predicted word. The models are untrained, because their structure alone decides what they read.
The text is read by the code of the leak check, in the same way as in evaluation.
"""

from pathlib import Path

import torch
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from awd.evaluation.leak_check import TOLERANCE, first_leak, replaced, watch
from awd.files import atomic
from awd.model.language_model import LanguageModel
from awd.report.figures.style import INK, PAGE, PALETTE, styled, width
from awd.study.spec import RunSpec

WORDS, LENGTH = 1000, 20
SIZES = {"hidden_size": 64, "embedding_size": 64, "bptt": LENGTH}
SIZES |= {"initialization": "uniform", "initial_range": 0.25}  # remembers longer than usual
KINDS = {
    "LSTM": {},
    "LSTM with attention": {"attention_window": 10},
    "biLSTM": {"bidirectional": True},
    "biLSTM, cloze": {"objective": "cloze"},
}


@styled
def draw() -> Figure:
    """Draw one panel per kind of model."""
    figure = Figure((width(PAGE), 2.35), layout="constrained")
    axes = figure.subplots(1, len(KINDS), sharey=True)
    text = torch.randint(WORDS, (LENGTH,), generator=torch.Generator().manual_seed(0))
    texts = [text, *(replaced(text, place, WORDS) for place in range(LENGTH))]
    for axis, (name, settings) in zip(axes, KINDS.items(), strict=True):
        torch.manual_seed(1)
        spec = RunSpec(corpus="ptb", **SIZES, **settings)
        model = LanguageModel(spec, WORDS)
        with torch.no_grad():
            _, losses = watch(model, torch.stack(texts, dim=1))
        moved = (losses[:, 0] - losses[:, 0, :1]).abs()[:, 1:] / losses.abs().max()
        itself = torch.arange(LENGTH - 1)
        shades = torch.ones(LENGTH - 1, LENGTH, 3)
        shades[moved > TOLERANCE] = torch.tensor(to_rgb(PALETTE[0]))
        seen = moved[itself, itself + 1] > TOLERANCE
        shades[itself[seen], itself[seen] + 1] = torch.tensor(to_rgb(PALETTE[3]))
        axis.imshow(shades, extent=(0.5, LENGTH + 0.5, LENGTH + 0.5, 1.5), interpolation="none")
        axis.plot([1.5, LENGTH + 0.5], [1.5, LENGTH + 0.5], color=INK, lw=0.5)
        leak = first_leak(model)
        axis.set_title(name)
        axis.set_xlabel("word replaced" + (f"\nleaks: {leak} ahead" if leak else "\nno leak"))
        axis.set(xticks=[1, 10, 20], yticks=[2, 10, 20])
    axes[0].set_ylabel("word predicted")
    return figure


if __name__ == "__main__":
    with atomic(Path("docs/honest-evaluation-moves.png")) as temporary:
        draw().savefig(temporary, format="png", dpi=200, metadata={"Software": None})
