"""The example that a study begins with."""

import re

import pytest

from awd.errors import InputError
from awd.places import SUITES
from awd.study import new_suite
from awd.vocabulary import RESERVED_OF_SUITES


def test_the_example_is_short_and_every_comment_line_fits(tmp_path):
    text = new_suite.write("mine", tmp_path).read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line]
    assert len(lines) <= 30
    assert max(map(len, lines)) <= 100
    assert "suites=mine" in text
    assert "$" not in text


@pytest.mark.parametrize("name", ["", "Mine", "my suite", "../mine", "-mine", "mine.yaml", "größe"])
def test_a_name_that_no_suite_can_have_is_refused(tmp_path, name):
    with pytest.raises(InputError, match=r"cannot name a suite; use lower-case letters"):
        new_suite.write(name, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", [*RESERVED_OF_SUITES, "kim2024-epochs"])
def test_a_reserved_name_is_refused(tmp_path, name):
    with pytest.raises(InputError, match=r"cannot name a suite \(.*\); use another name"):
        new_suite.write(name, tmp_path)


def test_a_suite_that_exists_is_not_replaced(tmp_path):
    path = new_suite.write("mine", tmp_path)
    path.write_text("a month of work")
    with pytest.raises(InputError, match=re.escape(f"{path} exists already")):
        new_suite.write("mine", tmp_path)
    assert path.read_text() == "a month of work"


def test_the_usual_place_is_that_of_the_suites_of_the_project():
    with pytest.raises(InputError, match="exists already"):
        new_suite.write("kim2024")
    assert (SUITES / "kim2024.yaml").is_file()
