"""The configuration of a Snakemake command: its files and its KEY=VALUE words.

Snakemake reads both, too, but differently: to it 010 is 8 in a file and 10 on the command line, the
second of two equal keys wins, and a list's numbers are text.
"""

import sys
from collections.abc import Mapping
from pathlib import Path

from awd.places import CONFIG
from awd.study.config import load_config
from awd.study.yaml_text import parse_word, read_yaml

NO_TEXT = ("seeds", "base_seeds", "gpu_slots", "checkpoint_minutes", "keep_checkpoints")
"""Keys whose values are numbers or true and false."""


def check_files(workflow) -> None:
    """Read the configuration files before Snakemake does, whose messages lack the file's name.

    Raises InputError for a file that is missing, not UTF-8 or not YAML.
    """
    for path in _files(workflow):
        read_yaml(path)


def configuration(workflow) -> dict:
    """Return the plain configuration that the command asks for; raises InputError."""
    first, *others = _files(workflow)
    changes: dict = {}
    for path in others:
        changes |= load_config(path)
    words = sys.argv[1:] if workflow.is_main_process else []
    return load_config(first, changes | changes_of(workflow.config_settings.config, words))


def _files(workflow) -> list[Path]:
    """Return config.yaml, unless --configfile replaces a missing one, and those of --configfile."""
    others = [Path(path) for path in workflow.config_settings.configfiles]
    own = Path(CONFIG.name)
    return others if others and not own.exists() else [own, *others]


def changes_of(config: Mapping, words: list[str]) -> dict:
    """Return the changes of ``--config KEY=VALUE``, the values read as in a file.

    ``config`` has the changes as Snakemake read them, ``words`` is the command line. A change that
    is not there comes from a profile, or from the main process to a job on a cluster; numbers in
    its lists are still text.
    """
    texts = {}
    for word in words:
        key, separator, text = word.removeprefix("--config=").removeprefix("-C").partition("=")
        if separator:
            texts[key.strip()] = text
    changes = {}
    for key, value in config.items():
        if key in texts:
            changes[key] = parse_word(texts[key], f"--config {key}")
        else:
            changes[key] = _read_again(value, f"--config {key}") if key in NO_TEXT else value
    return changes


def _read_again(value: object, where: str) -> object:
    """Return ``value`` with the text in it read as YAML."""
    if isinstance(value, list):
        return [_read_again(each, where) for each in value]
    return parse_word(value, where) if isinstance(value, str) else value
