"""The plan as the workflow's rules ask for it: each method answers one directive."""

import json
from pathlib import Path

from awd import lease
from awd.plan import Plan


class WorkflowPlan(Plan):
    """A Plan whose methods take Snakemake's wildcards."""

    def corpus_record(self, wildcards) -> Path:
        """corpus.json of the run's corpus."""
        return self.corpus_folder(self.runs[wildcards.run].spec.corpus) / "corpus.json"

    def spec(self, wildcards) -> str:
        """The run's hyperparameters as JSON."""
        return self.runs[wildcards.run].spec.canonical()

    def source_options(self, wildcards) -> list[str]:
        """Options of ``fetch``: where the corpus may lie on this machine."""
        folder = self.config["corpus_folders"].get(wildcards.corpus)
        options = {"--folder": folder, "--mirror": self.config["mirror"]}
        return [word for option in options.items() if option[1] for word in option]

    def member_weights(self, wildcards) -> list[Path]:
        """The weights of an ensemble's other members; none for other evaluations."""
        return [
            self.runs[member].folder / f"{wildcards.stage}.safetensors"
            for member in self._members(wildcards)
        ]

    def member_options(self, wildcards) -> list[str]:
        """Options of ``evaluate``: the folders of an ensemble's other members."""
        folders = [self.runs[member].folder for member in self._members(wildcards)]
        return [word for folder in folders for word in ("--member", str(folder))]

    def _members(self, wildcards) -> list[str]:
        return self.runs[wildcards.run].evaluations[wildcards.stage, wildcards.method]

    def figures(self) -> list[tuple[str, str, str]]:
        """Suite, name, and path without ending, of every figure."""
        return [
            (name, figure, f"results/{self.name}/figures/{name}-{figure}")
            for name, suite in self.suites.items()
            for figure in suite["figures"]
        ]

    def settings(self) -> str:
        """The whole configuration, in a form that does not depend on the order of its keys."""
        return json.dumps(self.config, sort_keys=True)

    def resources(self) -> dict[str, int | str]:
        """Where and how a job trains or evaluates, with one GPU where GPUs are to be used.

        These are resources and no parameters, since changing them is no reason to train again.
        """
        keys = ("device", "gpu_slots", "checkpoint_minutes", "keep_checkpoints")
        settings = {key: str(self.config[key]) for key in keys}
        return settings | ({"gpu": 1} if self.gpus() else {})

    def gpus(self) -> int:
        """How many jobs may hold a GPU at once: as many as the GPUs here have slots.

        Where cuda is asked for, at least one, since the jobs may run on another machine.
        """
        if self.config["device"] == "cpu":
            return 0
        found = len(lease.visible()) or int(self.config["device"] == "cuda")
        return found * self.config["gpu_slots"]
