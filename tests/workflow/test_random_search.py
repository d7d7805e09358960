"""`awd tune` trains trials as ordinary runs, and a study then has what was best."""

import csv
import re

import yaml
from projects import make_project, run, snakemake

SUITE = """\
title: A search
base: {hidden_size: 8, embedding_size: 8, epochs: 2, batch_size: 10, bptt: 10, train_tokens: 1500}
base_row: lstm
rows: {lstm: {label: LSTM}}
figures: [curves]
scales:
  demo:
    corpora: [mine]
    tuning:
      learning_rate: {low: 0.01, high: 30, log: true}
      dropout_output: [0, 0.2]
"""


def trials(project) -> list[dict]:
    with (project / "workflow/tuning/study-demo.csv").open() as file:
        return list(csv.DictReader(file))


def test_a_search_continues_and_its_choice_is_what_the_study_trains(tmp_path):
    project = make_project(tmp_path / "project", study=SUITE)
    tune = ["awd", "tune", "study", "lstm", "--cores", "2", "--budget"]
    answer = run([*tune, "1"], project)
    assert answer.returncode == 0, answer.stdout
    assert "expected best" in answer.stdout
    records = {path: path.stat().st_mtime_ns for path in project.glob("results/runs/*/train.json")}
    assert len(records) == 1
    assert not list(project.glob("results/checkpoints/*/*.checkpoint")), "nobody needs them"

    answer = run([*tune, "2"], project)
    assert answer.returncode == 0, answer.stdout
    assert re.search(r"^train +1$", answer.stdout, re.MULTILINE), "one is done"
    for path, time in records.items():
        assert path.stat().st_mtime_ns == time
    lines = trials(project)
    assert [line["trial"] for line in lines] == ["1", "2"]
    best = min(lines, key=lambda line: float(line["valid_perplexity"]))
    path = project / "workflow/tuning/study-demo.yaml"
    chosen = yaml.safe_load(path.read_text())["corpora"]["mine"]["lstm"]
    assert str(chosen["trial"]) == best["trial"]
    assert str(chosen["set"]["learning_rate"]) == best["learning_rate"]

    snakemake(project, "results/demo/tables/study.md")
    table = (project / "results/demo/tables/study.md").read_text()
    assert "among 2 trials of a random search (workflow/tuning/study-demo.csv)" in table
    assert "Trained on the first 1,500 tokens of mine." in table
    assert "trial-001" not in table
    records = list(project.glob("results/runs/*/train.json"))
    assert len(records) == 2 + 1
