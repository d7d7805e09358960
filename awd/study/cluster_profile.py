"""What a Snakemake profile gives the jobs of a cluster: minutes for each stage, and tries.

A profile may hold expressions, of Python (``60 * attempt``) or of YTE (``"?hours * 60"``), which
Snakemake computes from what it knows when it runs. They are returned as text and not computed here.
"""

from pathlib import Path
from typing import Any

from humanfriendly import InvalidTimespan, parse_timespan

from awd.errors import InputError
from awd.study.yaml_text import read_yaml
from awd.vocabulary import Stage

NAMES = ("profile.yaml", "config.yaml", "config.v8+.yaml")
"""Of the file in the folder of a profile."""


class ClusterProfile:
    """A profile as far as it decides how long trainings may take.

    Attributes:
        path: its file.
        tries: how often a job is tried, or an expression.

    Raises InputError if ``profile`` is neither a file nor a folder with one, or if it is damaged.
    """

    def __init__(self, profile: Path) -> None:
        inside = [Path(profile) / name for name in NAMES]
        found = [path for path in inside if path.exists()] or inside
        self.path = Path(profile) if Path(profile).is_file() else found[0]
        self._content = read_yaml(self.path)
        if not isinstance(self._content, dict):
            raise InputError(f"{self.path}: a profile must be a mapping")
        retries = self._find("restart-times") if "restart-times" in self._content else None
        retries = self._find("retries") or retries or 0
        text = str(retries)
        if not (text.isdecimal() or text.startswith("?")):
            raise InputError(f"{self.path}: retries must be a whole number, not {retries!r}")
        self.tries: int | str = 1 + int(text) if text.isdecimal() else text

    def minutes(self, stage: Stage) -> int | str | None:
        """Return the minutes of a try, or an expression; None if the profile gives none.

        Snakemake takes a number for minutes, and reads times such as 90m, 12h or 2d. Raises
        InputError for what it cannot take.
        """
        found = self._find("set-resources", stage, "runtime")
        if found is None:
            return None
        if isinstance(found, bool | list | dict) or (isinstance(found, int) and found < 0):
            raise InputError(
                f"{self.path}: runtime of {stage} must be minutes or a time such as 12h, not "
                f"{found!r}"
            )
        return self.read_minutes(str(found))

    @staticmethod
    def read_minutes(text: str) -> int | str:
        """Return the minutes that Snakemake takes ``text`` for; an expression stays as it is."""
        text = text.strip("'\"")
        if text.isdecimal():
            return int(text)
        try:
            return max(int(round(parse_timespan(text)) / 60), 1)
        except InvalidTimespan:
            return text

    def _find(self, *keys: str) -> Any:
        """Return the value at ``keys``; the condition if it stands under one of YTE (``?if``)."""
        content: Any = self._content
        for key in keys:
            if isinstance(content, list):  # as on a command line: "train:runtime=60"
                content = _nested(content)
            if not isinstance(content, dict):
                return None
            for other, inside in content.items():
                if str(other).startswith("?") and keys[-1] in repr(inside):
                    return str(other)
            content = content.get(key)
        return content


def _nested(entries: list) -> dict[str, dict[str, str]]:
    """Return {rule: {resource: value}} of entries RULE:RESOURCE=VALUE."""
    found: dict[str, dict[str, str]] = {}
    for entry in entries:
        rule, _, assignment = str(entry).partition(":")
        resource, _, value = assignment.partition("=")
        found.setdefault(rule, {})[resource] = value
    return found
