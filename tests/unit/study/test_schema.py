"""Mistakes in YAML files are one sentence: where, what, and what is allowed."""

from pathlib import Path

import pytest
import yaml

import awd
from awd.errors import InputError
from awd.study.schema import check, parse_yaml, read_yaml

CONFIG = read_yaml(Path(awd.__file__).parents[1] / "config.yaml")
SUITE = {
    "title": "A study",
    "paper": {"citation": "Somebody 2020"},
    "base_row": "full",
    "base": {"layers": 1},
    "rows": {"full": {"label": "full"}},
    "figures": ["curves"],
    "scales": {scale: {"corpora": ["ptb"]} for scale in ("demo", "small", "paper")},
}


def complaint(value: object, schema: str) -> str:
    with pytest.raises(InputError) as caught:
        check(value, schema, "file.yaml")
    sentence = str(caught.value)
    assert sentence.startswith("file.yaml: ")
    assert "\n" not in sentence
    return sentence.removeprefix("file.yaml: ")


def test_the_examples_are_valid():
    """Otherwise the tests below would prove nothing."""
    check(CONFIG, "config", "file.yaml")
    check(SUITE, "suite", "file.yaml")


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("sede", 1, "unknown key 'sede'; did you mean 'seeds'?"),
        ("scale", "big", "scale: no 'big'; allowed: demo, paper, small"),
        ("scale", None, "scale: no None; allowed: demo, paper, small"),
        ("device", "cpuu", "device: no 'cpuu'; did you mean 'cpu'?"),
        ("seeds", 0, "seeds must be at least 1, not 0"),
        ("seeds", 10**9, "seeds must be at most 10000, not 1000000000"),
        ("seeds", [], "seeds must not be empty"),
        ("seeds", [1, 1], "seeds: [1, 1] holds the same twice"),
        ("seeds", [-1], "seeds[1] must be at least 0, not -1"),
        ("seeds", [1, "2"], "seeds[2] must be a whole number, not '2'"),
        ("seeds", 3.0, "seeds: 3.0 is not allowed; see the comments in config.yaml"),
        ("seeds", [1.0], "seeds[1] must be a whole number, not 1.0"),
        ("seeds", True, "seeds: True is not allowed; see the comments in config.yaml"),
        ("suites", "My Suite", "suites: 'My Suite' is no name; allowed are a-z, 0-9 and '-'"),
        ("suites", ["a", "a"], "suites: ['a', 'a'] holds the same twice"),
        ("corpus_folders", {"A": "/tmp"}, "corpus_folders: 'A' is no name"),
        ("corpus_folders", {"a": 1}, "corpus_folders.a must be text, not 1"),
        ("mirror", 5, "mirror must be text or null, not 5"),
        ("mirror", "", "mirror must not be empty"),
        ("checkpoint_minutes", 0, "checkpoint_minutes must be more than 0, not 0"),
        ("checkpoint_minutes", float("nan"), "checkpoint_minutes must be a number, not nan"),
        ("checkpoint_minutes", float("inf"), "checkpoint_minutes must be a number, not inf"),
    ],
)
def test_mistakes_in_the_configuration(key, value, said):
    """Each says the key and what is allowed there."""
    assert complaint({**CONFIG, key: value}, "config").startswith(said)


@pytest.mark.parametrize("key", CONFIG)
def test_a_missing_key_is_named(key):
    """A configuration is complete, so that nothing is decided out of sight."""
    content = {name: value for name, value in CONFIG.items() if name != key}
    assert complaint(content, "config") == f"key '{key}' is missing"


@pytest.mark.parametrize("value", [None, [], "x", 1])
def test_a_file_must_be_a_mapping(value):
    """An empty file is one of the ways to get this wrong."""
    for schema in ("config", "suite"):
        assert complaint(value, schema).startswith("the file must be a mapping, not ")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"tittle": "x"}, "unknown key 'tittle'; did you mean 'title'?"),
        ({"title": ""}, "title must not be empty"),
        ({"base": {"layers": [1]}}, "base.layers must be text or a number or true or false"),
        ({"base": {"layers": None}}, "base.layers must be text or a number or true or false"),
        ({"rows": {}}, "rows must not be empty"),
        ({"rows": {"full": {}}}, "rows.full: key 'label' is missing"),
        ({"rows": {"Full": {"label": "x"}}}, "rows: 'Full' is no name"),
        ({"rows": {1: {"label": "x"}}}, "rows: 1 is no name"),
        ({"rows": {"full": {"label": "x", "sett": {}}}}, "unknown key 'sett' in rows.full"),
        ({"rows": {"full": {"label": "x", "stage": "tune"}}}, "rows.full.stage: no 'tune'"),
        ({"published": [{"row": "full", "corpus": "ptb", "source": "T"}]}, "published[1] needs"),
        (
            {"published": [{"row": "full", "corpus": "ptb", "source": "T", "test": -1}]},
            "published[1].test must be more than 0, not -1",
        ),
        ({"scales": {"demo": {"corpora": ["ptb"]}}}, "scales: key 'small' is missing"),
        (
            {"scales": SUITE["scales"] | {"demo": {"corpora": []}}},
            "scales.demo.corpora must not be empty",
        ),
        ({"scales": SUITE["scales"] | {"huge": {}}}, "unknown key 'huge' in scales"),
    ],
)
def test_mistakes_in_a_suite(change, said):
    """The place is a path through the file, counted as people count."""
    assert complaint({**SUITE, **change}, "suite").startswith(said)


# YAML ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nb: 2\na: 3", "x, line 3: not valid YAML: 'a' is given twice"),
        ("rows:\n  a: {b: 1, b: 2}", "x, line 2: not valid YAML: 'b' is given twice"),
        ("a: [1\n", "x, line 2: not valid YAML: did not find expected"),
        ("a: b: c", "x, line 1: not valid YAML: mapping values are not allowed"),
        ("a:\n\t- b", "x, line 2: not valid YAML"),
        ("a: *b", "x, line 1: not valid YAML: found undefined alias"),
        ("!!python/object:os.system x", "could not determine a constructor"),
        ("{[1]: 2}", "x, line 1: not valid YAML: found unhashable key"),
        ("a: 2020-99-99", "x: not valid YAML"),
        ("a: \x07", "x: not valid YAML"),
        ("1\n---\n2", "but found another document"),
    ],
)
def test_broken_yaml_is_one_sentence_with_its_line(text, said):
    """Also what the parser itself reports in several lines, or as another kind of error."""
    with pytest.raises(InputError) as caught:
        parse_yaml(text, "x")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_very_deep_yaml_is_one_sentence():
    """A file may be hostile; the interpreter must not end on it."""
    with pytest.raises(InputError):
        parse_yaml("[" * 3000, "x")


def test_equal_keys_of_different_mappings_are_fine():
    """Only one mapping's own keys count, and merged ones may be overridden."""
    text = "a: &a {x: 1}\nb: {x: 2}\nc: {<<: *a, x: 3}"
    assert parse_yaml(text, "x") == yaml.safe_load(text)


def test_files_that_cannot_be_read(tmp_path):
    """Missing, a folder, or not text."""
    with pytest.raises(InputError, match=r"none\.yaml cannot be read: No such file"):
        read_yaml(tmp_path / "none.yaml")
    with pytest.raises(InputError, match="cannot be read: Is a directory"):
        read_yaml(tmp_path)
    (tmp_path / "latin.yaml").write_bytes(b"a: caf\xe9 au lait")
    with pytest.raises(InputError, match=r"latin\.yaml is not UTF-8 text"):
        read_yaml(tmp_path / "latin.yaml")
