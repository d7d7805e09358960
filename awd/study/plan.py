"""From configuration and suites to runs: what is trained, for which rows.

Nothing here trains, downloads or imports a numerical library, so a plan of a thousand runs is made
in half a second; every job of a workflow makes it anew.
"""

from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from awd import __version__, corpora
from awd.errors import InputError, nearest
from awd.files import is_there, refuse_broken_link, user_path
from awd.places import RESULTS
from awd.study import cost, parts, tuning
from awd.study.config import Config
from awd.study.dialect import folder_name, plain
from awd.study.methods import Method
from awd.study.published_studies import Study, study_file
from awd.study.spec import HYPERPARAMETERS, RunSpec, too_few_steps
from awd.study.suite import Scale, Suite, citation, read_suite, suite_files
from awd.study.tuning import Trial
from awd.study.validation import validate
from awd.vocabulary import DEFAULT, Stage, stages_to

Pace = Callable[[cost.Size], float]
"""Seconds of training per token, by the size of a run."""


@dataclass(frozen=True)
class Run:
    """One training: its ``spec``, the ``fingerprint`` of its corpus, and the rows that need it.

    ``stages`` are those trained, ``evaluations`` maps (stage, method name) to the names of the
    other members, if that evaluation is of an ensemble.
    """

    name: str
    spec: RunSpec
    fingerprint: str
    rows: list[str] = field(default_factory=list)
    stages: set[str] = field(default_factory=set)
    evaluations: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    results: Path = RESULTS

    @property
    def folder(self) -> Path:
        """The folder of its records and weights."""
        return self.results / "runs" / self.name

    @property
    def all_stages(self) -> tuple[Stage, ...]:
        """Those trained and, before a fine-tuning, the training that it needs."""
        return stages_to(Stage.FINETUNE if Stage.FINETUNE in self.stages else Stage.TRAIN)

    def record(self, stage: str, method: str | None = None) -> Path:
        """Return the record of a stage, or of its evaluation by a method."""
        return self.folder / ".".join(filter(None, [stage, method, "json"]))

    def not_evaluated(self) -> list[tuple[str, str]]:
        """Return the evaluations, stage and method, that have no record."""
        return [each for each in self.evaluations if not self.record(*each).exists()]


