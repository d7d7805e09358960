"""The training loop.

The two stages of a run are those of Merity et al. 2018: ``train``, and ``finetune``, a second pass
of ASGD hot-started from the trained weights (section 5). They differ in where weights come from,
when averaging starts and what ends them; everything else is one path.
"""

import logging
import math
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from itertools import chain

import numpy as np
import torch
from torch import Tensor

from awd.corpora import Corpus, batching
from awd.corpora.counts import unigram_loss
from awd.corpora.sentences import Padded, Sentences, line_end, predicted_places
from awd.errors import InputError
from awd.evaluation.perplexity import mean_loss, perplexity, text_losses
from awd.machine.devices import describe
from awd.machine.energy import Meter
from awd.model.language_model import LanguageModel
from awd.model.regularizers import activation_regularization, temporal_activation_regularization
from awd.runs.checkpoint import Checkpoint
from awd.runs.progress import Progress
from awd.runs.provenance import now
from awd.study.spec import RunSpec, too_few_steps
from awd.training import optimizers
from awd.training.cuda_graphs import CudaCapture, Replayed
from awd.training.ntasgd import Average, NonMonotonicTrigger
from awd.training.schedules import Schedule
from awd.vocabulary import Device, Event, Stage

log = logging.getLogger(__name__)

STOP = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP)
"""Signals that ask a process to stop."""

VALIDATION_BATCH = 10
"""Parallel streams in which the text is read after each epoch, as the reference does."""


class Interrupted(Exception):
    """A signal asked the training to stop; its checkpoint has been written."""


class Diverged(Exception):
    """The loss is no longer a number."""


