"""The commands of ``python -m awd``, for people and for the workflow's rules.

Each command imports its modules when it is called: planning a study must not load torch.
"""

import faulthandler
import logging
import sys
from pathlib import Path

import click

from awd.errors import InputError
from awd.vocabulary import Stage

STAGE = click.Choice([each.value for each in Stage])
STOPPED = 75  # EX_TEMPFAIL: saved, run it again

log = logging.getLogger("awd")


class Commands(click.Group):
    """Commands in the order of the pipeline; a mistake ends one with a sentence and code 1."""

    def list_commands(self, ctx):  # noqa: ARG002 - click's signature
        """Return the names in the order of this file."""
        return list(self.commands)

    def invoke(self, ctx):
        """Run the command; report the user's mistakes and the disk's errors as one sentence.

        Any other exception is a mistake in awd: its traceback goes to the terminal and the log.
        """
        try:
            return super().invoke(ctx)
        except click.ClickException as error:
            _write_to_log_file(f"awd: {error.format_message()}")
            raise
        except (click.exceptions.Exit, click.Abort):
            raise
        except KeyboardInterrupt:
            log.info("awd: stopped")
            sys.exit(STOPPED)
        except InputError as error:
            sentence = str(error)
        except OSError as error:
            place = f" ({error.filename})" if error.filename else ""
            sentence = f"{error.strerror or error}{place}; nothing was left half-written"
        except Exception as error:
            log.exception("awd: unexpected error, please report it: %s", type(error).__name__)
            sys.exit(1)
        log.error("awd: %s", sentence)
        sys.exit(1)


@click.group(cls=Commands)
@click.version_option(package_name="awd")
def main():
    """Re-run a language-model paper's ablation study and hand back its table."""


def folder(name):
    """An argument that is a folder or file, as a Path."""
    return click.argument(name, type=click.Path(path_type=Path))


log_option = click.option(
    "--log",
    type=click.Path(path_type=Path),
    help="Write a log there, too.",
    callback=lambda _ctx, _option, path: start_log(path),
    expose_value=False,
    is_eager=True,  # a mistake in another option is logged, too
)


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
@click.option("--power", is_flag=True, help="Show which differences 1 to 10 seeds can find.")
def plan(path, scale, suites, overrides, settings, write, power):
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
        from awd.report.terminal import show_plan, show_power_of

        (show_power_of if power else show_plan)(made)


@main.command()
@plan_options
@click.option("--watch", is_flag=True, help="Look again every two seconds, until Ctrl-C.")
def status(path, scale, suites, overrides, watch):
    """Show what each run is doing: waiting, running and how far, stopped, diverged, done."""
    from awd.report import terminal

    show = terminal.watch if watch else terminal.show_states
    show(_configured(path, scale, suites, overrides))


@main.command()
@click.argument("corpus")
@folder("destination")
@click.option("--mirror", help="A folder or URL to look in first.")
@click.option("--folder", help="The folder of a corpus of your own.")
@click.option("--fingerprint", help="Identity of the corpus in the plan, or its first digits.")
@log_option
def fetch(corpus, destination, mirror, folder, fingerprint):
    """Put train.txt, valid.txt and test.txt of CORPUS, verified, into DESTINATION."""
    from awd import corpora

    folders = {corpus: folder} if folder else {}
    corpora.fetch(corpus, destination, mirror=mirror, folders=folders, fingerprint=fingerprint)


@main.command()
@click.argument("corpus")
@folder("raw")
@folder("destination")
@click.option("--fingerprint", required=True, help="Identity of the corpus, or its first digits.")
@log_option
def encode(corpus, raw, destination, fingerprint):
    """Turn the text in RAW into numbers in DESTINATION."""
    from awd import corpora

    corpora.encode(corpus, raw, destination, fingerprint=fingerprint)


