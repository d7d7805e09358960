"""The one error a user may see: a single sentence that says what, where and what is allowed."""

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path

LONGEST = 2000  # characters of a sentence, which may quote what it is about


class InputError(Exception):
    """Bad input, described in one sentence; the command line prints it and exits with 1."""

    def __init__(self, sentence: str):
        sentence = " ".join(sentence.split("\n")).strip()  # libraries' messages have several lines
        if len(sentence) > LONGEST:
            sentence = f"{sentence[: LONGEST // 2]} [...] {sentence[-LONGEST // 4 :]}"
        super().__init__(sentence)


def words_of(error: OSError) -> str:
    """Say what the system complains of, and of which file.

    >>> words_of(PermissionError(13, "Permission denied", "config.yaml"))
    'Permission denied (config.yaml)'
    """
    if error.filename is None and isinstance(error, FileNotFoundError) and not _is_somewhere():
        return "the folder that this command runs in no longer exists: change to another one"
    place = f" ({error.filename})" if error.filename else ""
    return f"{error.strerror or error}{place}"


def _is_somewhere() -> bool:
    try:
        Path.cwd()
    except FileNotFoundError:
        return False
    return True


def nearest(word: str, allowed: Iterable[str]) -> str:
    """Say which of the ``allowed`` words was probably meant, or list them all.

    Words that begin with ``word`` come first, then the one spelled most like it, or like it with
    its parts in another order, then those that contain it.

    >>> nearest("hiden_size", ["hidden_size", "layers"])
    "did you mean 'hidden_size'?"
    >>> nearest("dropout", ["dropout_input", "dropout_output", "layers"])
    "did you mean 'dropout_input' or 'dropout_output'?"
    """
    word, allowed = str(word), sorted(str(item) for item in allowed)
    close = (
        [each for each in allowed if each.lower().startswith(word.lower())]
        or get_close_matches(word, allowed, n=1)
        or [each for each in allowed if sorted(each.split("_")) == sorted(word.split("_"))]
        or [each for each in allowed if word.lower() in each.lower()]
    )
    if not word or not close:
        return f"allowed: {', '.join(allowed)}"
    *others, last = (f"'{each}'" for each in close)
    return f"did you mean {', '.join(others)}{' or ' if others else ''}{last}?"
