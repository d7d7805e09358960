"""Records and tables -> one page that opens anywhere: results, figures, how to run each row again.

The page is a single file that loads nothing: its content security policy forbids it. Equal
records give an equal page.
"""

import base64
import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from awd import __version__
from awd.places import CAPTIONS
from awd.report import words
from awd.report.agreement import TOLERANCE, Verdict
from awd.report.page.rows import SIGNS, STATES, Row, Table, Trainings, tables
from awd.report.stats import CONFIDENCE, SIGNIFICANCE, beyond_noise
from awd.report.tables.build import compared
from awd.report.tables.layout import number, probability
from awd.report.tables.lead import Lead
from awd.report.words import DASH, listed, plural
from awd.vocabulary import Status

LARGEST_FIGURE = 1_000_000  # bytes; a larger one is named, not shown
KINDS = {".svg": "image/svg+xml", ".png": "image/png"}


class Picture(NamedTuple):
    """A figure: its file's name, what it shows, and a data URI ("" if there is no picture)."""

    name: str
    caption: str
    uri: str


class Suite(NamedTuple):
    """All that the page shows of a suite."""

    name: str
    title: str
    citation: str
    url: str
    caption: Markup
    tables: list[Table]
    footnotes: list[Markup]
    notes: list[Markup]
    pictures: list[Picture]
    sources: dict[str, str]

    @property
    def rows(self) -> list[Row]:
        """The rows of all its tables."""
        return [row for table in self.tables for row in table.rows]

    @property
    def counts(self) -> dict[str, int]:
        """Count the rows by status, without those that no row has."""
        found = Counter(row.status for row in self.rows)
        return {status: found[status] for status in STATES if found[status]}


def render(
    plan: Mapping,
    frames: Sequence[pd.DataFrame],
    texts: Sequence[Mapping[str, str]],
    records: pd.DataFrame,
    curves: pd.DataFrame,
    figures: Mapping[str, Mapping[str, Path]],
    leads: Mapping[str, Mapping[str, Lead]],
) -> str:
    """Return the page as HTML.

    ``plan`` is that of study.parts.read, ``frames`` the table of each of its suites and ``texts``
    what report.tables.typeset made of it, ``records`` and ``curves`` the frames of
    awd.report.records. ``figures`` has the files of each figure by format, as
    report.figure_cache.current returns them, ``leads`` the best rows of each suite by corpus.
    """
    trainings = Trainings(plan, records, curves)
    suites = [
        _suite(suite, frame, text, trainings, figures)
        for suite, frame, text in zip(plan["suites"], frames, texts, strict=True)
    ]
    environment = _environment()
    assets = {name: _asset(environment, name) for name in ("page.css", "page.js")}
    return environment.get_template("page.html").render(
        assets=assets,
        policy={name: _fingerprint(text) for name, text in assets.items()},
        plan=plan,
        version=__version__,
        suites=suites,
        facts=_facts(suites, trainings),
        lede=_lede(suites, plan["scale"]),
        cards=[
            _card(suite, frame, plan["scale"], leads[suite.name])
            for suite, frame in zip(suites, frames, strict=True)
        ],
        absent={suite.name: _absent(suite) for suite in suites},
        machines=_machines(records),
        signs=SIGNS,
        tolerance=f"{TOLERANCE:.0%}",
        significance=SIGNIFICANCE,
        confidence=f"{CONFIDENCE:.0%}",
        interval=words.interval,
        sources={suite.name: suite.sources for suite in suites},
    )


