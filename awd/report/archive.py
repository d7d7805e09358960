"""One archive of results to attach to a paper, and the check that its tables follow from it.

The archive is a zip file and an RO-Crate (https://w3id.org/ro/crate): records and curves of the
runs, plan and tables of each scale, configuration, suites and published numbers, the packages that
were installed, fingerprints of the corpora without their text, licence and citation. Weights are
not in it. manifest-sha256.txt has the SHA-256 of every other file, in the format of sha256sum.
The same results in the same environment give the same archive.
"""

import math
import platform
import re
import shutil
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Collection, Iterator
from importlib import metadata
from pathlib import Path, PurePosixPath

import pandas as pd

from awd import __version__
from awd.errors import InputError
from awd.files import atomic, file_sha256, is_there, read_json, readable, write_json, write_text
from awd.places import CHECKOUT, HOME, PUBLISHED, config_file, data_folders
from awd.report.build import read_plan, report, scales
from awd.study import parts as plan_parts
from awd.study.suite import suite_files

METADATA, MANIFEST = "ro-crate-metadata.json", "manifest-sha256.txt"
DIFFERS = 3
"""Exit code of a check that fails; 1 and 2 are those of wrong input."""
LIMIT = 1 << 33
"""Bytes that an archive may have once unpacked."""
RECORD = re.compile(r"(train|finetune)(\.[a-z0-9.-]+)?\.json|(train|finetune)\.csv")
REBUILT = ("records", "tables", "combined")
TABLES = ("csv", "md", "tex", "html")
CLOSE = 1e-9
"""Relative difference of numbers that were computed on another processor."""
MEDIA = {
    ".json": "application/json",
    ".csv": "text/csv",
    ".md": "text/markdown",
    ".tex": "application/x-tex",
    ".html": "text/html",
    ".yaml": "application/yaml",
    ".txt": "text/plain",
}


def pack(results: Path, target: Path, chosen: Collection[str] = ()) -> list[str]:
    """Write the archive ``target`` of a results folder and return the names of its files.

    ``chosen`` are the scales, by default all with a plan. Records and tables are built anew from
    the runs. Raises InputError if there is no plan or no record, or if ``target`` exists.
    """
    results, target = Path(results), Path(target)
    if is_there(target):  # so are "", "." and "/"
        raise InputError(f"{target} exists: name a new file")
    names = list(chosen) or scales(results)
    plans = {name: read_plan(results, name) for name in names}
    with tempfile.TemporaryDirectory() as temporary:
        crate = Path(temporary)
        for name, plan in plans.items():
            _copy_results(results, name, plan, crate / "results")
            try:
                report(crate / "results", name, parts=REBUILT, formats=TABLES)
            except InputError as error:  # names the copy, which is gone by now
                copy = str(crate / "results")
                raise InputError(str(error).replace(copy, str(results))) from error
        if not list(_records(crate)):
            raise InputError(f"{results} has no record of {' or '.join(names)} to pack")
        _copy_inputs(plans.values(), crate)
        write_text(crate / "environment.txt", environment())
        write_json(crate / "corpora.json", _corpora(results, plans.values()))
        write_json(crate / METADATA, _describe(crate, plans))
        lines = [f"{file_sha256(path)}  {_name(path, crate)}\n" for path in _files(crate)]
        write_text(crate / MANIFEST, "".join(lines))
        members = {_name(path, crate): path for path in _files(crate)}
        with (
            atomic(target) as written,
            zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive,
        ):
            for name, path in members.items():
                member = zipfile.ZipInfo(name)  # dated 1980: the same content, the same archive
                member.compress_type = zipfile.ZIP_DEFLATED
                member.external_attr = (stat.S_IFREG | 0o644) << 16
                archive.writestr(member, path.read_bytes())
    return list(members)


def verify(path: Path) -> list[str]:
    """Check an archive, or the folder that it was unpacked to; returns what is wrong, if anything.

    Every file must be in the manifest with its SHA-256, and the tables must be those that follow
    from the records. Raises InputError if ``path`` is no archive, or one that would write outside
    the folder that it is unpacked to.
    """
    path = Path(path)
    if path.is_dir():
        return _check(path)
    with readable(path):
        pass
    with tempfile.TemporaryDirectory() as temporary:
        try:
            _unpack(path, Path(temporary))
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
            return [f"{path.name} is damaged: {error}"]
        return _check(Path(temporary))


