"""Names and places from configuration are data: no shell reads them, and nothing phones home."""

import json
import sys

import pytest
from patience import PATIENCE
from projects import make_project, run, snakemake, write_texts
from synthetic import make_plan, write_runs
from trainings import PROCESSES, Training, command

from awd import corpora
from awd.errors import InputError
from awd.files import write_json
from awd.study.config import CONFIG, load_config
from awd.study.plan import Plan
from awd.study.yaml_text import parse_yaml

HOSTILE = 'it\'s "a" $(touch pwned) `touch pwned`; touch pwned & {run} {wildcards.corpus} \\ %s #'
NAMES = ["a; touch pwned", "$(touch pwned)", "`touch pwned`", "a'b", 'a"b', "a b", "a\n", "../a"]
NAMES += ["-rf", "a/b", "{run}", "ä", "", "a&b", "A", "*"]

SUITE = f"""
title: {json.dumps(HOSTILE)}
notes: [{json.dumps(HOSTILE)}]
base_row: full
base: {{hidden_size: 8, embedding_size: 8, batch_size: 4, bptt: 10, epochs: 1}}
rows:
  full: {{label: {json.dumps(HOSTILE)}, note: {json.dumps(HOSTILE)}}}
figures: [curves]
scales:
  demo: {{corpora: [mine]}}
  small: {{corpora: [mine]}}
  paper: {{corpora: [mine]}}
"""


@pytest.mark.slow
def test_hostile_places_and_texts_through_the_whole_workflow(tmp_path):
    """From a folder, a mirror and a corpus with such paths to the table of such a suite."""
    folder = tmp_path / 'it\'s $(touch pwned); `touch pwned` & "so"'
    project = make_project(folder, study=SUITE)
    texts = (project / "texts").rename(folder / HOSTILE.replace("/", ""))
    config = json.loads((project / "config/config.yaml").read_text())
    config |= {"corpus_folders": {"mine": str(texts)}, "mirror": HOSTILE}
    (project / "config/config.yaml").write_text(json.dumps(config))
    table = "results/demo/tables/study.csv"
    dry = run(["snakemake", "-n", "-p", "--cores", "2", table], project)
    assert dry.returncode == 0, dry.stdout
    snakemake(project, table)
    assert not list(tmp_path.rglob("pwned*"))
    (raw,) = project.glob("results/corpora/mine-*/raw/train.txt")
    assert raw.read_bytes() == (texts / "train.txt").read_bytes()
    written = json.loads((project / "results/demo/plans/study.json").read_text())
    assert written["suites"][0]["rows"][0]["label"] == HOSTILE


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("place", ["suites", "corpora", "corpus_folders", "recipe", "scale"])
def test_hostile_names_in_the_configuration(name, place):
    """They never become part of a path, a rule or a command."""
    value = {name: "/tmp"} if place == "corpus_folders" else name
    with pytest.raises(InputError):
        Plan(load_config(CONFIG, {place: value}))


def test_the_suite_without_hostile_names_is_planned(tmp_path, monkeypatch):
    """Otherwise the next test would prove nothing."""
    (tmp_path / "study.yaml").write_text(SUITE)
    monkeypatch.setattr("awd.study.suite.SUITES", tmp_path)
    folder = write_texts(tmp_path / "texts")
    changes = {"corpus_folders": {"mine": str(folder)}, "suites": ["study"]}
    assert list(Plan(load_config(CONFIG, changes)).suites) == ["study"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("place", ["rows", "corpora", "recipes", "scales.demo.corpora", "file"])
def test_hostile_names_in_a_suite(tmp_path, monkeypatch, name, place):
    """Also the name of its file, which is its own."""
    if place == "file" and ("/" in name or not name):
        pytest.skip("no file can have this name")
    suite = parse_yaml(SUITE, "suite")
    match place:
        case "rows":
            suite["rows"][name] = {"label": "x", "set": {"layers": 2}}
        case "corpora":
            suite["corpora"] = {name: {}}
        case "recipes":
            suite["recipes"] = {name: {}}
        case "scales.demo.corpora":
            suite["scales"]["demo"]["corpora"] = [name]
    file = tmp_path / f"{name if place == 'file' else 'study'}.yaml"
    file.write_text(json.dumps(suite))
    monkeypatch.setattr("awd.study.suite.SUITES", tmp_path)
    folder = write_texts(tmp_path / "texts")
    changes = {"corpus_folders": {"mine": str(folder)}, "suites": [file.stem]}
    with pytest.raises(InputError):
        Plan(load_config(CONFIG, changes))


NETWORK = ("socket.connect", "socket.getaddrinfo", "socket.bind", "socket.sendto")


def forbid_network() -> None:
    """End this process when it looks for another machine."""

    def forbid(event, _):
        if event in NETWORK or event.startswith(("urllib.", "http.", "ftplib.", "smtplib.")):
            raise SystemExit(f"{event} was called")

    sys.addaudithook(forbid)


@pytest.mark.slow
def test_only_fetch_uses_the_network(texts, tmp_path):
    """No other command; and what proves it does notice one that does."""
    training = Training(tmp_path, texts, epochs=1, finetune_epochs=1)
    plan = make_plan(scale="demo", corpora=("ptb",))
    write_json(tmp_path / "results/demo/plans/merity2018.json", plan)
    write_runs(plan, tmp_path / "results/runs", tokens=300, epochs=3)
    print_ = corpora.fingerprint("mine", {"mine": str(texts)})
    commands = {
        ("plan",): 0,
        ("fetch", "mine", tmp_path / "raw", "--folder", texts): 0,
        ("encode", "mine", tmp_path / "raw", tmp_path / "encoded", "--fingerprint", print_): 0,
        tuple(training.words("train")): 0,
        tuple(training.words("finetune")): 0,
        tuple(training.words("evaluate", "--stage", "finetune")): 0,
        ("report", "scale=demo", f"results={tmp_path / 'results'}"): 0,
        ("fetch", "ptb", tmp_path / "ptb", "--mirror", "http://127.0.0.1:9"): 1,
    }
    for words, code in commands.items():
        arguments = ([*map(str, words)], training.said, forbid_network, {})
        process = PROCESSES.Process(target=command, args=arguments)
        process.start()
        process.join(PATIENCE)
        assert process.exitcode == code, training.said.read_text()
    assert training.said.read_text().endswith(" was called\n")
