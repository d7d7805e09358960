"""A mistake in checked data is one sentence: where, what, and what is allowed."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from awd.errors import InputError
from awd.places import HOME, SCHEMAS
from awd.study.__main__ import schemas
from awd.study.config import CONFIG, Config, load_config
from awd.study.published_studies import Study
from awd.study.suite import Suite
from awd.study.validation import Model, validate
from awd.study.yaml_text import read_yaml

CONFIGURATION = load_config(CONFIG)
SUITE = {
    "title": "A study",
    "base_row": "full",
    "base": {"layers": 1},
    "rows": {"full": {"label": "full"}},
    "figures": ["curves"],
    "scales": {scale: {"corpora": ["ptb"]} for scale in ("demo", "small", "paper")},
}
NUMBER = {"row": "full", "corpus": "ptb", "source": "Table 1", "test": 60}
STUDY = {
    "title": "T",
    "authors": ["A", "B", "C"],
    "venue": "V 2020",
    "read_in": "the report",
    "numbers": [NUMBER],
}


def complaint(value: object, model: type[Model]) -> str:
    with pytest.raises(InputError) as caught:
        validate(model, value, "file.yaml")
    sentence = str(caught.value)
    assert sentence.startswith("file.yaml: ")
    assert "\n" not in sentence
    return sentence.removeprefix("file.yaml: ")


def test_the_examples_are_valid():
    """Otherwise the tests below would prove nothing."""
    validate(Config, CONFIGURATION, "file.yaml")
    validate(Suite, SUITE, "file.yaml")
    assert validate(Study, STUDY, "file.yaml").citation == "A, B and C. T. V 2020."


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
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
        ("seeds", [1, "2"], "seeds[2] must be a whole number, not '2'; write 2 without quotes"),
        ("seeds", "\uff13", "seeds must be a whole number, not '\uff13'; write 3 with"),
        (
            "seeds",
            "\u0661\u0662",
            "seeds must be a whole number, not '\u0661\u0662'; write 12 with",
        ),
        ("seeds", "\u22123", "seeds must be a whole number, not '\u22123'; write -3 with"),
        (
            "checkpoint_minutes",
            "2.\uff15",
            "checkpoint_minutes must be a number, not '2.\uff15'; write 2.5 with",
        ),
        ("checkpoint_minutes", "10\u00b2", "checkpoint_minutes must be a number, not '10\u00b2'"),
        ("seeds", "1_0", "seeds must be a whole number, not '1_0'"),
        ("seeds", "1,,2", "seeds: '1,,2' has an empty part; write one comma between two parts"),
        ("suites", "kim2024,", "suites: 'kim2024,' has an empty part; write one comma"),
        ("corpora", "a,,b", "corpora: 'a,,b' has an empty part; write one comma"),
        ("seeds", 3.0, "seeds must be a whole number, not 3.0"),
        ("seeds", [1.0], "seeds[1] must be a whole number, not 1.0"),
        ("seeds", True, "seeds must be a whole number, not True"),
        ("seeds", "1,010", "seeds must be a whole number, not '1,010'"),
        ("suites", "My Suite", "suites: 'My Suite' is no name; allowed are a-z, 0-9 and '-'"),
        ("suites", ["a", "a"], "suites: ['a', 'a'] holds the same twice"),
        ("suites", 1984, "suites must be text, not 1984; put it in quotes if it is meant as text"),
        ("suites", [False], "suites[1] must be text, not False; put it in quotes if it is meant"),
        ("corpora", "a" * 20, f"corpora: '{'a' * 20}' repeats its ending 20 times"),
        ("corpora", "x" + "ab" * 21, f"corpora: 'x{'ab' * 21}' repeats its ending 20 times"),
        ("corpora", "ab" * 100, "corpora: 'ababab"),
        ("corpora", "abc-" * 50 + "x", "corpora: 'abc-abc"),
        ("corpus_folders", {"A": "/tmp"}, "corpus_folders: 'A' is no name"),
        ("corpus_folders", {1984: "/"}, "corpus_folders: 1984 is no name; put it in quotes"),
        ("corpus_folders", {False: "/"}, "corpus_folders: False is no name; put it in quotes"),
        ("corpus_folders", {"a": 1}, "corpus_folders.a must be text, not 1"),
        ("corpus_folders", {"ptb": "/tmp"}, "corpus_folders: 'ptb' is a built-in corpus; use"),
        ("corpus_folders", {"known-entropy": "/"}, "corpus_folders: 'known-entropy' is a built-"),
        ("corpus_folders", {"default": "/"}, "corpus_folders: 'default' is reserved (it stan"),
        ("corpus_folders", {"all": "/"}, "corpus_folders: 'all' is reserved (it stands for"),
        ("corpus_folders", {"nul": "/"}, "corpus_folders: 'nul' is reserved (Windows can"),
        ("recipe", "all", "recipe: 'all' is reserved (it stands for all suites together)"),
        ("recipe", "bf16", "recipe: 'bf16' is reserved (results/{scale}-bf16 is for a precision)"),
        ("mirror", 5, "mirror must be text or null, not 5"),
        ("mirror", "", "mirror must not be empty"),
        ("checkpoint_minutes", 0, "checkpoint_minutes must be more than 0, not 0"),
        ("checkpoint_minutes", float("nan"), "checkpoint_minutes must be a number, not nan"),
        ("checkpoint_minutes", float("inf"), "checkpoint_minutes must be a number, not inf"),
        ("checkpoint_minutes", "0,5", "checkpoint_minutes must be a number, not '0,5'; write 0.5"),
        ("keep_checkpoints", "yes", "keep_checkpoints must be true or false, not 'yes'"),
    ],
)
def test_mistakes_in_the_configuration(key, value, sentence):
    """Each names the key and what is allowed there."""
    assert complaint({**CONFIGURATION, key: value}, Config).startswith(sentence)


@pytest.mark.parametrize("word", ["nan", "inf", "-Infinity", "ten"])
def test_a_word_that_is_no_number_without_quotes_either(word):
    """YAML has .nan and .inf, and neither is allowed."""
    said = complaint({**CONFIGURATION, "checkpoint_minutes": word}, Config)
    assert said == f"checkpoint_minutes must be a number, not '{word}'"


def test_a_name_is_at_most_sixty_letters():
    """A run's folder has the name of its corpus in its own."""
    name = "abcdefghij" * 6
    assert validate(Config, {**CONFIGURATION, "corpora": name}, "x").corpora == name
    sentence = complaint({**CONFIGURATION, "corpora": name + "x"}, Config)
    assert sentence.endswith("is longer than 60 letters")


