"""How fast earlier trainings were: seconds per token by device and size of model."""

import os
from collections import defaultdict
from pathlib import Path
from statistics import median

from awd.errors import InputError
from awd.runs.folder import read_record
from awd.study import cost
from awd.study.spec import make_spec
from awd.vocabulary import Device, Stage


class MeasuredSpeed:
    """The speed of the trainings whose records are in a folder of runs.

    A stage counts that stayed on one core of this machine's kind of CPU, or on one kind of GPU.
    Seconds include whatever else the machine did. Tokens are those of study.cost.read_tokens, which
    counts the validation after each epoch.

    Args:
        runs: the folder with one folder per run; it may be missing.
        cpu: the name of this machine's CPU (machine.cpu.name).

    Attributes:
        seconds: by kind of device and size, the seconds per token of each stage.
        gpus: the names of the GPUs among them.
        gpu_megabytes: by size, the most memory of a GPU that such a training took.
    """

    def __init__(self, runs: Path, cpu: str) -> None:
        self.seconds: dict[tuple[Device, cost.Size], list[float]] = defaultdict(list)
        self.gpus: set[str] = set()
        self.gpu_megabytes: dict[cost.Size, float] = {}
        for folder in _folders(runs):
            for stage in Stage:
                if (folder / f"{stage}.json").exists():
                    self._add(folder, stage, cpu)

    def per_token(self, device: Device, size: cost.Size) -> float | None:
        """Return the median of the seconds per token, None if no training had this size."""
        found = self.seconds.get((device, size))
        return median(found) if found else None

    def _add(self, folder: Path, stage: Stage, cpu: str) -> None:
        """Count a stage; leave out what is damaged or does not state what it took."""
        try:
            record = read_record(folder, stage)
            (device,) = record["devices"]
            kind, corpus = Device(device["kind"]), record["corpus"]
            if kind is Device.CPU and (device["name"], device["threads"]) != (cpu, 1):
                return
            spec = make_spec(record["spec"], str(folder))
            size = cost.size(spec, corpus["vocabulary"])
            each_epoch = cost.read_tokens(spec.changed(epochs=1), [Stage.TRAIN], corpus)
            tokens = each_epoch * record["result"]["epochs"]
            self.seconds[kind, size].append(record["seconds"] / tokens)
        except (InputError, KeyError, TypeError, ValueError, ZeroDivisionError):
            return
        if kind is Device.CUDA:
            self.gpus.add(device["name"])
            megabytes = record.get("peak_memory_mb")
            if isinstance(megabytes, int | float):
                self.gpu_megabytes[size] = max(megabytes, self.gpu_megabytes.get(size, 0.0))


def _folders(runs: Path) -> list[Path]:
    try:
        return sorted(Path(entry.path) for entry in os.scandir(runs) if entry.is_dir())
    except (FileNotFoundError, NotADirectoryError):
        return []
