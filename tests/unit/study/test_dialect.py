"""KEY=VALUE words mean the same to awd and to Snakemake."""

import pytest
from snakemake.cli import parse_config

from awd.errors import InputError
from awd.study import dialect
from awd.study.command_line import changes_of

LINES = [
    ["scale=small"],
    ["suites=kim2024,merity2018"],
    ["suites=[kim2024, merity2018]"],
    ["seeds=3"],
    ["seeds=[1,2]"],
    ["seeds=1,2"],
    ["checkpoint_minutes=0.5"],
    ["keep_checkpoints=true"],
    ["mirror="],
    ["mirror=https://example.org/a=b"],
    ["corpus_folders={mine: /data/my text}"],
    ["device=gpu", "seeds=2"],
]


@pytest.mark.parametrize("lines", LINES, ids=" ".join)
def test_words_are_read_as_after_config(lines):
    assert dialect.parse(lines) == changes_of(parse_config(lines), lines)


@pytest.mark.parametrize(
    "words",
    [
        ["seeds=1", "seeds=2"],
        ["scale=demo", "seeds=1", "scale=demo"],
        ["corpus_folders={a: x}", "corpus_folders={b: y}"],
        ["prompt=a", "prompt=b"],
    ],
    ids=" ".join,
)
def test_a_key_that_is_given_twice_is_refused(words):
    """Snakemake takes the last one without a word: so it is refused there, too."""
    key = words[-1].partition("=")[0]
    with pytest.raises(InputError, match=f"^the command line: '{key}' is given twice$"):
        dialect.parse(words, texts=("prompt",))
    config = dict.fromkeys(("seeds", "scale", "corpus_folders", "prompt"), "whatever")
    with pytest.raises(InputError, match=f"^the command line: '{key}' is given twice$"):
        changes_of(config, ["snakemake", "--cores", "all", "--config", *words])


def test_settings_of_resources_are_no_keys():
    words = ["--set-threads", "train=1", "--set-resources", "train=2", "--config", "seeds=2"]
    assert changes_of({"seeds": 2}, words) == {"seeds": 2}


@pytest.mark.parametrize("text", ["1,,2", "a,", "[a,,b]", ",a"])
def test_an_empty_part_of_a_list_is_refused(text):
    with pytest.raises(InputError, match="has an empty part; write one comma between two parts"):
        dialect.listed(text)


@pytest.mark.parametrize("text", ["no", "1e5", "a: b", "[x", "x, y", ""])
def test_a_text_is_taken_as_it_is_written(text):
    assert dialect.parse([f"prompt={text}", "seed=2"], texts=("prompt",)) == {
        "prompt": text,
        "seed": 2,
    }


@pytest.mark.parametrize("word", ["small", "=small", "1scale=small", "sc ale=x", "--suite"])
def test_another_form_is_refused(word):
    with pytest.raises(InputError, match=r"'.*' must have the form KEY=VALUE, as in scale=small"):
        dialect.parse([word])


def test_gpu_is_a_word_for_cuda():
    assert dialect.plain({"device": "gpu"}) == {"device": "cuda"}
    assert dialect.plain({"device": "cpu"}) == {"device": "cpu"}


@pytest.mark.parametrize(
    ("value", "found"),
    [("a,b", ["a", "b"]), (["a"], ["a"]), ("a", ["a"]), (3, [3]), (None, None)],
)
def test_one_or_several_is_a_list(value, found):
    assert dialect.listed(value) == found


@pytest.mark.parametrize(
    ("name", "meaning"),
    [
        ("paper", ("paper", "default", "fp32")),
        ("paper-bf16", ("paper", "default", "bf16")),
        ("paper-readme", ("paper", "readme", "fp32")),
        ("paper-read-me-bf16", ("paper", "read-me", "bf16")),
        ("papre-bf16", ("papre-bf16", "default", "fp32")),
    ],
)
def test_the_name_of_a_folder_of_results_is_a_scale(name, meaning):
    usual = {"recipe": "default", "precision": "fp32"}
    config = dialect.plain({**usual, "scale": name})
    assert (config["scale"], config["recipe"], config["precision"]) == meaning
    assert dialect.folder_name({"scale": name}) == name


def test_a_value_with_several_readings_is_refused():
    with pytest.raises(InputError, match=r"the command line: seeds: 010 is a different"):
        dialect.parse(["seeds=010"])
