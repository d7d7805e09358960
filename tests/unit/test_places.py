"""The project's data lie where the code looks for them; results go where the command runs."""

from pathlib import Path

import pytest
from special_files import SPECIAL, make_broken_link

from awd import places
from awd.errors import InputError
from awd.study.config import load_config


@pytest.mark.parametrize("name", ["CONFIG", "SUITES", "SCHEMAS", "PUBLISHED", "CAPTIONS"])
def test_data_exist_whatever_folder_a_command_runs_in(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    place: Path = getattr(places, name)
    assert place.is_absolute()
    assert place.is_relative_to(places.HOME)
    assert place.is_file() if place.suffix else any(place.iterdir())


@pytest.mark.parametrize("make", [*SPECIAL, make_broken_link])
def test_a_configuration_that_cannot_be_read_is_not_replaced_by_the_usual_one(
    tmp_path, monkeypatch, make
):
    monkeypatch.chdir(tmp_path)
    assert places.config_file() == places.CONFIG
    (tmp_path / "config").mkdir()
    make(tmp_path / "config/config.yaml")
    assert places.config_file() == Path("config/config.yaml")
    with pytest.raises(InputError, match=r"config\.yaml cannot be read: "):
        load_config()


def test_a_folder_in_the_clone_is_a_project_if_it_has_a_configuration(tmp_path, monkeypatch):
    monkeypatch.setattr(places, "HOME", tmp_path)
    (tmp_path / ".test/config").mkdir(parents=True)
    (tmp_path / "docs").mkdir()
    monkeypatch.chdir(tmp_path / "docs")
    assert places.project() == tmp_path
    assert places.config_file() == places.CONFIG
    monkeypatch.chdir(tmp_path / ".test")
    (tmp_path / ".test/config/config.yaml").write_text("suites: kim2024\n")
    assert places.project() == tmp_path / ".test"
    assert places.config_file() == Path("config/config.yaml")


def test_results_are_relative_to_the_folder_of_the_command():
    assert Path("results") == places.RESULTS


@pytest.mark.parametrize(
    ("results", "words", "command"),
    [
        ("results", {}, "snakemake --cores all"),
        ("results", {"scale": "paper"}, "snakemake --cores all --config scale=paper"),
        ("/my data/r", {}, "snakemake --cores all --config 'results=/my data/r'"),
        ("r", {"scale": "demo"}, "snakemake --cores all --config scale=demo results=r"),
    ],
)
def test_advice_to_run_a_study_works_as_it_is(results, words, command):
    """In whatever folder the results are that a sentence is about."""
    assert places.study_command(Path(results), **words) == command


def test_advice_to_plan_again_works_as_it_is():
    words = {"scale": "paper", "suites": "kim2024"}
    command = places.plan_command(Path("/my data/r"), **words)
    assert command == "awd plan scale=paper suites=kim2024 'results=/my data/r' --write"
    assert places.plan_command(Path("results")) == "awd plan --write"
