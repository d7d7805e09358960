"""Characters in users' texts that readers do not see and that would change a number.

Published texts are taken as they are. In a text of the user's own, what has one sensible reading
is normalised and counted, and what has none is refused.
"""

import re
import unicodedata
from collections import Counter

from awd.errors import InputError

NORMALISED = {
    # Unicode's own line ends (Unicode Standard Annex 14, classes BK and NL)
    "line_separators": ("[\u0085\u2028\u2029]", "\n"),
    "form_feeds": ("[\v\f]", " "),
    "zero_width_spaces": ("\u200b", " "),  # they separate words in Thai and Khmer
    "byte_order_marks": ("\ufeff", ""),  # left where files were joined
    # soft hyphens, grapheme joiners, marks of direction, word joiners, operators without a sign,
    # marks of annotations; not U+200C and U+200D, which distinguish words in Persian and Hindi
    "invisible_characters": (
        "[\u00ad\u034f\u061c\u180e\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufff9-\ufffb]",
        "",
    ),
}
"""What is counted -> the characters that count, and what each becomes."""

REFUSED = re.compile("[\x00-\x08\r\x0e-\x1f\x7f-\x9f]")
UNUSUAL = re.compile("|".join([REFUSED.pattern, *(pattern for pattern, _ in NORMALISED.values())]))


def normalise(line: str, counts: Counter, *, whole_file: bool) -> list[str]:
    """Return the lines in ``line``, which ends in LF or with the file, without their ends.

    Words are composed (Unicode's form NFC); ``counts`` has how often anything was changed. If the
    line is the ``whole_file``, carriage returns are its line ends.
    """
    ended = line.endswith("\n")
    text = line[:-1].removesuffix("\r") if ended else line
    composed = unicodedata.is_normalized("NFC", text)
    if composed and not UNUSUAL.search(text):
        return [text]
    if whole_file and not ended:
        counts["carriage_returns"] += text.count("\r")
        text = text.replace("\r", "\n")
    for key, (pattern, replacement) in NORMALISED.items():
        text, number = re.subn(pattern, replacement, text)
        counts[key] += number
    if not composed:
        counts["composed_words"] += sum(
            not unicodedata.is_normalized("NFC", word) for word in text.split()
        )
        text = unicodedata.normalize("NFC", text)
    lines = text.split("\n")
    return lines if ended or lines[-1] else lines[:-1]


def refuse(line: str, where: str) -> None:
    """Raise InputError if the line holds a control character; ``where`` begins the sentence."""
    found = REFUSED.search(line)
    if found is None:
        return
    character = found.group()
    advice = {
        "\0": "if the text is UTF-16, save it as UTF-8",
        "\r": "give the file one kind of line end",
    }.get(character, "remove it")
    raise InputError(f"{where} holds the control character U+{ord(character):04X}: {advice}")
