"""The commands for people."""

import json
import re
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import click

from awd.cli.group import Commands, chosen, folder, only, words_argument
from awd.errors import InputError
from awd.files import file_sha256, refuse_broken_link, user_path
from awd.places import RESULTS, SNAKEFILE, config_file
from awd.vocabulary import Device, Stage

configfile = click.option(
    "--configfile", type=click.Path(path_type=Path), help="Read this file instead of config.yaml."
)
REPORT_KEYS = (
    *("scale", "recipe", "precision", "suites", "results"),
    *("parts", "formats", "figures", "figure_style"),
)
LONGEST = 3
"""Items of a list that `awd mechanisms` prints."""


@click.group(cls=Commands)
@click.version_option(package_name="awd")
def main():
    """Re-run a language-model paper's ablation study and write its table.

    Snakemake runs a study: `snakemake --cores all --config scale=small suites=kim2024`. All
    commands take the same words KEY=VALUE.
    """


def _plan(words: Mapping, path: Path | None):
    """Return the Plan of a configuration file with the words of a command line on top."""
    from awd.study.command_line import COMMAND_LINE
    from awd.study.config import load_config
    from awd.study.plan import Plan

    path = path or config_file()
    return Plan(load_config(path, words), str(path), dict.fromkeys(words, COMMAND_LINE))


def results_folder(given: Mapping) -> Path:
    """Return the folder of results: that of the words, or of config.yaml.

    Raises InputError if the words give no folder, or if the folder is a link to nowhere.
    """
    if given.get("results", "") is None:
        raise InputError("the command line: results must not be empty")
    folder = _path(given, "results") or RESULTS
    refuse_broken_link(folder)
    return folder


def _path(given: Mapping, key: str) -> Path | None:
    """Return the path that the words have for ``key``, else config.yaml; None without one."""
    from awd.study.config import load_config

    found = given.get(key)
    if key not in given:
        with suppress(InputError):  # results can be read whatever is wrong with the configuration
            found = load_config().get(key)
    return None if found is None else user_path(str(found))


def _last_plan(results: Path):
    """Return the Plan of the last workflow, None if none has started there."""
    from awd.study import last
    from awd.study.plan import Plan

    config = last.recall(results)
    if config is None:
        return None
    try:
        return Plan(config, str(results / last.NAME))
    except InputError as error:
        raise InputError(f"{error} (delete the file, or say which study you mean)") from error


@main.command(
    examples={
        "awd plan": "the studies of config.yaml",
        "awd plan scale=paper suites=kim2024,merity2018": "two studies at full scale",
        "awd plan suites=kim2024 --power": "which differences the seeds can find",
        "awd plan scale=paper --profile workflow/profiles/slurm": "warns if jobs cannot finish",
        "awd plan corpora=mine corpus_folders='{mine: texts}'": "your own text",
    }
)
@words_argument
@configfile
@click.option(
    "--profile",
    type=click.Path(path_type=Path),
    help="Warn if jobs need more time than this profile gives.",
)
@click.option("--power", is_flag=True, help="Show which differences 1 to 10 seeds can find.")
@click.option("--settings", hidden=True, help="The whole configuration as JSON.")
@click.option(
    "--write",
    is_flag=True,
    help="Write the plan to results/SCALE/plans, for `awd report`; train nothing.",
)
def plan(words, configfile, profile, power, settings, write):
    """Show the trainings of a study: which rows share them, which are done, what the rest costs."""
    from awd.study.dialect import parse

    if settings:
        from awd.study.config import parse_config
        from awd.study.plan import Plan

        made = Plan(parse_config(settings), "the configuration")
    else:
        made = _plan(parse(words), configfile)
    made.refuse_short_texts()
    if write:
        for path in made.write():
            click.echo(path)
    else:
        from awd.report.plan_overview import show_plan, show_power_of

        if power:
            show_power_of(made)
        else:
            show_plan(made, profile)


