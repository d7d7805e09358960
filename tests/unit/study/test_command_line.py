"""The configuration of a Snakemake command: read as awd reads it, whatever Snakemake made of it."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from snakemake.cli import parse_config

from awd.errors import InputError
from awd.study.command_line import changes_of, check_files, configuration
from awd.study.config import CONFIG
from awd.study.plan import Plan


def changes(*words: str, in_job: bool = False) -> dict:
    """What --config with these words asks for."""
    return changes_of(parse_config(words), [] if in_job else ["snakemake", "--config", *words])


@pytest.mark.parametrize(
    ("word", "key", "value"),
    [
        ("seeds=[1,2]", "seeds", [1, 2]),
        ("seeds=[1, 2]", "seeds", [1, 2]),
        ("seeds=3", "seeds", 3),
        ("keep_checkpoints=true", "keep_checkpoints", True),
        ("keep_checkpoints=False", "keep_checkpoints", False),
        ("checkpoint_minutes=1e-1", "checkpoint_minutes", 0.1),
        ("suites=kim2024,factors", "suites", "kim2024,factors"),
        ("suites=[kim2024, factors]", "suites", ["kim2024", "factors"]),
        ("corpus_folders={mine: /tmp/x}", "corpus_folders", {"mine": "/tmp/x"}),
        ("mirror=http://a/?b=c", "mirror", "http://a/?b=c"),
        ("mirror=", "mirror", None),
        ("gpu_slots=4", "gpu_slots", 4),
    ],
)
def test_each_key_accepts_what_the_file_accepts(word, key, value):
    """In the main process, and in a job of a cluster, which has no such word."""
    for in_job in (False, True):
        assert changes(word, in_job=in_job) == {key: value}


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("word", ["seeds=1,2", "seeds=[1,2]", "suites=kim2024", "scale=small"])
def test_such_a_configuration_can_be_planned(word):
    for main in (True, False):
        plan = Plan(*configuration(workflow(parse_config([word]), main=main)))
        assert plan.runs


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("seeds=010", "--config seeds: 010 is a different number"),
        ("seeds=[01, 2]", "--config seeds: 01 is a different number"),
        ("checkpoint_minutes=1:30", "1:30 is a different number"),
        ("keep_checkpoints=yes", "yes is true or false to some programs"),
        ("suites=no", "no is true or false to some programs"),
        ("corpora=2020-01-01", "2020-01-01 is a date to some programs"),
        ("suites=[a", "--config suites: not valid YAML"),
    ],
)
def test_words_with_several_readings_are_refused(word, sentence):
    """Snakemake reads seeds=010 as 10 here, and as 8 in the file."""
    with pytest.raises(InputError) as caught:
        changes(word)
    assert sentence in str(caught.value)


def test_options_in_one_word_are_read_too():
    config = parse_config(["seeds=[1,2]"])
    assert changes_of(config, ["--config=seeds=[1,2]"]) == {"seeds": [1, 2]}
    assert changes_of(config, ["-Cseeds=[1,2]"]) == {"seeds": [1, 2]}


def workflow(config=None, files=(), main=True) -> SimpleNamespace:
    settings = SimpleNamespace(configfiles=[Path(file) for file in files], config=config or {})
    return SimpleNamespace(is_main_process=main, config_settings=settings)


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    """A folder with the project's configuration."""
    (tmp_path / "config.yaml").write_text(CONFIG.read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["snakemake"])
    return tmp_path


def test_a_later_file_and_the_command_line_win(project):
    (project / "more.yaml").write_text("seeds: 4\nscale: small\ncorpus_folders: {b: y}\n")
    more = workflow({"scale": "paper", "corpus_folders": {"c": "z"}}, ["more.yaml"])
    found, *_ = configuration(more)
    assert (found["seeds"], found["scale"]) == (4, "paper")


@pytest.mark.parametrize("name", ["config.yaml", "more.yaml"])
def test_a_key_that_is_written_twice_is_refused(project, name):
    """To Snakemake the second one wins."""
    content = (project / "config.yaml").read_text()
    (project / name).write_text(content + "seeds: 4\n")
    for read in (configuration, check_files):
        with pytest.raises(InputError, match=f"{name}, line .*'seeds' is given twice"):
            read(workflow(files=["more.yaml"] if name == "more.yaml" else []))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("mirror: caf\xe9".encode("latin-1"), "config.yaml, line 1: the file is not UTF-8"),
        ("seeds: 1".encode("utf-16"), "config.yaml, line 1: the file is UTF-16; save it as UTF-8"),
        (b"seeds: 1\nsuites:\n\t- a\n", "config.yaml, line 3: not valid YAML: a tab; indent"),
        (b"seeds: [1\n", "config.yaml, line 2: not valid YAML"),
        (b"seeds: 010\n", "config.yaml, line 1: 010 is a different number"),
        (b"seeds: 1\x00\n", "config.yaml, line 1: YAML does not allow"),
    ],
)
def test_a_broken_file_is_named_with_its_line(project, content, sentence):
    (project / "config.yaml").write_bytes(content)
    with pytest.raises(InputError) as caught:
        check_files(workflow())
    assert str(caught.value).startswith(sentence)


def test_a_missing_file_is_named_unless_another_replaces_it(project):
    (project / "config.yaml").rename(project / "more.yaml")
    with pytest.raises(InputError, match=r"config\.yaml cannot be read"):
        check_files(workflow())
    assert configuration(workflow(files=["more.yaml"]))[0]["scale"] == "demo"


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("seeds=0", "the command line: seeds must be at least 1, not 0"),
        ("gpu_slots=100", "the command line: gpu_slots must be at most 64, not 100"),
        ("scale=huge", "the command line: scale: no 'huge'"),
        ("sedes=2", "the command line: unknown key 'sedes'; did you mean 'seeds'?"),
        ("suites=kim2042", "the command line: no suite 'kim2042'; did you mean 'kim2024'?"),
        ("recipe=readmee", "the command line: no recipe 'readmee'"),
        ("suites=all", "the command line: suites: 'all' is no suite"),
    ],
)
def test_a_mistake_on_the_command_line_is_looked_for_there(word, sentence):
    """It is not in config.yaml."""
    for main in (True, False):
        with pytest.raises(InputError) as caught:
            Plan(*configuration(workflow(parse_config([word]), main=main)))
        assert str(caught.value).startswith(sentence)


def test_a_mistake_is_looked_for_in_the_file_that_has_it(project):
    (project / "more.yaml").write_text("seeds: 0\n")
    both = workflow({"seeds": 2, "gpu_slots": 0}, ["more.yaml"])
    for asked, sentence in (
        (workflow(files=["more.yaml"]), "more.yaml: seeds must be at least 1"),
        (both, "the command line: gpu_slots must be at least 1"),
    ):
        with pytest.raises(InputError) as caught:
            Plan(*configuration(asked))
        assert str(caught.value).startswith(sentence)
