"""Records without a plan, as in a backup of the runs alone, are answered with what plans again."""

import re
import shlex

import pytest
from click.testing import CliRunner

from awd.cli import main
from awd.errors import InputError
from awd.files import write_text
from awd.places import RESULTS
from awd.report.build import read_plan, scales
from awd.report.lost_plan import lost_plan, studies_of_records
from awd.study.config import load_config
from awd.study.dialect import SCALES
from awd.study.plan import Plan


@pytest.fixture
def backup(tmp_path):
    """The runs of two studies, without plans."""
    for scale, suite in (("demo", "kim2024"), ("paper", "bonetto2024")):
        plan = Plan(load_config(overrides={"scale": scale, "suites": [suite]}))
        for run in plan.runs:
            write_text(tmp_path / "runs" / run / "train.json", "{}")
    return tmp_path


def test_the_studies_of_the_records_are_found(backup):
    assert studies_of_records(backup, "demo") == ["kim2024"]
    assert studies_of_records(backup, "paper") == ["bonetto2024"]
    assert studies_of_records(backup, "small") == []


def test_each_scale_has_its_command(backup):
    sentence = lost_plan(backup, SCALES)
    assert f"`awd plan scale=demo suites=kim2024 results={backup} --write`" in sentence
    assert f"`awd plan scale=paper suites=bonetto2024 results={backup} --write`" in sentence
    assert f"{backup}/demo/plans" in sentence
    assert "small" not in sentence


def test_a_study_that_has_records_is_planned_with_the_others(backup):
    """Their noise is pooled; a study without records is no reason to plan."""
    for run in Plan(load_config(overrides={"scale": "demo", "suites": ["factors"]})).runs:
        write_text(backup / "runs" / run / "train.json", "{}")
    both = {*studies_of_records(backup, "demo")}
    assert {"kim2024", "factors"} <= both
    sentence = lost_plan(backup, SCALES, ["kim2024"])
    named = re.search(r"scale=demo suites=(\S+)", sentence)[1]
    assert {*named.split(",")} == both
    assert "scale=paper" not in sentence
    assert lost_plan(backup, ["demo"], ["floor"]) == ""


def test_without_records_nothing_is_lost(tmp_path):
    assert lost_plan(tmp_path, SCALES) == ""
    (tmp_path / "runs/some-run").mkdir(parents=True)
    assert lost_plan(tmp_path, SCALES) == ""


@pytest.mark.parametrize(
    "words", [[], ["scale=demo"], ["suites=kim2024"], ["scale=demo", "suites=kim2024"]]
)
def test_the_command_of_the_error_makes_the_report_possible(backup, caplog, words):
    runner = CliRunner()
    place = f"results={backup}"
    answer = runner.invoke(main, ["report", *words, place, "parts=tables", "formats=md"])
    assert answer.exit_code == 1
    commands = [shlex.split(each) for each in re.findall(r"`awd (plan [^`]*)`", caplog.text)]
    assert "suites=kim2024" in commands[0]
    for command in commands:
        assert runner.invoke(main, command).exit_code == 0
    (backup / "demo/plans/kim2024.json").stat()


def test_a_study_that_was_not_run_keeps_its_words_in_the_advice(backup):
    """Its records are not there, so it must be run."""
    with pytest.raises(InputError, match=r"snakemake .* scale=demo suites=floor results="):
        read_plan(backup, "demo", ["floor"])
    with pytest.raises(InputError, match=r"snakemake .* suites=floor results="):
        scales(backup, ["floor"])


def test_records_that_came_with_the_clone_are_not_called_lost():
    """Those of other scales: the demo has not been run."""
    assert lost_plan(RESULTS, ["demo"], ["kim2024"]) == ""
