"""The configuration of the last workflow is found again."""

import os
from errno import EACCES, ENOSPC

import pytest

from awd.errors import InputError
from awd.files import write_json
from awd.study import last


def test_what_is_remembered_is_recalled(tmp_path):
    assert last.recall(tmp_path) is None
    config = {"scale": "small", "suites": ["kim2024"], "corpus_folders": {"mine": "/x"}}
    last.remember(config, tmp_path)
    last.remember(config | {"seeds": 2}, tmp_path)
    assert last.recall(tmp_path) == config | {"seeds": 2}


@pytest.mark.parametrize("code", [EACCES, ENOSPC])
def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path, monkeypatch, code):
    def refuse(*_arguments, **_options):
        raise OSError(code, os.strerror(code), str(tmp_path))

    monkeypatch.setattr("pathlib.Path.mkdir", refuse)
    said = rf"{tmp_path}/new, cannot be written \({os.strerror(code)}\): .* another one"
    with pytest.raises(InputError, match=said):
        last.remember({}, tmp_path / "new")


def test_a_file_in_place_of_the_folder_is_one_sentence(tmp_path):
    (tmp_path / "results").touch()
    with pytest.raises(InputError, match=f"{tmp_path}/results, cannot be written"):
        last.remember({}, tmp_path / "results")


@pytest.mark.parametrize("content", [{}, {"format": 2, "config": {}}, {"format": 1, "config": 3}])
def test_another_file_is_refused_with_the_remedy(tmp_path, content):
    write_json(tmp_path / last.NAME, content)
    with pytest.raises(InputError, match=r"last\.json is not the configuration .* delete it"):
        last.recall(tmp_path)


@pytest.mark.parametrize("content", ["[]", "3", "", '{"format": 1, "con', "\x00"])
def test_a_file_that_is_no_object_is_refused_with_the_remedy(tmp_path, content):
    (tmp_path / last.NAME).write_text(content)
    with pytest.raises(InputError, match=r"last\.json (is not|holds a) .*; delete it"):
        last.recall(tmp_path)
