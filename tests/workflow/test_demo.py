"""The workflow from text to tables, on a small study; run once and looked at by every test."""

import html
import json
import math
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import projects
import pytest
from projects import run, snakemake

from awd.report.tables import COLUMNS

pytestmark = pytest.mark.slow

SUITE = """
title: A small study
base_row: full
base:
  hidden_size: 16
  embedding_size: 16
  weight_drop: 0.1
  batch_size: 4
  bptt: 10
  optimizer: nt-asgd
  learning_rate: 5
  epochs: 2
  finetune_epochs: 1
  cache_window: 100
  cache_theta: 0.5
  cache_weight: 0.1
rows:
  full: {label: the full model}
  cache: {label: + cache, method: cache}
  minus-fine-tuning: {label: − fine-tuning, stage: train}
  minus-weight-drop: {label: − weight-dropping, set: {weight_drop: 0}}
  exploding: {label: too fast, stage: train, set: {learning_rate: 1.0e+38, clip: 0}}
figures: [curves, ablation]
scales:
  demo: {corpora: [mine], context: ptb}
  small: {corpora: [mine]}
  paper: {corpora: [ptb]}
published: nobody2000
"""
PUBLISHED = """
title: A small study
authors: [Nobody]
venue: Nowhere 2000
read_in: the report
numbers:
  - {row: full, corpus: ptb, valid: 12.5, test: 11.5, source: Table 1}
"""

ROWS = ["full", "cache", "minus-fine-tuning", "minus-weight-drop", "exploding"]


def jobs(said: str, rule: str) -> list[str]:
    """The run of each job of a rule that a dry run announced."""
    return re.findall(rf"^rule {rule}:$.*?results/runs/([^/]+)/", said, re.MULTILINE | re.DOTALL)


def make_project(folder: Path, **suites: str) -> Path:
    """A copy of the project with the suites, and the published study that they name."""
    project = projects.make_project(folder, **suites)
    (project / "workflow/published/nobody2000.yaml").write_text(PUBLISHED, encoding="utf-8")
    return project


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Path:
    """A copy of the project with a small suite, run to its end. Tests that change it copy it."""
    project = make_project(tmp_path_factory.mktemp("workflow") / "project", tiny=SUITE)
    snakemake(project)
    return project


@pytest.fixture
def project(finished, tmp_path) -> Path:
    """The finished project with its times of change, to be changed."""
    return Path(shutil.copytree(finished, tmp_path / "project", symlinks=True))


def change_suite(project: Path, old: str, new: str) -> None:
    path = project / "workflow" / "suites" / "tiny.yaml"
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), encoding="utf-8")


def table(project: Path) -> pd.DataFrame:
    return pd.read_csv(project / "results/demo/tables/tiny.csv").set_index("row")


def records(project: Path) -> dict[str, int]:
    """Each record of a run and when it was written."""
    folder = project / "results/runs"
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in folder.rglob("*.*")}


# what comes out -----------------------------------------------------------------------------


def test_the_table_has_every_row_and_column(finished):
    """In the suite's order; published beside reproduced, perplexities better than counting."""
    frame = table(finished)
    assert list(frame.reset_index()[list(COLUMNS)].columns) == list(COLUMNS)
    assert len(frame.reset_index().columns) == len(COLUMNS)
    assert list(frame.index) == ROWS
    assert list(frame["status"]) == [*["done"] * 4, "diverged"]
    assert list(frame["stage"]) == ["finetune", "finetune", "train", "finetune", "train"]
    assert (frame.loc["full", "published_valid"], frame.loc["full", "published_test"]) == (
        12.5,
        11.5,
    )
    assert frame["verdict"].isna().all(), "nothing is compared with the paper at demo scale"
    compared = ["cache", "minus-fine-tuning", "minus-weight-drop"]
    assert frame.index[frame["delta_test"].notna()].tolist() == compared
    assert frame["delta_low"].isna().all(), "one training of each row shows no noise"
    (corpus,) = finished.glob("results/corpora/mine-*/corpus.json")
    unigram = json.loads(corpus.read_text())["unigram_perplexity"]
    for split in ("valid", "test"):
        values = frame.loc[frame["status"] == "done", split]
        assert values.between(1, unigram[split] * 0.9).all()