@pytest.mark.parametrize("key", CONFIGURATION)
def test_a_missing_key_is_named(key):
    """A configuration is complete, so that nothing is decided out of sight."""
    content = {name: value for name, value in CONFIGURATION.items() if name != key}
    assert complaint(content, Config) == f"key '{key}' is missing"


@pytest.mark.parametrize("value", [None, [], "x", 1])
def test_a_file_must_be_a_mapping(value):
    """An empty file is one of the ways to get this wrong."""
    for model in (Config, Suite, Study):
        assert complaint(value, model).startswith("the file must be a mapping, not ")


@pytest.mark.parametrize(
    ("value", "expected"),
    [("a,b", ["a", "b"]), ("[a, b]", ["a", "b"]), (["a", "b"], ["a", "b"]), ("a", "a")],
)
def test_several_names_may_be_text_with_commas(value, expected):
    """So `suites=a,b` on a command line needs no quotes."""
    assert validate(Config, {**CONFIGURATION, "suites": value}, "x").suites == expected


@pytest.mark.parametrize(("value", "expected"), [("1,2", [1, 2]), ([7], [7]), (3, 3)])
def test_several_seeds_may_be_text_with_commas(value, expected):
    assert validate(Config, {**CONFIGURATION, "seeds": value}, "x").seeds == expected


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"tittle": "x"}, "unknown key 'tittle'; did you mean 'title'?"),
        ({"title": ""}, "title must not be empty"),
        ({"title": 1984}, "title must be text, not 1984; put it in quotes"),
        ({"base": {"layers": [1]}}, "base.layers must be a whole number, not [1]"),
        ({"base": {"layers": None}}, "base.layers must be a whole number, not None"),
        (
            {"base": {"layers": {"dropout_output": 0}}},
            "base.layers must be a whole number, not a mapping (dropout_output)",
        ),
        ({"base": {"cell": {"lstm": 1}}}, "base.cell must be one word, not a mapping (lstm)"),
        (
            {"base": [{"dropout_output": 0}]},
            "base must be a mapping, not a list of mappings; leave out the hyphens",
        ),
        (
            {"base": {"dropout_output 0": None}},
            "base: no hyperparameter 'dropout_output 0'; write 'dropout_output: 0'",
        ),
        ({"base": {"weight_drop": "0,5"}}, "base.weight_drop must be a number, not '0,5'; write 0"),
        ({"base": {"weight_drop": 0, 5: None}}, "base: no hyperparameter '5'; write numbers with"),
        ({"base": {"weigth_drop": 0}}, "base: no hyperparameter 'weigth_drop'; did you mean 'wei"),
        ({"base": {"cache_window": 0}}, "base.cache_window must be at least 1, not 0"),
        ({"rows": {}}, "rows must not be empty"),
        ({"rows": {"full": {}}}, "rows.full: key 'label' is missing"),
        ({"rows": {"Full": {"label": "x"}}}, "rows: 'Full' is no name"),
        ({"rows": {1: {"label": "x"}}}, "rows: 1 is no name; put it in quotes"),
        ({"rows": {"full": {"label": True}}}, "rows.full.label must be text, not True; put it in"),
        (
            {"rows": {"full": {"label": "a\u202eb"}}},
            "rows.full.label: the text holds U+202E",
        ),
        (
            {"rows": {"full": {"label": "a\u200bb"}}},
            "rows.full.label: the text holds U+200B",
        ),
        ({"rows": {"full": {"label": "a\x00b"}}}, "rows.full.label: the text holds U+0000, which"),
        ({"rows": {"full": {"label": " \t "}}}, "rows.full.label: the text is blank"),
        ({"title": "\ufeffx"}, "title: the text holds U+FEFF, which no reader sees; remove it"),
        ({"notes": ["x", "\u2028"]}, "notes[2]: the text holds U+2028, which no reader sees"),
        ({"rows": {"full": {"label": "x", "sett": {}}}}, "unknown key 'sett' in rows.full"),
        ({"rows": {"full": {"label": "x", "stage": "tune"}}}, "rows.full.stage: no 'tune'"),
        ({"recipes": {"default": {}}}, "recipes: 'default' is reserved"),
        ({"recipes": {"bf16": {}}}, "recipes: 'bf16' is reserved"),
        ({"scales": {}}, "scales: one of demo, small and paper is needed"),
        (
            {"scales": SUITE["scales"] | {"demo": {"corpora": []}}},
            "scales.demo.corpora must not be empty",
        ),
        ({"scales": SUITE["scales"] | {"huge": {}}}, "unknown key 'huge' in scales"),
    ],
)
def test_mistakes_in_a_suite(change, sentence):
    """The place is a path through the file, counted as people count."""
    assert complaint({**SUITE, **change}, Suite).startswith(sentence)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"numbers": []}, "numbers must not be empty"),
        ({"numbers": [{**NUMBER, "test": -1}]}, "numbers[1].test must be more than 0, not -1"),
        (
            {"numbers": [NUMBER, {"row": "a", "corpus": "b", "source": "c"}]},
            "numbers[2]: one of train, valid and test is needed",
        ),
        ({"numbers": [{**NUMBER, "source": ""}]}, "numbers[1].source must not be empty"),
        ({"authors": []}, "authors must not be empty"),
        ({"url": "javascript:alert(1)"}, "url"),
        ({"curves": {"file": "../x.csv", "logs": {}}}, "curves.file"),
    ],
)
def test_mistakes_in_a_published_study(change, sentence):
    assert complaint({**STUDY, **change}, Study).startswith(sentence)


