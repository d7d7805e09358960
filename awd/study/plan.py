"""From configuration and suites to runs: what is trained, for which rows, and at what cost.

Nothing here trains, downloads or imports a numerical library, so that a plan of a thousand runs
is made in a moment, also by each job of a workflow.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from awd import __version__, corpora
from awd.errors import InputError, nearest
from awd.files import write_json
from awd.places import CONFIG, RESULTS, SUITES
from awd.study.methods import KEYS, Method, make_method
from awd.study.schema import check, parse_yaml, read_yaml
from awd.study.spec import HYPERPARAMETERS, RunSpec, check_value, make_spec

USUAL = {"recipe": "default", "precision": "fp32"}
"""What results/{scale} is for; of other values the folder's name has them, too."""

CPU_RATE = {"fp32": 140e9, "bf16": 230e9}
"""FLOP/s of one core (AMD EPYC, Zen 5) in the matrix products of a training."""
UPDATE = 0.003
"""Seconds that an update takes there beside its matrix products."""
GPU_RATE = 2.8e12
"""FLOP/s of AWD-LSTM on a GTX 1080 Ti: 48.47 s per PTB epoch in the logs of Yoon et al."""


def load_config(path: Path = CONFIG, overrides: Mapping = {}) -> dict:
    """The configuration in ``path`` with ``overrides`` on top.

    Raises InputError for a missing file, an unknown key, or a value that is not allowed.
    """
    content = read_yaml(path)
    if not isinstance(content, dict):
        raise InputError(f"{path}: a mapping of keys is expected, not {type(content).__name__}")
    return {**content, **overrides}


def parse_override(text: str) -> tuple[str, object]:
    """``key=value`` from a command line, the value read as YAML."""
    key, separator, value = text.partition("=")
    if not separator:
        raise InputError(f"'{text}' must have the form key=value")
    return key.strip(), parse_yaml(value, f"the value of {key}")


@dataclass(frozen=True)
class Run:
    """One training: its ``spec``, the ``fingerprint`` of its corpus, and who asks for it.

    ``stages`` are those trained, ``evaluations`` maps (stage, method name) to the names of the
    other members, if that evaluation is of an ensemble.
    """

    name: str
    spec: RunSpec
    fingerprint: str
    rows: list[str] = field(default_factory=list)
    stages: set[str] = field(default_factory=set)
    evaluations: dict[tuple[str, str], list[str]] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """Where its records and weights are."""
        return RESULTS / "runs" / self.name


