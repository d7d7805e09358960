"""The configuration of a Snakemake command: read as awd reads it, whatever Snakemake made of it."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from snakemake.cli import parse_config

from awd.errors import InputError
from awd.study.command_line import changes_of, configuration
from awd.study.config import CONFIG, load_config
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
        plan = Plan(*asked(config=parse_config([word]), main=main))
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


def workflow(config=None, files=(), main=True, module=False) -> SimpleNamespace:
    settings = SimpleNamespace(configfiles=[Path(file) for file in files], config=config or {})
    modifier = SimpleNamespace(is_main_snakefile=lambda: not module)
    return SimpleNamespace(is_main_process=main, config_settings=settings, modifier=modifier)


def asked(**settings) -> tuple[dict, str, dict]:
    """The configuration of a workflow that is not a module."""
    return configuration(workflow(**settings), {})


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    """A folder with the project's configuration."""
    (tmp_path / "config").mkdir()
    (tmp_path / "config/config.yaml").write_text(CONFIG.read_text("utf-8"), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["snakemake"])
    return tmp_path


def test_a_later_file_and_the_command_line_win(project):
    (project / "more.yaml").write_text("seeds: 4\nscale: small\ncorpus_folders: {b: y}\n")
    found, *_ = asked(config={"scale": "paper", "corpus_folders": {"c": "z"}}, files=["more.yaml"])
    assert (found["seeds"], found["scale"]) == (4, "paper")


@pytest.mark.parametrize("name", ["config/config.yaml", "more.yaml"])
def test_a_key_that_is_written_twice_is_refused(project, name):
    """To Snakemake the second one wins."""
    content = (project / "config/config.yaml").read_text()
    (project / name).write_text(content + "seeds: 4\n")
    with pytest.raises(InputError, match=f"{name}, line .*'seeds' is given twice"):
        asked(files=["more.yaml"] if name == "more.yaml" else [])


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
    (project / "config/config.yaml").write_bytes(content)
    with pytest.raises(InputError) as caught:
        asked()
    assert str(caught.value).startswith(f"config/{sentence}")


def test_a_project_without_a_file_has_the_usual_configuration(project):
    (project / "config/config.yaml").unlink()
    assert asked()[0] == load_config(CONFIG)
    (project / "more.yaml").write_text("scale: small\n")
    assert asked(files=["more.yaml"])[0] == load_config(CONFIG, {"scale": "small"})


@pytest.mark.usefixtures("project")
def test_a_module_has_the_config_of_its_statement_and_the_usual_one_for_the_rest():
    """Not that of the outer workflow's command line and file, whose keys are none of this one."""
    outer = workflow({"samples": 3}, module=True)
    found, where, places = configuration(outer, {"scale": "small", "seeds": ["1", "2"]})
    assert found == load_config(CONFIG, {"scale": "small", "seeds": [1, 2]})
    assert (where, places) == ("config of the module", {})
    with pytest.raises(InputError, match=r"^config of the module: unknown key 'sedes'; did you"):
        Plan(*configuration(outer, {"sedes": 2}))


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
        ("suites=all", "the command line: suites: 'all' is reserved"),
    ],
)
def test_a_mistake_on_the_command_line_is_looked_for_there(word, sentence):
    """It is not in config.yaml."""
    for main in (True, False):
        with pytest.raises(InputError) as caught:
            Plan(*asked(config=parse_config([word]), main=main))
        assert str(caught.value).startswith(sentence)


def test_a_mistake_is_looked_for_in_the_file_that_has_it(project):
    (project / "more.yaml").write_text("seeds: 0\n")
    for config, sentence in (
        ({}, "more.yaml: seeds must be at least 1"),
        ({"seeds": 2, "gpu_slots": 0}, "the command line: gpu_slots must be at least 1"),
    ):
        with pytest.raises(InputError) as caught:
            Plan(*asked(config=config, files=["more.yaml"]))
        assert str(caught.value).startswith(sentence)
