"""The configuration of the last workflow, so that other commands can follow it."""

from collections.abc import Mapping
from pathlib import Path

from awd import __version__
from awd.errors import InputError
from awd.files import read_json, write_json

NAME = "last.json"


def remember(config: Mapping, folder: Path) -> None:
    """Write the whole ``config`` of a workflow that starts to last.json in ``folder``.

    Raises InputError if the folder, which is that of results, cannot be written.
    """
    try:
        write_json(folder / NAME, {"format": 1, "awd": __version__, "config": dict(config)})
    except OSError as error:
        raise InputError(
            f"the folder of results, {folder.resolve()}, cannot be written ({error.strerror}): "
            "change its permissions, free some space, or set another one, as in "
            "`--config results=FOLDER`"
        ) from error


def recall(folder: Path) -> dict | None:
    """Return the configuration of the last workflow, None if none has started here.

    Raises InputError if the file cannot be read.
    """
    path = folder / NAME
    if not path.exists():
        return None
    try:
        content = read_json(path)
    except InputError as error:
        raise InputError(f"{error}; delete it if no workflow runs") from error
    if content.get("format") != 1 or not isinstance(content.get("config"), dict):
        raise InputError(f"{path} is not the configuration of a workflow; delete it")
    return content["config"]
