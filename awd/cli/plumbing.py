"""The commands that the workflow's rules run, one for each step from text to perplexities.

They take options, not KEY=VALUE words: those words are keys of the configuration, and a step gets
what the plan made of it (a spec, a folder, a fingerprint), which no configuration has.
"""

import logging
import sys
from pathlib import Path

import click

from awd.cli.commands import main
from awd.cli.group import folder, log_files, log_option
from awd.machine import interrupt
from awd.vocabulary import Stage

STAGE = click.Choice([each.value for each in Stage])

log = logging.getLogger("awd")
minimum_count_option = click.option(
    "--minimum-count", default=1, show_default=True, help="Rarer words of train are <unk>."
)


@main.command(plumbing=True)
@click.argument("corpus")
@folder("destination")
@click.option("--mirror", help="A folder or URL to look in first.")
@click.option("--folder", help="The folder of a corpus of your own.")
@click.option("--fingerprint", help="Identity of the corpus in the plan, or its first digits.")
@minimum_count_option
@log_option
def fetch(corpus, destination, mirror, folder, fingerprint, minimum_count):
    """Put train.txt, valid.txt and test.txt of CORPUS, verified, into DESTINATION."""
    from awd import corpora

    folders = {corpus: folder} if folder else {}
    corpora.fetch(
        corpus,
        destination,
        mirror=mirror,
        folders=folders,
        fingerprint=fingerprint,
        minimum_count=minimum_count,
    )


@main.command(plumbing=True)
@click.argument("corpus")
@folder("raw")
@folder("destination")
@click.option("--fingerprint", required=True, help="Identity of the corpus, or its first digits.")
@minimum_count_option
@log_option
def encode(corpus, raw, destination, fingerprint, minimum_count):
    """Turn the text in RAW into numbers in DESTINATION."""
    from awd import corpora

    corpora.encode(corpus, raw, destination, fingerprint=fingerprint, minimum_count=minimum_count)


def training_options(command):
    """The arguments that training, fine-tuning and evaluation share."""
    for option in (
        log_option,
        click.option(
            "--checkpoints",
            type=click.Path(path_type=Path),
            default=Path("results/checkpoints"),
            show_default=True,
            help="Folder of checkpoints.",
        ),
        click.option("--threads", default=1, show_default=True, help="CPU threads."),
        click.option("--gpu-slots", default=1, show_default=True, help="Jobs that share a GPU."),
        click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda."),
        click.option("--spec", required=True, help="The run's hyperparameters as JSON."),
        folder("run"),
        folder("corpus"),
    ):
        command = option(command)
    return command


checkpoint_minutes = click.option(
    "--checkpoint-minutes",
    type=float,
    required=True,
    help="Minutes of work that a stop costs at most.",
)
evaluate_too = click.option(
    "--evaluate",
    type=bool,
    default=False,
    show_default=True,
    help="Also measure the weights, for a later `evaluate` of the plain stream.",
)
keep_checkpoints = click.option(
    "--keep-checkpoints",
    type=bool,
    default=False,
    show_default=True,
    help="Also keep those of the trainings whose weights this command reads.",
)


@main.command(plumbing=True)
@training_options
@checkpoint_minutes
@evaluate_too
def train(**options):
    """Train on CORPUS and write the record, curve and weights to the folder RUN."""
    _train(Stage.TRAIN, **options)


@main.command(plumbing=True)
@training_options
@checkpoint_minutes
@evaluate_too
@keep_checkpoints
def finetune(**options):
    """Fine-tune the trained weights in the folder RUN on CORPUS."""
    _train(Stage.FINETUNE, **options)


def _train(
    stage,
    corpus,
    run,
    spec,
    device,
    gpu_slots,
    threads,
    checkpoints,
    checkpoint_minutes,
    evaluate,
    keep_checkpoints=True,
):
    from awd import corpora
    from awd.machine import devices, out_of_memory
    from awd.study.spec import parse_spec
    from awd.training.stage import train_stage
    from awd.training.trainer import Interrupted

    spec, device = parse_spec(spec), devices.prepare(device, threads, gpu_slots)
    try:
        with out_of_memory.explained(device):
            train_stage(
                spec,
                corpora.load(corpus),
                stage,
                run,
                device=device,
                checkpoints=checkpoints,
                checkpoint_seconds=checkpoint_minutes * 60,
                keep_checkpoints=keep_checkpoints,
                evaluate=evaluate,
                live=not log_files() and sys.stderr.isatty(),
            )
    except Interrupted as error:
        interrupt.ignore()
        log.info("%s: %s; the same command continues it", run.name, error)
        sys.exit(interrupt.STOPPED)


@main.command(plumbing=True)
@training_options
@click.option("--stage", required=True, type=STAGE)
@click.option(
    "--method", default="stream", show_default=True, help="stream, or a method with its settings."
)
@click.option(
    "--member",
    "members",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Folder of another run of the ensemble; can be repeated.",
)
@keep_checkpoints
def evaluate(
    corpus,
    run,
    spec,
    device,
    gpu_slots,
    threads,
    stage,
    method,
    members,
    checkpoints,
    keep_checkpoints,
):
    """Measure the perplexity of the weights in the folder RUN on CORPUS."""
    from awd.runs.checkpoint import Checkpoint
    from awd.runs.early_evaluation import adopt

    if adopt(checkpoints, run, stage, method) is not None:
        if not keep_checkpoints:
            Checkpoint(checkpoints, run.name, stage).remove()
        return

    from awd import corpora
    from awd.evaluation.evaluate import evaluate_stage
    from awd.machine import devices, out_of_memory
    from awd.study.methods import parse_method
    from awd.study.spec import parse_spec

    spec, method = parse_spec(spec), parse_method(method)
    device = devices.prepare(device, threads, gpu_slots)
    with out_of_memory.explained(device):
        evaluate_stage(
            spec,
            corpora.load(corpus),
            stage,
            method,
            run,
            device=device,
            members=members,
            checkpoints=None if keep_checkpoints else checkpoints,
        )
