"""The parts of a plan: what every command so far has planned, one file per suite.

A command plans what its configuration asks for. Results of earlier commands must stay visible, so
tables and page are made of all parts, ``{scale}/plans/{suite}.json``. A part is a plan of one
suite. A command adds to the parts of its own suites and leaves the others as they are.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from awd.errors import InputError, nearest
from awd.files import alone, read_json, write_json
from awd.places import study_command
from awd.study.dialect import SCALES
from awd.study.plan_file import check_plan
from awd.study.spec import without_defaults

FOLDER = "plans"
REMEDY = "delete the file and give the command of its suite again"


def files(folder: Path) -> list[Path]:
    """Return the parts in the folder of a scale, sorted by suite."""
    return sorted((Path(folder) / FOLDER).glob("[!.]*.json"))  # hidden files are no parts


def part_file(folder: Path, suite: str) -> Path:
    """Return where the part of ``suite`` lies in the folder of a scale."""
    return Path(folder) / FOLDER / f"{suite}.json"


def add(plan: Mapping, folder: Path, trained: Callable[[str], bool]) -> list[Path]:
    """Add the suites of ``plan`` to the parts in the ``folder`` of its scale; return their files.

    ``plan`` is Plan.as_dict(). ``trained`` returns whether a run has a record. What a part has
    beyond the plan stays if it is trained: rows on other corpora, and more seeds of a row as long
    as the row still asks for the same training.

    Raises InputError if a part cannot be read.
    """
    with alone(Path(folder) / FOLDER):  # another command may be adding to the same part
        for suite in plan["suites"]:
            part = _joined(plan, suite, folder, trained)
            write_json(part_file(folder, suite["suite"]), part)
    return [part_file(folder, suite["suite"]) for suite in plan["suites"]]


def with_trained(plan: Mapping, folder: Path, trained: Callable[[str], bool]) -> dict:
    """Return ``plan`` with all runs of the parts in ``folder`` that are trained; write nothing.

    Its own suites are as `add` would leave them; other suites follow them.
    """
    own = [_joined(plan, suite, folder, trained) for suite in plan["suites"]]
    names = {suite["suite"] for suite in plan["suites"]}
    others = [read_part(path) for path in files(folder)]
    runs = {name: run for part in (*others, *own) for name, run in part["runs"].items()}
    suites = [suite for part in own for suite in part["suites"]]
    for suite in (suite for part in others for suite in part["suites"]):
        if suite["suite"] not in names:
            rows = [
                row | {"runs": [each for each in row["runs"] if trained(each["run"])]}
                for row in suite["rows"]
            ]
            suites.append(suite | {"rows": [row for row in rows if row["runs"]]})
    return {**plan, "runs": runs, "suites": suites}


def _joined(plan: Mapping, suite: Mapping, folder: Path, trained: Callable[[str], bool]) -> dict:
    """Return the part of ``suite`` with what its file has beyond the plan, if it is trained."""
    path = part_file(folder, suite["suite"])
    old = read_part(path) if path.exists() else None
    if old is not None and [each["suite"] for each in old["suites"]] != [suite["suite"]]:
        raise InputError(f"{path} is not the plan of suite '{suite['suite']}' alone; {REMEDY}")
    part = {**plan, "suites": [suite]}
    part["runs"] = _runs_of([suite], plan["runs"])
    return part if old is None else join(part, old, trained)


def join(new: Mapping, old: Mapping, trained: Callable[[str], bool]) -> dict:
    """Return the ``new`` part of a suite with what only the ``old`` one has, if it is trained.

    Rows are sorted by corpus and keep the order of their suite; seeds are sorted.
    """
    (suite,), (before,) = new["suites"], old["suites"]
    runs = {**old["runs"], **new["runs"]}
    rows = []
    former = {(row["row"], row["corpus"]): row for row in before["rows"]}
    for row in suite["rows"]:
        seeds = {item["seed"]: item for item in row["runs"]}
        earlier = former.get((row["row"], row["corpus"]))
        if (
            earlier is not None
            and earlier["runs"]
            and _asks_for(earlier, old) == _asks_for(row, new)
        ):
            for item in earlier["runs"]:
                if trained(item["run"]):
                    seeds.setdefault(item["seed"], item)
        rows.append(row | {"runs": [seeds[seed] for seed in sorted(seeds)]})
    planned = {row["corpus"] for row in suite["rows"]}
    others = [row for row in before["rows"] if row["corpus"] not in planned]
    kept = {row["corpus"] for row in others if any(trained(each["run"]) for each in row["runs"])}
    rows += [row for row in others if row["corpus"] in kept]
    rows.sort(key=lambda row: row["corpus"])
    joined = suite | {"rows": rows}
    # Members of an ensemble that is no longer planned count only if they are trained.
    named = {each["run"] for row in rows for each in row["runs"]} | new["runs"].keys()
    runs = {name: run for name, run in runs.items() if name in named or trained(name)}
    return {**new, "runs": _runs_of([joined], runs), "suites": [joined]}


def read_part(path: Path) -> dict:
    """Read one part. Raises InputError, with the remedy, if it is missing or damaged."""
    part = read_json(path)
    try:
        check_plan(part, str(path))
    except InputError as error:
        raise InputError(f"{error}; {REMEDY}") from error
    if not part["suites"]:
        raise InputError(f"{path}: suites must not be empty; {REMEDY}")
    for suite in part["suites"]:
        for row in suite["rows"]:
            for item in row["runs"]:
                if item["run"] not in part["runs"]:
                    raise InputError(f"{path}: runs: '{item['run']}' is missing; {REMEDY}")
    return part


def read(folder: Path, order: Sequence[str] = (), wanted: Iterable[str] = ()) -> dict:
    """Read the parts of a scale as one plan of all suites, sorted by name.

    The suites in ``order`` come first, in that order. Raises InputError if there is no part, with
    the command that runs the suites ``wanted``, if one cannot be read, or if two have the same
    suite.
    """
    paths = files(folder)
    parts = [read_part(path) for path in paths]
    _check_that_none_is_a_copy(paths, parts)
    if not parts and (name := Path(folder).name).partition("-")[0] not in SCALES:
        raise InputError(f"no scale '{name}'; {nearest(name, SCALES)}")
    if not parts:
        words = {"scale": Path(folder).name}
        if named := ",".join(wanted):
            words["suites"] = named
        raise InputError(
            f"{Path(folder) / FOLDER} holds no plan; run a study at this scale first, for example "
            f"`{study_command(Path(folder).parent, **words)}`"
        )
    places = {suite: place for place, suite in enumerate(order)}
    parts.sort(key=lambda part: places.get(part["suites"][0]["suite"], len(places)))
    return {
        **parts[-1],
        "runs": {name: run for part in parts for name, run in part["runs"].items()},
        "suites": [suite for part in parts for suite in part["suites"]],
    }


def _check_that_none_is_a_copy(paths: Sequence[Path], parts: Sequence[Mapping]) -> None:
    """Raise InputError if a suite is in two parts: its table would be that of the last one."""
    found: dict[str, Path] = {}
    for path, part in zip(paths, parts, strict=True):
        for suite in part["suites"]:
            other = found.setdefault(suite["suite"], path)
            if other != path:
                copy = other if path.stem == suite["suite"] else path
                raise InputError(
                    f"{other} and {path} are both plans of suite '{suite['suite']}'; delete the "
                    f"copy, {copy}"
                )


def alike(runs: Mapping[str, dict], run: str) -> set[str]:
    """Return the names of those ``runs`` that are ``run`` but for the seed, itself included."""
    wanted = _identity(runs[run])
    return {name for name, each in runs.items() if _identity(each) == wanted}


def _runs_of(suites: Iterable[Mapping], runs: Mapping[str, dict]) -> dict[str, dict]:
    """Return those of ``runs`` that the suites need, in the order of their rows.

    Members of an ensemble come last: no row names them, but they have the hyperparameters of the
    run that carries the ensemble's row, apart from the seed.
    """
    named = [each["run"] for suite in suites for row in suite["rows"] for each in row["runs"]]
    found = {name: runs[name] for name in named}
    wanted = {_identity(run) for run in found.values()}
    members = sorted(name for name in runs.keys() - found if _identity(runs[name]) in wanted)
    return found | {name: runs[name] for name in members}


def _asks_for(row: Mapping, part: Mapping) -> tuple:
    """Return what decides a row's numbers, apart from the seed."""
    return row["stage"], row["method"], _identity(part["runs"][row["runs"][0]["run"]])


def _identity(run: Mapping) -> str:
    spec = without_defaults({key: each for key, each in run["spec"].items() if key != "seed"})
    return json.dumps([spec, run["corpus"]], sort_keys=True)
