"""The commands for those who use a trained model: sample text, score a text, export."""

from __future__ import annotations

import csv
import sys
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING

import click

from awd.cli.commands import main, results_folder, scales_of
from awd.cli.group import Commands, chosen, folder, number, only, words_argument
from awd.errors import InputError
from awd.vocabulary import Stage

if TYPE_CHECKING:
    from awd.evaluation.score import Scored

NOTED = 5
"""Unknown words that are named."""
WIDTH = 50
"""Characters of a line that are shown."""


def _stage(given: Mapping) -> str | None:
    """Return the stage that the words name, None for the last one of a run."""
    stages = chosen(given, "stage", list(Stage))
    return stages[0] if stages else None


def _note_unknown(unknown: Mapping[str, int], where: str) -> None:
    """Report the words of a text that are ``<unk>`` to the model."""
    if unknown:
        words = sorted(unknown, key=lambda word: (-unknown[word], word))
        more = ", ..." if len(words) > NOTED else ""
        click.echo(
            f"{where}: {sum(unknown.values()):,} words are not in the vocabulary and read as "
            f"<unk>: {', '.join(words[:NOTED])}{more}",
            err=True,
        )


@main.command(
    examples={
        "awd generate RUN": "100 words, the same each time",
        "awd generate RUN prompt='the company said' seed=2 temperature=0.8": "go on from a prompt",
        "awd generate RUN temperature=0 length=20": "always the most probable word",
    }
)
@click.argument("run")
@words_argument
def generate(run, words):
    """Sample text from the model of RUN, a folder in results/runs.

    Keys: prompt (words to go on from), length (words, default 100), temperature (default 1; lower
    is less varied; 0: always the most probable word), seed (default 1), stage (default: the run's
    last), results. The same keys give the same text.
    """
    from awd.evaluation.generate import generate as sample
    from awd.evaluation.generate import in_lines, lines_of, read_prompt
    from awd.evaluation.trained_model import open_run
    from awd.machine import devices
    from awd.runs.find import find_run
    from awd.study.dialect import parse

    given = parse(words, texts=("prompt",))
    only(given, ("prompt", "length", "temperature", "seed", "stage", "results"))
    length = number(given, "length", int, 100, least=1)
    temperature = number(given, "temperature", float, 1.0, least=0)
    seed = number(given, "seed", int, 1, least=0)
    place = find_run(run, results_folder(given))
    model, corpus, _ = open_run(place, _stage(given), devices.prepare())
    prompt = read_prompt(corpus, given.get("prompt", ""))
    _note_unknown(prompt.unknown, "the prompt")
    lines = lines_of(corpus, model.spec.reading)
    ids = sample(model, prompt.ids, length, temperature=temperature, seed=seed, lines=lines)
    for line in in_lines(corpus, chain(prompt.ids[1:], ids)):
        click.echo(line)


@main.command(
    examples={
        "awd score RUN my-text.txt": "each line, and in total",
        "awd score RUN my-text.txt format=csv > lines.csv": "for another program",
    }
)
@click.argument("run")
@folder("file")
@words_argument
def score(run, file, words):
    """Measure the perplexity of the text in FILE under the model of RUN, in total and by line.

    FILE is read as the run's corpus was, and as one stream, as in an evaluation: its first word is
    not predicted. Words that the model does not have are <unk>. Keys: format: terminal or csv;
    stage (default: the run's last); results.
    """
    from awd.corpora.new_text import read_file
    from awd.evaluation.generate import in_lines
    from awd.evaluation.score import score as measure
    from awd.evaluation.trained_model import open_run
    from awd.machine import devices
    from awd.runs.find import find_run
    from awd.study.dialect import parse

    given = parse(words)
    only(given, ("format", "stage", "results"))
    (kind,) = chosen(given, "format", ("terminal", "csv")) or ["terminal"]
    place = find_run(run, results_folder(given))
    trained = open_run(place, _stage(given), devices.prepare())
    text = read_file(trained.corpus, file)
    _note_unknown(text.unknown, str(file))
    whole, lines = measure(trained, text)
    if trained.record["spec"]["objective"] == "cloze":
        click.echo("the model also sees the words after each word", err=True)
    if kind == "csv":
        _write_csv(whole, lines)
    else:
        _show(whole, lines, list(in_lines(trained.corpus, text.ids.tolist())))


def _write_csv(whole: Scored, lines: Sequence[Scored]) -> None:
    table = csv.writer(sys.stdout, lineterminator="\n")
    table.writerow(["line", "tokens", "unknown", "nll", "perplexity"])
    for name, part in [*enumerate(lines, 1), ("total", whole)]:
        table.writerow([name, *part, part.perplexity])


def _show(whole: Scored, lines: Sequence[Scored], texts: Sequence[str]) -> None:
    click.echo(f"{'line':>7}{'tokens':>9}{'<unk>':>8}{'perplexity':>13}")
    for name, part, text in [
        *zip(range(1, len(lines) + 1), lines, texts, strict=False),
        ("total", whole, ""),
    ]:
        measured = "-" if part.perplexity is None else f"{part.perplexity:,.2f}"
        shown = text if len(text) <= WIDTH else f"{text[: WIDTH - 3]}..."
        click.echo(f"{name:>7}{part.tokens:9,}{part.unknown:8,}{measured:>13}  {shown}".rstrip())


@main.group(cls=Commands)
def export():
    """Export learning curves, citations or a model for other programs."""


@export.command(
    "tensorboard",
    examples={
        "awd export tensorboard logs": "then: tensorboard --logdir logs",
        "awd export tensorboard logs scale=paper suites=kim2024": "of one study",
    },
)
@folder("destination")
@words_argument
def export_tensorboard(destination, words):
    """Write the learning curves to the new folder DESTINATION, as TensorBoard reads them.

    Keys: scale (default: that of the last `snakemake` here), suites, results.
    """
    from awd.report.build import scales
    from awd.report.tensorboard_logs import write_logs
    from awd.study.dialect import parse

    given = parse(words)
    only(given, ("scale", "suites", "results"))
    results = results_folder(given)
    names = scales_of(given, results) or scales(results)
    if len(names) > 1:
        raise InputError(f"the command line: name one scale: scale={' or scale='.join(names)}")
    for path in write_logs(results, names[0], destination, chosen(given, "suites")):
        click.echo(path)


@export.command(
    "bibtex",
    examples={
        "awd export bibtex > sources.bib": "of all published studies",
        "awd export bibtex suites=kim2024": "of those that a suite shows numbers of",
    },
)
@words_argument
def export_bibtex(words):
    """Print the published studies as BibTeX, to cite whose numbers tables show.

    Keys: suites.
    """
    from awd.report.bibtex import bibtex, studies
    from awd.study.dialect import parse

    given = parse(words)
    only(given, ("suites",))
    click.echo(bibtex(studies(chosen(given, "suites"))), nl=False)


@export.command(
    "model",
    examples={"awd export model RUN my-model": "writes the folder my-model"},
)
@click.argument("run")
@folder("destination")
@words_argument
def export_model(run, destination, words):
    """Write the model of RUN to the new folder DESTINATION, which needs nothing of awd.

    It holds the weights, the vocabulary, a model card and, if so short a program can read the
    model, model.py, which needs torch and safetensors alone. Keys: stage (default: the run's last),
    results.
    """
    from awd.report.export import export_model as write
    from awd.runs.find import find_run
    from awd.study.dialect import parse

    given = parse(words)
    only(given, ("stage", "results"))
    for path in write(find_run(run, results_folder(given)), destination, _stage(given)):
        click.echo(path)
