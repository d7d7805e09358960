"""What trainings cost: seconds of each stage, billed as core-hours or GPU-hours by its devices."""

import math
from collections.abc import Mapping, Sequence

import pandas as pd

from awd.report.evaluations import Evaluation, evaluations_of
from awd.report.structures import UsedDevice
from awd.vocabulary import Device, Stage, stages_to

Seconds = Mapping[tuple[str, str], float]  # by run and stage


class Costs:
    """The time that each stage of each run took, and its devices.

    Args:
        records: the frame of report.records.
        curves: that of report.curves.
    """

    def __init__(self, records: pd.DataFrame, curves: pd.DataFrame):
        self.seconds: dict[tuple[str, str], float] = {}
        if "seconds" in curves:
            self.seconds = curves.groupby(["run", "stage"])["seconds"].sum().to_dict()
        energy = records[["run", "stage", "energy_joules"]].dropna()
        self.joules: dict[tuple[str, str], float] = {
            (run, stage): joules for run, stage, joules in energy.itertuples(index=False)
        }
        self.devices: dict[tuple[str, str], Sequence[UsedDevice]] = {}
        self.trainings: dict[Evaluation, int] = {}
        columns = ["run", "stage", "method", "devices", "trainings"]
        for run, stage, method, devices, trainings in records[columns].itertuples(index=False):
            self.devices |= {(run, each): used for each, used in (devices or {}).items()}
            self.trainings[run, stage, method] = 1 if pd.isna(trainings) else int(trainings)
        self._usual = {kind for used in self.devices.values() for kind in _kinds(used)}

    def of_row(self, row: dict) -> dict[tuple[str, str], float]:
        """Return the seconds that training a row's weights took, by run and stage.

        Both stages of a fine-tuned row count. Of an ensemble one training is known by name; the
        others are taken to cost the same.
        """
        found = {}
        for key in evaluations_of(row):
            run, count = key[0], self.trainings.get(key, 1)
            for stage in stages_to(row["stage"]):
                if (run, stage) in self.seconds:
                    found[run, str(stage)] = count * self.seconds[run, stage]
        return found

    def hours(self, seconds: Seconds) -> dict[Device | None, float]:
        """Return seconds as hours by kind of device: of cores, or of GPUs.

        A stage without an evaluation (that still runs, or is of an ensemble's further member) has
        the device of all others if they have the same. The key None has the hours of other stages
        whose devices are not known, and of those that moved to another kind of device or number of
        threads.
        """
        totals: dict[Device | None, float] = {}
        for place, spent in seconds.items():
            kinds = _kinds(self.devices[place]) if place in self.devices else set(self._usual)
            kind, threads = kinds.pop() if len(kinds) == 1 else (None, None)
            factor = threads if kind is Device.CPU else 1
            if factor is None:
                kind, factor = None, 1
            totals[kind] = totals.get(kind, 0.0) + factor * spent / 3600
        return totals

    def energy(self, seconds: Seconds) -> float | None:
        """Return the joules of these stages, None unless the machine counted those of each.

        ``seconds`` are those of `of_row`, or of all stages; where a run is fine-tuned, its training
        is one of them. The trainings of an ensemble that are not known by name are taken to use the
        same.
        """
        last = {run: str(stage) for stage in Stage for run, each in seconds if each == stage}
        if not last or not last.items() <= self.joules.keys():
            return None
        return sum(
            self.joules[place] * seconds[place] / self.seconds[place] for place in last.items()
        )

    def training_hours(self, row: dict) -> tuple[float, Device | None]:
        """Return the hours to train a row, the mean over its finished seeds, and of what device.

        nan if no seed has finished; (nan, None) too if the devices differ or are not known.
        """
        finished = {key[0] for key in evaluations_of(row) if key in self.trainings}
        seconds = {key: spent for key, spent in self.of_row(row).items() if key[0] in finished}
        totals = self.hours(seconds)
        if len(totals) != 1 or None in totals:
            return math.nan, None
        ((kind, total),) = totals.items()
        return total / len(finished), kind


def _kinds(used: Sequence[UsedDevice]) -> set[tuple[Device, int | None]]:
    return {(each.kind, each.threads) for each in used}