def environment() -> str:
    """Return the installed packages as a requirements file; comments name Python and system."""
    packages = {
        f"{found.metadata['Name']}=={found.version}"
        for found in metadata.distributions()
        if found.metadata["Name"]
    }
    python = f"# Python {platform.python_version()} on {platform.system()} {platform.machine()}"
    return "\n".join([python, *sorted(packages, key=str.lower), ""])


def _copy_results(results: Path, scale: str, plan: dict, target: Path) -> None:
    """Copy plan and records of a scale; where there are no run folders, the csv files of a copy."""
    for path in plan_parts.files(results / scale):
        (target / scale / plan_parts.FOLDER).mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target / scale / plan_parts.FOLDER / path.name)
    copied = False
    for run in plan["runs"]:
        for path in sorted((results / "runs" / run).glob("*")):
            if RECORD.fullmatch(path.name) and path.is_file():
                (target / "runs" / run).mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target / "runs" / run / path.name)
                copied = True
    if not copied:
        for name in ("records.csv", "curves.csv"):
            if (results / scale / name).is_file():
                shutil.copyfile(results / scale / name, target / scale / name)


def _copy_inputs(plans: Collection[dict], target: Path) -> None:
    suites = {suite["suite"] for plan in plans for suite in plan["suites"]}
    files = suite_files()
    paths = {"config": [config_file()], ".": [_document("CITATION.cff"), _document("LICENSE")]}
    paths["workflow/suites"] = [files[name] for name in sorted(suites) if name in files]
    paths["workflow/published"] = [
        path for folder in data_folders(PUBLISHED) for path in folder.glob("*")
    ]
    for folder, sources in paths.items():
        for path in sources:
            if path.is_file():
                (target / folder).mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target / folder / path.name)


def _document(name: str) -> Path:
    """Return a file of the top of the clone; pip puts it beside the names of what it installed."""
    if CHECKOUT:
        return HOME / name
    installed = metadata.distribution("awd").files or []
    return next((Path(str(each.locate())) for each in installed if each.name == name), HOME / name)


def _corpora(results: Path, plans: Collection[dict]) -> dict[str, dict]:
    """Fingerprint of each corpus and, where it is encoded here, its size and checksums."""
    found: dict[str, dict] = {}
    for plan in plans:
        for run in plan["runs"].values():
            found[run["corpus"]["name"]] = {"fingerprint": run["corpus"]["fingerprint"]}
    for name, corpus in found.items():
        path = results / "corpora" / f"{name}-{corpus['fingerprint'][:8]}" / "corpus.json"
        if path.is_file():
            record = read_json(path)
            corpus |= {key: record.get(key) for key in ("vocabulary", "tokens", "sha256")}
    return found


def _records(crate: Path) -> Iterator[pd.DataFrame]:
    for path in sorted((crate / "results").glob("*/records.csv")):
        frame = pd.read_csv(path)
        if len(frame):
            yield frame


def _describe(crate: Path, plans: dict[str, dict]) -> dict:
    """The content of ro-crate-metadata.json."""
    from rocrate.model import SoftwareApplication
    from rocrate.rocrate import ROCrate

    described = ROCrate(gen_preview=False)
    suites = dict.fromkeys(suite["title"] for plan in plans.values() for suite in plan["suites"])
    described.name = f"Language models: {'; '.join(suites)}"
    described.description = (
        f"Records, learning curves and tables of {' and '.join(plans)} studies, made by awd "
        f"{__version__}. `python -m awd verify` checks the files and rebuilds the tables."
    )
    ended = [frame["ended"].dropna().max() for frame in _records(crate)]
    described.datePublished = max(str(time) for time in ended)
    for path in _files(crate):
        properties = {
            "contentSize": str(path.stat().st_size),
            "encodingFormat": MEDIA.get(path.suffix, "text/plain"),
            "sha256": file_sha256(path),
        }
        described.add_file(dest_path=_name(path, crate), properties=properties)
    described.license = described.get("LICENSE")
    software = {"name": "awd", "softwareVersion": __version__}
    described.root_dataset["mentions"] = described.add(
        SoftwareApplication(described, "#awd", properties=software)
    )
    return described.metadata.generate()