class Trainer:
    """One stage of training ``spec`` on ``corpus``.

    On a GPU nothing within an epoch waits for it, and an update is launched as a whole.

    Args:
        stage: a ``Stage``.
        device: where the model and the data live.
        weights: the trained weights that fine-tuning starts from.
    """

    def __init__(
        self,
        spec: RunSpec,
        corpus: Corpus,
        stage: str,
        device: torch.device,
        weights: dict | None = None,
    ):
        self.spec, self.stage, self.device = spec, stage, device
        self.epochs = spec.epochs if stage == Stage.TRAIN else spec.finetune_epochs
        self.seeds = (spec.seed, list(Stage).index(Stage(stage)))
        torch.manual_seed(int(np.random.SeedSequence(self.seeds).generate_state(1)[0]))
        corpus = corpus.first(spec.train_tokens)
        self.model = LanguageModel(spec, len(corpus.vocabulary)).to(device)
        if self.model.adaptive is not None:
            words = torch.from_numpy(corpus.train.astype(np.int64))
            self.model.adaptive.set_counts(words.bincount(minlength=len(corpus.vocabulary)))
        if weights is not None:
            self.model.load_state_dict(weights)
        self.parameters = list(self.model.parameters())
        self.optimizer = optimizers.new_optimizer(spec, stage, self.parameters)
        self.schedule = Schedule(spec, self.epochs)
        self.trigger = NonMonotonicTrigger(spec.non_monotone_interval)
        self.average = Average(self.parameters) if stage == Stage.FINETUNE else None
        self.update = self.new_update()

        text = batching.as_stream(corpus.train, device)
        self.vocabulary = corpus.vocabulary
        self.sentences = None
        self.order = np.empty(0, dtype=np.int64)  # of the epoch's sentences
        if (end := line_end(spec.reading, corpus.vocabulary)) is not None:
            self.sentences = Sentences(text, end)
        self.unigram_loss = math.inf  # of the validation text in nats, if it is needed
        if spec.stop_hopeless:
            words = corpus.valid[predicted_places(corpus.valid, end)]
            self.unigram_loss = unigram_loss(corpus.train, words, len(corpus.vocabulary))
        self.batches = self.model.arrange(batching.batchify(text, spec.batch_size))
        self.valid = batching.as_stream(corpus.valid, device)
        if sentence := too_few_steps(spec, len(corpus.train)):
            raise InputError(sentence)

        self.epoch = 1
        self.position = 0  # chunks of this epoch that are done
        self.updates = 1  # chunks of this epoch
        self.hidden = self.model.initial_state(spec.batch_size)
        self.start = torch.zeros((), dtype=torch.int64, device=device)  # of the chunk
        self.loss_sum = torch.zeros((), dtype=torch.float64, device=device)
        self.token_steps = 0  # predictions behind loss_sum: of all streams at a time, or single
        self.epoch_seconds = 0.0
        self.elapsed = 0.0
        self.history: list[dict] = []
        self.best = {"epoch": 0, "loss": math.inf}
        self.best_weights = self._weights()
        self.finished = False
        self.resumes = 0
        self.started = now()
        self.devices = [describe(device)]
        self.meter = Meter(device)
        self.energy_before: float | None = 0.0  # joules of the processes before this one

    def new_update(self) -> Callable[[int], None]:
        """``_update`` in the fastest way there is for the device, without a past."""
        # The adaptive softmax looks at the words to decide what to compute; sentences have no size
        # of which their operations depend alone; a momentum that changes is no tensor.
        graphs = self.spec.softmax != "adaptive" and self.spec.reading == "stream"
        moves = self.schedule.momentum is not None and "betas" in self.optimizer.param_groups[0]
        if self.device.type == Device.CUDA and graphs and not moves:
            return self.replayed(CudaCapture(self.device))
        return self._update

    def replayed(self, capture: Callable) -> Replayed:
        """``_update``, recorded by ``capture`` and replayed."""
        return Replayed(self._update, capture, self.memory, (self._random, self._set_random))

    def memory(self) -> list[Tensor]:
        """All tensors that an update changes."""
        average = self.average.means if self.average else []
        moments = [part for state in self.optimizer.state.values() for part in state.values()]
        tensors = [part for part in moments if isinstance(part, Tensor)]
        hidden = list(chain.from_iterable(self.hidden))
        return [*self.parameters, *average, *tensors, *hidden, self.loss_sum]

    def _random(self) -> Tensor:
        on_gpu = self.device.type == Device.CUDA
        return torch.cuda.get_rng_state(self.device) if on_gpu else torch.get_rng_state()

    def _set_random(self, state: Tensor) -> None:
        if self.device.type == Device.CUDA:
            torch.cuda.set_rng_state(state, self.device)
        else:
            torch.set_rng_state(state)

    @property
    def graphs(self) -> dict | None:
        """For records: whether updates are replayed as graphs; None where they never are.

        ``deviation`` is that of the comparison of ``Replayed``; ``reason`` is why not.
        """
        if not isinstance(self.update, Replayed):
            return None
        found, reason = self.update.deviation, self.update.reason
        return {
            "used": found is not None and reason is None,
            "deviation": found if found is not None and math.isfinite(found) else None,
            "reason": reason,
        }

    def run(self, checkpoint: Checkpoint, every: float, progress: Progress) -> None:
        """Train to the end of the stage.

        Args:
            checkpoint: where to save every ``every`` seconds, at the ends of epochs where that
                costs little, and when a signal asks to stop.
            progress: told of each chunk and each epoch.

        Raises Interrupted after a signal that asks to stop, and Diverged.
        """
        with stop_signals() as stop:
            if self.stage == "finetune" and math.isinf(self.best["loss"]):
                # The weights it starts from stay if no epoch is better, as in the reference.
                self.best["loss"] = self.validate()
            while not self.finished:
                chunks = self.chunks()
                for chunk in chunks[self.position :]:
                    self.step(chunk)
                    progress.chunk(self.epoch, self.position, len(chunks), self.running_loss)
                    if stop or checkpoint.due(every):
                        self._wait_for_device()
                        checkpoint.save(self.state())
                    if stop:
                        raise Interrupted(f"stopped by {stop[0]} in epoch {self.epoch}")
                self.end_epoch()
                if self.finished or checkpoint.due(every, epoch_ended=True):
                    checkpoint.save(self.state())
                progress.epoch(self.history[-1])

    def chunks(self) -> list[batching.Chunk]:
        """The chunks of the current epoch: of time steps, or of its shuffled sentences."""
        seed = (*self.seeds, self.epoch)
        if self.sentences is not None:
            self.order = self.sentences.shuffled(seed)
            size, count = self.spec.batch_size, len(self.sentences)
            chunks = [
                batching.Chunk(start, min(size, count - start), 1.0)
                for start in range(0, count, size)
            ]
        else:
            chunks = batching.chunks(
                len(self.batches), self.spec.bptt, variable=self.spec.variable_bptt, seed=seed
            )
        self.updates = len(chunks)
        return chunks

    def step(self, chunk: batching.Chunk) -> None:
        """One update of the weights, on one chunk of the training text.

        The learning rate acts on its own chunk: torch's ASGD would apply it one step late.
        """
        started = time.perf_counter()
        self.schedule.advance(self.position / self.updates)
        self._set_rate(self.schedule.rate * chunk.rate_scale)
        if self.average is not None:
            self.average.expect()
        if self.sentences is None:
            self.start.fill_(chunk.start)
            self.update(chunk.length)
            self.token_steps += chunk.length
        else:
            lines = self.order[chunk.start : chunk.start + chunk.length]
            self.token_steps += self._update_on(self.sentences.batch(lines))
        self.position += 1
        # Looking at a GPU's numbers makes the host wait for it, so it does so now and then.
        if self.device.type == Device.CPU or self.position % 100 == 0:
            loss = self.loss_sum.item()
            if not math.isfinite(loss):
                place = f"epoch {self.epoch}, step {self.position}"
                raise Diverged(f"the loss became {loss} in {place}")
        self.epoch_seconds += time.perf_counter() - started

    def _set_rate(self, rate: float) -> None:
        for group in self.optimizer.param_groups:
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate
            if self.schedule.momentum is not None and "betas" in group:
                group["betas"] = (self.schedule.momentum, group["betas"][1])

    def _update(self, length: int) -> None:
        """One update on the ``length`` tokens from ``start`` on: operations on tensors alone."""
        model = self.model
        self.optimizer.zero_grad()  # first: no half-recorded update leaves a gradient behind
        model.train()
        text = self.batches[self.start + torch.arange(length + 1, device=self.device)]
        output = model(text[:-1], self.hidden)
        self._descend(output.dropped, output.raw, text[1:], length)
        with torch.no_grad():
            for layer, after in zip(self.hidden, output.state, strict=True):
                for part, value in zip(layer, after, strict=True):
                    part.copy_(value)

    def _update_on(self, batch: Padded) -> int:
        """One update on some sentences, each from a state of zeros; returns how many predictions.

        What fills the shorter ones up is no part of the loss, of AR or of TAR.
        """
        model = self.model
        self.optimizer.zero_grad()
        model.train()
        output = model(batch.tokens[:-1], model.initial_state(batch.tokens.shape[1]))
        targets = batch.tokens[1:].flatten()[batch.real]
        dropped, raw = output.dropped.flatten(0, 1), output.raw.flatten(0, 1)
        # TAR compares each prediction of a line with the line's next one: two time steps.
        now, after = batch.going_on, batch.going_on + batch.tokens.shape[1]
        steps = torch.stack([raw[now], raw[after]]) if len(now) else raw.new_zeros(2, 1, 1)
        self._descend(dropped[batch.real][:, None], steps, targets[:, None], len(targets))
        return len(targets)

    def _descend(self, dropped: Tensor, raw: Tensor, targets: Tensor, weight: int) -> None:
        """Step down the gradient of an output, as `model.Output` has it with and without dropout.

        The loss counts ``weight`` times in the epoch's mean.
        """
        loss = self.model.loss(dropped, targets)
        (loss + self.penalty(dropped, raw)).backward()
        clip = self.spec.clip
        self.optimizer.scale = optimizers.clip(self.parameters, clip) if clip else 1.0
        self.optimizer.step()
        if self.average is not None:
            self.average.take()
        with torch.no_grad():
            self.loss_sum += loss.double() * weight

    def running_loss(self) -> float | None:
        """Mean loss of this epoch so far in nats; None on a GPU, for which the host would wait."""
        return self.loss_sum.item() / self.token_steps if self.device.type == Device.CPU else None

    def penalty(self, dropped: Tensor, raw: Tensor) -> Tensor | float:
        """What AR and TAR add to the loss, for an output with and without dropout."""
        spec, penalty = self.spec, 0.0
        if spec.activation_regularization:
            penalty += spec.activation_regularization * activation_regularization(dropped)
        if spec.temporal_activation_regularization:
            penalty += spec.temporal_activation_regularization * temporal_activation_regularization(
                raw
            )
        return penalty

    def validate(self) -> float:
        """Mean loss of the validation text in nats. A training never reads the test text."""
        return mean_loss(text_losses(self.model, self.valid, self.vocabulary, VALIDATION_BATCH))

    def end_epoch(self) -> None:
        """Validate, keep the best weights, and decide on averaging, learning rate and the end."""
        averaging, rate = self.average is not None, self.schedule.rate
        loss_sum = self._wait_for_device()
        with self.average.applied() if self.average else nullcontext():
            loss = self.validate()
            if not math.isfinite(perplexity(loss)):
                raise Diverged(f"the validation loss became {loss:g} in epoch {self.epoch}")
            if loss < self.best["loss"]:
                self.best = {"epoch": self.epoch, "loss": loss}
                self.best_weights = self._weights()
        event = self.schedule.epoch_ended(loss)
        self.finished = self.epoch >= self.epochs
        if self.stage == Stage.FINETUNE and self.trigger.fires(loss):
            self.finished = True
        elif self.spec.optimizer == "nt-asgd" and not averaging and self.trigger.fires(loss):
            self.average = Average(self.parameters)
            self.update = self.new_update()
            event = Event.AVERAGING_STARTS.value
        if self.stage == Stage.TRAIN and 0 < self.spec.patience <= self.epoch - self.best["epoch"]:
            self.finished = True
        self.history.append(
            {
                "epoch": self.epoch,
                "train_loss": loss_sum / self.token_steps,
                "valid_loss": loss,
                "valid_perplexity": perplexity(loss),
                "learning_rate": rate,
                "averaging": int(averaging),
                "event": event,
                "seconds": round(self.epoch_seconds, 3),
                "tokens_per_second": round(
                    self.token_steps * self._at_a_time / self.epoch_seconds, 1
                ),
            }
        )
        self.finished = self.finished or self.hopeless
        self.elapsed += self.epoch_seconds
        self.epoch += 1
        self.position = self.token_steps = 0
        self.loss_sum.zero_()
        self.epoch_seconds = 0.0
        for part in chain.from_iterable(self.hidden):
            part.zero_()

    @property
    def hopeless(self) -> bool:
        """Whether ``stop_hopeless`` ends the training: it is no better than word frequencies."""
        after = self.spec.stop_hopeless if self.stage == Stage.TRAIN else 0
        return 0 < after <= len(self.history) and self.best["loss"] >= self.unigram_loss

    @property
    def _at_a_time(self) -> int:
        """How many tokens one of ``token_steps`` has."""
        return self.spec.batch_size if self.sentences is None else 1

    @property
    def tokens(self) -> int:
        """How many tokens an epoch has."""
        return self.batches.numel() if self.sentences is None else int(self.sentences.lengths.sum())

    def _wait_for_device(self) -> float:
        """Return the sum of losses so far; the time until a GPU has it is the epoch's."""
        started = time.perf_counter()
        loss_sum = self.loss_sum.item()
        self.epoch_seconds += time.perf_counter() - started
        return loss_sum

    def _weights(self) -> dict[str, Tensor]:
        return {name: value.detach().clone() for name, value in self.model.state_dict().items()}

    def energy(self) -> float | None:
        """Return the joules of the stage so far, validation included; None if they are unknown."""
        here = self.meter.joules()
        return None if here is None or self.energy_before is None else self.energy_before + here

    def state(self) -> dict:
        """Everything the rest of the stage depends on."""
        return {
            "weights": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": self.average and {"means": self.average.means, "count": self.average.count},
            "trigger": self.trigger.losses,
            "schedule": self.schedule.state(),
            "random": torch.get_rng_state(),
            "random_device": [self._random()] if self.device.type == Device.CUDA else [],
            "hidden": self.hidden,
            "best_weights": self.best_weights,
            "loss_sum": self.loss_sum,
            "energy": self.energy(),
            **{name: getattr(self, name) for name in PLAIN_STATE},
            "format": CHECKPOINT_FORMAT,
        }

    def restore(self, state: dict) -> None:
        """Go on from what ``state`` returned, here or in another process.

        On another device, too; but no two kinds of device end with the same bits.
        """
        self.model.load_state_dict(state["weights"])
        # Its rates and kernels are those of this device.
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict(state["optimizer"] | {"param_groups": groups})
        self.average = None
        if state["average"]:
            self.average = Average(self.parameters)
            for mean, saved in zip(self.average.means, state["average"]["means"], strict=True):
                mean.copy_(saved)
            self.average.count = state["average"]["count"]
        self.trigger.losses = list(state["trigger"])
        self.schedule.restore(state["schedule"])
        torch.set_rng_state(state["random"])
        if self.device.type == Device.CUDA and state["random_device"]:
            self._set_random(state["random_device"][0])
        self.hidden = [tuple(part.to(self.device) for part in layer) for layer in state["hidden"]]
        self.best_weights = {
            name: value.to(self.device) for name, value in state["best_weights"].items()
        }
        self.loss_sum = state["loss_sum"].to(self.device)
        here = self.devices[0]
        for name in PLAIN_STATE:
            setattr(self, name, state[name])
        self.energy_before = state.get("energy")  # missing in a checkpoint of awd 0.2.0
        self.resumes += 1
        if self.devices[-1] != here:
            log.warning("continues on %s; began on %s", here["name"], self.devices[-1]["name"])
            self.devices.append(here)
        self.update = self.new_update()  # what was recorded is of the tensors before


CHECKPOINT_FORMAT = 2
"""Of `Trainer.state`; raised if its parts change, for which older checkpoints are refused."""
PLAIN_STATE = (
    "epoch",
    "position",
    "token_steps",
    "epoch_seconds",
    "elapsed",
    "history",
    "best",
    "finished",
    "resumes",
    "started",
    "devices",
)


@contextmanager
def stop_signals(act: Callable[[str], None] = lambda _: None) -> Iterator[list[str]]:
    """Within the block, note a signal that asks to stop, in place of its usual effect.

    Yields the list of the names of received signals. ``act`` is called with the first one: a
    second one, as of a terminal and of Snakemake, must not disturb what an exception set off.
    """
    received: list[str] = []

    def note(number: int, _) -> None:
        received.append(signal.Signals(number).name)
        if len(received) == 1:
            act(received[0])

    before = {
        kind: signal.signal(kind, note)
        for kind in STOP
        if signal.getsignal(kind) is not signal.SIG_IGN  # nohup ignores hangups
    }
    try:
        yield received
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)
