"""YAML is read in one way; what programs read differently is refused with its line."""

import pytest
import yaml
from special_files import SPECIAL

from awd.errors import InputError
from awd.study.yaml_text import parse_word, parse_yaml, read_yaml


def complaint(text: str) -> str:
    with pytest.raises(InputError) as caught:
        parse_yaml(text, "x")
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a: 1\nb: 2\na: 3", "x, line 3: 'a' is given twice"),
        ("rows:\n  a: {b: 1, b: 2}", "x, line 2: 'b' is given twice"),
        ("1: a\n1: b", "x, line 2: '1' is given twice"),
        ("a: {<<: {b: 1}, <<: {c: 1}}", "x, line 1: '<<' is given twice"),
        ("a: [1\n", "x, line 2: not valid YAML: did not find expected"),
        ("a: b: c", "x, line 1: not valid YAML: mapping values are not allowed"),
        ("a:\n\t- b", "x, line 2: not valid YAML: a tab; indent with spaces"),
        ("a:\n\tb: 1", "x, line 2: not valid YAML: a tab; indent with spaces"),
        ("a: *b", "x, line 1: not valid YAML: found undefined alias"),
        ("!!python/object:os.system x", "could not determine a constructor"),
        ("{[1]: 2}", "x, line 1: not valid YAML: found unhashable key"),
        ("a: 1\nb: \x07", "x, line 2: YAML does not allow"),
        ("1\n---\n2", "but found another document"),
        ("a: " + "9" * 5000, "x: not valid YAML: Exceeds the limit"),
    ],
)
def test_broken_yaml_is_one_sentence_with_its_line(text, sentence):
    """Also what the parser itself reports in several lines, or as another kind of error."""
    assert sentence in complaint(text)


@pytest.mark.parametrize("word", ["no", "Yes", "on", "OFF", "n0: no", "[yes]"])
def test_words_that_are_sometimes_booleans_are_refused(word):
    assert complaint(f"\na: {word}" if ":" not in word else f"\n{word}").startswith("x, line 2")
    assert "write true or false, or put the word in quotes" in complaint(f"- {word.split()[-1]}")


@pytest.mark.parametrize("word", ["2020-01-01", "2020-99-99", "2001-12-14 21:59:43"])
def test_words_that_are_sometimes_dates_are_refused(word):
    assert f"{word} is a date to some programs; put it in quotes" in complaint(f"a: {word}")


@pytest.mark.parametrize(
    "word", ["010", "-07", "1:30", "190:20:30.15", "0x1F", "0b11", "0o17", "1_000", "1_0.5", "08"]
)
def test_words_that_are_sometimes_other_numbers_are_refused(word):
    assert f"{word} is a different number to different programs" in complaint(f"a: {word}")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-6", 1e-6),
        ("1.2e-6", 1.2e-6),
        ("5E3", 5000.0),
        (".5", 0.5),
        ("-3", -3),
        ("0", 0),
        ("'010'", "010"),
        ('"no"', "no"),
        ("'2020-01-01'", "2020-01-01"),
        ("true", True),
        ("~", None),
        ("", None),
        ("1.0.0", "1.0.0"),
        ("0,5", "0,5"),
        ("a:b", "a:b"),
        ("=", "="),
        ("{a: [1, x]}", {"a": [1, "x"]}),
    ],
)
def test_everything_else_is_read_as_yaml_1_2_reads_it(text, value):
    found = parse_yaml(text, "x")
    assert (found, type(found)) == (value, type(value))


def test_very_deep_yaml_is_one_sentence():
    """A file may be hostile; the interpreter must not end on it."""
    complaint("[" * 3000)


def test_equal_keys_of_different_mappings_are_fine():
    """Only one mapping's own keys count, and merged ones may be overridden."""
    text = "a: &a {x: 1}\nb: {x: 2}\nc: {<<: *a, x: 3}"
    assert parse_yaml(text, "x") == yaml.safe_load(text)


def test_files_that_cannot_be_read(tmp_path):
    """Missing, a folder, or not UTF-8: each with the file's name, and the line if there is one."""
    with pytest.raises(InputError, match=r"none\.yaml cannot be read: No such file"):
        read_yaml(tmp_path / "none.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"a: 1\nb: caf\xe9 au lait")
    with pytest.raises(InputError, match=r"latin\.yaml, line 2: the file is not UTF-8; save it"):
        read_yaml(tmp_path / "latin.yaml")
    for encoding in ("utf-16", "utf-16-le", "utf-16-be"):
        (tmp_path / "wide.yaml").write_bytes("a: 1\n".encode(encoding))
        with pytest.raises(InputError, match=r"wide\.yaml, line 1"):
            read_yaml(tmp_path / "wide.yaml")


@pytest.mark.parametrize(("make", "said"), SPECIAL.items())
def test_what_is_no_regular_file_is_not_waited_for(tmp_path, make, said):
    make(tmp_path / "suite.yaml")
    with pytest.raises(InputError, match=rf"suite\.yaml cannot be read: {said}$"):
        read_yaml(tmp_path / "suite.yaml")


def test_a_file_that_is_far_too_large_is_not_read(tmp_path):
    with (tmp_path / "sparse.yaml").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(InputError, match=r"sparse\.yaml is larger than 10,000,000 bytes"):
        read_yaml(tmp_path / "sparse.yaml")


def test_aliases_that_multiply_are_refused():
    """A few hundred bytes would become more values than any memory holds, in some message."""
    lines = ["x0: &x0 [1, 2, 3, 4, 5, 6, 7, 8, 9]"]
    lines += [f"x{n}: &x{n} [{', '.join([f'*x{n - 1}'] * 9)}]" for n in range(1, 12)]
    assert complaint("\n".join(lines)) == (
        "x: not valid YAML: its aliases make more than 1,000,000 values"
    )
    assert len(parse_yaml("\n".join(lines[:4]), "x")["x3"]) == 9
    for text in ("&a [*a]", "&a {b: {c: *a}}"):
        assert complaint(text) == "x: not valid YAML: an alias refers to what it is in"


def test_a_byte_order_mark_of_utf_8_is_no_mistake(tmp_path):
    (tmp_path / "marked.yaml").write_bytes("\ufeffa: é".encode())
    assert read_yaml(tmp_path / "marked.yaml") == {"a": "é"}


@pytest.mark.parametrize("text", ["/data/my #1", "/a\nb", "&a b", "!!str b", "|\n  a"])
def test_a_word_of_which_yaml_would_drop_a_part_is_refused(text):
    """Results would be looked for in another folder."""
    with pytest.raises(InputError, match=r"^x: YAML reads '.*' as '.*'; write"):
        parse_word(text, "x")


@pytest.mark.parametrize(
    ("text", "value"), [(" a ", "a"), ("#1", None), ("a#1", "a#1"), ("'a #1'", "a #1"), ("2", 2)]
)
def test_a_word_that_yaml_takes_whole_is_read(text, value):
    assert parse_word(text, "x") == value
