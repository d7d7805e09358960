"""Refuse a limit of memory with which numpy and scipy would never finish loading."""

import os
import resource

from awd.errors import InputError

THREADS = "OPENBLAS_NUM_THREADS"
LARGEST = 64
"""Threads that OpenBLAS was compiled for in numpy and scipy."""
BASE, PER_THREAD = 200 << 20, 80 << 20
"""Bytes of address space: numpy, scipy and a plan; and two OpenBLAS' buffer and stack per thread.

Measured with numpy 2.4 and scipy 1.17: 190 MB with one thread, 271 MB with two.
"""


def check() -> None:
    """Raise InputError if ``ulimit -v`` leaves too little address space.

    OpenBLAS asks for a buffer for each of its threads when it is loaded, and asks again, for ever,
    if it gets none.
    """
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    threads = _threads()
    needed = BASE + PER_THREAD * threads
    if limit == resource.RLIM_INFINITY or limit >= needed:
        return
    fewer = f", or set {THREADS}=1" if threads > 1 else ""
    raise InputError(
        f"`ulimit -v` allows this program {limit >> 20} MB of address space, and its libraries "
        f"need {needed >> 20} MB on {threads} CPU threads: raise the limit{fewer}"
    )


def _threads() -> int:
    """Return how many threads OpenBLAS starts."""
    chosen = os.environ.get(THREADS, "")
    if chosen.isdecimal() and int(chosen) > 0:
        return min(int(chosen), _cpus(), LARGEST)
    return min(_cpus(), LARGEST)


def _cpus() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
