"""What all tests share."""

import os
import signal

import pytest

# Tests run side by side, so each takes one thread; set before torch is loaded.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# What a shell starts in the background ignores Ctrl-C, and so would all that tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)


SLOWEST = ("cluster", "workflow", "faults")


def pytest_collection_modifyitems(items):
    """Begin with the folders whose files take longest: no process has one left at the end."""
    folders = {name: number for number, name in enumerate(SLOWEST)}
    items.sort(key=lambda item: folders.get(item.path.parent.name, len(folders)))


@pytest.fixture(scope="session")
def corpus():
    """An encoded corpus of 12 word types, small enough to train on in a moment."""
    import numpy as np

    from awd.corpora import Corpus

    draw = np.random.default_rng(0)
    splits = {
        name: (draw.integers(0, 12, size).cumsum() % 12).astype(np.uint16)
        for name, size in {"train": 800, "valid": 200, "test": 200}.items()
    }
    return Corpus("tiny", "f" * 64, [f"w{number}" for number in range(12)], **splits, info={})
