"""Plan and records -> csv files, tables, figures, page; at any time, from what exists."""

from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path

import pandas as pd

from awd.errors import InputError, nearest
from awd.files import read_json, write_text
from awd.places import study_command
from awd.report import figure_cache, tables
from awd.report import records as run_records
from awd.report.equal_epochs import equal_epochs
from awd.report.evaluations import name_members
from awd.report.lost_plan import lost_plan
from awd.report.noise import by_split, pool_of
from awd.report.published_curves import published_curves
from awd.report.remarks import AtEpoch
from awd.report.tables.choice import Choice, rebased
from awd.report.tables.latex import latex
from awd.report.tables.latex_numbers import numbers
from awd.report.tables.lead import leads, remarked
from awd.study import parts as plan_parts
from awd.study.config import load_config
from awd.study.dialect import SCALES, listed
from awd.vocabulary import EPOCHS

PARTS = ("records", "tables", "combined", "figures", "page")
FORMATS = (*tables.FORMATS, *figure_cache.FORMATS)
SOURCES = ("csv", "md", "tex")
"""Formats of tables that the page offers to copy."""


def report(
    folder: Path,
    scale: str,
    suites: Collection[str] | None = None,
    parts: Collection[str] = PARTS,
    figures: Collection[str] | None = None,
    formats: Collection[str] = FORMATS,
    style: Path | None = None,
    checkpoints: Path | None = None,
) -> list[Path]:
    """Build the report of one plan and return the paths written.

    ``folder`` is the results folder, which has {scale}/plans/ and runs/; ``scale`` the plan's
    folder there (small, paper-bf16); ``suites`` are the names to build, all by default; ``parts``
    limits what is built, ``figures`` which figures, ``formats`` the files of tables and figures;
    ``style`` is a style file for figures; ``checkpoints`` the folder of checkpoints, by default the
    one in ``folder``, from which come the curves of unfinished trainings.
    Figures whose inputs have not changed are kept.
    The combined table and the page are of all suites, so they are not built where some are chosen;
    the page counts as html, and shows the figures that are up to date. Rows without records are
    shown as missing. If there is no record under runs/ but {scale}/records.csv is there (a copy
    without its run folders), the report is built from that.

    Raises InputError if there is no plan, a suite is not in it, or a record cannot be read, and if
    there are tables whose records are not there.
    """
    folder = Path(folder)
    plan = _complete_plan(folder, scale, suites or ())
    chosen = choose(plan, suites)
    records, curves, copied = gather(folder, scale, plan, checkpoints)
    place, name = folder / scale, plan["scale"]
    if records.empty and curves.empty and not copied:
        _refuse_to_replace(place)
    written: list[Path] = []
    if "records" in parts and not copied:
        written += run_records.write(records, curves, place)
    noises = by_split(records, plan["runs"])
    behind = [_beside_published(suite, curves, name) for suite in chosen]
    built = [
        tables.build(suite, records, name, plan["runs"], noises, unfinished)
        for suite, (_, unfinished) in zip(chosen, behind, strict=True)
    ]
    ahead = {
        suite["suite"]: leads(suite, table, records, name, plan["runs"], noises)
        for suite, table in zip(chosen, built, strict=True)
    }
    built = [
        remarked(suite, table, ahead[suite["suite"]])
        for suite, table in zip(chosen, built, strict=True)
    ]
    if "combined" in parts and suites is None:
        written += _write_combined(chosen, built, name, place / "tables", formats)
    with_page = "page" in parts and suites is None and "html" in formats
    kinds = {*(formats if "tables" in parts else ()), *(SOURCES if with_page else ())}
    texts = [
        tables.typeset(suite, table, name, kinds)
        for suite, table in zip(chosen, built, strict=True)
    ]
    if "tables" in parts:
        for suite, made, (epochs, _) in zip(chosen, texts, behind, strict=True):
            written += _write_table(suite["suite"], made, epochs, place / "tables", formats)
    drawing = "figures" in parts and bool(set(formats) & set(figure_cache.FORMATS))
    pictures: list[figure_cache.Task] = []
    for suite, table in zip(chosen, built, strict=True) if drawing or with_page else ():
        published = published_curves(suite)
        frames = {"table": table, "curves": curves, "records": records, "published": published}
        pictures += figure_cache.tasks(place / "figures", suite, name, frames, style)
    if drawing:
        wanted = [each for each in pictures if figures is None or each.name in figures]
        written += figure_cache.draw(wanted, formats)
    if with_page:
        from awd.report import page

        shown = {each.stem.name: figure_cache.current(each) for each in pictures}
        written.append(place / "report.html")
        write_text(written[-1], page.render(plan, built, texts, records, curves, shown, ahead))
    return written


