"""Print on terminals, pipes and files whose encoding lacks some of the characters."""

import codecs
import sys
from io import TextIOWrapper

PLAIN = {
    **{"\N{MINUS SIGN}": "-", "\N{EN DASH}": "-", "\N{RIGHTWARDS ARROW}": "->"},
    **{"\N{PLUS-MINUS SIGN}": "+/-", "\N{MULTIPLICATION SIGN}": "x"},
}
"""Signs that awd prints, and what stands for them. A minus must not become a number: its code is
\\u2212, which before 1.09 would read as 22121.09."""
HANDLER = "awd"


def _replace(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    sign = error.object[error.start]
    if sign in PLAIN:
        return PLAIN[sign], error.start + 1
    error.end = error.start + 1
    return codecs.backslashreplace_errors(error)


codecs.register_error(HANDLER, _replace)


def allow_any_text() -> None:
    """Print characters that standard output and error cannot encode in plain ones, or as codes."""
    for stream in (sys.stdout, sys.stderr):
        # Not where a standard stream is closed, or replaced by another kind of object.
        if isinstance(stream, TextIOWrapper) and stream.errors in ("strict", "backslashreplace"):
            stream.reconfigure(errors=HANDLER)
