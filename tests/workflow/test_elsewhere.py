"""The workflow from another folder, and as a module of another workflow."""

import re
from pathlib import Path

import pytest
from projects import ROOT, run

SNAKEFILE = ROOT / "workflow" / "Snakefile"
SUITE = """
title: Mine
base: {hidden_size: 8, embedding_size: 8, epochs: 1}
base_row: lstm
rows: {lstm: {label: LSTM}}
figures: [curves]
scales: {demo: {corpora: [networkx-docs]}}
"""
OUTER = f"""
configfile: "settings.yaml"

module study:
    snakefile: "{SNAKEFILE}"
    config: config["study"]

use rule * from study as study_*

rule paper:
    default_target: True
    input: "out/demo/plans/kim2024.json"
    output: "paper.txt"
    shell: "env | grep -c PYTHONPATH > {{output}} || true"
"""


def jobs(said: str) -> dict[str, int]:
    """Rule -> number of jobs, of a plan."""
    return {rule: int(count) for rule, count in re.findall(r"^(\w+) +(\d+)$", said, re.MULTILINE)}


@pytest.fixture
def elsewhere(tmp_path, monkeypatch) -> Path:
    """A folder that has a suite and some keys of a configuration, and no awd."""
    monkeypatch.delenv("PYTHONPATH", raising=False)
    (tmp_path / "config").mkdir()
    (tmp_path / "config/config.yaml").write_text("suites: mine\nbase_seeds: 1\ndevice: cpu\n")
    (tmp_path / "workflow/suites").mkdir(parents=True)
    (tmp_path / "workflow/suites/mine.yaml").write_text(SUITE)
    return tmp_path


@pytest.mark.slow
def test_a_folder_adds_its_configuration_and_suites_to_those_of_the_workflow(elsewhere):
    answer = run(
        ["snakemake", "-s", SNAKEFILE, "--cores", 1, "results/demo/plans/mine.json"], elsewhere
    )
    assert answer.returncode == 0, answer.stdout
    assert "workflow/profiles/default" in answer.stdout
    assert (elsewhere / "results/demo/plans/mine.json").is_file()
    both = ["--config", "suites=mine,kim2024"]
    answer = run(["snakemake", "-s", SNAKEFILE, "--cores", 1, "-n", *both], elsewhere)
    assert jobs(answer.stdout)["train"] == 7


@pytest.mark.slow
def test_the_folder_may_be_named_as_an_option(elsewhere):
    words = ["--directory", elsewhere, "--cores", 1, "-n"]
    answer = run(["snakemake", "-s", SNAKEFILE, *words], elsewhere / "config")
    assert jobs(answer.stdout)["train"] == 1, answer.stdout
    assert not (elsewhere / "config/results").exists()


@pytest.mark.slow
def test_a_module_fills_in_what_its_config_leaves_out(tmp_path, monkeypatch):
    monkeypatch.delenv("PYTHONPATH", raising=False)
    (tmp_path / "Snakefile").write_text(OUTER)
    settings = "samples: 3\nstudy: {suites: kim2024, base_seeds: 1, device: cpu, results: out}\n"
    (tmp_path / "settings.yaml").write_text(settings)
    answer = run(["snakemake", "--cores", 1], tmp_path)
    assert answer.returncode == 0, answer.stdout
    assert (tmp_path / "out/demo/plans/kim2024.json").is_file()
    assert (tmp_path / "paper.txt").read_text() == "0\n"  # rules beside it run as ever
    assert "rule paper:" in answer.stdout  # Snakemake's own account is shown
    planned = run(["snakemake", "--cores", 1, "-n", "study_all"], tmp_path)
    assert jobs(planned.stdout)["study_train"] == 6, planned.stdout


@pytest.mark.slow
def test_a_mistake_in_the_config_of_a_module_is_one_sentence(tmp_path):
    (tmp_path / "Snakefile").write_text(OUTER)
    (tmp_path / "settings.yaml").write_text("study: {sedes: 2}\n")
    answer = run(["snakemake", "--cores", 1, "-n"], tmp_path)
    assert answer.returncode == 1
    sentence = "awd: config of the module: unknown key 'sedes'; did you mean 'seeds'?"
    assert answer.stdout.splitlines()[-1] == sentence


@pytest.mark.slow
def test_a_run_that_is_not_planned_is_one_sentence(elsewhere):
    """No traceback; and Snakemake leaves no lock."""
    words = ["snakemake", "-s", SNAKEFILE, "--cores", 1, "results/runs/mine-s1/train.json"]
    answer = run(words, elsewhere)
    assert answer.returncode == 1
    assert answer.stdout.splitlines()[-1].startswith("awd: mine-s1 is not planned: if a suite")
    assert "Traceback" not in answer.stdout
    assert not list(elsewhere.glob(".snakemake/locks/*"))