@main.command(
    examples={
        "awd status --watch": "the last `snakemake` here, until it is done",
        "awd status results=/scratch/awd": "the last one with results in that folder",
        "awd status scale=small suites=kim2024": "another study",
        "awd status --json": "for another program",
    }
)
@words_argument
@configfile
@click.option("--watch", is_flag=True, help="Show it again every two seconds, until all is done.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON once, for another program.")
def status(words, configfile, watch, as_json):
    """Show the state of each run: waiting, running (with progress), stopped, diverged, done.

    Without words, it shows the runs of the last `snakemake`. It looks in the folder of results that
    config.yaml names (usually `results`); results=FOLDER names another.
    """
    from awd.report.status import print_json, show_states, watch_states
    from awd.study.dialect import parse

    given = parse(words)
    follow = not configfile and given.keys() <= {"results"}
    made = _last_plan(results_folder(given)) if follow else None
    if watch and as_json:
        raise InputError("the command line: --watch and --json exclude each other")
    show = print_json if as_json else watch_states if watch else show_states
    if follow and made is None:
        click.echo(
            "No workflow has started here yet. This is what the configuration asks for; "
            "`snakemake --cores all` starts it.",
            err=True,
        )
    show(made or _plan(given, configfile))


@main.command(
    examples={
        "awd report": "the scale of the last `snakemake` here",
        "awd report scale=paper-bf16 suites=kim2024": "one study in results/paper-bf16",
        "awd report formats=tex,pdf": "LaTeX tables and figures only",
        "awd report suites=kim2024 formats=tex parts=tables": "one LaTeX table",
        "awd report suites=kim2024 rows=lstm,gru columns=published.test,test": "a part of it",
    }
)
@words_argument
def report(words):
    """Make tables, figures and the page from the records; train nothing.

    \b
    Keys:
      scale         default: that of the last `snakemake`, else each with a plan
      suites        default: all that were planned
      parts         of records, tables, combined, figures, page; default: all
      formats       of csv, md, tex, html, png, pdf, svg; default: all
      figures       names of figures; default: all
      figure_style  style file of matplotlib; default: that of config.yaml
      results       folder of results; default: that of config.yaml

    Figures are drawn again only if their data has changed.

    \b
    Keys of one LaTeX table, SUITE-NAME.tex, with chosen rows and columns:
      rows, columns, caption, label
      base_row      the row that the others are compared with
      siunitx       true: use the S columns of siunitx
      notes         false: no notes
      name          default: chosen
    """
    from awd.report.build import FORMATS, PARTS, scales
    from awd.report.build import report as build
    from awd.report.tables.choice import Choice
    from awd.study.dialect import parse

    given = parse(words, texts=("caption", "label", "name"))
    only(given, (*REPORT_KEYS, *Choice._fields))
    results = results_folder(given)
    if given.keys() & set(Choice._fields):
        _report_choice(given, results)
        return
    suites = chosen(given, "suites")
    parts = chosen(given, "parts", PARTS)
    formats = chosen(given, "formats", FORMATS) or FORMATS
    if parts and "page" in parts and "html" not in formats:
        raise InputError("the command line: the page is html: add html to formats")
    figures, style = chosen(given, "figures"), _path(given, "figure_style")
    # Those of config.yaml belong to its folder of results.
    checkpoints = None if "results" in given else _path(given, "checkpoints")
    for name in scales_of(given, results) or scales(results, suites or ()):
        for path in build(
            results, name, suites, parts or PARTS, figures, formats, style, checkpoints
        ):
            click.echo(path)


def _report_choice(given: Mapping, results: Path) -> None:
    """Write the LaTeX table that the words choose."""
    from awd.report.build import chosen_table, scales
    from awd.report.tables.choice import Choice
    from awd.study.validation import PATTERN

    suites = chosen(given, "suites")
    if suites is None or len(suites) != 1:
        raise InputError(
            f"the command line: {', '.join(Choice._fields[:-1])} and {Choice._fields[-1]} are of "
            "one table: name its study, as in suites=kim2024"
        )
    try:
        for key, allowed in (("parts", "tables"), ("formats", "tex")):
            chosen(given, key, (allowed,))
    except InputError as error:
        keys = ", ".join(key for key in given if key in Choice._fields)
        raise InputError(f"{error}, since {keys} make a table in LaTeX") from error
    if "name" in given and not re.fullmatch(PATTERN, given["name"]):
        raise InputError(f"the command line: name: '{given['name']}' must match {PATTERN}")
    for key in ("siunitx", "notes"):
        if not isinstance(given.get(key, False), bool):
            raise InputError(f"the command line: {key}: no {given[key]!r}; allowed: true, false")
    wanted = {key: given[key] for key in Choice._fields if key in given}
    for key in wanted.keys() & {"rows", "columns"}:
        wanted[key] = tuple(chosen(given, key) or ())
    choice = Choice(**wanted)
    for name in scales_of(given, results) or scales(results, suites):
        click.echo(chosen_table(results, name, suites[0], choice))


