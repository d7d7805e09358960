"""The configuration: its file, changes to it, its seeds."""

import json

import pytest

from awd.errors import InputError
from awd.study.config import CONFIG, Config, load_config, parse_config
from awd.study.validation import validate


def test_the_file_has_every_key_in_the_order_of_the_model():
    """But for those that only a command sets."""
    assert [*load_config(CONFIG), "trials"] == list(Config.model_fields)


def test_changes_win_and_mappings_are_merged(tmp_path):
    """As Snakemake does with --config."""
    path = tmp_path / "config.yaml"
    path.write_text("scale: demo\ncorpus_folders: {a: x}\n")
    changes = {"scale": "small", "corpus_folders": {"b": "y"}}
    expected = {"scale": "small", "corpus_folders": {"a": "x", "b": "y"}}
    assert load_config(path, changes) == load_config(CONFIG) | expected


@pytest.mark.parametrize("text", ["[]", "a"])
def test_a_file_that_is_no_mapping_is_refused(tmp_path, text):
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=r"config\.yaml: the file must be a mapping, not "):
        load_config(path)


@pytest.mark.parametrize(
    ("seeds", "least", "expected"),
    [(3, 1, [1, 2, 3]), (1, 2, [1, 2]), ([7, 2], 5, [7, 2]), ([0], 1, [0])],
)
def test_seeds_are_a_count_or_a_list(seeds, least, expected):
    config = validate(Config, load_config(CONFIG, {"seeds": seeds}), "x")
    assert config.seed_list(least) == expected


@pytest.mark.parametrize(
    ("seeds", "base_seeds", "of_suite", "expected"),
    [
        (1, 3, None, [1, 2, 3]),
        (5, 3, None, [1, 2, 3, 4, 5]),
        (1, 3, 2, [1, 2]),
        (1, 1, 4, [1]),
        ([7, 2], 3, None, [7, 2]),
    ],
)
def test_base_rows_have_several_seeds_unless_that_is_switched_off(
    seeds, base_seeds, of_suite, expected
):
    changes = {"seeds": seeds, "base_seeds": base_seeds}
    config = validate(Config, load_config(CONFIG, changes), "x")
    assert config.base_seed_list(1, of_suite) == expected


def test_a_file_without_keys_changes_nothing(tmp_path):
    """As where all lines are comments."""
    (tmp_path / "config.yaml").write_text("# scale: small\n")
    assert load_config(tmp_path / "config.yaml") == load_config(CONFIG)


def test_a_job_gets_the_configuration_as_json():
    """Checked, written and read again, it is the same one."""
    config = validate(Config, load_config(CONFIG), "x")
    text = json.dumps(config.model_dump())
    assert validate(Config, parse_config(text), "x") == config
    with pytest.raises(InputError, match="--settings is not JSON"):
        parse_config("{")


@pytest.mark.parametrize("recipe", ["bf16", "fp32", "mine-bf16", "a-b-fp32"])
def test_a_recipe_cannot_be_called_like_a_precision(recipe):
    """results/demo-mine-bf16 is where recipe mine with precision bf16 is."""
    with pytest.raises(InputError, match=f"^x: recipe: '{recipe}' is reserved"):
        validate(Config, load_config(CONFIG, {"recipe": recipe}), "x")
    assert validate(Config, load_config(CONFIG, {"recipe": f"{recipe}x"}), "x")


@pytest.mark.parametrize("key", ["results", "checkpoints"])
@pytest.mark.parametrize("folder", ["r{x}", "r*", "a<b", "a?"])
def test_a_folder_that_snakemake_would_take_for_a_pattern(key, folder):
    with pytest.raises(InputError, match=f"^x: {key}: .* cannot be a folder here: Snakemake gives"):
        validate(Config, load_config(CONFIG, {key: folder}), "x")