def _write_combined(
    suites: list[dict],
    built: list[pd.DataFrame],
    scale: str,
    folder: Path,
    formats: Collection[str],
) -> list[Path]:
    """Write the table of all suites and, for LaTeX, the file of its numbers; return the paths."""
    together, frame = tables.combine(suites, built)
    made = tables.typeset(together, frame, scale, formats)
    written = tables.write(together["suite"], made, folder)
    if "tex" in formats:
        written.append(folder / "numbers.tex")
        write_text(written[-1], numbers(suites, built))
    return written


def _write_table(
    name: str, made: Mapping[str, str], epochs: pd.DataFrame, folder: Path, formats: Collection[str]
) -> list[Path]:
    """Write a suite's table, and how it compares at equal ``epochs``; return the paths."""
    written = tables.write(name, made, folder, formats)
    if "csv" in formats and len(epochs):
        written.append(folder / f"{name}{EPOCHS}.csv")
        write_text(written[-1], epochs.to_csv(index=False, lineterminator="\n"))
    return written


def _refuse_to_replace(place: Path) -> None:
    """Raise InputError if the tables in ``place`` are from records that are not here.

    `report` leaves records.csv beside the tables that it makes, whether there are records or not.
    """
    if not (place / "records.csv").exists() and any((place / "tables").glob("*")):
        raise InputError(
            f"{place} has tables, but neither {place / 'records.csv'} nor any record that they are "
            "of, so they would lose their numbers; to make them anew, run the study: "
            + study_command(place.parent, scale=place.name)
        )


def chosen_table(folder: Path, scale: str, name: str, choice: Choice) -> Path:
    """Write the LaTeX table of suite ``name`` with chosen rows and columns; return its path.

    Raises InputError as `report` does, and for a row or column that the table has not.
    """
    folder = Path(folder)
    plan = _complete_plan(folder, scale, [name])
    suite = rebased(choose(plan, [name])[0], choice)
    records, curves, _ = gather(folder, scale, plan)
    _, unfinished = _beside_published(suite, curves, plan["scale"])
    table = tables.build(suite, records, plan["scale"], plan["runs"], unfinished=unfinished)
    stem = f"{name}-{choice.name}"
    if stem in [each["suite"] for each in plan["suites"]]:
        raise InputError(
            f"name: tables/{stem}.tex is the table of suite '{stem}'; use another name"
        )
    path = folder / scale / "tables" / f"{stem}.tex"
    write_text(path, latex(table, suite, plan["scale"], choice))
    return path


def _beside_published(
    suite: dict, curves: pd.DataFrame, scale: str
) -> tuple[pd.DataFrame, dict[tuple[str, str], AtEpoch]]:
    """What report.equal_epochs finds; nothing at other scales than `paper`."""
    return equal_epochs(suite, curves, published_curves(suite if scale == "paper" else {}))


def _complete_plan(folder: Path, scale: str, suites: Collection[str]) -> dict:
    """The plan of a scale, with what captions say about its texts."""
    plan = read_plan(folder, scale, suites) | {"results": folder.as_posix()}
    for key in ("unseen", "repeated_lines"):
        shares = text_shares(folder, plan, key)
        for suite in plan["suites"]:
            suite[key] = {row["corpus"]: shares.get(row["corpus"], {}) for row in suite["rows"]}
    for suite in plan["suites"]:
        suite["train_tokens"] = train_tokens(suite, plan["runs"])
        name_members(suite, plan["runs"])
    return plan


