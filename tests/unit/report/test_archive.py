"""An archive holds what its tables follow from; the check finds a changed byte."""

import hashlib
import json
import shutil
import stat
import zipfile

import pytest
from synthetic import make_plan, write_runs

from awd.errors import InputError
from awd.report import archive, records
from awd.report.archive import MANIFEST, METADATA, environment, pack, verify


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """A results folder with two scales, weights, and a text that must stay here."""
    folder = tmp_path_factory.mktemp("results")
    for scale in ("small", "paper"):
        plan = make_plan(corpora=("ptb",), scale=scale)
        (folder / scale / "plans").mkdir(parents=True)
        (folder / scale / "plans/merity2018.json").write_text(json.dumps(plan))
        write_runs(plan, folder / "runs")
    for run in plan["runs"]:
        if (folder / "runs" / run).is_dir():
            (folder / "runs" / run / "train.safetensors").write_bytes(b"weights")
            (folder / "runs" / run / ".train-x.json").write_bytes(b"half written")
    corpus = folder / "corpora" / "ptb-01234567"
    corpus.mkdir(parents=True)
    (corpus / "train.txt").write_text("a secret text")
    record = {"fingerprint": "0123456789abcdef", "vocabulary": 5, "tokens": {"train": 3}}
    (corpus / "corpus.json").write_text(json.dumps(record | {"words": "a secret text"}))
    return folder


@pytest.fixture(scope="module")
def packed(results, tmp_path_factory):
    path = tmp_path_factory.mktemp("packed") / "results.zip"
    pack(results, path)
    return path


@pytest.fixture
def unpacked(packed, tmp_path):
    with zipfile.ZipFile(packed) as opened:
        opened.extractall(tmp_path / "crate")
    return tmp_path / "crate"


def test_an_archive_has_all_that_tables_follow_from_and_no_weights_or_text(packed):
    with zipfile.ZipFile(packed) as opened:
        names = set(opened.namelist())
        assert "secret" not in "".join(opened.read(name).decode() for name in names)
        corpora = json.loads(opened.read("corpora.json"))
    run = "results/runs/ptb-lstm-s1-merity2018-full"
    assert {
        f"{run}/train.json",
        f"{run}/train.csv",
        f"{run}/finetune.stream.json",
        "results/paper/plans/merity2018.json",
        "results/small/tables/merity2018.md",
        "config/config.yaml",
        "workflow/suites/merity2018.yaml",
        "CITATION.cff",
        "environment.txt",
        METADATA,
        MANIFEST,
    } <= names
    assert not [name for name in names if name.endswith(".safetensors") or "/." in name]
    assert corpora["ptb"]["fingerprint"] == "0123456789abcdef"
    assert corpora["ptb"]["vocabulary"] == 5


def test_a_packed_archive_is_verified_packed_or_unpacked(packed, unpacked):
    assert verify(packed) == []
    assert verify(unpacked) == []


