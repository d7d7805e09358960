"""NT-ASGD: SGD that starts to average its iterates once validation stops improving.

Merity et al. 2018, section 3.1, algorithm 1.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from awd.model import kernels
from awd.model.arithmetic import defined


class NonMonotonicTrigger:
    """Fires when a validation loss exceeds the best of all but the last ``interval`` before it.

    The first arXiv version of the paper compares with the *last* n; its authors call that a
    misprint, and their code has this rule. It fires first after ``interval`` + 2 evaluations.
    """

    def __init__(self, interval: int):
        self.interval = interval
        self.losses: list[float] = []

    def fires(self, loss: float) -> bool:
        """Judge ``loss`` against the log, then add it to the log."""
        older = self.losses[: -self.interval]
        self.losses.append(loss)
        return bool(older) and loss > min(older)


class Average:
    """Running mean of ``parameters`` over the updates since it was made.

    The first update counts: torch's ASGD leaves out the first iterate, the paper does not. The
    means are in double: in float a mean of many iterates would not move any more, since a step
    towards the next one is smaller than its last digit.
    """

    def __init__(self, parameters: Iterable[Tensor]):
        self.parameters = list(parameters)
        self.means = [parameter.detach().double() for parameter in self.parameters]
        self.count = 0
        self.weight = torch.zeros((), dtype=torch.float64, device=self.means[0].device)

    def expect(self) -> None:
        """Count one more update; ``take`` will give it its weight in the mean."""
        self.count += 1
        self.weight.fill_(self.share)

    @property
    def share(self) -> float:
        """Weight of the newest update in the mean: each update counts the same."""
        return 1 / self.count

    @torch.no_grad()
    def take(self) -> None:
        """Take the parameters as they are now into the mean: operations on tensors alone."""
        if defined(self.parameters[0]):
            kernels.operators.average(self.means, self.parameters, self.share)
            return
        for mean, parameter in zip(self.means, self.parameters, strict=True):
            mean.lerp_(parameter.double(), self.weight)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Within the block the parameters hold their mean; afterwards their own values again."""
        own = [parameter.data for parameter in self.parameters]
        for parameter, mean in zip(self.parameters, self.means, strict=True):
            parameter.data = mean.to(parameter.dtype)
        try:
            yield
        finally:
            for parameter, values in zip(self.parameters, own, strict=True):
                parameter.data = values
