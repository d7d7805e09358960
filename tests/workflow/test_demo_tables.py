"""The committed tables of the demo have the numbers that the demo gives, on every CPU."""

import html
import math
import re
from pathlib import Path

import pytest
from projects import ROOT, copy_parts, snakemake

from awd.files import read_json
from awd.places import CONFIG
from awd.study import parts
from awd.study.config import load_config
from awd.study.plan import Plan

COMMITTED = ROOT / "docs/demo"
REPEATED = {
    "merity2018": "minus-weight-drop",  # LSTM, NT-ASGD, fine-tuning
    "yoon2019": "gru-trained",
    "bonetto2024": "adamw",
    "kim2024": "gru",  # SGD with steps
}
"""Of each suite of the demo a row of one seed, which is trained again here: minutes in all."""
MARKUP = re.compile(r"<sup>\d+</sup>|</?sub>|\*\*|~~|\\")


def planned(suite: str) -> dict:
    """The plan of a suite, as `make demo` makes it."""
    return Plan(load_config(CONFIG, {"suites": [suite]})).as_dict()


def rows(plan: dict) -> dict[str, dict]:
    """The rows of a plan of one suite, by their names."""
    (suite,) = plan["suites"]
    return {row["row"]: row for row in suite["rows"]}


def trainings(plan: dict) -> dict[str, list[str]]:
    """The runs of each row of a plan of one suite."""
    return {name: [item["run"] for item in row["runs"]] for name, row in rows(plan).items()}


def table(suite: str) -> dict[str, dict[str, str]]:
    """The cells of a committed table, by label and column, without markup and footnotes."""
    text = (COMMITTED / f"tables/{suite}.md").read_text(encoding="utf-8")
    lines = [MARKUP.sub("", line) for line in text.splitlines() if line.startswith("|")]
    cells = [[html.unescape(cell.strip()) for cell in line.strip("|").split("|")] for line in lines]
    header, _, *body = cells
    return {line[0]: dict(zip(header[1:], line[1:], strict=True)) for line in body}


@pytest.mark.parametrize("suite", load_config(CONFIG)["suites"])
def test_a_committed_table_is_of_the_runs_of_the_demo(suite):
    """Change a hyperparameter, and the demo has other runs than the committed ones."""
    today, committed = planned(suite), read_json(parts.part_file(COMMITTED, suite))
    remedy = f"the tables in {COMMITTED} are stale: run `make demo-tables` and commit them"
    assert trainings(committed) == trainings(today), remedy
    assert list(table(suite)) == [row["label"] for row in rows(today).values()], remedy


def test_every_suite_of_the_demo_is_repeated():
    assert list(REPEATED) == load_config(CONFIG)["suites"]


def record_file(row: dict) -> Path:
    """The record of a row's only run, below a project."""
    (item,) = row["runs"]
    return Path(f"results/runs/{item['run']}/{row['stage']}.{row['method']}.json")


@pytest.fixture(scope="module")
def repeated(tmp_path_factory) -> Path:
    """A copy of the project that has the records of REPEATED, made by one command."""
    folder = tmp_path_factory.mktemp("demo")
    copy_parts(folder, "awd", "workflow", "config")
    files = [record_file(rows(planned(suite))[name]) for suite, name in REPEATED.items()]
    snakemake(folder, *map(str, files), "--config", "device=cpu")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(("suite", "name"), REPEATED.items())
def test_a_row_of_the_demo_has_the_committed_perplexities(repeated, suite, name):
    """To the last digit that the table shows."""
    row = rows(read_json(parts.part_file(COMMITTED, suite)))[name]
    path = record_file(row)
    assert path == record_file(rows(planned(suite))[name]), (
        "stale: run `make demo-tables` and commit it"
    )
    record = read_json(repeated / path)
    trained = read_json((repeated / path).with_name("train.json"))
    if {record["arithmetic"], trained["arithmetic"]} != {"portable"}:
        pytest.skip("the kernels are not compiled, so that the last digits are those of this CPU")
    cells = table(suite)[row["label"]]
    for split in ("valid", "test"):
        measured = record["splits"][split]
        perplexity = math.exp(measured["nll"] / measured["tokens"])
        assert f"{perplexity:.2f}" == cells[f"Reproduced {split}"]