def scales_of(given: Mapping, results: Path) -> list[str]:
    """Return the folder of the scale that is meant, or of the last workflow, if there is one."""
    from awd.study import last
    from awd.study.dialect import folder_name

    config = given if "scale" in given else last.recall(results)
    name = folder_name(config) if config else None
    return [name] if name and ("scale" in given or (results / name).is_dir()) else []


@main.group(cls=Commands)
def new():
    """Write an example of a study."""


@new.command(examples={"awd new suite my-study": "writes workflow/suites/my-study.yaml"})
@click.argument("name")
def suite(name):
    """Write a suite called NAME that runs as it is. Change it into your study."""
    from awd.study import new_suite

    path = new_suite.write(name)
    click.echo(f"{path} is written. Run it: snakemake --cores all --config suites={name}")


@main.command(
    examples={
        "awd corpus networkx-docs": "the built-in text",
        "awd corpus mine corpus_folders='{mine: /data/texts}'": "a text of your own",
    }
)
@click.argument("name")
@words_argument
@configfile
def corpus(name, words, configfile):
    """Show tokens, types, words that are not in train, and the first lines of a corpus.

    NAME is a built-in or published corpus, or one of corpus_folders.
    """
    from awd.corpora.overview import describe, look, opened
    from awd.study.config import load_config
    from awd.study.dialect import parse

    given = parse(words)
    config = load_config(configfile, given)
    folders = config.get("corpus_folders") or {}
    if not isinstance(folders, dict):
        raise InputError("corpus_folders must be a mapping: {name: folder}")
    least = config.get("minimum_count", 1) if name in folders else 1
    with opened(name, results_folder(given), folders, least) as opened_corpus:
        click.echo(describe(look(opened_corpus)))


@main.command(
    examples={
        "awd clean": "lists files, and asks",
        "awd clean what=checkpoints,logs --yes": "does not ask",
        "awd clean suites=my-study scale=small": "takes a study out of page and tables",
    }
)
@words_argument
@click.option("--yes", is_flag=True, help="Delete without asking.")
def clean(words, yes):
    """List files in results that are no longer needed; delete them if you agree.

    Keys: what: checkpoints, logs, texts, trials, weights (default: all); suites: take these studies
    out of page and tables instead; scale: only there; results. Records are never deleted.
    """
    from awd.runs import clean as removal
    from awd.study.dialect import parse

    given = parse(words)
    only(given, ("what", "suites", "scale", "results"))
    results = results_folder(given)
    suites, kinds = chosen(given, "suites"), chosen(given, "what", removal.KINDS)
    if yes and not (suites or kinds):
        raise InputError(
            f"--yes deletes without asking: say what, as in what={','.join(removal.KINDS)}"
        )
    if suites:
        found = [removal.find_suites(results, suites, given.get("scale"))]
    else:
        found = removal.find(results, kinds or list(removal.KINDS))
    found = [each for each in found if each.files]
    for each in found:
        click.echo(f"{each.kind:12}{removal.size(each.size):>8}{len(each.files):8,} files")
        click.echo(f"            {removal.meaning(each)}")
        for path in each.files if suites else ():
            click.echo(f"            {path}")
    if not found:
        click.echo("There is nothing to delete.")
    for each in found:
        if yes or _confirm(f"Delete {each.kind}?"):
            removal.delete(each)
            click.echo(f"Deleted {len(each.files):,} files, {removal.size(each.size)}.")
    if suites and found:
        click.echo("`awd report` makes page and combined table anew.")


def _confirm(question: str) -> bool:
    """Ask; raises InputError if there is no answer: Ctrl-C, the end of input, or no terminal."""
    try:
        return click.confirm(question)
    except (click.Abort, RuntimeError) as error:  # Python's where a standard stream is closed
        raise InputError(
            f"no answer to '{question}', so nothing more is deleted; --yes with what=... or "
            "suites=... deletes without asking"
        ) from error


