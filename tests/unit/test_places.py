"""The project's data lie where the code looks for them; results go where the command runs."""

from pathlib import Path

import pytest

from awd import places


@pytest.mark.parametrize("name", ["CONFIG", "SUITES", "SCHEMAS", "PUBLISHED", "CAPTIONS"])
def test_data_exist_whatever_folder_a_command_runs_in(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    place: Path = getattr(places, name)
    assert place.is_absolute()
    assert place.is_relative_to(places.HOME)
    assert place.is_file() if place.suffix else any(place.iterdir())


def test_results_are_relative_to_the_folder_of_the_command():
    assert Path("results") == places.RESULTS
