"""What takes room in the folder of results and can go. Records, curves and tables never do."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from awd.errors import InputError, nearest
from awd.files import read_json
from awd.study import parts
from awd.study.tuning import FIRST_SEED
from awd.vocabulary import EPOCHS

STAGES = ("train", "finetune")


@dataclass(frozen=True)
class Removable:
    """Files of one ``kind`` that can go, and the bytes that they take."""

    kind: str
    files: list[Path]
    size: int


@dataclass(frozen=True)
class Kind:
    """A kind of files: what they are, and what their absence costs."""

    what: str
    cost: str
    find: Callable[["Results"], Iterator[Path]]


class Results:
    """The folder of results, as far as cleaning depends on it.

    Raises InputError if a part of a plan cannot be read: what it needs is then unknown.
    """

    def __init__(self, folder: Path):
        self.folder = Path(folder)

    @cached_property
    def plans(self) -> list[dict]:
        """The plans of all scales."""
        return [parts.read(scale) for scale in scales(self.folder)]

    @cached_property
    def planned(self) -> set[str]:
        """The names of all runs that a plan has."""
        return {name for plan in self.plans for name in plan["runs"]}

    @cached_property
    def needed(self) -> set[str]:
        """The runs whose weights an evaluation still needs, or whose training is not over."""
        needed = set()
        for plan in self.plans:
            for suite in plan["suites"]:
                for row in suite["rows"]:
                    record = f"{row['stage']}.{row['method']}.json"
                    for item in row["runs"]:
                        if not (self.folder / "runs" / item["run"] / record).exists():
                            needed |= parts.alike(plan["runs"], item["run"])
        return needed

    def evaluated(self, run: str, stage: str) -> bool:
        """Whether somebody has read the weights of this stage, so that it is over for good."""
        folder = self.folder / "runs" / run
        if not (folder / f"{stage}.json").exists():
            return False
        return any(folder.glob(f"{stage}.*.json")) or (folder / "finetune.json").exists()

    def is_trial(self, run: Path) -> bool:
        """Whether a search trained the run in this folder: its seed is none of a study."""
        try:
            spec = read_json(run / "train.json")["spec"]
            return bool(spec["seed"] >= FIRST_SEED)
        except (InputError, KeyError, TypeError):  # not over, or unknown: it stays
            return False


def _checkpoints(results: Results) -> Iterator[Path]:
    for stage in STAGES:
        for ending in ("checkpoint", "previous", "damaged", "progress.json", "csv"):
            for path in results.folder.glob(f"checkpoints/*/{stage}.{ending}"):
                if results.evaluated(path.parent.name, stage):
                    yield path


def _weights(results: Results) -> Iterator[Path]:
    for ending in ("safetensors", "npz"):
        for path in results.folder.glob(f"runs/*/*.{ending}"):
            run, stage = path.parent.name, path.name.split(".")[0]
            if run not in results.needed and results.evaluated(run, stage):
                yield path


def _texts(results: Results) -> Iterator[Path]:
    for path in results.folder.glob("corpora/*/raw/*.txt"):
        if (path.parents[1] / "corpus.json").exists():
            yield path


def _trials(results: Results) -> Iterator[Path]:
    for path in results.folder.glob("runs/*/train.safetensors"):
        if path.parent.name not in results.planned and results.is_trial(path.parent):
            yield path


def _logs(results: Results) -> Iterator[Path]:
    for path in results.folder.glob("logs/*.log"):
        rule, _, rest = path.stem.partition("-")
        run = rest.split(".")[0]
        if rule in ("train", "finetune", "evaluate") and run not in results.planned:
            yield path


KINDS = {
    "checkpoints": Kind("checkpoints of finished trainings", "nobody needs them", _checkpoints),
    "logs": Kind("logs of runs that no plan has", "nobody needs them", _logs),
    "texts": Kind(
        "texts of corpora that are encoded", "fetched again if one is encoded anew", _texts
    ),
    "trials": Kind(
        "weights of the trials of searches", "a search reads their records alone", _trials
    ),
    "weights": Kind(
        "weights and losses of each token of runs that are evaluated",
        "another evaluation, or use of the model, needs training again",
        _weights,
    ),
}


def scales(results: Path) -> list[Path]:
    """Return the folders of the scales that have a plan, sorted by name."""
    return sorted({path.parents[1] for path in Path(results).glob(f"*/{parts.FOLDER}/*.json")})


def find(results: Path, kinds: list[str]) -> list[Removable]:
    """Return what can go of each kind, kinds without files included.

    Raises InputError for an unknown kind.
    """
    for kind in kinds:
        if kind not in KINDS:
            raise InputError(f"what: no '{kind}'; {nearest(kind, KINDS)}")
    known = Results(results)
    found = []
    for kind in kinds:
        files = sorted(path for path in KINDS[kind].find(known) if not path.is_symlink())
        found.append(Removable(kind, files, sum(path.stat().st_size for path in files)))
    return found


def find_suites(results: Path, suites: list[str], scale: str | None = None) -> Removable:
    """Return the part of the plan, tables and figures of these suites, of one scale or of all.

    Without them the suites are no longer in the page and the combined table. Raises InputError if
    no plan has a suite.
    """
    files: list[Path] = []
    folders = {each.name: each for each in scales(results)}
    if not folders:
        raise InputError(f"{results} holds no plan")
    if scale is not None and scale not in folders:
        raise InputError(f"no plan at scale '{scale}'; {nearest(scale, folders)}")
    folders = {scale: folders[scale]} if scale is not None else folders
    known = {path.stem for folder in folders.values() for path in parts.files(folder)}
    for suite in suites:
        if suite not in known:
            where = f"at scale {scale}" if scale else "at any scale"
            raise InputError(f"no plan {where} has suite '{suite}'; {nearest(suite, known)}")
        for folder in folders.values():
            part = parts.part_file(folder, suite)
            if part.exists():
                # The part goes first: what is left of an interrupted removal is only files.
                files += [part, *sorted(folder.glob(f"tables/{suite}.*"))]
                files += sorted(folder.glob(f"tables/{suite}{EPOCHS}.csv"))
                files += sorted(
                    path
                    for path in folder.glob(f"figures/{suite}-*")
                    if _owner(path.name, known) == suite
                )
    return Removable("suites", files, sum(path.stat().st_size for path in files))


def meaning(removable: Removable) -> str:
    """Return what the files are, and what their absence costs."""
    if removable.kind not in KINDS:
        return "plan, tables and figures of these studies; records stay"
    kind = KINDS[removable.kind]
    return f"{kind.what}; {kind.cost}"


def delete(removable: Removable) -> None:
    """Delete the files, and the folders that this leaves empty. Each is whole or gone."""
    for path in removable.files:
        path.unlink(missing_ok=True)
    for folder in {path.parent for path in removable.files}:
        with suppress(OSError):  # it holds other files
            folder.rmdir()


def size(number: float) -> str:
    """Return bytes as people write them.

    >>> size(950), size(12_300_000)
    ('950 B', '12 MB')
    """
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if number < 999.5 or unit == "TB":
            return (
                f"{number:.1f} {unit}" if unit != "B" and number < 9.95 else f"{number:.0f} {unit}"
            )
        number /= 1000
    raise AssertionError


def _owner(figure: str, suites: Mapping | set) -> str | None:
    """Return the suite of a figure's file: the longest name that it begins with."""
    owners = [suite for suite in suites if figure.startswith(f"{suite}-")]
    return max(owners, key=len, default=None)