def _check(crate: Path) -> list[str]:
    return _check_manifest(crate) or _check_tables(crate)


def _check_manifest(crate: Path) -> list[str]:
    path = crate / MANIFEST
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return [f"{MANIFEST} is missing or cannot be read"]
    listed = {}
    for line in lines:
        if not (match := re.fullmatch(r"([0-9a-f]{64})  (\S.*)", line)):
            return [f"{MANIFEST} has a line that is no checksum and name: {line[:80]!r}"]
        listed[match[2]] = match[1]
    there = {_name(each, crate): each for each in _files(crate)}
    del there[MANIFEST]
    problems = [f"{name} is missing" for name in listed if name not in there]
    for name, file in there.items():
        if name not in listed:
            problems.append(f"{name} is not in {MANIFEST}")
        elif file_sha256(file) != listed[name]:
            problems.append(f"{name} is not the file that was packed: its SHA-256 differs")
    return problems


def _check_tables(crate: Path) -> list[str]:
    """Rebuild the tables from copies of plans and records, and compare."""
    problems = []
    with tempfile.TemporaryDirectory() as temporary:
        rebuilt = Path(temporary) / "results"
        for name in scales(crate / "results"):
            plan = read_plan(crate / "results", name)
            _copy_results(crate / "results", name, plan, rebuilt)
            made = report(rebuilt, name, parts=REBUILT, formats=TABLES)
            written = plan.get("awd", "")
            versions = f" (written by awd {written}, this is {__version__})"
            for path in made:
                original = crate / "results" / path.relative_to(rebuilt)
                if not _same(original, path):
                    problems.append(
                        f"{_name(original, crate)} is not what its records give"
                        + versions * (written != __version__)
                    )
    return problems


def _same(one: Path, other: Path) -> bool:
    """Whether two files have the same text; of csv files, numbers that are as good as equal."""
    if not one.is_file():
        return False
    if one.suffix != ".csv":
        return one.read_bytes() == other.read_bytes()
    frames = [pd.read_csv(path, dtype=str, keep_default_na=False) for path in (one, other)]
    if frames[0].shape != frames[1].shape or list(frames[0]) != list(frames[1]):
        return False
    cells = (frame.to_numpy().ravel() for frame in frames)
    return all(_same_cell(*pair) for pair in zip(*cells, strict=True))


def _same_cell(one: str, other: str) -> bool:
    if one == other:
        return True
    try:
        return math.isclose(float(one), float(other), rel_tol=CLOSE)
    except ValueError:
        return False


def _unpack(archive: Path, folder: Path) -> None:
    """Unpack below ``folder``; refuses names that lead elsewhere, links, and too much content."""
    with zipfile.ZipFile(archive) as opened:
        members = opened.infolist()
        if sum(member.file_size for member in members) > LIMIT:
            raise InputError(f"{archive} would unpack to more than {LIMIT:,} bytes")
        names: set[str] = set()
        for member in members:
            if member.filename in names:
                raise InputError(f"{archive} is refused: it has {member.filename!r} twice")
            names.add(member.filename)
            kind = stat.S_IFMT(member.external_attr >> 16)
            parts = PurePosixPath(member.filename).parts
            plain = member.filename == "/".join(parts) and not {"..", "/"} & set(parts)
            if kind not in (0, stat.S_IFREG) or not plain or re.search(r"[\\:\0]", member.filename):
                raise InputError(
                    f"{archive} is refused: {member.filename!r} is no plain file inside it"
                )
        for member in members:
            target = folder / member.filename
            target.parent.mkdir(parents=True, exist_ok=True)
            with opened.open(member) as source, target.open("wb") as copy:
                shutil.copyfileobj(source, copy)


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() or path.is_symlink())


def _name(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()