def test_the_table_says_what_the_records_say(finished):
    """Perplexity is exp(total loss / predicted tokens), from the record to the table unrounded."""
    plan = json.loads((finished / "results/demo/plans/tiny.json").read_text())
    frame = table(finished)
    for row in plan["suites"][0]["rows"][:4]:
        name = f"{row['stage']}.{row['method']}.json"
        path = finished / "results/runs" / row["runs"][0]["run"] / name
        test = json.loads(path.read_text())["splits"]["test"]
        assert test["tokens"] == 599, "600 tokens, the first of which nothing predicts"
        perplexity = frame.loc[row["row"], "test"]
        assert perplexity == pytest.approx(math.exp(test["nll"] / test["tokens"]), rel=1e-9)


def test_every_format_of_tables_and_figures_is_there(finished):
    """Every label in every table, also the combined one; figures that are what they are named."""
    folder = finished / "results/demo"
    for name in ("tiny", "all"):
        for ending in ("csv", "md", "tex", "html"):
            text = (folder / f"tables/{name}.{ending}").read_text(encoding="utf-8")
            assert all(label in text for label in ("the full model", "fine-tuning", "too fast"))
    starts = {".png": b"\x89PNG", ".pdf": b"%PDF", ".svg": b"<?xml"}
    figures = [path for path in (folder / "figures").iterdir() if path.name != ".drawn.json"]
    assert len(figures) >= 6
    for path in figures:
        assert path.read_bytes().startswith(starts[path.suffix])


def test_the_page_names_every_row_and_shows_every_figure(finished):
    """One file beside the tables, with the figures in it."""
    page = (finished / "results/demo/report.html").read_text(encoding="utf-8")
    labels = ("the full model", "+ cache", "− fine-tuning", "− weight-dropping", "too fast")
    assert all(f">{label}</button>" in page for label in labels)
    assert page.count('<img src="data:image/') == 2
    assert "diverged" in page


def test_the_page_says_how_to_run_a_row_again(finished):
    """Its command trains that row's run, though it is there, and nothing else."""
    page = (finished / "results/demo/report.html").read_text(encoding="utf-8")
    commands = [html.unescape(each) for each in re.findall(r"<code>(snakemake .*?)</code>", page)]
    assert len(commands) == len(ROWS)
    words = shlex.split(commands[ROWS.index("minus-weight-drop")])
    said = run([*words, "--dry-run"], finished)
    assert said.returncode == 0, said.stdout
    (again,) = jobs(said.stdout, "train")
    assert again in page
    assert jobs(said.stdout, "finetune") == jobs(said.stdout, "evaluate") == [again]


def test_snakemake_makes_its_own_report_without_network(finished, tmp_path, monkeypatch):
    """Page, tables and figures with captions, in categories, with labels."""
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # where nobody answers
    snakemake(finished, "--report", str(tmp_path / "report.html"))
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    for category in ("Page", "Tables", "Figures"):
        assert f'"{category}": {{' in text
    for file in ("report.html", "tiny.csv", "tiny-curves.png", "tiny-ablation.png"):
        assert f'"name": "{file}"' in text
    assert "Published and reproduced perplexities of" in text
    assert '"figure": "ablation"' in text


def test_three_rows_shared_one_training(finished):
    """Five rows, three runs; nothing stays behind in the checkpoints."""
    assert len(list((finished / "results/runs").iterdir())) == 3
    frame = table(finished)
    assert len(set(frame.loc[["full", "cache", "minus-fine-tuning"], "test"])) == 3
    assert list(finished.glob("results/checkpoints/*/*")) == []


# what is run again --------------------------------------------------------------------------


def test_a_second_run_has_nothing_to_do(finished):
    """Not even after a copy, or with another order of keys on the command line."""
    assert "Nothing to be done" in snakemake(finished)


def test_where_and_how_a_training_runs_retrains_nothing(finished):
    """A record is a record, whatever machine made it."""
    options = ("checkpoint_minutes=1", "mirror=/nowhere", "device=auto")
    said = snakemake(finished, "-n", "--config", *options)
    assert not any(jobs(said, rule) for rule in ("train", "finetune", "evaluate"))