class Plan:
    """All that a configuration asks for.

    Attributes:
        config: the checked configuration.
        runs: name -> Run, in the order in which suites first ask for them, seed by seed.
        suites: name -> the resolved suite as plans/{suite}.json holds it, in the configuration's
            order.
        suite_files: the files that they come from, of suites and of published studies.
        fingerprints: corpus -> fingerprint.
        relative: (hyperparameter, its relative values such as "x0.5", the resulting value) -> the
            rows that have it.
        results: the folder of results.
        checkpoints: the folder of checkpoints.
        omitted: rows that a suite leaves out at this scale, or why one is valid only at another.
        trials: the trials of a search, if the configuration asks for one. Then ``suites`` has them
            as rows, in place of the study's own.

    Raises InputError for anything in the configuration or a suite that is not allowed. It begins
    with ``where`` the configuration comes from; ``places`` has the keys that come from elsewhere.
    """

    def __init__(self, config: Mapping, where: str = "config.yaml", places: Mapping[str, str] = {}):
        self.config = validate(Config, plain(config), where, places)
        self.scale = self.config.scale
        self.name = folder_name(self.config.model_dump())
        self.results = user_path(self.config.results)
        self.checkpoints = user_path(self.config.checkpoints or self.results / "checkpoints")
        for key, folder in (("results", self.results), ("checkpoints", self.checkpoints)):
            _refuse_no_folder(folder, f"{places.get(key, where)}: {key}")
        self.seeds = self.config.seed_list()
        self.runs: dict[str, Run] = {}
        self.suites: dict[str, dict] = {}
        self.omitted: list[str] = []
        self.relative: dict[tuple[str, str, int | float], list[str]] = {}
        self.suite_files: list[Path] = []
        self.fingerprints: dict[str, str] = {}
        self._sizes: dict[str, dict | None] = {}
        self._place_of_corpora = f"{places.get('corpora', where)}: corpora"
        self.trials: list[Trial] = []
        if self.config.trials and len(_listed(self.config.suites)) > 1:
            raise InputError(f"{where}: a search is of one suite, not {self.config.suites}")
        recipes = {DEFAULT}
        for name in _listed(self.config.suites):
            suite, place = read_suite(name, places.get("suites", where))
            recipes |= suite.recipes.keys()
            resolve = self._search if self.config.trials else self._resolve
            self.suites[name] = resolve(name, suite, place)
        if self.config.recipe not in recipes:
            hint = nearest(self.config.recipe, recipes)
            place = places.get("recipe", where)
            raise InputError(f"{place}: no recipe '{self.config.recipe}'; {hint}")

    def _resolve(self, name: str, suite: Suite, where: str) -> dict:
        studies = suite.studies(where)
        self.suite_files += [suite_files()[name], *map(study_file, suite.published_names())]
        choices = tuning.read_choices(name, self.scale)
        if choices:
            self.suite_files.append(tuning.file_of(name, self.scale))
        scale = suite.scale(self.scale, where)
        rows, omitted = [], {}
        labels = ", ".join(f'"{suite.rows[row].label}"' for row in scale.without)
        left_out = [labels] if labels else []
        self.omitted += [f"{name}: {each}" for each in left_out]
        for corpus in self._corpora(scale, where):
            for row in [each for each in suite.rows if each not in scale.without]:
                try:
                    rows.append(self._resolve_row(name, suite, row, corpus, studies, where))
                except InputError as error:
                    if row == suite.base_row or not self._is_valid_elsewhere(suite, row, where):
                        raise
                    omitted[row] = str(error)
        self.omitted += omitted.values()
        curves = next((study.curves for study in studies if study.curves), None)
        return {
            "suite": name,
            "title": suite.title,
            "paper": citation(studies),
            "base": suite.base_row,
            "notes": [
                *suite.notes,
                *(tuning.notes(name, self.scale, choices) if scale.tuning or choices else []),
                *(f"Left out at this scale: {each}." for each in (*left_out, *omitted.values())),
            ],
            "figures": suite.figures,
            "curves": curves and curves.model_dump(),
            "rows": rows,
        }

    def _resolve_row(
        self,
        suite_name: str,
        suite: Suite,
        name: str,
        corpus: str,
        studies: list[Study],
        where: str,
    ) -> dict:
        place, row = f"{where}: row '{name}'", suite.rows[name]
        self._know(corpus)
        spec, method, changes = self._specify(suite, name, self.scale, corpus, where)
        factors = suite.relative(name, self.scale, corpus, self.config.recipe, where)
        for key, value in {**spec.as_dict(), **method.settings}.items():
            if key in factors:
                rows = self.relative.setdefault((key, " ".join(factors[key]), value), [])
                rows += {f"{suite_name}/{name}"}.difference(rows)
        spec = self._fit_to_text(spec, place)
        stage = row.stage or ("finetune" if spec.finetune_epochs else "train")
        if stage == "finetune" and not spec.finetune_epochs:
            raise InputError(f"{place}: stage 'finetune' needs finetune_epochs of at least 1")
        seeds = self.config.seed_list(suite.seeds)
        # Rows that evaluate the base row's trainings need no others.
        if not changes and method.kind != "ensemble":
            seeds = self.config.base_seed_list(suite.seeds, suite.base_seeds)
        scale = suite.scale(self.scale, where)
        # The context is that of the scale's own corpora; nothing was published of another text.
        shown = scale.context if scale.context and corpus in scale.corpora else corpus
        published = row.published or name
        return {
            "row": name,
            "label": row.label,
            "corpus": corpus,
            "stage": stage,
            "method": method.name,
            "runs": [
                {
                    "seed": seed,
                    "run": self._add_runs(spec, method, seed, f"{suite_name}/{name}", stage),
                }
                for seed in seeds
            ],
            "changes": changes,
            "note": row.note,
            "published": [number for study in studies for number in study.of(published, shown)],
        }

    def _corpora(self, scale: Scale, where: str) -> list[str]:
        """Return the corpora to train on: those of the suite's scale, or those asked for.

        Raises InputError, with the place of its name, for one that is not known.
        """
        asked, place = _listed(self.config.corpora), self._place_of_corpora
        if asked == [DEFAULT]:
            asked, place = scale.corpora, f"{where}: scales.{self.scale}.corpora"
        for corpus in asked:
            try:
                corpora.own_folder(corpus, self.config.corpus_folders)
            except InputError as error:
                raise InputError(f"{place}: {error}") from error
        return asked

    def _know(self, corpus: str) -> None:
        """Note the fingerprint of a corpus."""
        if corpus not in self.fingerprints:
            self.fingerprints[corpus] = corpora.fingerprint(
                corpus, self.config.corpus_folders, minimum_count=self.minimum_count(corpus)
            )

    def _search(self, name: str, suite: Suite, where: str) -> dict:
        """Plan the trials of a search; each is a row of the suite that is returned."""
        wanted = self.config.trials
        assert wanted is not None
        if self.config.recipe != DEFAULT:
            raise InputError(f"{where}: a search is of recipe default, not {self.config.recipe}")
        self.suite_files.append(suite_files()[name])
        rows = []
        for corpus in self._corpora(suite.scale(self.scale, where), where):
            self._know(corpus)
            for row in wanted.rows:
                space = suite.searched(row, self.scale, where)
                rows += [
                    self._trial(name, suite, row, corpus, space, number, where)
                    for number in range(1, wanted.budget + 1)
                ]
        return {
            "suite": name,
            "title": f"{suite.title}: search",
            "paper": citation([]),
            "base": rows[0]["row"],
            "notes": [],
            "figures": [],
            "curves": None,
            "rows": rows,
        }

    def _trial(
        self,
        suite_name: str,
        suite: Suite,
        row: str,
        corpus: str,
        space: Mapping,
        number: int,
        where: str,
    ) -> dict:
        settings = tuning.draw(space, number)
        place = f"{where}: trial {number}"
        spec, method = suite.specification(
            row,
            self.scale,
            corpus,
            self.config.recipe,
            self.config.precision,
            place,
            {row: settings},
        )
        if method.kind != "stream":
            raise InputError(
                f"{where}: row '{row}' is evaluated by method '{method.kind}'; search the row "
                "whose training it evaluates"
            )
        spec = self._fit_to_text(spec, place)
        spec = spec.changed(seed=tuning.FIRST_SEED + number - 1, finetune_epochs=0)
        fixed = spec.changed(seed=tuning.FIRST_SEED)
        search = tuning.identity(space, fixed, self.fingerprints[corpus])
        label = f"{row}-trial-{number:03}"
        run = self._add_run(spec, f"{suite_name}/{label}", "train").name
        self.trials.append(Trial(corpus, row, number, search, settings, run))
        return {
            "row": label,
            "label": f"{suite.rows[row].label}, trial {number}",
            "corpus": corpus,
            "stage": "train",
            "method": method.name,
            "runs": [{"seed": spec.seed, "run": run}],
            "changes": settings,
            "note": None,
            "published": [],
        }

    def _specify(
        self, suite: Suite, name: str, scale: str, corpus: str, where: str
    ) -> tuple[RunSpec, Method, dict]:
        """Return a row's hyperparameters and evaluation, and what it changes of the base row."""
        circumstances = (scale, corpus, self.config.recipe, self.config.precision, where)
        spec, method = suite.specification(name, *circumstances)
        base, _ = suite.specification(suite.base_row, *circumstances)
        changes = _changes(spec, base)
        # What the base row sets itself is no ablation: another row may well have it, too.
        own = suite.rows[name].set.given().keys()
        for key in own - suite.rows[suite.base_row].set.given().keys():
            if key in HYPERPARAMETERS and key not in changes:
                raise InputError(
                    f"{where}: row '{name}': set.{key} is what the base row has at scale '{scale}' "
                    f"already; change or remove it, or set it under scales.{scale}.rows.{name}"
                )
        return spec, method, changes

    def _fit_to_text(self, spec: RunSpec, place: str) -> RunSpec:
        """Return ``spec`` with a share of the text that there is.

        A study may take a share of its corpora; a shorter text of one's own is trained on whole.
        Raises InputError if a row wants more than a published or built-in corpus has.
        """
        if spec.train_tokens and (sizes := self.sizes(spec.corpus)):
            available = sizes["tokens"]["train"]
            if spec.train_tokens > available and spec.corpus in self.config.corpus_folders:
                return spec.changed(train_tokens=0)
            if spec.train_tokens > available:
                sentence = corpora.too_many(spec.train_tokens, spec.corpus, available)
                raise InputError(f"{place}: {sentence}")
        return spec

    def _is_valid_elsewhere(self, suite: Suite, name: str, where: str) -> bool:
        """Return whether a row is valid at another scale, so that it is no plain mistake."""
        for scale, special in suite.scales.given().items():
            if scale != self.scale:
                with suppress(InputError):
                    self._specify(suite, name, scale, special.corpora[0], where)
                    return True
        return False

    def minimum_count(self, corpus: str) -> int:
        """Return how often a word of a corpus must occur in train not to be unknown."""
        return self.config.minimum_count if corpus in self.config.corpus_folders else 1

    def _add_runs(self, spec: RunSpec, method: Method, seed: int, row: str, stage: str) -> str:
        """Plan the runs of a row for one seed; return the run that carries the evaluation."""
        seeds = method.seeds(seed)
        runs = [self._add_run(spec.changed(seed=each), row, stage) for each in seeds]
        runs[0].evaluations[stage, method.name] = [run.name for run in runs[1:]]
        return runs[0].name

    def _add_run(self, spec: RunSpec, row: str, stage: str) -> Run:
        fingerprint = self.fingerprints[spec.corpus]
        name = spec.run(fingerprint)
        run = self.runs.setdefault(name, Run(name, spec, fingerprint, results=self.results))
        if row not in run.rows:
            run.rows.append(row)
        run.stages.add(stage)
        return run

    def evaluations(self) -> list[Path]:
        """Return the record of each evaluation that a row needs."""
        return [
            run.record(stage, method)
            for run in self.runs.values()
            for stage, method in run.evaluations
        ]

    def corpus_folder(self, corpus: str) -> Path:
        """Return the folder of the encoded corpus; its name has the fingerprint."""
        return self.results / "corpora" / f"{corpus}-{self.fingerprints[corpus][:8]}"

    def sizes(self, corpus: str) -> dict | None:
        """Return {"vocabulary", "tokens"} of a corpus: counted if it is encoded, else expected.

        None if that is not known. Raises InputError if a text cannot be counted.
        """
        if corpus not in self._sizes:
            self._sizes[corpus] = self._count(corpus)
        return self._sizes[corpus]

    def _count(self, corpus: str) -> dict | None:
        path = self.corpus_folder(corpus) / "corpus.json"
        if path.exists():
            return corpora.recorded_sizes(path)
        folder = self.config.corpus_folders.get(corpus)
        if folder is not None:
            return corpora.count(corpus, user_path(folder), self.minimum_count(corpus))
        return corpora.sizes(corpus)

    def refuse_short_texts(self) -> None:
        """Raise InputError if a text is too short for the batches of a run, or cannot be read."""
        for run in self.runs.values():
            sizes = self.sizes(run.spec.corpus)
            if sizes and (sentence := too_few_steps(run.spec, sizes["tokens"]["train"])):
                raise InputError(f"row '{run.rows[0]}': {sentence}")

    def seconds(self, spec: RunSpec, stages: Collection[str], pace: Pace) -> float | None:
        """Estimate how long ``stages`` train at a ``pace``; None if the corpus is not counted."""
        sizes = self.sizes(spec.corpus)
        if sizes is None:
            return None
        return cost.read_tokens(spec, stages, sizes) * pace(cost.size(spec, sizes["vocabulary"]))

    def evaluation_seconds(self, spec: RunSpec, models: int, pace: Pace) -> float | None:
        """Estimate how long an evaluation takes; None if the corpus is not counted.

        The plain stream takes about as long as an epoch of training, for each of the ``models`` of
        an ensemble.
        """
        epoch = self.seconds(spec.changed(epochs=1), [Stage.TRAIN], pace)
        return None if epoch is None else models * epoch

    def parameters(self, run: Run) -> int | None:
        """Count the parameters of the run's model, if its vocabulary is known."""
        sizes = self.sizes(run.spec.corpus)
        return cost.parameters(run.spec, sizes["vocabulary"]) if sizes else None

    def done(self, run: Run) -> bool:
        """Return whether every stage of the run that a row needs is trained."""
        return all(run.record(stage).exists() for stage in run.stages)

    def stages_to_train(self, run: Run) -> list[Stage]:
        """Return the stages that have no record: fine-tuning needs the training before it."""
        if self.done(run):
            return []
        return [stage for stage in run.all_stages if not run.record(stage).exists()]

    def as_dict(self) -> dict:
        """Return the plan as its parts hold it: all that a report needs besides the records."""
        return {
            "format": 1,
            "awd": __version__,
            "scale": self.scale,
            "recipe": self.config.recipe,
            "precision": self.config.precision,
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

    @property
    def folder(self) -> Path:
        """Where tables, figures and the parts of plans of this scale are."""
        return self.results / self.name

    def write(self) -> list[Path]:
        """Add the plan to the parts of its suites; return their files.

        Raises InputError if it is that of a search.
        """
        if self.trials:
            raise InputError("the trials of a search are no part of a study's plan")
        return parts.add(self.as_dict(), self.folder, self.has_record)

    def has_record(self, run: str) -> bool:
        """Return whether a run has a record of any stage or evaluation."""
        return any((self.results / "runs" / run).glob("*.json"))


def _refuse_no_folder(path: Path, where: str) -> None:
    """Raise InputError if ``path`` is no folder and none can be made there."""
    refuse_broken_link(path, f"{where}: ")
    for place in (path, *path.parents):
        if is_there(place):
            if not place.is_dir():
                raise InputError(f"{where}: {place} is no folder")
            return


def _listed(names: str | list[str]) -> list[str]:
    return [names] if isinstance(names, str) else names


def _changes(spec: RunSpec, base: RunSpec) -> dict:
    own, others = spec.as_dict(), base.as_dict()
    return {key: value for key, value in own.items() if value != others[key]}