class Plan:
    """All that ``config`` asks for.

    Attributes:
        runs: name -> Run, in the order in which suites first ask for them, seed by seed.
        suites: name -> the resolved suite as plan.json holds it.
        fingerprints: corpus -> fingerprint.

    Raises InputError for anything in the configuration or a suite that is not allowed.
    """

    def __init__(self, config: Mapping, where: str = "config.yaml"):
        check(config, "config", where)
        self.config = dict(config)
        self.scale: str = self.config["scale"]
        self.recipe: str = self.config["recipe"]
        special = [self.config[key] for key, usual in USUAL.items() if self.config[key] != usual]
        self.name = "-".join([self.scale, *special])
        seeds = self.config["seeds"]
        self.seeds = list(range(1, seeds + 1)) if isinstance(seeds, int) else seeds
        self.runs: dict[str, Run] = {}
        self.suites: dict[str, dict] = {}
        self.suite_files = [SUITES / f"{name}.yaml" for name in self._suite_names(where)]
        self.fingerprints: dict[str, str] = {}
        recipes = {"default"}
        for path in self.suite_files:
            recipes |= self._add_suite(path)
        if self.recipe not in recipes:
            raise InputError(f"{where}: no recipe '{self.recipe}'; {nearest(self.recipe, recipes)}")

    def _suite_names(self, where: str) -> list[str]:
        known = sorted(path.stem for path in SUITES.glob("*.yaml"))
        for name in known:
            if not corpora.NAME.fullmatch(name):
                raise InputError(
                    f"{SUITES / name}.yaml: the file's name is a suite's name: use a-z, 0-9 and '-'"
                )
        asked = self.config["suites"]
        if asked == "all":
            return [name for name in known if not _on_request(SUITES / f"{name}.yaml")]
        names = [asked] if isinstance(asked, str) else asked
        for name in names:
            if name not in known:
                raise InputError(f"{where}: no suite '{name}'; {nearest(name, known)}")
        return names

    def _corpora(self, scale: Mapping) -> list[str]:
        asked = self.config["corpora"]
        if asked == "default":
            return scale["corpora"]
        return [asked] if isinstance(asked, str) else asked

    def _add_suite(self, path: Path) -> set[str]:
        """Resolve the suite in ``path``; returns the names of its recipes."""
        where = f"{path.parent.name}/{path.name}"
        suite = read_yaml(path)
        check(suite, "suite", where)
        _check_names(suite, where)
        scale = suite["scales"][self.scale]
        rows = []
        for corpus in self._corpora(scale):
            if corpus not in self.fingerprints:
                self.fingerprints[corpus] = corpora.fingerprint(
                    corpus, self.config["corpus_folders"]
                )
            base_spec, _ = self._specification(suite, suite["base_row"], scale, corpus, where)
            for name, row in suite["rows"].items():
                rows.append(
                    self._resolve(path.stem, suite, name, row, scale, corpus, base_spec, where)
                )
        self.suites[path.stem] = {
            "suite": path.stem,
            "title": suite["title"],
            "paper": suite["paper"],
            "base": suite["base_row"],
            "notes": suite.get("notes", []),
            "figures": suite["figures"],
            "curves": suite.get("curves"),
            "rows": rows,
        }
        return suite.get("recipes", {}).keys()

    def _seeds(self, suite: Mapping) -> list[int]:
        """The configuration's seeds: those it lists, or as many as it or the suite wants."""
        if isinstance(self.config["seeds"], list):
            return self.seeds
        return list(range(1, max(len(self.seeds), suite.get("seeds", 1)) + 1))

    def _resolve(self, suite_name, suite, name, row, scale, corpus, base_spec, where) -> dict:
        place = f"{where}: row '{name}'"
        spec, method = self._specification(suite, name, scale, corpus, where)
        changes = _changes(spec, base_spec)
        # What the base row sets itself is no ablation: another row may well have it, too.
        for key in row.get("set", {}).keys() - suite["rows"][suite["base_row"]].get("set", {}):
            if key in HYPERPARAMETERS and key not in changes:
                raise InputError(
                    f"{place}: set.{key} is what the base row has at scale '{self.scale}' already; "
                    f"set it under scales.{self.scale}.rows.{name} to another value"
                )
        stage = row.get("stage", "finetune" if spec.finetune_epochs else "train")
        if stage == "finetune" and not spec.finetune_epochs:
            raise InputError(f"{place}: stage 'finetune' needs finetune_epochs of at least 1")
        row_name = f"{suite_name}/{name}"
        return {
            "row": name,
            "label": row["label"],
            "group": row.get("group"),
            "corpus": corpus,
            "stage": stage,
            "method": method.name,
            "runs": [
                {"seed": seed, "run": self._add_runs(spec, method, seed, row_name, stage)}
                for seed in self._seeds(suite)
            ],
            "changes": changes,
            "note": row.get("note"),
            "published": [
                {"column": "paper", "verified": True}
                | {key: value for key, value in cell.items() if key != "row"}
                for cell in suite.get("published", [])
                if cell["row"] == name and cell["corpus"] == scale.get("context", corpus)
            ],
        }

    def _specification(
        self, suite: Mapping, row: str, scale: Mapping, corpus: str, where: str
    ) -> tuple[RunSpec, Method]:
        """A row's hyperparameters and evaluation; of its settings, what is more specific wins."""
        place = f"{where}: row '{row}'"
        settings = {
            "corpus": corpus,
            "precision": self.config["precision"],
            **suite["base"],
            **suite.get("corpora", {}).get(corpus, {}),
            **suite.get("recipes", {}).get(self.recipe, {}).get(corpus, {}),
            **scale.get("set", {}),
            **suite["rows"][row].get("set", {}),
            **scale.get("rows", {}).get(row, {}),
        }
        trained = {key: value for key, value in settings.items() if key not in KEYS}
        method = make_method(suite["rows"][row].get("method", "stream"), settings, place)
        spec = make_spec(trained, place)
        if method.kind != "stream" and spec.objective != "next-word":
            raise InputError(
                f"{place}: method '{method.kind}' needs objective 'next-word', "
                f"not '{spec.objective}'"
            )
        return spec, method

    def _add_runs(self, spec: RunSpec, method: Method, seed: int, row: str, stage: str) -> str:
        """Plan what a row needs for one seed; returns the run that carries the evaluation.

        The n-th ensemble of k has the k seeds after those of the ensembles before it.
        """
        size = method.settings.get("ensemble_size", 1)
        seeds = [seed] if size == 1 else range((seed - 1) * size + 1, seed * size + 1)
        runs = [self._add_run(replace(spec, seed=each), row, stage) for each in seeds]
        runs[0].evaluations[stage, method.name] = [run.name for run in runs[1:]]
        return runs[0].name

    def _add_run(self, spec: RunSpec, row: str, stage: str) -> Run:
        fingerprint = self.fingerprints[spec.corpus]
        name = spec.run(fingerprint)
        run = self.runs.setdefault(name, Run(name, spec, fingerprint))
        if row not in run.rows:
            run.rows.append(row)
        run.stages.add(stage)
        return run

    def evaluations(self) -> list[Path]:
        """The record of each evaluation that a row asks for."""
        return [
            run.folder / f"{stage}.{method}.json"
            for run in self.runs.values()
            for stage, method in run.evaluations
        ]

    def corpus_folder(self, corpus: str) -> Path:
        """Where the encoded corpus is; its name carries the fingerprint, so it is never stale."""
        return RESULTS / "corpora" / f"{corpus}-{self.fingerprints[corpus][:8]}"

    def sizes(self, corpus: str) -> dict | None:
        """{"vocabulary", "tokens"} of a corpus: counted if it is encoded, expected if known."""
        path = self.corpus_folder(corpus) / "corpus.json"
        if path.exists():
            return json.loads(path.read_text(encoding="utf-8"))
        return corpora.sizes(corpus)

    def parameters(self, run: Run) -> int | None:
        """Trainable parameters of the run's model, if its vocabulary is known."""
        sizes = self._all_sizes[run.spec.corpus]
        return sizes and run.spec.parameters(sizes["vocabulary"])

    def core_seconds(self, run: Run) -> float | None:
        """About how long the run's training takes one CPU core, if its corpus's size is known."""
        spec, tokens = run.spec, self._tokens(run)
        if tokens is None:
            return None
        updates = tokens / (spec.batch_size * spec.bptt)
        return self._work(run) / CPU_RATE[spec.precision] + updates * UPDATE

    def gpu_seconds(self, run: Run) -> float | None:
        """About how long it takes a GPU."""
        return None if self._tokens(run) is None else self._work(run) / GPU_RATE

    def _tokens(self, run: Run) -> int | None:
        sizes = self._all_sizes[run.spec.corpus]
        if sizes is None:
            return None
        epochs = run.spec.epochs
        if "finetune" in run.stages:
            epochs += run.spec.finetune_epochs
        return sizes["tokens"]["train"] * epochs

    def _work(self, run: Run) -> float:
        vocabulary = self._all_sizes[run.spec.corpus]["vocabulary"]
        return run.spec.operations(vocabulary) * self._tokens(run)

    @cached_property
    def _all_sizes(self) -> dict[str, dict | None]:
        return {corpus: self.sizes(corpus) for corpus in self.fingerprints}

    def done(self, run: Run) -> bool:
        """Whether every stage of the run that a row asks for is trained."""
        return all((run.folder / f"{stage}.json").exists() for stage in run.stages)

    def as_dict(self) -> dict:
        """The plan as plan.json holds it: all that a report needs besides the records."""
        return {
            "format": 1,
            "awd": __version__,
            "scale": self.scale,
            "recipe": self.recipe,
            "precision": self.config["precision"],
            "seeds": self.seeds,
            "runs": {
                name: {
                    "spec": run.spec.as_dict(),
                    "corpus": {"name": run.spec.corpus, "fingerprint": run.fingerprint},
                    "parameters": self.parameters(run),
                }
                for name, run in self.runs.items()
            },
            "suites": list(self.suites.values()),
        }

    def write(self, path: Path) -> None:
        """Write plan.json to ``path``."""
        write_json(path, self.as_dict())


