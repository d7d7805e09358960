"""No finished run is trained again, and no other is skipped, whatever happened beside it."""

import os
import re
import shutil
from pathlib import Path

import pytest
from projects import make_project, run, snakemake

pytestmark = pytest.mark.slow

SUITE = """
title: One row
base_row: full
base: {hidden_size: 8, embedding_size: 8, batch_size: 4, bptt: 10, epochs: 1, finetune_epochs: 1}
rows:
  full: {label: the full model}
figures: [curves]
scales:
  demo: {corpora: [mine]}
"""
RECORDS = "results/demo/records.csv"


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    folder = make_project(tmp_path_factory.mktemp("finished") / "project", one=SUITE)
    snakemake(folder, RECORDS)
    return folder


@pytest.fixture
def project(finished, tmp_path) -> Path:
    """A project with one finished run."""
    return shutil.copytree(finished, tmp_path / "project", symlinks=True)


def trained(project: Path) -> dict[str, int]:
    """When each stage of each run was written."""
    paths = project.glob("results/runs/*/*.json")
    return {
        str(path.relative_to(project)): path.stat().st_mtime_ns
        for path in paths
        if path.stem in ("train", "finetune")
    }


def corpora(project: Path) -> Path:
    (folder,) = project.glob("results/corpora/mine-*")
    return folder


def assert_only_new_stages(before: dict[str, int], project: Path, number: int) -> None:
    after = trained(project)
    assert {name: after[name] for name in before} == before
    assert len(after) == len(before) + number


def test_a_deleted_corpus_trains_no_finished_run_again(project):
    """Though the records of all runs, of which one is new, are asked for."""
    before = trained(project)
    shutil.rmtree(project / "results/corpora")
    snakemake(project, RECORDS, "--config", "seeds=[1,2]")
    assert_only_new_stages(before, project, 2)


def test_records_without_weights_and_corpus_are_enough(project):
    """As in a clone of a repository that holds records."""
    before = trained(project)
    shutil.rmtree(project / "results/corpora")
    shutil.rmtree(project / "results/demo")
    for path in project.glob("results/runs/*/*.safetensors"):
        path.unlink()
    snakemake(project)
    assert_only_new_stages(before, project, 0)
    assert not (project / "results/corpora").exists()
    assert (project / "results/demo/report.html").exists()


def test_a_copy_with_other_times_has_nothing_to_train(project):
    """What was made first is the newest; only what is missing is made, here one evaluation."""
    shutil.rmtree(project / ".snakemake")
    files = [path for path in (project / "results").rglob("*") if path.is_file()]
    made = sorted(files, key=lambda path: path.stat().st_mtime_ns)
    for number, path in enumerate(reversed(made)):
        os.utime(path, (1e9 + 60 * number,) * 2)
    training = ("rule train:", "rule finetune:", "rule evaluate:", "rule encode:")
    said = snakemake(project, "-n")
    assert "rule page:" in said
    assert [rule for rule in training if rule in said] == []
    (evaluation,) = project.glob("results/runs/*/finetune.stream.json")
    evaluation.unlink()
    said = snakemake(project, "-n", RECORDS)
    assert [rule for rule in training if rule in said] == ["rule evaluate:"]


def touched_and_upgraded(project: Path) -> None:
    """Raw text is newer, and the rules say more, than when the corpus was made."""
    for path in (corpora(project) / "raw").iterdir():
        path.touch()
    rules = project / "workflow/rules/corpora.smk"
    text = rules.read_text().replace("    params:\n", '    params:\n        new="1",\n')
    rules.write_text(text)


def without_raw_text(project: Path) -> None:
    shutil.rmtree(corpora(project) / "raw")


@pytest.mark.parametrize("change", [touched_and_upgraded, without_raw_text])
def test_a_corpus_that_is_there_is_not_made_again(project, change):
    """And a run that was asked for by its file is trained in the same command."""
    before = trained(project)
    change(project)
    encoded = (corpora(project) / "corpus.json").stat().st_mtime_ns
    words = ["seeds=[2]", "mirror=elsewhere"]
    (name,) = re.findall(r"^mine-\S+-s2-\S+", run(["awd", "plan", *words], project).stdout, re.M)
    target = f"results/runs/{name}/train.json"
    snakemake(project, target, "--config", *words)
    assert (project / target).exists()
    assert_only_new_stages(before, project, 1)
    assert (corpora(project) / "corpus.json").stat().st_mtime_ns == encoded


def test_weights_that_were_asked_for_are_trained_again(project):
    """Their corpus was deleted with them, so it is fetched first."""
    shutil.rmtree(project / "results/corpora")
    (weights,) = project.glob("results/runs/*/train.safetensors")
    content = weights.read_bytes()
    weights.unlink()
    snakemake(project, weights.relative_to(project))
    assert weights.read_bytes() == content


def test_a_report_of_a_stopped_study_does_not_end_it(project):
    """Its tables are newer than all that is there, but lack what is not."""
    (evaluation,) = project.glob("results/runs/*/finetune.stream.json")
    for path in (evaluation, evaluation.with_suffix(".npz")):
        path.unlink()
    assert run(["awd", "report"], project).returncode == 0
    said = snakemake(project, "-n")
    assert all(f"rule {rule}:" in said for rule in ("evaluate", "collect", "tables", "page"))
