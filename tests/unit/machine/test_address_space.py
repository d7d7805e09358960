"""A limit of memory with which OpenBLAS would ask for buffers for ever is one sentence."""

import resource
import subprocess
import sys
from pathlib import Path

import pytest
from patience import PATIENCE

import awd
from awd.errors import InputError
from awd.machine import address_space

ROOT = Path(awd.__file__).parents[1]
MB = 1 << 20


@pytest.fixture
def limited(monkeypatch):
    """Pretend a limit in MB, None for none, and a number of CPUs."""

    def set_limit(megabytes, cpus, threads=""):
        limit = resource.RLIM_INFINITY if megabytes is None else megabytes * MB
        monkeypatch.setattr(resource, "getrlimit", lambda _: (limit, resource.RLIM_INFINITY))
        monkeypatch.setattr(address_space, "_cpus", lambda: cpus)
        monkeypatch.setenv(address_space.THREADS, threads)

    return set_limit


@pytest.mark.parametrize(
    ("megabytes", "cpus", "threads"),
    [
        (None, 999, ""),
        (360, 2, ""),
        (280, 64, "1"),
        (5320, 200, ""),
        (360, 2, "16"),
        (360, 2, "x"),
    ],
)
def test_enough_is_enough(limited, megabytes, cpus, threads):
    limited(megabytes, cpus, threads)
    address_space.check()


@pytest.mark.parametrize(
    ("megabytes", "cpus", "threads", "said"),
    [
        (
            359,
            2,
            "",
            "allows this program 359 MB .* need 360 MB on 2 CPU threads: raise the",
        ),
        (359, 2, "", "or set OPENBLAS_NUM_THREADS=1$"),
        (100, 1, "", "need 280 MB on 1 CPU threads: raise the limit$"),
        (100, 8, "1", "need 280 MB on 1 CPU threads: raise the limit$"),
        (5000, 64, "0", "need 5320 MB on 64 CPU threads"),
    ],
)
def test_too_little_is_refused(limited, megabytes, cpus, threads, said):
    limited(megabytes, cpus, threads)
    with pytest.raises(InputError, match=said):
        address_space.check()


def test_a_command_with_too_little_ends_with_a_sentence():
    """It never ended before."""
    found = subprocess.run(
        ["bash", "-c", f"ulimit -v 260000; exec {sys.executable} -m awd plan suites=kim2024"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert found.returncode == 1
    assert found.stderr.startswith("awd: `ulimit -v` allows this program 253 MB of address space")
    assert found.stderr.count("\n") == 1
