"""Wait for a condition, never for a moment: a machine with much else to do takes its time."""

import time
from collections.abc import Callable

PATIENCE = 1800
"""Seconds after which a test gives up."""


def wait_until(condition: Callable[[], object], what: Callable[[], str] | str = "") -> None:
    """Return when ``condition()`` is true; fail with ``what`` if it never is."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, what() if callable(what) else what
        time.sleep(0.01)