# schemas for editors ------------------------------------------------------------------------


def test_the_schemas_are_those_of_the_models():
    """`python -m awd.study` writes them."""
    written = {path.name: path.read_text(encoding="utf-8") for path in SCHEMAS.iterdir()}
    assert written == schemas()


def test_every_object_in_the_schemas_refuses_unknown_keys():
    for content in schemas().values():
        schema = json.loads(content)
        for found in [schema, *schema.get("$defs", {}).values()]:
            if "properties" in found:
                assert found["additionalProperties"] is False


@pytest.mark.parametrize(
    "path",
    [
        CONFIG,
        *sorted((HOME / "workflow/suites").glob("*.yaml")),
        *sorted((HOME / "workflow/published").glob("*.yaml")),
    ],
    ids=lambda path: path.name,
)
def test_each_file_names_its_schema_in_its_first_line(path):
    """So editors complete and check it."""
    first = path.read_text(encoding="utf-8").splitlines()[0]
    prefix = "# yaml-language-server: $schema="
    assert first.startswith(prefix)
    kind = {"suites": "suite", "published": "published"}.get(path.parent.name, "config")
    schema = path.parent / first.removeprefix(prefix)
    assert schema.resolve() == SCHEMAS / f"{kind}.schema.json"


def test_one_command_writes_the_schemas(tmp_path):
    program = (
        "import runpy, awd.places; from pathlib import Path;"
        f"awd.places.SCHEMAS = Path({str(tmp_path)!r});"
        "runpy.run_module('awd.study', run_name='__main__')"
    )
    subprocess.run([sys.executable, "-c", program], cwd=HOME, check=True)
    assert {path.name: path.read_text(encoding="utf-8") for path in Path(tmp_path).iterdir()} == (
        schemas()
    )


@pytest.mark.parametrize(
    "path",
    [
        CONFIG,
        *sorted((HOME / "workflow/suites").glob("*.yaml")),
        *sorted((HOME / "workflow/published").glob("*.yaml")),
    ],
    ids=lambda path: path.name,
)
def test_editors_find_no_mistake_in_the_files(path):
    """They check with the schema, not with the models."""
    content = read_yaml(path)
    kind = {"suites": "suite", "published": "published"}.get(path.parent.name, "config")
    name = f"{kind}.schema.json"
    validator = Draft202012Validator(json.loads((SCHEMAS / name).read_text(encoding="utf-8")))
    assert list(validator.iter_errors(content)) == []
    assert list(validator.iter_errors(content | {"sede": 1}))
