"""Results stay in tables and page until their user removes them, whatever is run next."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest
from projects import make_project, run, snakemake, write_texts

pytestmark = pytest.mark.slow

SUITE = """
title: Study {name}
base_row: full
base: {{hidden_size: 8, embedding_size: 8, batch_size: 4, bptt: 10, epochs: 1, clip: {clip}}}
rows:
  full: {{label: the full model of {name}}}
figures: [curves]
scales:
  demo: {{corpora: [mine]}}
"""


def results(project: Path) -> dict[tuple[str, str, str], tuple[float, int]]:
    """The test perplexity and the number of seeds of each suite, row and corpus in the tables."""
    folder = project / "results/demo"
    frame = pd.read_csv(folder / "tables/all.csv")
    found = {
        (line.suite, line.row, line.corpus): (line.test, line.n) for line in frame.itertuples()
    }
    page = (folder / "report.html").read_text(encoding="utf-8")
    for suite, lines in frame.groupby("suite"):
        assert set(lines["status"]) == {"done"}
        single = pd.read_csv(folder / f"tables/{suite}.csv")
        assert len(single) == len(lines)
        assert all(f">{label}</button>" in page for label in lines["label"])
        assert (folder / f"figures/{suite}-curves.png").exists()
    records = pd.read_csv(folder / "records.csv")
    assert set(records["corpus"]) == set(frame["corpus"])
    return found


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    suites = {name: SUITE.format(name=name, clip=clip) for name, clip in (("one", 1), ("two", 2))}
    folder = make_project(tmp_path_factory.mktemp("accumulation") / "project", **suites)
    other = write_texts(folder / "others", train=200)
    config = json.loads((folder / "config/config.yaml").read_text())
    config["corpus_folders"]["other"] = str(other)
    (folder / "config/config.yaml").write_text(json.dumps(config))
    return folder


def test_nothing_is_lost_from_another_number_of_seeds_to_a_demo(project):
    """One suite on another corpus, another one with more seeds, and all with one seed."""
    before: dict = {}
    sizes = []
    for words in (["suites=one", "corpora=other"], ["suites=two", "seeds=2"], []):
        snakemake(project, "--config", "device=cpu", *words)
        now = results(project)
        for key, (perplexity, seeds) in before.items():
            assert now[key][1] >= seeds
            if now[key][1] == seeds:
                assert now[key][0] == perplexity
        before = now
        sizes.append(len(now))
    assert sizes == [1, 2, 3]
    assert now["two", "full", "mine"][1] == 2
    assert now["one", "full", "other"][1] == 1
    assert len(list(project.glob("results/runs/*"))) == 4


def test_a_suite_that_nobody_asks_for_is_not_touched(project):
    """Neither its part of the plan nor its table; and a second time there is nothing to do."""
    paths = [project / "results/demo" / name for name in ("plans/two.json", "tables/two.csv")]
    before = [path.stat().st_mtime_ns for path in paths]
    snakemake(project, "--config", "device=cpu", "suites=one", "corpora=other")
    assert [path.stat().st_mtime_ns for path in paths] == before
    said = snakemake(project, "--config", "device=cpu", "suites=one", "corpora=other")
    assert "Nothing to be done" in said


def test_the_page_repeats_a_row_with_all_its_seeds(project):
    page = (project / "results/demo/report.html").read_text(encoding="utf-8")
    commands = re.findall(r"<code>(snakemake .*?)</code>", page)
    assert any("suites=two" in each and "seeds=2" in each for each in commands)
    assert any("suites=one" in each and "corpora=mine" in each for each in commands)


def test_after_cleaning_there_is_nothing_to_train(project):
    """Weights, texts and losses are gone, and no job asks for them again."""
    answer = run(["awd", "clean", "what=weights,texts,checkpoints,logs", "--yes"], project)
    assert answer.returncode == 0, answer.stdout
    assert not list(project.glob("results/runs/*/*.safetensors"))
    assert not list(project.glob("results/corpora/*/raw/*"))
    said = snakemake(project, "-n", "--config", "device=cpu", "suites=one", "corpora=other")
    assert "Nothing to be done" in said


def test_status_follows_the_last_workflow(project):
    answer = run(["awd", "status"], project)
    assert answer.returncode == 0, answer.stdout
    assert "demo: 1 run: 1 done" in answer.stdout
    assert "one/full" in answer.stdout
    assert "two/full" not in answer.stdout


def test_a_suite_is_removed_by_its_user(project):
    """It leaves page and combined table; its records stay, so it returns without training."""
    for words in (["clean", "suites=two", "--yes"], ["report"]):
        answer = run(["awd", *words], project)
        assert answer.returncode == 0, answer.stdout
    assert not (project / "results/demo/tables/two.csv").exists()
    frame = pd.read_csv(project / "results/demo/tables/all.csv")
    assert set(frame["suite"]) == {"one"}
    said = snakemake(project, "--config", "device=cpu", "suites=two", "seeds=2")
    assert not re.search(r"\b(train|evaluate) ", said)
    assert {suite for suite, *_ in results(project)} == {"one", "two"}