@cache
def _environment() -> Environment:
    """Everything that a template prints is escaped, and a name it does not know is an error."""
    return Environment(
        loader=PackageLoader("awd.report.page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _asset(environment: Environment, name: str) -> Markup:
    """A style sheet or script of this package, as it is."""
    assert environment.loader is not None
    text, _, _ = environment.loader.get_source(environment, name)
    return Markup(text)  # noqa: S704 - a file of this package


def _fingerprint(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _suite(
    suite: dict,
    frame: pd.DataFrame,
    texts: Mapping[str, str],
    trainings: Trainings,
    figures: Mapping[str, Mapping[str, Path]],
) -> Suite:
    found, made = tables(suite, frame, trainings)
    paper = suite.get("paper") or {}
    url = paper.get("url") or ""
    return Suite(
        suite["suite"],
        suite["title"],
        paper.get("citation", ""),
        url if re.match(r"https?://", url) else "",
        Markup(made.caption),  # noqa: S704 - escaped by report.tables.html, as are the notes
        found,
        [Markup(note) for note in made.footnotes],  # noqa: S704
        [Markup(note) for note in made.notes],  # noqa: S704
        [_picture(suite, kind, figures) for kind in suite["figures"]],
        {"Markdown": texts["md"], "LaTeX": texts["tex"], "CSV": texts["csv"]},
    )


def _picture(suite: dict, kind: str, figures: Mapping[str, Mapping[str, Path]]) -> Picture:
    """The smaller of a figure's svg and png, with the caption that Snakemake's report has, too."""
    name = f"{suite['suite']}-{kind}"
    caption = CAPTIONS / f"{kind}.rst"
    shows = " ".join(caption.read_text(encoding="utf-8").split()) if caption.is_file() else kind
    found = [path for path in figures.get(name, {}).values() if path.suffix in KINDS]
    smallest = min(found, key=lambda path: path.stat().st_size, default=None)
    if smallest is None or smallest.stat().st_size > LARGEST_FIGURE:
        return Picture(name, shows, "")
    data = base64.b64encode(smallest.read_bytes()).decode()
    kind = smallest.suffix
    return Picture(name + kind, shows, f"data:{KINDS[kind]};base64,{data}")


def _facts(suites: list[Suite], trainings: Trainings) -> list[tuple[str, str]]:
    rows = [row for suite in suites for row in suite.rows]
    planned = [row for suite in trainings.plan["suites"] for row in suite["rows"]]
    done = sum(row.status == Status.DONE for row in rows)
    costs = trainings.costs
    trained = {run for run, _ in costs.seconds}
    ended = [r["ended"] for r in trainings.results.values() if isinstance(r["ended"], str)]
    return [
        ("Rows done", f"{done:,} of {len(rows):,}"),
        ("Trainings", f"{len(trained):,} of {len(trainings.plan['runs']):,}"),
        (
            "Training time",
            words.cost(costs.hours(costs.seconds), costs.energy(costs.seconds)) or "none yet",
        ),
        ("Corpora", "; ".join(dict.fromkeys(t.name for s in suites for t in s.tables))),
        ("Seeds", words.span(len(row["runs"]) for row in planned)),
        ("Latest result", max(ended)[:10] if ended else "none yet"),
    ]


def _lede(suites: list[Suite], scale: str) -> str:
    """The outcome in a sentence or two."""
    rows = [row for suite in suites for row in suite.rows]
    counts = Counter(row.status for row in rows)
    verbs = {Status.LEAKS: "leak"}  # of several rows
    others = [
        f"{counts[s]} {verbs.get(s, s) if counts[s] > 1 else s}" for s in STATES[1:] if counts[s]
    ]
    if not any(row.again.published for row in rows):
        start = "Nothing was published of these rows on these texts."
    elif scale != "paper":
        start = (
            f"Scale {scale} runs scaled-down models: published numbers are shown as context and "
            "get no verdict."
        )
    elif judged := _judged(rows):
        near = _near(judged)
        start = (
            f"{near} of {plural(len(judged), 'value')} "
            f"{'agrees' if near == 1 else 'agree'} with what was published."
        )
    else:
        start = "Nothing can be compared with what was published yet."
    if not others:
        return f"{start} All {plural(len(rows), 'row')} {'is' if len(rows) == 1 else 'are'} done."
    done = f"{counts[Status.DONE]} are done"
    return f"{start} Of {plural(len(rows), 'row')}, {done}, {', '.join(others)}."


def _judged(rows: list[Row]) -> list[Row]:
    return [row for row in rows if isinstance(row.outcome, Verdict)]


def _near(judged: list[Row]) -> int:
    return sum(row.outcome in (Verdict.REPRODUCED, Verdict.CLOSE) for row in judged)


def outcomes(frame: pd.DataFrame) -> dict[str, int]:
    """Count the rows of a table that are worse or better than the base row, and the undecided."""
    decided = frame[frame["p_holm"].map(beyond_noise).astype(bool)]
    return {
        "worse": int((decided["delta_test"] > 0).sum()),
        "better": int((decided["delta_test"] < 0).sum()),
        "undecided": int(frame["p_holm"].notna().sum()) - len(decided),
    }


def _card(suite: Suite, frame: pd.DataFrame, scale: str, leads: Mapping[str, Lead]) -> dict:
    """A suite at a glance."""
    rows, judged = suite.rows, _judged(suite.rows)
    counted = frame[[compared(line) for line in frame.to_dict("records")]]
    if scale == "paper" and judged:
        verdict = (f"{_near(judged)} of {len(judged)}", "agree with the published value")
    else:
        done = sum(row.status == Status.DONE for row in rows)
        verdict = (f"{done} of {len(rows)}", "rows done")
    found = outcomes(counted)
    best = [
        (table.name, lead.best["label"], f"{lead.best['test']:,.2f}", _second(lead.second))
        for table in suite.tables
        if (lead := leads.get(table.corpus))
    ]
    return {
        "suite": suite,
        "verdict": verdict,
        "outcomes": found if any(found.values()) else None,
        "best": best,
    }


def _second(line: dict | None) -> dict | None:
    """What a card says of the second best row: its difference from the best, and if it is noise."""
    if line is None:
        return None
    difference, low, high = (
        number(line[f"delta_{part}"], "{:+,.2f}") for part in ("test", "low", "high")
    )
    known = not pd.isna(line["p_holm"])
    return {
        "label": line["label"],
        "test": f"{line['test']:,.2f}",
        "difference": difference,
        "interval": f"[{low}, {high}]" if known else "",
        "p": probability(line["p_holm"]) if known else "",
        "beyond": known and beyond_noise(line["p_holm"]),
    }


def _absent(suite: Suite) -> list[tuple[str, str, str]]:
    """The rows of a suite without a result: status, which rows, and why, like rows together."""
    groups: dict[tuple[str, str], list[str]] = {}
    for table in suite.tables:
        for row in table.rows:
            if row.status != Status.DONE:
                label = row.label + (f" ({table.name})" if len(suite.tables) > 1 else "")
                why = row.reason or ("no result yet" if row.status == Status.MISSING else "")
                groups.setdefault((row.status, why), []).append(label)
    order = sorted(groups, key=lambda key: -STATES.index(key[0]))
    return [(status, listed(groups[status, why]), why) for status, why in order]


def _machines(records: pd.DataFrame) -> list[dict]:
    """Each combination of devices, versions and commit that results come from, most used first."""
    columns = ["precision", "arithmetic", "torch", "awd", "commit", "recipe"]
    stages = records.drop_duplicates(["run", "stage", "method"])
    found = Counter(
        (
            words.device_names((line["devices"] or {}).get(line["stage"])),
            *(DASH if pd.isna(line[column]) else str(line[column]) for column in columns),
        )
        for line in stages.to_dict("records")
    )
    return [
        dict(zip(["device", *columns], values, strict=True)) | {"results": count}
        for values, count in found.most_common()
    ]
