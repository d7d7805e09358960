"""Plan and records -> csv files, tables, figures, page; at any time, from what exists."""

from collections.abc import Collection
from pathlib import Path

import pandas as pd

from awd.errors import InputError, nearest
from awd.files import read_json
from awd.report import records as run_records
from awd.report import tables
from awd.report.noise import by_split
from awd.report.published import published_curves
from awd.study.plan_file import check_plan

PARTS = ("records", "tables", "combined", "figures", "page")
FORMATS = (*tables.FORMATS, "png", "pdf", "svg")


def report(
    folder: Path,
    scale: str,
    suites: Collection[str] | None = None,
    parts: Collection[str] = PARTS,
    figures: Collection[str] | None = None,
    formats: Collection[str] = FORMATS,
) -> list[Path]:
    """Build the report of one plan and return the paths written.

    ``folder`` is the results folder, with {scale}/plan.json and runs/; ``scale`` the plan's
    folder there (small, paper-bf16); ``suites`` are the names to build, all by default; ``parts``
    limits what is built, ``figures`` which figures, ``formats`` the files of tables and figures.
    The combined table and the page are of all suites, so they are not built where some are chosen;
    the page counts as html, and shows the figures that exist. Rows without records are shown as
    missing. If there is no record under runs/ but {scale}/records.csv is there (a copy without its
    run folders), the report is built from that.

    Raises InputError if there is no plan, a suite is not in it, or a record cannot be read.
    """
    folder = Path(folder)
    plan = read_plan(folder, scale)
    chosen = choose(plan, suites)
    records, curves, copied = gather(folder, scale, plan)
    written: list[Path] = []
    if "records" in parts and not copied:
        written += run_records.write(records, curves, folder / scale)
    noises = by_split(records, plan["runs"])
    built = [tables.build(suite, records, plan["scale"], plan["runs"], noises) for suite in chosen]
    if "combined" in parts and suites is None:
        suite, table = tables.combine(chosen, built)
        stem = folder / scale / "tables" / suite["suite"]
        written += tables.write(table, suite, plan["scale"], stem, formats)
    for suite, table in zip(chosen, built, strict=True):
        if "tables" in parts:
            stem = folder / scale / "tables" / suite["suite"]
            written += tables.write(table, suite, plan["scale"], stem, formats)
        if "figures" in parts and set(formats) - set(tables.FORMATS):
            from awd.report.figures import FIGURES, save  # matplotlib, which tables do not need

            frames = {"table": table, "curves": curves, "records": records}
            frames["published"] = published_curves(suite)
            for name in suite["figures"]:
                if figures is not None and name not in figures:
                    continue
                drawn = FIGURES[name](suite, scale=plan["scale"], **frames)
                stem = folder / scale / "figures" / f"{suite['suite']}-{name}"
                written += save(drawn, stem, formats)
    if "page" in parts and suites is None and "html" in formats:
        from awd.report import page

        path = folder / scale / "report.html"
        written.append(page.write(path, plan, built, records, curves))
    return written


def scales(folder: Path) -> list[str]:
    """The names of all plans; raises InputError if none has."""
    found = sorted(path.parent.name for path in Path(folder).glob("*/plan.json"))
    if not found:
        raise InputError(f"{folder} has no plan.json of a scale; run `python -m awd plan --write`")
    return found


def read_plan(folder: Path, scale: str) -> dict:
    """The resolved plan of a scale; raises InputError if there is none."""
    path = Path(folder) / scale / "plan.json"
    if not path.is_file():
        raise InputError(f"{path} does not exist; run `python -m awd plan --write` first")
    plan = read_json(path)
    try:
        check_plan(plan, str(path))
    except InputError as error:
        raise InputError(f"{error}; write it again with `python -m awd plan --write`") from error
    return plan


def choose(plan: dict, suites: Collection[str] | None) -> list[dict]:
    """The plan's suites of these names, in the plan's order; all if ``suites`` is None."""
    known = [suite["suite"] for suite in plan["suites"]]
    for name in suites or []:
        if name not in known:
            raise InputError(f"suite '{name}' is not in the plan; {nearest(name, known)}")
    return [suite for suite in plan["suites"] if suites is None or suite["suite"] in suites]


def gather(folder: Path, scale: str, plan: dict) -> tuple[pd.DataFrame, pd.DataFrame, bool]:
    """Records and curves of the plan, and whether they come from the csv files of a copy."""
    folder = Path(folder)
    records, curves = run_records.collect(plan, folder / "runs")
    if records.empty and curves.empty and (folder / scale / "records.csv").exists():
        return *run_records.read(folder / scale), True
    return records, curves, False