def scales(folder: Path, suites: Collection[str] = ()) -> list[str]:
    """Return the names of the scales whose plans have all ``suites``; of all scales if none has.

    Raises InputError if no scale has a plan, with the command that makes one of ``suites``.
    """
    folder = Path(folder)
    planned: dict[str, set[str]] = {}
    for path in sorted(folder.glob(f"*/{plan_parts.FOLDER}/*.json")):
        planned.setdefault(path.parents[1].name, set()).add(path.stem)
    found = [scale for scale, known in planned.items() if known.issuperset(suites)] or [*planned]
    if not found:
        words = {"suites": ",".join(suites)} if suites else {}
        raise InputError(
            lost_plan(folder, SCALES, suites)
            or f"{folder} has no plan of any scale; run a study first: "
            + study_command(folder, **words)
        )
    return found


def read_plan(folder: Path, scale: str, suites: Collection[str] = ()) -> dict:
    """Return the plan of a scale, of all its parts.

    Suites have the order of ``suites`` in config.yaml; others come after them, sorted by name.
    Raises InputError if there is no part, with the command that makes that of ``suites``.
    """
    folder, order = Path(folder), []
    if not plan_parts.files(folder / scale) and (sentence := lost_plan(folder, [scale], suites)):
        raise InputError(sentence)
    with suppress(InputError):  # results can be read whatever is wrong with the configuration
        order = listed(load_config().get("suites")) or []
    return plan_parts.read(folder / scale, order, suites)


def text_shares(folder: Path, plan: dict, key: str) -> dict[str, dict[str, float]]:
    """Return corpus -> split -> the share that the corpus' record has under ``key``.

    That is ``unseen``, of words that train does not have, or ``repeated_lines``, of lines that it
    has, too. As far as the corpora of the plan are encoded in the results ``folder``. Raises
    InputError if the record of one cannot be read.
    """
    shares: dict[str, dict[str, float]] = {}
    for name, fingerprint in {tuple(run["corpus"].values()) for run in plan["runs"].values()}:
        path = Path(folder) / "corpora" / f"{name}-{fingerprint[:8]}" / "corpus.json"
        if path.exists():
            counts = read_json(path).get(key) or {}
            try:
                shares[name] = {split: float(each["share"]) for split, each in counts.items()}
            except (TypeError, KeyError, ValueError) as error:
                raise InputError(f"{path}: '{key}' cannot be read: {error!r}") from error
    return shares


def train_tokens(suite: Mapping, runs: Mapping[str, Mapping]) -> dict[str, dict[str, int]]:
    """Return by corpus and row on how many tokens the suite's rows train; 0 means all."""
    found: dict[str, dict[str, int]] = {}
    for row in suite["rows"]:
        found.setdefault(row["corpus"], {})[row["row"]] = pool_of(row, runs).train_tokens
    return found


def choose(plan: dict, suites: Collection[str] | None) -> list[dict]:
    """Return the plan's suites of these names, in the plan's order; all if ``suites`` is None.

    Raises InputError for a name that is not in the plan.
    """
    known = [suite["suite"] for suite in plan["suites"]]
    for name in suites or []:
        if name not in known:
            raise InputError(
                f"suite '{name}' is not in the plan of scale {plan['scale']}; "
                f"{nearest(name, known)}"
            )
    return [suite for suite in plan["suites"] if suites is None or suite["suite"] in suites]


def gather(
    folder: Path, scale: str, plan: dict, checkpoints: Path | None = None
) -> tuple[pd.DataFrame, pd.DataFrame, bool]:
    """Records and curves of the plan, and whether they come from the csv files of a copy.

    ``checkpoints`` is the folder of checkpoints, by default the one in the results ``folder``.
    """
    folder = Path(folder)
    runs = folder / "runs"
    records, curves = run_records.collect(plan, runs, checkpoints or folder / "checkpoints")
    copied = records.empty and (folder / scale / "records.csv").exists()
    if copied and run_records.collect(plan, runs)[1].empty:
        return *run_records.read(folder / scale), True
    return records, curves, False