def test_the_same_results_give_the_same_archive(results, packed, tmp_path):
    pack(results, tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == packed.read_bytes()


@pytest.mark.parametrize("name", ["", ".", "/"])
def test_an_archive_that_is_no_new_file_is_refused(results, name):
    with pytest.raises(InputError, match=r"^[./] exists: name a new file$"):
        pack(results, name)


def test_a_file_that_exists_is_not_overwritten(results, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"notes\.txt exists: name a new file"):
        pack(results, tmp_path / "notes.txt")
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_record_that_does_not_belong_is_named_where_it_lies(results, tmp_path):
    shutil.copytree(results, tmp_path / "copy")
    path = tmp_path / "copy/runs/ptb-lstm-s1-merity2018-full/train.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"run": "another"}))
    with pytest.raises(InputError, match=f"^{path} does not belong there"):
        pack(tmp_path / "copy", tmp_path / "new.zip")
    assert not (tmp_path / "new.zip").exists()


def test_the_manifest_is_one_of_sha256sum(unpacked):
    lines = (unpacked / MANIFEST).read_text().splitlines()
    names = {path.relative_to(unpacked).as_posix() for path in unpacked.rglob("*.*")}
    files = {name for name in names if (unpacked / name).is_file()} - {MANIFEST}
    assert files | {"LICENSE"} == {line[66:] for line in lines}
    for line in lines:
        assert hashlib.sha256((unpacked / line[66:]).read_bytes()).hexdigest() == line[:64]


def test_the_metadata_is_an_ro_crate_of_all_files(unpacked):
    graph = json.loads((unpacked / METADATA).read_text())["@graph"]
    entities = {entity["@id"]: entity for entity in graph}
    assert entities[METADATA]["about"] == {"@id": "./"}
    root = entities["./"]
    assert {"name", "description", "datePublished", "license"} <= root.keys()
    assert root["datePublished"].startswith("2025-01-01")
    for part in root["hasPart"]:
        path = unpacked / part["@id"]
        assert entities[part["@id"]]["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert {"@id": "results/paper/plans/merity2018.json"} in root["hasPart"]


def test_one_changed_byte_of_any_file_is_found(unpacked):
    for path in sorted(path for path in unpacked.rglob("*") if path.is_file()):
        content = path.read_bytes()
        middle = len(content) // 2
        changed = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
        path.write_bytes(changed)
        assert verify(unpacked), path
        path.write_bytes(content)
    assert verify(unpacked) == []


def test_one_changed_byte_in_the_content_of_the_archive_is_found(packed, tmp_path):
    content = packed.read_bytes()
    with zipfile.ZipFile(packed) as opened:
        members = opened.infolist()[::12]
    for member in members:
        place = member.header_offset + 30 + len(member.filename) + member.compress_size // 2
        path = tmp_path / "changed.zip"
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        assert verify(path), member.filename


def test_an_added_and_a_missing_file_are_found(unpacked):
    (unpacked / "results" / "more.csv").write_text("1\n")
    (unpacked / "config/config.yaml").unlink()
    assert sorted(verify(unpacked)) == [
        "config/config.yaml is missing",
        f"results/more.csv is not in {MANIFEST}",
    ]
    (unpacked / MANIFEST).unlink()
    assert "missing" in verify(unpacked)[0]


def manifest(folder):
    """Write a manifest that vouches for what is there now."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST]
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(folder).as_posix()}\n"
        for path in files
    ]
    (folder / MANIFEST).write_text("".join(lines))


def test_a_table_that_does_not_follow_from_the_records_is_found(unpacked):
    """Also with a manifest to match: in Markdown, and in csv beyond rounding."""
    table = unpacked / "results/paper/tables/merity2018.md"
    table.write_text(table.read_text().replace("57", "47"))
    manifest(unpacked)
    (problem,) = verify(unpacked)
    assert problem.startswith("results/paper/tables/merity2018.md is not what its records give")


def test_numbers_of_another_processor_are_the_same_numbers(unpacked):
    table = unpacked / "results/small/tables/merity2018.csv"
    header, line, *rest = table.read_text().splitlines()
    values = dict(zip(header.split(","), line.split(","), strict=True))
    for factor, same in ((1 + 1e-13, True), (1 + 1e-6, False)):
        changed = values | {"test": repr(float(values["test"]) * factor)}
        table.write_text("\n".join([header, ",".join(changed.values()), *rest, ""]))
        manifest(unpacked)
        assert (verify(unpacked) == []) is same


def test_a_copy_without_run_folders_can_be_packed(results, tmp_path):
    plan = json.loads((results / "paper" / "plans/merity2018.json").read_text())
    (tmp_path / "copy" / "paper" / "plans").mkdir(parents=True)
    (tmp_path / "copy" / "paper" / "plans/merity2018.json").write_text(json.dumps(plan))
    with pytest.raises(InputError, match="no record of paper"):
        pack(tmp_path / "copy", tmp_path / "none.zip")
    assert not (tmp_path / "none.zip").exists()
    records.write(*records.collect(plan, results / "runs"), tmp_path / "copy" / "paper")
    pack(tmp_path / "copy", tmp_path / "copy.zip")
    assert verify(tmp_path / "copy.zip") == []


@pytest.mark.parametrize(
    "name", ["../evil", "/evil", "a/../../evil", "a\\..\\evil", "C:evil", "a//evil", "./evil"]
)
def test_an_archive_that_would_write_elsewhere_is_refused(tmp_path, name):
    path = tmp_path / "in" / "evil.zip"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as opened:
        opened.writestr(zipfile.ZipInfo(name), "evil")
    with pytest.raises(InputError, match="is refused"):
        verify(path)
    assert [each.name for each in tmp_path.rglob("*")] == ["in", "evil.zip"]


def test_links_duplicates_and_bombs_are_refused(tmp_path, monkeypatch):
    path = tmp_path / "evil.zip"
    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "w") as opened:
        opened.writestr(link, "/etc/passwd")
    with pytest.raises(InputError, match="'link' is no plain file"):
        verify(path)
    with zipfile.ZipFile(path, "w") as opened:
        opened.writestr("a", "1")
        with pytest.warns(UserWarning, match="Duplicate"):
            opened.writestr("a", "2")
    with pytest.raises(InputError, match="'a' twice"):
        verify(path)
    monkeypatch.setattr(archive, "LIMIT", 10)
    with zipfile.ZipFile(path, "w") as opened:
        opened.writestr("a", "12345678901")
    with pytest.raises(InputError, match="more than 10 bytes"):
        verify(path)


def test_what_is_no_archive_is_refused(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        verify(tmp_path / "none.zip")
    (tmp_path / "text.zip").write_text("no archive")
    assert verify(tmp_path / "text.zip") == ["text.zip is damaged: File is not a zip file"]


def test_the_environment_has_what_is_installed():
    lines = environment().splitlines()
    assert lines[0].startswith("# Python 3.")
    assert f"pytest=={pytest.__version__}" in lines
    assert all("==" in line for line in lines[1:])
