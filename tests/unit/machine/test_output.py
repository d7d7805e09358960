"""What a terminal's encoding lacks is printed in plain characters, and minus stays minus."""

import io
import sys

import pytest

from awd.machine.output import allow_any_text

TEXT = "\N{MINUS SIGN}1.09 \N{PLUS-MINUS SIGN} 2 \N{EN DASH} a \N{RIGHTWARDS ARROW} b \u4e2d \udce9"


@pytest.mark.parametrize(
    ("encoding", "errors", "expected"),
    [
        ("ascii", "strict", "-1.09 +/- 2 - a -> b \\u4e2d \\udce9"),
        ("ascii", "backslashreplace", "-1.09 +/- 2 - a -> b \\u4e2d \\udce9"),
        ("latin-1", "strict", "-1.09 \N{PLUS-MINUS SIGN} 2 - a -> b \\u4e2d \\udce9"),
        ("cp1252", "strict", "-1.09 \N{PLUS-MINUS SIGN} 2 \N{EN DASH} a -> b \\u4e2d \\udce9"),
        ("utf-8", "strict", TEXT.replace("\udce9", "\\udce9")),
    ],
)
@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_every_encoding_prints_every_text(monkeypatch, encoding, errors, expected, name):
    written = io.BytesIO()
    stream = io.TextIOWrapper(written, encoding=encoding, errors=errors)
    monkeypatch.setattr(sys, name, stream)
    allow_any_text()
    print(TEXT, end="", file=stream, flush=True)
    assert written.getvalue().decode(encoding) == expected


def test_what_the_user_chose_and_closed_streams_stay(monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="ignore")
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(sys, "stderr", None)
    allow_any_text()
    assert stream.errors == "ignore"