def training_options(command):
    """The arguments that training, fine-tuning and evaluation share."""
    for option in (
        log_option,
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


@main.command()
@training_options
@checkpoint_folder
@checkpoint_minutes
@evaluate_too
def train(**options):
    """Train on CORPUS and write the record, curve and weights to the folder RUN."""
    _train(Stage.TRAIN, **options)


@main.command()
@training_options
@checkpoint_folder
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
                live=not _log_files() and sys.stderr.isatty(),
            )
    except Interrupted as error:
        log.info("%s: %s; the same command continues it", run.name, error)
        sys.exit(STOPPED)


@main.command()
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
@checkpoint_folder
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
    from awd.study.methods import parse_method
    from awd.study.spec import parse_spec

    spec, method = parse_spec(spec), parse_method(method)
    if adopt(checkpoints, run, stage, method.name, spec.as_dict()) is not None:
        if not keep_checkpoints:
            Checkpoint(checkpoints, run.name, stage).remove()
        return

    from awd import corpora
    from awd.evaluation.evaluate import evaluate_stage
    from awd.machine import devices, out_of_memory

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
@click.option("--stage", default=Stage.FINETUNE.value, type=STAGE)
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


@main.command()
@folder("first")
@folder("second")
@click.option("--scale", help="Only this scale. Default: all that both have.")
@click.option("--format", "kind", type=click.Choice(["terminal", "md"]), default="terminal")
def compare(first, second, scale, kind):
    """Compare the results in folder SECOND with those in FIRST.

    Exit code 0: no difference beyond noise; 3: a difference; 4: undecided, the noise is unknown.
    """
    from awd.report.compare import compare_folders, exit_code, markdown, show

    found = compare_folders(first, second, scale)
    if kind == "md":
        click.echo(markdown(found), nl=False)
    else:
        show(found)
    sys.exit(exit_code(found))


@main.command()
@folder("archive")
@click.option("--scale", "scales", multiple=True, help="Only this scale; can be repeated.")
@click.option(
    "--results",
    type=click.Path(path_type=Path),
    default=Path("results"),
    show_default=True,
    help="The folder of results.",
)
def pack(archive, scales, results):
    """Write ARCHIVE, a zip file of results to attach to a paper; weights and text are not in it."""
    from awd.report.archive import digest
    from awd.report.archive import pack as write

    names = write(results, archive, scales)
    click.echo(f"{archive}: {len(names)} files, SHA-256 {digest(archive)}")


@main.command()
@folder("archive")
def verify(archive):
    """Check the files of ARCHIVE, or of the folder it was unpacked to, and rebuild its tables.

    Exit code 0: all is as it was packed; 3: it is not.
    """
    from awd.report.archive import DIFFERS, digest
    from awd.report.archive import verify as check

    problems = check(archive)
    for problem in problems:
        click.echo(problem)
    if problems:
        sys.exit(DIFFERS)
    whole = f" SHA-256 {digest(archive)}." if archive.is_file() else ""
    click.echo(f"{archive}: all files are as packed, all tables follow from the records.{whole}")


def start_log(path: Path | None) -> None:
    """Send log lines to the terminal, and to ``path`` if given: there crashes leave a trace."""
    logging.raiseExceptions = False  # a full disk must not end a training that only logs
    handlers: list[logging.Handler] = [logging.StreamHandler()]
    if path is not None:
        handlers[0].setLevel(logging.WARNING)  # what else there is to see is in the log
        path.parent.mkdir(parents=True, exist_ok=True)
        file = logging.FileHandler(path, mode="a", encoding="utf-8")
        handlers.append(file)
        assert file.stream is not None
        faulthandler.enable(file.stream)
    logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=handlers, force=True)


def _log_files() -> list[logging.FileHandler]:
    handlers = logging.getLogger().handlers
    return [each for each in handlers if isinstance(each, logging.FileHandler)]


def _write_to_log_file(sentence: str) -> None:
    for handler in _log_files():
        handler.emit(logging.LogRecord("awd", logging.ERROR, "", 0, sentence, (), None))