def test_one_hyperparameter_of_one_row_retrains_that_run(project):
    """Training, fine-tuning and evaluation of one new run, and the table; no other."""
    before = {path.name for path in (project / "results/runs").iterdir()}
    change_suite(project, "set: {weight_drop: 0}", "set: {weight_drop: 0.3}")
    said = snakemake(project, "-n")
    (new,) = jobs(said, "train")
    assert new not in before
    assert jobs(said, "finetune") == [new]
    assert jobs(said, "evaluate") == [new]


def test_one_more_seed_trains_that_seed_alone(finished):
    """A table of one seed grows to two without repeating the first."""
    said = snakemake(finished, "-n", "--config", "seeds=2")
    assert len(jobs(said, "train")) == 3
    assert all("-s2-" in name for rule in ("train", "finetune") for name in jobs(said, rule))


def test_a_new_label_rebuilds_the_table_alone(project):
    """No record is touched."""
    before = records(project)
    change_suite(project, "the full model", "everything on")
    snakemake(project, "results/demo/tables/tiny.md")
    assert records(project) == before
    assert "everything on" in (project / "results/demo/tables/tiny.md").read_text(encoding="utf-8")
    assert table(project).loc["full", "label"] == "everything on"


# mistakes -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("seeds=010", "--config seeds: 010 is a different number to different programs"),
        ("sedes=2", "the command line: unknown key 'sedes'; did you mean 'seeds'?"),
        ("corpora=pbt", "the command line: corpora: unknown corpus 'pbt': did you mean 'ptb'?"),
    ],
)
def test_a_mistake_ends_the_workflow_with_one_sentence(finished, option, said):
    """Of this project, not of the engine: no place in a Snakefile, no traceback."""
    answer = run(["snakemake", "-n", "--config", option], finished)
    assert answer.returncode == 1
    announced = ("Config file", "Using workflow specific profile")
    complaints = [line for line in answer.stdout.splitlines() if not line.startswith(announced)]
    assert len(complaints) == 1
    assert complaints[0].startswith(f"awd: {said}")


# where it runs ------------------------------------------------------------------------------


def test_braces_in_the_path_of_the_project(tmp_path):
    """They are no wildcards, but Snakemake's locks need an identifier within: {0} is refused."""
    folder = tmp_path / "a{b}" / "{run} {{corpus}}" / "it's {so} $HOME"
    folder.mkdir(parents=True)
    project = make_project(folder / "project", tiny=SUITE)
    snakemake(project, "results/demo/plans/tiny.json")
    said = snakemake(project, "-n")
    assert len(jobs(said, "train")) == 3


def test_jobs_use_the_interpreter_that_runs_snakemake(tmp_path):
    """Where no `python` is on the path, as without activating the environment."""
    project = make_project(tmp_path / "project", tiny=SUITE)
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in ("bash", "sh", "env", "git", "cat", "mkdir", "rm", "which"):
        if path := shutil.which(tool):
            (tools / tool).symlink_to(path)
    answer = subprocess.run(
        [sys.executable, "-m", "snakemake", "--cores", "1", "results/demo/plans/tiny.json"],
        cwd=project,
        env={"PATH": str(tools), "HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
    )
    assert answer.returncode == 0, answer.stderr
    assert (project / "results/demo/plans/tiny.json").exists()


def test_a_run_fits_on_a_screen(tmp_path):
    """Each job is a line at most; what Snakemake logs of it stays in its own log."""
    project = make_project(tmp_path / "project", tiny=SUITE.replace("epochs: 2", "epochs: 1"))
    (path,) = [
        f"results/runs/{each}/train.json" for each in jobs(snakemake(project, "-n"), "train")
    ][:1]
    said = snakemake(project, path)
    assert len(said.splitlines()) < 20
    assert re.search(r"^3/3 train .*: \d epochs?, ", said, re.MULTILINE)
    (log,) = (project / ".snakemake/log").glob("*.log")
    assert "rule train:" in log.read_text()
