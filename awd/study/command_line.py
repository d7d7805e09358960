"""The configuration of a Snakemake command: its files and its KEY=VALUE words.

Snakemake reads both, too, but differently: to it 010 is 8 in a file and 10 on the command line, the
second of two equal keys wins, and a list's numbers are text.
"""

import sys
from collections.abc import Mapping
from pathlib import Path

from awd.errors import InputError
from awd.places import CONFIG, config_file
from awd.study.config import load_config, read_config
from awd.study.yaml_text import parse_word

COMMAND_LINE = "the command line"
MODULE = "config of the module"
NO_TEXT = ("seeds", "base_seeds", "gpu_slots", "checkpoint_minutes", "keep_checkpoints")
"""Keys whose values are numbers or true and false."""


def configuration(workflow, config: Mapping) -> tuple[dict, str, dict[str, str]]:
    """Return the plain configuration that the command asks for, its file, and other places of keys.

    ``config`` is Snakemake's: of a module it has the changes that the outer workflow makes.
    Raises InputError.
    """
    if not workflow.modifier.is_main_snakefile():
        return load_config(CONFIG, changes_of(config, [])), MODULE, {}
    first, *others = _files(workflow)
    changes: dict = {}
    places: dict[str, str] = {}
    for path in others:
        content = read_config(path)
        changes |= content
        places |= dict.fromkeys(content, path.name)
    words = sys.argv[1:] if workflow.is_main_process else []
    changed = changes_of(workflow.config_settings.config, words)
    places |= dict.fromkeys(changed, COMMAND_LINE)
    return load_config(first, changes | changed), str(first), places


def _files(workflow) -> list[Path]:
    """Return the configuration of the user's project, and the files of --configfile."""
    return [config_file(), *(Path(path) for path in workflow.config_settings.configfiles)]


def changes_of(config: Mapping, words: list[str]) -> dict:
    """Return the changes of ``--config KEY=VALUE``, the values read as in a file.

    ``config`` has the changes as Snakemake read them, ``words`` is the command line. A change that
    is not there comes from a profile, or from the main process to a job on a cluster; numbers in
    its lists are still text. Raises InputError for a key that is given twice, of which Snakemake
    takes the last.
    """
    texts: dict[str, str] = {}
    for word in words:
        key, separator, text = word.removeprefix("--config=").removeprefix("-C").partition("=")
        key = key.strip()
        if separator and key in config:
            if key in texts:
                raise InputError(f"{COMMAND_LINE}: '{key}' is given twice")
            texts[key] = text
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
