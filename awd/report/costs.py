"""What trainings cost: seconds of each stage, billed as core-hours or GPU-hours by its devices."""

import math
from collections.abc import Mapping, Sequence

import pandas as pd

from awd.report.evaluations import Evaluation, evaluations_of, trainings_of
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
        columns = ["run", "stage", "method", "trainings", "energy_joules"]
        energy = records[columns].dropna(subset="energy_joules")
        self.joules: dict[tuple[str, str], float] = {}
        self.evaluated_joules: dict[Evaluation, float] = {}
        for run, stage, method, trainings, joules in energy.itertuples(index=False):
            self.evaluated_joules[run, stage, method] = joules
            if pd.isna(trainings) or trainings == 1:
                self.joules[run, stage] = joules
        self.devices: dict[tuple[str, str], Sequence[UsedDevice]] = {}
        self.evaluated: set[Evaluation] = set()
        columns = ["run", "stage", "method", "devices"]
        for run, stage, method, devices in records[columns].itertuples(index=False):
            self.devices |= {(run, each): used for each, used in (devices or {}).items()}
            self.evaluated.add((run, stage, method))
        self._usual = {kind for used in self.devices.values() for kind in _kinds(used)}

    def of_row(self, row: dict) -> dict[tuple[str, str], float]:
        """Return the seconds that training a row's weights took, by run and stage.

        Both stages of a fine-tuned row count, and all members of an ensemble.
        """
        places = [(run, str(each)) for run in trainings_of(row) for each in stages_to(row["stage"])]
        return {place: self.seconds[place] for place in places if place in self.seconds}

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

        Where a run is fine-tuned, its training is one of them.
        """
        last = {run: str(stage) for stage in Stage for run, each in seconds if each == stage}
        if not last or not last.items() <= self.joules.keys():
            return None
        return sum(self.joules[place] for place in last.items())

    def energy_of_row(self, row: dict) -> float | None:
        """Return the joules of all trainings of `of_row`, None unless each was counted."""
        trained = {run for run, _ in self.seconds}
        keys = [key for key in evaluations_of(row) if key[0] in trained]
        if not keys or not self.evaluated_joules.keys() >= set(keys):
            return None
        return sum(self.evaluated_joules[key] for key in keys)

    def training_hours(self, row: dict) -> tuple[float, Device | None]:
        """Return the hours to train a row, the mean over its finished seeds, and of what device.

        nan if no seed has finished; (nan, None) too if the devices differ or are not known.
        """
        places = zip(row["runs"], evaluations_of(row), strict=True)
        finished = [item for item, key in places if key in self.evaluated]
        totals = self.hours(self.of_row({**row, "runs": finished}))
        if len(totals) != 1 or None in totals:
            return math.nan, None
        ((kind, total),) = totals.items()
        return total / len(finished), kind


def _kinds(used: Sequence[UsedDevice]) -> set[tuple[Device, int | None]]:
    return {(each.kind, each.threads) for each in used}
