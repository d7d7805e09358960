"""``python -m awd``: the commands that the workflow's rules, and people, run.

Each command imports what it needs when it is called: planning a study must not load torch.
"""

import logging
import sys
from pathlib import Path

import click

from awd.errors import InputError

STOPPED = 75  # EX_TEMPFAIL: saved and to be tried again


class Commands(click.Group):
    """Commands in the order of the pipeline, and mistakes as one sentence with exit code 1."""

    def list_commands(self, ctx):  # noqa: ARG002 - click's signature
        """The names in the order of this file."""
        return list(self.commands)

    def invoke(self, ctx):
        """Run the command; what the user did wrong, or a disk, ends it with one sentence."""
        try:
            return super().invoke(ctx)
        except InputError as error:
            sentence = str(error)
        except OSError as error:
            place = f" ({error.filename})" if error.filename else ""
            sentence = f"{error.strerror or error}{place}; nothing was left half-written"
        logging.getLogger("awd").error("awd: %s", sentence)  # to the terminal, and to a log
        sys.exit(1)


@click.group(cls=Commands)
@click.version_option(package_name="awd")
def main():
    """Re-run a language-model paper's ablation study and hand back its table."""


def folder(name):
    """An argument that is a folder or file, as a Path."""
    return click.argument(name, type=click.Path(path_type=Path))


def plan_options(command):
    """The arguments that say which study is meant: a configuration, and changes to it."""
    for option in (
        click.option(
            "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key."
        ),
        click.option("--suite", "suites", multiple=True, help="Only this suite; can be repeated."),
        click.option("--scale", help="demo, small or paper."),
        click.option(
            "--config", "path", type=click.Path(path_type=Path), help="Default: config.yaml."
        ),
    ):
        command = option(command)
    return command


def _configured(path, scale, suites, overrides):
    """The Plan that `plan_options` ask for."""
    from awd.study.config import CONFIG, load_config
    from awd.study.plan import Plan
    from awd.study.yaml_text import parse_override

    changes = dict(parse_override(text) for text in overrides)
    if scale:
        changes["scale"] = scale
    if suites:
        changes["suites"] = list(suites)
    return Plan(load_config(path or CONFIG, changes), str(path or CONFIG.name))


@main.command()
@plan_options
@click.option("--settings", help="The whole configuration as JSON, in place of the file.")
@click.option("--write", type=click.Path(path_type=Path), help="Write plan.json there instead.")
def plan(path, scale, suites, overrides, settings, write):
    """Show the runs: who shares them, what is done, what the rest will cost."""
    if settings:
        from awd.study.config import parse_config
        from awd.study.plan import Plan

        made = Plan(parse_config(settings), "the configuration")
    else:
        made = _configured(path, scale, suites, overrides)
    if write:
        made.write(write)
    else:
        from awd.report.overview import show

        show(made)


@main.command()
@plan_options
@click.option("--watch", is_flag=True, help="Look again every two seconds, until Ctrl-C.")
def status(path, scale, suites, overrides, watch):
    """Show what each run is doing: waiting, running and how far, stopped, diverged, done."""
    from awd.report import status as runs

    (runs.watch if watch else runs.show)(_configured(path, scale, suites, overrides))


@main.command()
@click.argument("corpus")
@folder("destination")
@click.option("--mirror", help="A folder or URL to look in first.")
@click.option("--folder", help="The folder of a corpus of your own.")
@click.option("--fingerprint", help="Identity of the corpus in the plan, or its first digits.")
@click.option("--log", type=click.Path(path_type=Path), help="Write a log there, too.")
def fetch(corpus, destination, mirror, folder, fingerprint, log):
    """Put train.txt, valid.txt and test.txt of CORPUS, verified, into DESTINATION."""
    from awd import corpora

    start_log(log)
    folders = {corpus: folder} if folder else {}
    corpora.fetch(corpus, destination, mirror=mirror, folders=folders, fingerprint=fingerprint)


@main.command()
@click.argument("corpus")
@folder("raw")
@folder("destination")
@click.option("--fingerprint", required=True, help="Identity of the corpus, or its first digits.")
@click.option("--log", type=click.Path(path_type=Path), help="Write a log there, too.")
def encode(corpus, raw, destination, fingerprint, log):
    """Turn the text in RAW into numbers in DESTINATION."""
    from awd import corpora

    start_log(log)
    corpora.encode(corpus, raw, destination, fingerprint=fingerprint)


def training_options(command):
    """The arguments that training, fine-tuning and evaluation share."""
    for option in (
        click.option("--log", type=click.Path(path_type=Path), help="Write a log there."),
        click.option("--threads", default=1, show_default=True, help="CPU threads."),
        click.option("--gpu-slots", default=1, show_default=True, help="Jobs that share a GPU."),
        click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda."),
        click.option("--spec", required=True, help="The run's hyperparameters as JSON."),
        folder("run"),
        folder("corpus"),
    ):
        command = option(command)
    return command


checkpoint_folder = click.option(
    "--checkpoints",
    type=click.Path(path_type=Path),
    default=Path("results/checkpoints"),
    show_default=True,
    help="Folder of checkpoints.",
)
checkpoint_minutes = click.option(
    "--checkpoint-minutes", default=5.0, show_default=True, help="Most that a stop costs."
)
keep_checkpoints = click.option(
    "--keep-checkpoints",
    type=bool,
    default=False,
    show_default=True,
    help="Also those of the trainings whose weights are read here.",
)


@main.command()
@training_options
@checkpoint_folder
@checkpoint_minutes
def train(**options):
    """Train on CORPUS; the record, curve and weights go to the folder RUN."""
    _train("train", **options)