@main.command(
    examples={
        "awd mechanisms suites=merity2018": "each row of a study",
    }
)
@words_argument
@configfile
def mechanisms(words, configfile):
    """Probe the model of each row, and show what the row changes; train nothing."""
    from awd.machine import devices
    from awd.study.dialect import parse
    from awd.training.expected import differences
    from awd.training.probes import observe_spec

    devices.prepare(Device.CPU)
    plan = _plan({"seeds": 1} | parse(words), configfile)
    for resolved in plan.suites.values():
        bases = {row["corpus"]: row for row in resolved["rows"] if row["row"] == resolved["base"]}
        observed: dict[str, dict] = {}
        for row in resolved["rows"]:
            run, base = (each["runs"][0]["run"] for each in (row, bases[row["corpus"]]))
            for name in {run, base} - observed.keys():
                sizes = plan.sizes(row["corpus"]) or {"vocabulary": 10_000}
                observed[name] = observe_spec(plan.runs[name].spec, sizes["vocabulary"])
            found = differences(observed[run], observed[base], plan.runs[run].spec)
            changed = [
                f"{key} {_brief(there)} \N{RIGHTWARDS ARROW} {_brief(here)}"
                for key, (here, there) in found.items()
            ]
            click.echo(f"{row['corpus']}  {row['row']}: {', '.join(changed) or 'as the base row'}")


def _brief(value: object) -> str:
    """Return the result of a probe in words; of a long list its beginning and its length."""
    if not isinstance(value, list):
        from awd.training.expected import plain

        return plain(value)
    if len(value) <= LONGEST:
        return str(value) if value else "none"
    return f"[{', '.join(map(str, value[:LONGEST]))}, ... {len(value)} in all]"


@main.command(
    examples={
        "awd compare before after scale=small": "of two folders of results",
        "awd compare before after suites=kim2024": "of one study",
    }
)
@folder("first")
@folder("second")
@words_argument
def compare(first, second, words):
    """Compare the results in folder SECOND with those in FIRST.

    Keys: scale, suites (default: all that both have); format: terminal or md. Exit code 0: no
    difference beyond noise; 3: a difference; 4: undecided, the noise is unknown.
    """
    from awd.report.compare import compare_folders, exit_code, markdown, show
    from awd.study.dialect import folder_name, parse

    given = parse(words)
    only(given, ("scale", "suites", "format"))
    (kind,) = chosen(given, "format", ("terminal", "md")) or ["terminal"]
    scale = folder_name(given) if "scale" in given else None
    found = compare_folders(first, second, scale, chosen(given, "suites"))
    if kind == "md":
        click.echo(markdown(found), nl=False)
    else:
        show(found)
    sys.exit(exit_code(found))


@main.command(examples={"awd pack my-paper.zip scale=paper": "records and tables of one scale"})
@folder("archive")
@words_argument
def pack(archive, words):
    """Write the results, without weights and text, to the zip file ARCHIVE for a paper.

    ARCHIVE must be a new file. Keys: scale (one or several; default: all that have a plan),
    results.
    """
    from awd.report.archive import pack as write
    from awd.study.dialect import parse

    given = parse(words)
    only(given, ("scale", "results"))
    names = write(results_folder(given), archive, chosen(given, "scale") or ())
    click.echo(f"{archive}: {len(names)} files, SHA-256 {file_sha256(archive)}")


@main.command(examples={"awd verify my-paper.zip": "exit code 0 if all is as it was packed"})
@folder("archive")
def verify(archive):
    """Check the files of ARCHIVE, or of the folder it was unpacked to, and rebuild its tables.

    Exit code 0: all is as it was packed; 3: it is not.
    """
    from awd.report.archive import DIFFERS
    from awd.report.archive import verify as check

    problems = check(archive)
    for problem in problems:
        click.echo(problem)
    if problems:
        sys.exit(DIFFERS)
    whole = f" SHA-256 {file_sha256(archive)}." if archive.is_file() else ""
    click.echo(f"{archive}: all files are as packed, all tables follow from the records.{whole}")