def _on_request(path: Path) -> bool:
    suite = read_yaml(path)
    return isinstance(suite, dict) and suite.get("on_request") is True


def _changes(spec: RunSpec, base: RunSpec) -> dict:
    ours, theirs = spec.as_dict(), base.as_dict()
    return {key: value for key, value in ours.items() if value != theirs[key]}


def _check_names(suite: Mapping, where: str) -> None:
    """Every name in a suite must exist: hyperparameters, rows, corpora."""
    rows = suite["rows"]
    for place, row in _row_references(suite):
        if row not in rows:
            raise InputError(f"{where}: {place}: no row '{row}'; {nearest(row, rows)}")
    places = {"base": suite["base"]}
    places |= {f"corpora.{name}": block for name, block in suite.get("corpora", {}).items()}
    for name, recipe in suite.get("recipes", {}).items():
        places |= {f"recipes.{name}.{corpus}": block for corpus, block in recipe.items()}
    places |= {f"row '{name}': set": row.get("set", {}) for name, row in rows.items()}
    for name, scale in suite["scales"].items():
        places[f"scales.{name}.set"] = scale.get("set", {})
        for row, block in scale.get("rows", {}).items():
            places[f"scales.{name}.rows.{row}"] = block
    allowed = (HYPERPARAMETERS.keys() | KEYS.keys()) - {"corpus", "seed"}
    for place, block in places.items():
        for key in block:
            if key not in allowed:
                raise InputError(
                    f"{where}: {place}: no hyperparameter '{key}'; {nearest(key, allowed)}"
                )
            if key in HYPERPARAMETERS:
                try:
                    check_value(key, block[key])
                except InputError as error:
                    raise InputError(f"{where}: {place}: {error}") from error


def _row_references(suite: Mapping) -> Iterable[tuple[str, str]]:
    yield "base_row", suite["base_row"]
    for name, scale in suite["scales"].items():
        for row in scale.get("rows", {}):
            yield f"scales.{name}.rows", row
    for row in suite.get("curves", {}).get("logs", {}):
        yield "curves.logs", row
    for number, cell in enumerate(suite.get("published", []), 1):
        yield f"published[{number}]", cell["row"]