@main.command()
@training_options
@checkpoint_folder
@checkpoint_minutes
@keep_checkpoints
def finetune(**options):
    """Fine-tune the trained weights in the folder RUN on CORPUS."""
    _train("finetune", **options)


def _train(
    stage,
    corpus,
    run,
    spec,
    device,
    gpu_slots,
    threads,
    log,
    checkpoints,
    checkpoint_minutes,
    keep_checkpoints=True,
):
    from awd import corpora
    from awd.machine import devices, out_of_memory
    from awd.study.spec import parse_spec
    from awd.training.stage import train_stage
    from awd.training.trainer import Interrupted

    start_log(log)
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
                live=log is None and sys.stderr.isatty(),
            )
    except Interrupted as error:
        logging.getLogger("awd").warning("%s: %s; run it again to go on", run.name, error)
        sys.exit(STOPPED)


@main.command()
@training_options
@click.option("--stage", required=True, type=click.Choice(["train", "finetune"]))
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
@checkpoint_folder
@keep_checkpoints
def evaluate(
    corpus,
    run,
    spec,
    device,
    gpu_slots,
    threads,
    log,
    stage,
    method,
    members,
    checkpoints,
    keep_checkpoints,
):
    """Measure the perplexity of the weights in the folder RUN on CORPUS."""
    from awd import corpora
    from awd.evaluation.evaluate import evaluate_stage
    from awd.machine import devices, out_of_memory
    from awd.study.methods import parse_method
    from awd.study.spec import parse_spec

    start_log(log)
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


@main.command("tune-cache")
@folder("corpus")
@folder("run")
@click.option("--stage", default="finetune", show_default=True, help="train or finetune.")
@click.option("--window", "windows", multiple=True, type=int, default=(100, 500, 2000))
@click.option("--theta", "thetas", multiple=True, type=float, default=(0.3, 0.6, 1.0))
@click.option("--weight", "weights", multiple=True, type=float, default=(0.05, 0.1, 0.2))
def tune_cache(corpus, run, stage, windows, thetas, weights):
    """Try cache settings on the validation text of CORPUS with the weights in the folder RUN.

    Options can be repeated; every combination is tried. The settings go into a suite as
    cache_window, cache_theta and cache_weight.
    """
    from awd import corpora
    from awd.evaluation.evaluate import tune_cache as tune
    from awd.machine import devices

    device = devices.prepare()
    tried = tune(corpora.load(corpus), run, stage, windows, thetas, weights, device=device)
    click.echo("window  theta  weight  validation perplexity")
    for window, theta, weight, perplexity in sorted(tried, key=lambda trial: trial[-1]):
        click.echo(f"{window:6d}  {theta:5g}  {weight:6g}  {perplexity:.2f}")


@main.command()
@click.option("--scale", default="demo", show_default=True, help="demo, small or paper.")
@click.option("--suite", required=True, help="The suite whose rows are looked at.")
@click.option("--corpus", default="default", help="Only on this corpus.")
def mechanisms(scale, suite, corpus):
    """Show what each row really changes, observed on its model as it is built; trains nothing."""
    from awd.study.config import CONFIG, load_config
    from awd.study.plan import Plan
    from awd.training.expected import differences
    from awd.training.probes import observe_spec

    overrides = {"scale": scale, "suites": suite, "corpora": corpus, "seeds": 1}
    plan = Plan(load_config(CONFIG, overrides))
    resolved = plan.suites[suite]
    bases = {row["corpus"]: row for row in resolved["rows"] if row["row"] == resolved["base"]}
    observed: dict[str, dict] = {}
    for row in resolved["rows"]:
        ours, theirs = (each["runs"][0]["run"] for each in (row, bases[row["corpus"]]))
        for name in {ours, theirs} - observed.keys():
            sizes = plan.sizes[row["corpus"]] or {"vocabulary": 10_000}
            observed[name] = observe_spec(plan.runs[name].spec, sizes["vocabulary"])
        found = differences(observed[ours], observed[theirs], plan.runs[ours].spec)
        changed = [
            f"{key} {there} \N{RIGHTWARDS ARROW} {here}" for key, (here, there) in found.items()
        ]
        click.echo(f"{row['corpus']}  {row['row']}: {', '.join(changed) or 'as the base row'}")


@main.command()
@click.option("--scale", help="As small, or paper-bf16. Default: all with a plan.")
@click.option("--suite", "suites", multiple=True, help="Only this suite; can be repeated.")
@click.option(
    "--part",
    "parts",
    multiple=True,
    type=click.Choice(["records", "tables", "combined", "figures", "page"]),
    help="Only this part; can be repeated.",
)
@click.option(
    "--format",
    "formats",
    multiple=True,
    type=click.Choice(["csv", "md", "tex", "html", "png", "pdf", "svg"]),
    help="Only files of this kind; can be repeated.",
)
@click.option("--figure", "figures", multiple=True, help="Only this figure; can be repeated.")
@click.option(
    "--results",
    type=click.Path(path_type=Path),
    default=Path("results"),
    show_default=True,
    help="The folder of results.",
)
def report(scale, suites, parts, formats, figures, results):
    """Rebuild records, tables, figures and page from whatever records exist; trains nothing."""
    from awd.report.build import FORMATS, PARTS, scales
    from awd.report.build import report as build

    chosen = (suites or None, parts or PARTS, figures or None, formats or FORMATS)
    for name in [scale] if scale else scales(results):
        for path in build(results, name, *chosen):
            click.echo(path)


def start_log(path: Path | None) -> None:
    """Send what the program says to the terminal, and to ``path`` if given."""
    logging.raiseExceptions = False  # a disk that is full is no reason to fail for want of a log
    handlers: list[logging.Handler] = [logging.StreamHandler()]
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        handlers.append(logging.FileHandler(path, mode="a", encoding="utf-8"))
    logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=handlers, force=True)
