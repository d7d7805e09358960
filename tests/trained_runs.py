"""A folder of results with small trained runs on a small text, for tests of what reads models."""

import hashlib
from pathlib import Path
from random import Random

import torch

from awd import corpora
from awd.corpora.catalogue import text_fingerprint
from awd.evaluation.evaluate import evaluate_stage
from awd.study.methods import parse_method
from awd.study.spec import RunSpec
from awd.training.stage import train_stage
from awd.vocabulary import Split

CPU = torch.device("cpu")
WORDS = ("the", "<unk>", "cat", "caf\u00e9", "sees", "a", "dog", "and", "runs", "away")
SIZES = {
    "layers": 2,
    "hidden_size": 10,
    "embedding_size": 8,
    "epochs": 1,
    "batch_size": 4,
    "bptt": 10,
}


def text(lines: int, seed: int, words: tuple[str, ...] = WORDS) -> str:
    """Lines of up to eight words, of which each tends to follow the one before it."""
    draw, made = Random(seed), []
    for _ in range(lines):
        place, line = 0, []
        for _ in range(draw.randrange(9)):
            place = (place + draw.choice((1, 1, 1, 2, 5))) % len(words)
            line.append(words[place])
        made.append(" ".join(line) + "\n")
    return "".join(made)


def encoded(results: Path, words: tuple[str, ...] = WORDS) -> corpora.Corpus:
    """The corpus "mine", encoded where a workflow puts it."""
    raw = results / "raw"
    raw.mkdir(parents=True)
    for seed, split in enumerate(Split):
        (raw / f"{split}.txt").write_text(text(160 if seed == 0 else 40, seed, words), "utf-8")
    sha256 = {path.stem: hashlib.sha256(path.read_bytes()).hexdigest() for path in raw.iterdir()}
    fingerprint = text_fingerprint("mine", sha256)
    folder = results / "corpora" / f"mine-{fingerprint[:8]}"
    corpora.encode("mine", raw, folder, fingerprint=fingerprint)
    return corpora.load(folder)


def trained(
    results: Path, corpus: corpora.Corpus, methods: tuple[str, ...] = ("stream",), **settings
) -> Path:
    """The folder of a run on ``corpus``, trained and evaluated; returns it."""
    spec = RunSpec(corpus="mine", **(SIZES | settings))
    folder = results / "runs" / spec.run(corpus.fingerprint)
    for stage in ("train", "finetune")[: 2 if spec.finetune_epochs else 1]:
        train_stage(spec, corpus, stage, folder, device=CPU, checkpoints=results / "checkpoints")
        for method in methods:
            evaluate_stage(spec, corpus, stage, parse_method(method), folder, device=CPU)
    return folder
