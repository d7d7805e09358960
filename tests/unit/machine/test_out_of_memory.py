"""Errors of memory become one sentence; others keep their traceback."""

import sys

import pytest
import torch
from forked import PROCESSES
from patience import PATIENCE

from awd.errors import InputError
from awd.machine import out_of_memory
from awd.machine.out_of_memory import explained, peak_memory

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("error", "amount"),
    [
        (MemoryError(), "more"),
        (RuntimeError("CUDA out of memory. Tried to allocate 2.50 GiB."), "2.68 GB"),
        (
            RuntimeError(
                "DefaultCPUAllocator: can't allocate memory: you tried to allocate 4096 bytes"
            ),
            "0.00 GB",
        ),
        (RuntimeError("std::bad_alloc"), "more"),
        (RuntimeError("unable to allocate 3 MiB: out of memory"), "0.00 GB"),
    ],
)
def test_a_failed_allocation_names_what_was_asked_for(error, amount):
    with pytest.raises(InputError) as caught, explained(CPU):
        raise error
    assert f"asked for {amount} where it may have" in str(caught.value)
    assert caught.value.__cause__ is error


@pytest.mark.parametrize("error", [RuntimeError("shapes cannot be multiplied"), KeyError("run")])
def test_other_errors_pass(error):
    with pytest.raises(type(error)) as caught, explained(CPU):
        raise error
    assert caught.value is error


def hold_more_than_ever() -> None:
    """End this process, with 0 if its peak shows what it holds."""
    before = peak_memory(CPU)
    held = bytearray(int(before * 1e6) + 100_000_000)
    held[::4096] = b"x" * len(held[::4096])
    sys.exit(peak_memory(CPU) <= before + 50)


def test_peak_memory_grows_with_what_is_held():
    """In a process of its own: that of all tests has held far more than this needs."""
    process = PROCESSES.Process(target=hold_more_than_ever)
    process.start()
    process.join(PATIENCE)
    assert process.exitcode == 0


def test_a_limit_of_the_process_counts(monkeypatch):
    """`ulimit -v` below the machine's memory is what the process may have."""
    monkeypatch.setattr(out_of_memory.resource, "getrlimit", lambda _: (50_000_000, -1))
    with pytest.raises(InputError, match=r"where it may have 0\.05 GB"), explained(CPU):
        raise MemoryError