@main.command(
    examples={
        "awd tune merity2018 full --budget 20 scale=small": "20 trials",
        "awd tune yoon2019 lstm gru --budget 30 scale=small": "30 trials of each of two rows",
        "awd tune merity2018 full --budget 20 scale=small --show": "cost and trials so far",
        "awd tune merity2018 full scale=paper --profile workflow/profiles/slurm": "on a cluster",
    }
)
@click.argument("suite")
@click.argument("rows_and_words", nargs=-1, required=True, metavar="ROW... [KEY=VALUE]...")
@click.option(
    "--budget",
    type=click.IntRange(1),
    default=20,
    show_default=True,
    help="Number of trials of each row.",
)
@click.option("--show", is_flag=True, help="Show cost and trials so far; train nothing.")
@click.option("--cores", default="all", show_default=True, help="Number of cores for Snakemake.")
@click.option(
    "--profile",
    type=click.Path(path_type=Path),
    help="Profile of Snakemake, for example for Slurm.",
)
@configfile
def tune(suite, rows_and_words, budget, show, cores, profile, configfile):
    """Search hyperparameters of rows of SUITE at random; keep the best by validation perplexity.

    The suite declares the ranges under scales.SCALE.tuning. After a stop, the same command
    continues the search; so does a command with a larger budget. awd writes the chosen values to
    workflow/tuning, where the suite reads them.
    """
    from awd.report import trials
    from awd.report.status import terminal_or_wide
    from awd.study.dialect import parse

    rows = [word for word in rows_and_words if "=" not in word]
    words = [word for word in rows_and_words if "=" in word]
    given = parse(words)
    for key in ("suites", "trials"):
        if key in given:
            raise InputError(f"the command line: {key}: name suite and rows without a key")
    asked = {"rows": rows, "budget": budget}
    made = _plan({**given, "suites": suite, "trials": asked}, configfile)
    trials.refuse_to_cut(made, trials.on_file(made))
    console = terminal_or_wide()
    if show:
        from awd.report.plan_overview import show_plan

        show_plan(made, profile)
    else:
        words += [f"suites={suite}", f"trials={json.dumps(asked)}"]
        _snakemake(words, cores, profile, configfile)
    trials.show(made, console)
    if not show:
        for path in trials.keep(made):
            click.echo(path)


def _snakemake(words: list[str], cores: str, profile: Path | None, configfile: Path | None) -> None:
    """Run the workflow; end this program with its exit code if that is not 0."""
    from awd.machine import interrupt

    command = [sys.executable, "-m", "snakemake", "--snakefile", str(SNAKEFILE), "--cores", cores]
    command += ["--profile", str(profile)] if profile else []
    command += ["--configfile", str(configfile)] if configfile else []
    if code := interrupt.run([*command, "--config", *words]):
        sys.exit(code)


@main.command(
    "tune-cache",
    examples={
        "awd tune-cache results/corpora/ptb-* results/runs/RUN window=500,2000": "18 settings"
    },
)
@folder("corpus")
@folder("run")
@words_argument
def tune_cache(corpus, run, words):
    """Try settings of the neural cache on the validation text of CORPUS with the weights in RUN.

    Keys: window, theta, weight, each with one or several values, of which every combination is
    tried; stage. The best go into a suite as cache_window, cache_theta and cache_weight.
    """
    from awd import corpora
    from awd.evaluation.evaluate import tune_cache as tune
    from awd.machine import devices
    from awd.study.dialect import parse

    given = parse(words)
    only(given, ("window", "theta", "weight", "stage"))
    (stage,) = chosen(given, "stage", list(Stage)) or [Stage.FINETUNE]
    tried = tune(
        corpora.load(corpus),
        run,
        stage,
        _numbers(given, "window", int, (100, 500, 2000)),
        _numbers(given, "theta", float, (0.3, 0.6, 1.0)),
        _numbers(given, "weight", float, (0.05, 0.1, 0.2)),
        device=devices.prepare(),
    )
    click.echo("window  theta  weight  validation perplexity")
    for window, theta, weight, perplexity in sorted(tried, key=lambda trial: trial[-1]):
        click.echo(f"{window:6d}  {theta:5g}  {weight:6g}  {perplexity:.2f}")


@main.command(
    examples={
        "awd snakefile": "print where it is",
        'snakemake -s "$(awd snakefile)" -c all': "run an installed awd",
    }
)
def snakefile():
    """Print the path of the workflow, to run it from any folder."""
    click.echo(SNAKEFILE)


def _numbers(given: Mapping, key: str, kind: type, usual: tuple) -> list:
    words = chosen(given, key)
    try:
        return list(usual) if words is None else [kind(word) for word in words]
    except ValueError as error:
        raise InputError(
            f"the command line: {key}: '{given[key]}' is no list of numbers"
        ) from error
