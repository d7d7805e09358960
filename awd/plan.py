"""From configuration and suites to runs: what is trained, for which rows, and at what cost.

Nothing here trains, downloads or imports a numerical library, so that a plan of a thousand runs
is made in a moment, also by each job of a workflow.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from awd import __version__, corpora
from awd.errors import InputError, nearest
from awd.files import write_json
from awd.spec import HYPERPARAMETERS, RunSpec, make_spec
from awd.validation import check, parse_yaml, read_yaml

HOME = Path(__file__).resolve().parent.parent
SUITES = HOME / "workflow" / "suites"
CONFIG = HOME / "config.yaml"
RESULTS = Path("results")

STREAM = "stream"
"""The method of plain evaluation: perplexity over the text as one stream."""

CPU_RATE = 140e9
"""FLOP/s of one core (AMD EPYC, Zen 5, fp32) in training; used until records say otherwise."""
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
    """One training: its ``spec``, the ``fingerprint`` of its corpus, and who asks for it."""

    name: str
    spec: RunSpec
    fingerprint: str
    rows: list[str] = field(default_factory=list)
    stages: set[str] = field(default_factory=set)

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
        seeds = self.config["seeds"]
        self.seeds = list(range(1, seeds + 1)) if isinstance(seeds, int) else seeds
        self.runs: dict[str, Run] = {}
        self.suites: dict[str, dict] = {}
        self.suite_files = [SUITES / f"{name}.yaml" for name in self._suite_names(where)]
        self.fingerprints: dict[str, str] = {}
        for path in self.suite_files:
            self._add_suite(path)

    def _suite_names(self, where: str) -> list[str]:
        known = sorted(path.stem for path in SUITES.glob("*.yaml"))
        asked = self.config["suites"]
        if asked == "all":
            return known
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

    def _add_suite(self, path: Path) -> None:
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
            base = _settings(suite, suite["base_row"], scale, corpus)
            base_spec = make_spec(base, f"{where}: row '{suite['base_row']}'")
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
            "rows": rows,
        }

    def _resolve(self, suite_name, suite, name, row, scale, corpus, base_spec, where) -> dict:
        place = f"{where}: row '{name}'"
        settings = _settings(suite, name, scale, corpus)
        spec = make_spec(settings, place)
        changes = _changes(spec, base_spec)
        # What the base row sets itself is no ablation: another row may well have it, too.
        for key in row.get("set", {}).keys() - suite["rows"][suite["base_row"]].get("set", {}):
            if key not in changes:
                raise InputError(
                    f"{place}: set.{key} is what the base row has at scale '{self.scale}' already; "
                    f"set it under scales.{self.scale}.rows.{name} to another value"
                )
        stage = row.get("stage", "finetune" if spec.finetune_epochs else "train")
        if stage == "finetune" and not spec.finetune_epochs:
            raise InputError(f"{place}: stage 'finetune' needs finetune_epochs of at least 1")
        return {
            "row": name,
            "label": row["label"],
            "group": row.get("group"),
            "corpus": corpus,
            "stage": stage,
            "method": STREAM,
            "runs": [
                {"seed": seed, "run": self._add_run(settings, seed, f"{suite_name}/{name}", stage)}
                for seed in self.seeds
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

    def _add_run(self, settings: Mapping, seed: int, row: str, stage: str) -> str:
        spec = RunSpec(**{**settings, "seed": seed})
        fingerprint = self.fingerprints[spec.corpus]
        name = spec.run(fingerprint)
        run = self.runs.setdefault(name, Run(name, spec, fingerprint))
        if row not in run.rows:
            run.rows.append(row)
        run.stages.add(stage)
        return name

    def evaluations(self) -> Iterable[tuple[Run, str, str]]:
        """(run, stage, method) of each evaluation that a row asks for."""
        for run in self.runs.values():
            for stage in sorted(run.stages, reverse=True):
                yield run, stage, STREAM

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

    def work(self, run: Run) -> float | None:
        """FLOP that training the run takes: 6 per matrix parameter and token."""
        sizes = self._all_sizes[run.spec.corpus]
        if sizes is None:
            return None
        epochs = run.spec.epochs
        if "finetune" in run.stages:
            epochs += run.spec.finetune_epochs
        per_token = 6 * run.spec.matrix_parameters(sizes["vocabulary"])
        return per_token * sizes["tokens"]["train"] * epochs

    @cached_property
    def _all_sizes(self) -> dict[str, dict | None]:
        return {corpus: self.sizes(corpus) for corpus in self.fingerprints}

    def done(self, run: Run) -> bool:
        """Whether every stage of the run that a row asks for has its record."""
        return all((run.folder / f"{stage}.{STREAM}.json").exists() for stage in run.stages)

    def as_dict(self) -> dict:
        """The plan as plan.json holds it: all that a report needs besides the records."""
        return {
            "format": 1,
            "awd": __version__,
            "scale": self.scale,
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


def _settings(suite: Mapping, row: str, scale: Mapping, corpus: str) -> dict:
    """A row's hyperparameters; what is more specific wins."""
    return {
        "corpus": corpus,
        **suite["base"],
        **suite.get("corpora", {}).get(corpus, {}),
        **scale.get("set", {}),
        **suite["rows"][row].get("set", {}),
        **scale.get("rows", {}).get(row, {}),
    }


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
    places |= {f"row '{name}': set": row.get("set", {}) for name, row in rows.items()}
    for name, scale in suite["scales"].items():
        places[f"scales.{name}.set"] = scale.get("set", {})
        for row, block in scale.get("rows", {}).items():
            places[f"scales.{name}.rows.{row}"] = block
    reserved = {"corpus", "seed"}
    for place, block in places.items():
        for key in block:
            if key not in HYPERPARAMETERS or key in reserved:
                allowed = set(HYPERPARAMETERS) - reserved
                raise InputError(
                    f"{where}: {place}: no hyperparameter '{key}'; {nearest(key, allowed)}"
                )


def _row_references(suite: Mapping) -> Iterable[tuple[str, str]]:
    yield "base_row", suite["base_row"]
    for name, scale in suite["scales"].items():
        for row in scale.get("rows", {}):
            yield f"scales.{name}.rows", row
    for number, cell in enumerate(suite.get("published", []), 1):
        yield f"published[{number}]", cell["row"]
