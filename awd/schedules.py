"""Learning rates over the epochs of a training."""

from awd.ntasgd import NonMonotonicTrigger
from awd.spec import RunSpec


class Schedule:
    """The learning rate of each epoch, decided from the validation losses so far."""

    def __init__(self, spec: RunSpec):
        self.spec = spec
        self.rate = spec.learning_rate
        self.trigger = NonMonotonicTrigger(spec.non_monotone_interval)

    def epoch_ended(self, loss: float) -> str:
        """Take the epoch's validation ``loss``; returns what happened to the rate, if anything."""
        if self.spec.schedule == "non-monotonic" and self.trigger.fires(loss):
            self.rate /= self.spec.decay_factor
            # A decay is judged by what follows it, else it would be followed by one each epoch.
            self.trigger.losses.clear()
            return f"learning rate {self.rate:g}"
        return ""

    def state(self) -> dict:
        """What a checkpoint keeps."""
        return {"rate": self.rate, "losses": self.trigger.losses}

    def restore(self, state: dict) -> None:
        """Go on from ``state``."""
        self.rate = state["rate"]
        self.trigger.losses = list(state["losses"])
