"""Work on a GPU that is launched as a whole: CUDA graphs.

A recurrent model at batch 20 is thousands of small kernels, and to launch them one by one takes the
host longer than the GPU needs to run them. A graph holds all kernels of a call and is one launch.
"""

import logging
from collections.abc import Callable

import torch

log = logging.getLogger(__name__)


class Replayed:
    """``work``, recorded once for each size and replayed from then on.

    A replay does to the same memory what the recorded call did. So all that changes from one call
    to the next must lie in tensors that stay where they are, the result too, and ``work`` must not
    look at their values. Random numbers are new in each replay.

    Args:
        work: called with a size, of which its operations depend.
        capture: turns a call without arguments into one that replays it; does not call it.
    """

    def __init__(
        self,
        work: Callable[[int], None],
        capture: Callable[[Callable[[], None]], Callable[[], None]],
    ):
        self.work, self.capture = work, capture
        self.replays: dict[int, Callable[[], None]] = {}
        self.met: set[int] = set()

    def __call__(self, size: int) -> None:
        """Do the work for ``size``.

        The first time it is done kernel by kernel, as libraries set themselves up then, which
        cannot be recorded. What cannot be recorded at all is done so every time.
        """
        if size not in self.met:
            self.met.add(size)
            self.work(size)
            return
        if size not in self.replays:
            try:
                self.replays[size] = self.capture(lambda: self.work(size))
            except RuntimeError as error:
                log.warning("no CUDA graph, which is slower: %s", error)
                self.replays[size] = lambda: self.work(size)
        self.replays[size]()


class CudaCapture:
    """Records calls; their graphs share the memory for what lives within a replay."""

    def __init__(self):
        self.pool = torch.cuda.graph_pool_handle()

    def __call__(self, call: Callable[[], None]) -> Callable[[], None]:
        """What replays ``call``; raises RuntimeError if that waits for the GPU."""
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self.pool):
            call()
        return graph.replay
