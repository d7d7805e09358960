"""Read a model's weights and measure a text with torch and safetensors alone.

    python model.py weights.safetensors vocabulary.txt text.txt

prints the perplexity of the text: words separated by spaces, in the form of the training text.
"""

import json
import math
import sys
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file

CELLS = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "rnn": torch.nn.RNN}
NAMES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


def load(path):
    """Return embedding (words, width), recurrent layers, decoder (words, features) and its bias."""
    with safe_open(path, "pt") as file:
        spec = json.loads(file.metadata()["awd"])["spec"]
    weights, layers = load_file(path), []
    for number in range(spec["layers"]):
        own = {f"{name}_l0": weights[f"layers.{number}.{name}"] for name in NAMES}
        inputs, units = own["weight_ih_l0"].shape[1], own["weight_hh_l0"].shape[1]
        layers.append(CELLS[spec["cell"]](inputs, units))
        layers[-1].load_state_dict(own)
    decoder = weights["embedding" if spec["tied"] else "decoder"]
    return weights["embedding"], layers, decoder, weights["bias"]


def encode(text, vocabulary):
    """Return the numbers of the words, (tokens); a line ends in <eos>, unknown words are <unk>."""
    numbers = {word: number for number, word in enumerate(vocabulary)}
    words = [word for line in text for word in [*line.split(), "<eos>"]]
    if "<unk>" not in numbers and (missing := [word for word in words if word not in numbers]):
        sys.exit(f"the vocabulary has no word '{missing[0]}', and no <unk> to read it as")
    return torch.tensor([numbers[word if word in numbers else "<unk>"] for word in words])


@torch.no_grad()
def losses(model, words):
    """Return the loss in nats of each word but the first, read as one stream, (tokens - 1)."""
    embedding, layers, decoder, bias = model
    states, found = [None] * len(layers), []
    for read, targets in zip(words[:-1].split(1000), words[1:].split(1000), strict=True):
        values = embedding[read]
        for number, layer in enumerate(layers):
            values, states[number] = layer(values, states[number])
        logits = torch.addmm(bias, values, decoder.t())
        found.append(torch.nn.functional.cross_entropy(logits, targets, reduction="none"))
    return torch.cat(found)


if __name__ == "__main__":
    weights, vocabulary, text = map(Path, sys.argv[1:])
    with text.open(encoding="utf-8") as lines:
        words = encode(lines, vocabulary.read_text(encoding="utf-8").split("\n")[:-1])
    print(math.exp(losses(load(weights), words).double().mean()))
