"""Work on a GPU that is launched as a whole: CUDA graphs.

A recurrent model at batch 20 is thousands of small kernels, and to launch them one by one takes the
host longer than the GPU needs to run them. A graph holds all kernels of a call and is one launch.
"""

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import ClassVar

import torch
from torch import Tensor

log = logging.getLogger(__name__)

TOLERANCE = 1e-3
"""Largest difference between a replayed and an eager update, relative to what the update changes.

Rounding differs by less: libraries may choose other kernels within a graph. Other random numbers,
another place in the text and another learning rate differ by more.
"""


class Replayed:
    """``work``, recorded once for each size and replayed from then on.

    A replay does to the same memory what the recorded call did. So all that changes from one call
    to the next must lie in tensors that stay where they are, the result too, and ``work`` must not
    look at their values. Random numbers are new in each replay.

    The first replay is compared with the same work done eagerly, that is kernel by kernel, from the
    same memory and random numbers. It is not of the call that was recorded, so that what was taken
    down as a constant shows. If they differ, or if something cannot be recorded, all work is done
    eagerly from then on.

    Args:
        work: called with a size, of which its operations depend.
        capture: turns a call without arguments into one that replays it; does not call it. Raises
            RuntimeError if it cannot.
        memory: returns the tensors that ``work`` changes.
        random: returns the state of the random numbers, and a function that sets it.

    Attributes:
        replays: the replay of each size.
        deviation: what the comparison found, see ``TOLERANCE``; None before it.
        reason: why work is done eagerly; None if it is not.
    """

    def __init__(
        self,
        work: Callable[[int], None],
        capture: Callable[[Callable[[], None]], Callable[[], None]],
        memory: Callable[[], Sequence[Tensor]],
        random: tuple[Callable[[], Tensor], Callable[[Tensor], None]],
    ):
        self.work, self.capture, self.memory = work, capture, memory
        self.random_state, self.set_random_state = random
        self.replays: dict[int, Callable[[], None]] = {}
        self.met: set[int] = set()
        self.deviation: float | None = None
        self.reason: str | None = None

    def __call__(self, size: int) -> None:
        """Do the work for ``size``.

        The first time it is done eagerly, as libraries set themselves up then, which cannot be
        recorded; it is recorded the second time. Raises torch.OutOfMemoryError.
        """
        if self.reason is not None or size not in self.met:
            self.met.add(size)
            self.work(size)
            return
        if size not in self.replays:
            try:
                self.replays[size] = self.capture(lambda: self.work(size))
            except torch.OutOfMemoryError:
                raise
            except RuntimeError as error:
                self._go_on_eagerly(f"an update cannot be recorded: {error}")
                self.work(size)
                return
            if self.deviation is None:
                self.work(size)
                return
        if self.deviation is None:
            self._compare(size)
            return
        self.replays[size]()

    def _compare(self, size: int) -> None:
        """Replay, then do the same eagerly, which stays; compare the two."""
        before, random = self._copies(), self.random_state()
        self.replays[size]()
        replayed = self._copies()
        with torch.no_grad():
            for tensor, value in zip(self.memory(), before, strict=True):
                tensor.copy_(value)
        self.set_random_state(random)
        self.work(size)
        self.deviation = max(
            deviation(*values) for values in zip(before, replayed, self._copies(), strict=True)
        )
        if not self.deviation <= TOLERANCE:
            self._go_on_eagerly(
                f"a replayed update differs from an eager one by {self.deviation:.2g} of what it "
                "changes"
            )

    def _copies(self) -> list[Tensor]:
        return [tensor.detach().clone() for tensor in self.memory()]

    def _go_on_eagerly(self, reason: str) -> None:
        self.reason = " ".join(reason.split())
        self.replays.clear()
        log.warning("no CUDA graphs, which is slower: %s", self.reason)


def deviation(before: Tensor, replayed: Tensor, eager: Tensor) -> float:
    """Difference of two outcomes relative to what changed; infinite where nothing should have.

    >>> one = torch.ones(2)
    >>> deviation(one, 3 * one, 5 * one)
    0.5
    """
    changed = (eager.double() - before.double()).norm().item()
    differs = (replayed.double() - eager.double()).norm().item()
    if changed == 0:
        return 0.0 if differs == 0 else math.inf
    return differs / changed


class CudaCapture:
    """Records calls; their graphs share the memory for what lives within a replay.

    Attributes:
        failed: why recording failed in this process, after which it is not tried again.
    """

    failed: ClassVar[str | None] = None

    def __init__(self, device: torch.device):
        self.device = device
        self.pool = torch.cuda.graph_pool_handle()

    def __call__(self, call: Callable[[], None]) -> Callable[[], None]:
        """Return what replays ``call``; raises RuntimeError if that waits for the GPU."""
        if CudaCapture.failed is not None:
            raise RuntimeError(CudaCapture.failed)
        graph = torch.cuda.CUDAGraph()
        with self._undone_if_it_fails(), torch.cuda.graph(graph, pool=self.pool):
            call()
        return graph.replay

    @contextmanager
    def _undone_if_it_fails(self) -> Iterator[None]:
        """Restore what a failed capture leaves: the current stream and the random numbers.

        torch.cuda.graph leaves its own stream the current one if the capture cannot be ended, and
        the generator then goes on counting as within a graph. The memory pool stays closed to
        later captures.
        """
        stream = torch.cuda.current_stream(self.device)
        generator = torch.cuda.default_generators[stream.device_index]
        random = generator.clone_state()
        try:
            yield
        except BaseException as error:
            CudaCapture.failed = str(error)
            torch.cuda.set_stream(stream)
            generator.graphsafe_set_state(random)
            raise
