"""Learning rates over the epochs of a training."""

import math

from awd.model.arithmetic import power
from awd.study.spec import RunSpec
from awd.training.ntasgd import NonMonotonicTrigger
from awd.vocabulary import Event


class Schedule:
    """The learning rate of each epoch; ``rate`` is the current one.

    constant: always the initial rate. step: divided by decay_factor after epoch decay_first and
    every decay_every epochs from then on (Zaremba et al. 2014). plateau: divided after each epoch
    that is not better than the best before it. non-monotonic: divided where NT-ASGD would start
    to average.
    """

    def __init__(self, spec: RunSpec):
        self.spec = spec
        self.rate = spec.learning_rate
        self.epoch = 1
        self.trigger = NonMonotonicTrigger(spec.non_monotone_interval)
        self.best = math.inf

    def epoch_ended(self, loss: float) -> str:
        """Take the epoch's validation ``loss``; returns what happened to the rate, if anything."""
        before = self.rate
        self.epoch += 1
        self.rate = getattr(self, f"_{self.spec.schedule.replace('-', '_')}")(loss)
        self.best = min(self.best, loss)
        return f"{Event.LEARNING_RATE} {self.rate:.4g}" if self.rate != before else ""

    def _constant(self, _: float) -> float:
        return self.rate

    def _step(self, _: float) -> float:
        late = self.epoch - 1 - self.spec.decay_first
        decays = late // self.spec.decay_every + 1 if late >= 0 else 0
        return self.spec.learning_rate / power(self.spec.decay_factor, decays)

    def _plateau(self, loss: float) -> float:
        return self.rate if loss < self.best else self.rate / self.spec.decay_factor

    def _non_monotonic(self, loss: float) -> float:
        if not self.trigger.fires(loss):
            return self.rate
        # A decay is judged by what follows it, else it would be followed by one each epoch.
        self.trigger.losses.clear()
        return self.rate / self.spec.decay_factor

    def state(self) -> dict:
        """What a checkpoint keeps."""
        return {
            "rate": self.rate,
            "epoch": self.epoch,
            "best": self.best,
            "losses": self.trigger.losses,
        }

    def restore(self, state: dict) -> None:
        """Go on from ``state``."""
        self.rate, self.epoch, self.best = state["rate"], state["epoch"], state["best"]
        self.trigger.losses = list(state["losses"])
