"""The criteria of the Snakemake workflow catalog, one by one.

They are those of its page on adding workflows, and of scripts/generate-catalog.py in
github.com/snakemake/snakemake-workflow-catalog.
"""

import re
import subprocess
import sys
from pathlib import Path

import forked
import pytest
import yaml

HOME = Path(__file__).parents[2]
SETTINGS = HOME / ".snakemake-workflow-catalog.yml"
DEPLOYMENTS = {"conda", "apptainer", "apptainer+conda"}


def snakemake(*words: str) -> str:
    answer = forked.run("snakemake", [*words], HOME, errors_apart=False)
    assert answer.returncode == 0, answer.stdout
    return answer.stdout


def test_the_readme_has_the_words_that_the_catalog_searches_for():
    text = (HOME / "README.md").read_text(encoding="utf-8").lower()
    assert "snakemake" in text
    assert "workflow" in text


def test_the_workflow_is_where_a_repository_with_a_workflow_folder_must_have_it():
    assert (HOME / "workflow" / "Snakefile").is_file()
    assert not (HOME / "Snakefile").exists()  # Snakemake would take that one


def test_rules_are_smk_files():
    rules = list((HOME / "workflow" / "rules").iterdir())
    assert rules
    assert all(path.suffix == ".smk" for path in rules)


def test_there_are_instructions_for_the_configuration():
    text = (HOME / "config" / "README.md").read_text(encoding="utf-8")
    keys = yaml.safe_load((HOME / "config" / "config.yaml").read_text(encoding="utf-8")).keys()
    (header, _, *rows) = [line for line in text.splitlines() if line.startswith("|")]
    named = {key for row in rows for key in re.findall(r"`(\w+)`", row.split("|")[1])}
    assert "key" in header
    assert {"scale", "suites"} <= named <= keys


def test_the_settings_say_how_the_workflow_is_deployed():
    content = yaml.safe_load(SETTINGS.read_text(encoding="utf-8"))
    assert content.keys() == {"usage"}
    usage = content["usage"]
    assert usage.keys() == {"mandatory-flags", "software-stack-deployment", "report"}
    assert usage["mandatory-flags"].keys() == {"desc", "flags"}
    assert usage["software-stack-deployment"].keys() == DEPLOYMENTS
    assert all(isinstance(value, bool) for value in usage["software-stack-deployment"].values())
    assert usage["report"] is True


def test_what_can_be_deployed_is_declared_by_every_rule_that_runs_awd():
    deployed = yaml.safe_load(SETTINGS.read_text(encoding="utf-8"))["usage"]
    kinds = deployed["software-stack-deployment"]
    text = "".join(path.read_text() for path in (HOME / "workflow" / "rules").glob("*.smk"))
    rules = len(re.findall(r"^rule ", text, re.MULTILINE))
    assert len(re.findall(r"^    conda:", text, re.MULTILINE)) == rules * kinds["conda"]
    assert len(re.findall(r"^    container:", text, re.MULTILINE)) == rules * kinds["apptainer"]


@pytest.mark.slow
def test_the_workflow_has_no_lints():
    assert "Congratulations, your workflow is in a good condition!" in snakemake("--lint")


@pytest.mark.slow
def test_the_workflow_is_formatted():
    words = [sys.executable, "-m", "snakefmt", "--check", "workflow/Snakefile", "workflow/rules"]
    answer = subprocess.run(words, cwd=HOME, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr


@pytest.mark.slow
def test_the_test_configuration_can_be_planned():
    said = snakemake("--directory", ".test", "-n", "--cores", "1")
    assert re.search(r"^train +6$", said, re.MULTILINE)  # those of kim2024, once each
    assert re.search(r"^tables +1$", said, re.MULTILINE)
    assert not list((HOME / ".test").glob("results"))


def test_no_rule_has_a_function_without_a_name():
    for path in (HOME / "workflow").glob("**/*"):
        if path.suffix == ".smk" or path.name == "Snakefile":
            assert "lambda" not in path.read_text(encoding="utf-8"), path


def test_github_runs_the_commands_of_the_project():
    """The same as .ci/run, so what passes here passes there."""
    makefile = (HOME / "Makefile").read_text(encoding="utf-8")
    commands = [
        step["run"]
        for path in (HOME / ".github" / "workflows").glob("*.yml")
        for job in yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"].values()
        for step in job["steps"]
        if "run" in step
    ]
    assert ".ci/run" in commands
    for command in commands:
        if command.startswith("make "):
            assert re.search(rf"^{command.split()[1]}:", makefile, re.MULTILINE), command
        else:
            assert (HOME / command).is_file(), command
