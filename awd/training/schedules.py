"""Learning rates over the epochs of a training."""

import math

from awd.model.arithmetic import power
from awd.study.spec import RunSpec
from awd.training.ntasgd import NonMonotonicTrigger
from awd.vocabulary import Event

RISING = 0.3
"""One cycle: the share of all updates in which the rate rises."""
BEGIN, END = 1 / 25, 1 / 25 / 10_000
"""One cycle: the rate's first and last value, as shares of its highest one."""
MOMENTA = (0.85, 0.95)
"""One cycle: the momentum at the highest rate, and that at the beginning and the end."""


class Schedule:
    """The learning rate of each epoch; ``rate`` is the current one.

    constant: always the initial rate. step: divided by decay_factor after epoch decay_first and
    every decay_every epochs from then on (Zaremba et al. 2014). plateau: divided after each epoch
    that is not better than the best before it. non-monotonic: divided where NT-ASGD would start
    to average. one-cycle: up and down in straight lines over all updates of a stage (Smith and
    Topin 2018, "Super-Convergence"), with the phases and ends of torch's OneCycleLR; the momentum
    of an optimizer that has one moves the other way.

    ``epochs`` are those of the stage, by default of training.
    """

    def __init__(self, spec: RunSpec, epochs: int | None = None):
        self.spec = spec
        self.epochs = spec.epochs if epochs is None else epochs
        self.rate = spec.learning_rate
        self.momentum: float | None = None
        self.epoch = 1
        self.advance(0.0)
        self.trigger = NonMonotonicTrigger(spec.non_monotone_interval)
        self.best = math.inf

    def epoch_ended(self, loss: float) -> str:
        """Take the epoch's validation ``loss``; returns what happened to the rate, if anything."""
        before = self.rate
        self.epoch += 1
        self.rate = getattr(self, f"_{self.spec.schedule.replace('-', '_')}")(loss)
        self.best = min(self.best, loss)
        if self.momentum is not None:  # the rate changes with each update: that is no event
            return ""
        return f"{Event.LEARNING_RATE} {self.rate:.4g}" if self.rate != before else ""

    def advance(self, share: float) -> None:
        """Take it that ``share`` of the epoch's updates are done; only one-cycle cares."""
        if self.spec.schedule != "one-cycle":
            return
        done = min((self.epoch - 1 + share) / self.epochs, 1.0) if self.epochs else 1.0
        low, high = MOMENTA
        if done < RISING:
            height = done / RISING
            self.rate = self.spec.learning_rate * (BEGIN + (1 - BEGIN) * height)
        else:
            height = (1 - done) / (1 - RISING)
            self.rate = self.spec.learning_rate * (END + (1 - END) * height)
        self.momentum = high - (high - low) * height

    def _one_cycle(self, _: float) -> float:
        self.advance(0.0)
        return self.rate

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
