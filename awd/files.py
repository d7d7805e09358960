"""Files that appear whole or not at all."""

import fcntl
import json
import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from awd.errors import InputError

log = logging.getLogger(__name__)


@contextmanager
def atomic(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a temporary path beside ``path`` and rename it into place when the block succeeds.

    The content is flushed to disk before the rename, so after a crash the file is either the
    old one or the complete new one. If the block raises, the temporary file is removed.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        temporary.chmod(0o644)
        yield temporary
        with temporary.open("rb+") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    except OSError as error:
        # A full disk names no file.
        error.filename = error.filename or str(path)
        raise
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()


@contextmanager
def alone(folder: Path) -> Iterator[bool]:
    """Within the block no other process that asks for ``folder`` has it.

    Waits for that, and yields whether it took waiting. The lock is the kernel's and so ends with
    the process that holds it, however that ends.
    """
    folder.mkdir(parents=True, exist_ok=True)
    handle, waited = os.open(folder, os.O_RDONLY), False
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.warning("another process is at work in %s; waiting", folder)
            fcntl.flock(handle, fcntl.LOCK_EX)
            waited = True
        except OSError as error:  # some network file systems have no locks
            log.warning("%s cannot be locked (%s)", folder, error.strerror)
        yield waited
    finally:
        os.close(handle)


def half_written(path: Path) -> Iterator[Path]:
    """What killed processes left of their attempts to write ``path``."""
    return path.parent.glob(f".{path.stem}-*{path.suffix}")


def write_text(path: str | os.PathLike, text: str) -> None:
    """Write ``text`` to ``path`` atomically, as UTF-8."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | os.PathLike, value: object) -> None:
    """Write ``value`` as indented JSON to ``path`` atomically; nan and inf are refused."""
    write_text(path, json.dumps(value, indent=1, allow_nan=False) + "\n")


def read_json(path: str | os.PathLike) -> dict:
    """Read a JSON object.

    Raises InputError if the file is missing, is not JSON, or holds something else.
    """
    try:
        value = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not a JSON file: {error}") from error
    if not isinstance(value, dict):
        raise InputError(f"{path} holds a {type(value).__name__} where a JSON object is expected")
    return value
