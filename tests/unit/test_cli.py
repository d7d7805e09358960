"""The command line as a user meets it: a mistake is one sentence, and leaves nothing behind."""

import hashlib
import importlib
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import click
import forked
import pytest
import trained_runs
from click.testing import CliRunner
from projects import copy_parts
from synthetic import make_plan, write_runs

import awd
import awd.__main__
import awd.cli
from awd import corpora
from awd.cli.group import Commands
from awd.corpora import catalogue
from awd.files import write_json
from awd.study.config import load_config
from awd.study.spec import make_spec
from awd.vocabulary import Split

ROOT = Path(awd.__file__).parents[1]
CLOSED = "http://127.0.0.1:9"  # the discard port: nothing listens
ENVIRONMENT = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
ENVIRONMENT |= {f"{kind}_proxy": CLOSED for kind in ("http", "https", "all")}


def call(*words: object, folder: Path = ROOT, limit: int | None = None):
    """Run ``python -m awd``; ``limit`` is the most bytes a file may have, as on a full disk."""
    return forked.run("awd", words, folder, ENVIRONMENT, limit)


def call_afresh(*words: object):
    """Run ``python -m awd`` as people do."""
    return subprocess.run(
        [sys.executable, "-m", "awd", *map(str, words)],
        cwd=ROOT,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
    )


def joined(text: str) -> str:
    """Text without the ends of its lines."""
    return " ".join(text.split())


def refused(answer) -> str:
    """The one sentence of a refusal."""
    assert answer.returncode == 1, answer.stderr
    assert "Traceback" not in answer.stderr
    *_, sentence = answer.stderr.splitlines()
    assert sentence.startswith("awd: ")
    return sentence


@pytest.fixture
def project(tmp_path) -> Path:
    """A copy of what a plan is made from, to make mistakes in."""
    copy_parts(tmp_path, "awd", "workflow", "config")
    return tmp_path


def texts(folder: Path, **contents: str) -> Path:
    """A corpus of a few hundred words, with some of its files as given."""
    folder.mkdir(parents=True, exist_ok=True)
    for split in Split:
        (folder / f"{split}.txt").write_text(contents.get(split, "a b c d e\n" * 60))
    return folder


# plan ---------------------------------------------------------------------------------------


def test_the_plan_is_shown():
    """Each run with its rows, and a line on what all of it costs; nothing is written."""
    answer = call_afresh("plan", "suites=merity2018", "scale=paper")
    assert answer.returncode == 0, answer.stderr
    assert "1 suite, 20 rows, 1 to 3 seeds: 20 runs, 6 of them shared" in answer.stdout
    assert "24,221,600" in answer.stdout
    assert re.search(r"about [\d,]+ days on one core .* GB of weights", joined(answer.stdout))


def test_the_plan_is_written(project):
    """Of each suite a part, the same from a file as from the workflow's settings."""
    answer = call("plan", "seeds=[4]", "suites=kim2024,factors", "--write", folder=project)
    assert answer.returncode == 0, answer.stderr
    paths = [project / "results/demo/plans" / f"{name}.json" for name in ("kim2024", "factors")]
    assert answer.stdout.split() == [str(path.relative_to(project)) for path in paths]
    plan = json.loads(paths[0].read_text())
    assert (plan["format"], plan["scale"], plan["seeds"]) == (1, "demo", [4])
    before = [path.read_bytes() for path in paths]
    shutil.rmtree(project / "results")
    settings = json.dumps(load_config(overrides={"seeds": [4], "suites": ["kim2024", "factors"]}))
    assert call("plan", "--settings", settings, "--write", folder=project).returncode == 0
    assert [path.read_bytes() for path in paths] == before


def test_the_cost_of_a_text_of_ones_own_is_counted_before_it_is_encoded(tmp_path):
    words = ("corpora=mine", f"corpus_folders={{mine: {texts(tmp_path / 'mine')}}}")
    answer = call("plan", "suites=kim2024", *words)
    assert answer.returncode == 0, answer.stderr
    assert "?" not in answer.stdout


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("sedes=1", "unknown key 'sedes'; did you mean 'seeds'?"),
        ("seeds=0", "seeds must be at least 1, not 0"),
        ("seeds=many", "seeds must be a whole number, not 'many'"),
        ("seeds", "'seeds' must have the form KEY=VALUE"),
        ("seeds=[", "seeds: not valid YAML"),
        ("seeds=010", "seeds: 010 is a different number to different programs"),
        ("suites=no", "suites: no is true or false to some programs"),
        ("suites=merity2017", "no suite 'merity2017'; did you mean 'merity2018'?"),
        ("corpora=pbt", "the command line: corpora: unknown corpus 'pbt': did you mean 'ptb'?"),
        ("scale=big", "scale: no 'big'; allowed: demo, paper, small"),
        ("corpus_folders={ptb: /tmp}", "'ptb' is a built-in corpus; use another name"),
    ],
)
def test_a_mistake_on_the_command_line(override, said):
    """The message says what is allowed, and does not blame the file."""
    sentence = refused(call("plan", override))
    assert said in sentence
    assert "config.yaml" not in sentence.split(":")[1]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("- scale\n", "config.yaml: the file must be a mapping, not list"),
        ("scale: [demo\n", "config.yaml, line 2: not valid YAML"),
        ("scale: demo\nseeds: 1\nscale: demo\n", "config.yaml, line 3: 'scale' is given twice"),
        ("scale: big\n", "config/config.yaml: scale: no 'big'; allowed: demo, paper, small"),
    ],
)
def test_a_mistake_in_the_configuration_file(project, content, said):
    """The file is named, with the line where there is one."""
    path = project / "config/config.yaml"
    path.write_text(content)
    assert said in refused(call("plan", folder=project))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("title:", "tittle:", "unknown key 'tittle'; did you mean 'title'?"),
        ("  layers: 3", "  layer: 3", "base: no hyperparameter 'layer'; did you mean 'layers'?"),
        ("  clip: 0.25", "  clip: quarter", "clip must be a number, not 'quarter'"),
        ("  layers: 3", "  layers: 3\n  layers: 3", "'layers' is given twice"),
        ("set: {weight_drop: 0}", "set: {weight_dorp: 0}", "rows.minus-weight-drop.set: no hyper"),
        ("set: {weight_drop: 0}", "set: {clip: 0.25}", "set.clip is what the base row has"),
        ("base_row: full", "base_row: [full", "merity2018.yaml, line "),
    ],
)
def test_a_mistake_in_a_suite(project, old, new, said):
    """The suite's file is named."""
    path = project / "workflow" / "suites" / "merity2018.yaml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    sentence = refused(call("plan", "suites=merity2018", folder=project))
    assert said in sentence
    assert "merity2018.yaml" in sentence


@pytest.mark.parametrize("text", ["{", "[]", "[" * 50_000])
def test_settings_that_cannot_be_read(text):
    """They come from the workflow, and may be typed by hand."""
    refused(call("plan", "--settings", text))


def test_unknown_words_are_answered_with_known_ones():
    """Commands and options, too; the exit code is the usual one of a wrong command line."""
    answer = call_afresh("pln")
    assert answer.returncode == 2
    assert "plan" in answer.stderr
    assert call("plan", "--sett", "a=1").returncode == 2


# corpora ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("split", "content", "said"),
    [("valid", None, "has no valid.txt"), ("test", "", "has an empty test.txt")],
)
@pytest.mark.parametrize("command", ["plan", "fetch"])
def test_a_folder_without_one_of_its_files(tmp_path, split, content, said, command):
    """Before anything is planned or copied."""
    folder = texts(tmp_path / "mine")
    path = folder / f"{split}.txt"
    path.unlink() if content is None else path.write_text(content)
    options = {
        "plan": ("corpora=mine", f"corpus_folders={{mine: '{folder}'}}"),
        "fetch": ("mine", tmp_path / "raw", "--folder", folder),
    }
    sentence = refused(call(command, *options[command]))
    assert f"corpus mine: the folder {folder} {said}" in sentence
    assert list(tmp_path.glob("raw/**/*")) == []


def test_a_mirror_with_the_wrong_text_and_no_internet(tmp_path):
    """The whole fetch fails, names every source, and leaves nothing that looks like a corpus."""
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    for split in Split:
        (mirror / f"ptb.{split}.txt").write_text("not the treebank\n")
    sentence = refused(call("fetch", "ptb", tmp_path / "raw", "--mirror", mirror))
    assert "wrong sha256 for ptb.train.txt" in sentence
    assert "set `mirror: /that/folder` in config.yaml" in sentence
    for source in catalogue.entries()["ptb"]["sources"]:
        address = source.get("files") or source["archive"]
        assert f"{address.replace('{split}', '{train,valid,test}')}: no connection" in sentence
    assert list((tmp_path / "raw").iterdir()) == []


def test_an_archive_that_wants_to_write_elsewhere(tmp_path):
    """It is refused by name; nothing of it is used."""
    mirror, raw = tmp_path / "deep" / "mirror", tmp_path / "deep" / "raw"
    mirror.mkdir(parents=True)
    with tarfile.open(mirror / "simple-examples.tgz", "w:gz") as archive:
        for name in ("./simple-examples/data/ptb.train.txt", "../../escaped"):
            member = tarfile.TarInfo(name)
            member.size = 2
            archive.addfile(member, io.BytesIO(b"a\n"))
    sentence = refused(call("fetch", "ptb", raw, "--mirror", mirror))
    assert "member '../../escaped'" in sentence
    assert not list(tmp_path.rglob("escaped"))
    assert list(raw.iterdir()) == []


@pytest.mark.parametrize("command", ["fetch", "encode"])
def test_a_text_that_changed_since_it_was_planned(tmp_path, command):
    """Results would be filed under the name of another text."""
    folder = texts(tmp_path / "mine")
    planned = corpora.fingerprint("mine", {"mine": str(folder)})[:8]
    words = {"fetch": ("mine", tmp_path / "out", "--folder", folder)}
    words["encode"] = ("mine", folder, tmp_path / "out")
    done = call(command, *words[command], "--fingerprint", planned)
    assert done.returncode == 0, done.stderr
    shutil.rmtree(tmp_path / "out")
    with (folder / "test.txt").open("a") as file:
        file.write("one more line\n")
    sentence = refused(call(command, *words[command], "--fingerprint", planned))
    assert "the text of corpus 'mine' changed since it was planned: " in sentence
    assert "run the command again" in sentence
    assert not list(tmp_path.glob("out/*"))


# a full disk --------------------------------------------------------------------------------


def test_a_full_disk_while_the_plan_is_written(project):
    """The system refuses the write; neither the file nor a part of it remains."""
    path = project / "results/demo/plans/kim2024.json"
    words = ("plan", "suites=kim2024", "--write")
    sentence = refused(call(*words, folder=project, limit=2000))
    assert f"File too large ({path.relative_to(project)})" in sentence
    assert list(path.parent.iterdir()) == []
    assert call(*words, folder=project).returncode == 0
    before = path.read_bytes()
    refused(call(*words, "seeds=2", folder=project, limit=2000))
    assert path.read_bytes() == before


@pytest.fixture(scope="module")
def training(tmp_path_factory):
    """A corpus and a run that takes a moment: words of a ``train`` command."""
    folder = tmp_path_factory.mktemp("training")
    print_ = corpora.fingerprint("mine", {"mine": str(texts(folder / "mine"))})
    corpora.encode("mine", folder / "mine", folder / "corpus", fingerprint=print_)
    settings = {"hidden_size": 16, "embedding_size": 16, "batch_size": 2, "bptt": 10, "epochs": 1}

    def words(runs: Path, **changes) -> tuple:
        spec = make_spec({"corpus": "mine", **settings, **changes}, "test")
        run = runs / spec.run(print_)
        options = ("--spec", spec.canonical(), "--device", "cpu", "--checkpoints", runs / "saved")
        options += ("--checkpoint-minutes", 5)
        return run, ("train", folder / "corpus", run, *options)

    return words


@pytest.mark.slow
@pytest.mark.parametrize(
    ("limit", "options"),
    [(3000, ()), (3000, ("--checkpoint-minutes", "0.000001"))],
    ids=["weights", "checkpoint"],
)
def test_a_full_disk_while_a_training_is_saved(tmp_path, training, limit, options):
    """No record vouches for weights that are not there; with room again it simply runs.

    What is left says how far the training was, until then.
    """
    run, words = training(tmp_path)
    sentence = refused(call(*words, *options, limit=limit))
    assert "File too large" in sentence
    left = [path.name for path in tmp_path.rglob("*") if path.is_file()]
    assert left == ["train.progress.json"]
    assert call(*words).returncode == 0
    assert {path.name for path in run.iterdir()} == {"train.json", "train.csv", "train.safetensors"}


@pytest.mark.slow
@pytest.mark.parametrize("rate", [1e30, 1e38], ids=["huge", "nan"])
def test_a_training_that_explodes_is_a_result(tmp_path, training, rate):
    """Whether its loss is no number or a finite one whose perplexity is beyond all numbers."""
    run, words = training(tmp_path, learning_rate=rate, clip=0)
    answer = call(*words)
    assert answer.returncode == 0, answer.stderr
    record = json.loads((run / "train.json").read_text())
    assert record["status"] == "diverged"
    assert "epoch 1" in record["reason"]


@pytest.mark.slow
def test_a_training_in_the_wrong_folder(tmp_path, training):
    """A record must lie where its spec says; a mixed-up command must not overwrite another."""
    run, words = training(tmp_path)
    elsewhere = [run.with_name("other") if word == run else word for word in words]
    sentence = refused(call(*elsewhere))
    assert run.name in sentence
    assert not run.with_name("other").exists()


def test_what_rows_change_is_shown_as_observed():
    """Yoon et al.'s "without dropout" left most dropouts on."""
    answer = call("mechanisms", "suites=yoon2019")
    assert answer.returncode == 0, answer.stderr
    said = dict(line.split(": ") for line in answer.stdout.splitlines())
    zero = "\N{RIGHTWARDS ARROW} 0"
    without = said["networkx-docs  lstm-without-dropout"]
    assert without == f"dropout_input 0.223 {zero}, dropout_hidden 0.154 {zero}"
    assert said["networkx-docs  lstm"] == "as the base row"
    assert len(said) == 6


# help ---------------------------------------------------------------------------------------


def help_text(*path: str) -> str:
    """The help of a command, in this process."""
    answer = CliRunner().invoke(awd.cli.main, [*path, "--help"], "awd", terminal_width=80)
    assert answer.exit_code == 0, answer.output
    return answer.output


def commands(*path: str) -> list[list[str]]:
    """The words of every command, found in the help itself."""
    text = help_text(*path)
    found = []
    for heading in ("Commands:", "Steps of the workflow:"):
        _, _, rest = text.partition(heading)
        names = re.findall(r"^  (\S+)  ", rest.split("\n\n")[0], re.MULTILINE)
        for name in names:
            found += commands(*path, name) or [[*path, name]]
    return found


def test_every_command_has_whole_help_and_those_for_people_have_examples():
    found = commands()
    assert [words[0] for words in found[:3]] == ["plan", "status", "report"]
    assert [words[0] for words in found[-5:]] == [
        *("fetch", "encode", "train", "finetune", "evaluate")
    ]
    assert "..." not in help_text().replace("[KEY=VALUE]...", "").replace("[ARGS]...", "")
    for words in found[:-5]:
        text = help_text(*words)
        assert "Examples:" in text, words
        assert max(map(len, text.splitlines())) <= 80, words
        assert re.search(rf"^  awd {' '.join(words)}", text, re.MULTILINE)


def test_the_examples_of_plan_and_report_are_commands_that_are_understood(project):
    """None has an unknown key; what is missing here is results and a text."""
    for command in ("plan", "status", "report", "clean", "corpus"):
        lines = re.findall(r"^  awd (.*?)(?:  +#.*)?$", help_text(command), re.MULTILINE)
        assert lines
        for line in lines:
            words = [word for word in shlex.split(line) if word not in ("--watch", "--yes")]
            answer = call(*words, folder=project)
            assert answer.returncode in (0, 1)
            assert "unknown key" not in answer.stderr
            assert "Usage" not in answer.stderr


# day to day ---------------------------------------------------------------------------------


def test_a_new_suite_can_be_planned(project):
    answer = call("new", "suite", "my-study", folder=project)
    assert answer.returncode == 0, answer.stderr
    assert "snakemake --cores all --config suites=my-study" in answer.stdout
    answer = call("plan", "suites=my-study", folder=project)
    assert answer.returncode == 0, answer.stderr
    assert "1 suite, 3 rows, 1 to 3 seeds: 5 runs" in answer.stdout
    sentence = refused(call("plan", "suites=my-study", "scale=small", folder=project))
    assert "the suite has no scale 'small'" in sentence
    assert "scale=demo" in sentence


def test_a_row_that_is_invalid_at_one_scale_does_not_stop_the_others(project):
    """It is left out with the reason; a row that is invalid everywhere is a mistake."""
    path = project / "workflow/suites/my-study.yaml"
    call("new", "suite", "my-study", folder=project)
    text = path.read_text(encoding="utf-8")
    wide = "  wide: {label: wide, set: {hidden_size: 64}}\n\nfigures"
    small = "\n  small: {corpora: [ptb], set: {hidden_size: 100}}\n"
    path.write_text(text.replace("\nfigures", wide) + small, encoding="utf-8")
    answer = call("plan", "suites=my-study", folder=project)
    assert answer.returncode == 0, answer.stderr
    assert "left out: suites/my-study.yaml: row 'wide': set.hidden_size is what" in answer.stdout
    assert "3 rows" in answer.stdout
    assert "4 rows" in call("plan", "suites=my-study", "scale=small", folder=project).stdout
    path.write_text(text.replace("\nfigures", wide), encoding="utf-8")
    assert "row 'wide': set.hidden_size" in refused(call("plan", "suites=my-study", folder=project))


def test_status_before_any_workflow_says_that_nothing_has_started(project):
    answer = call("status", "--json", folder=project)
    assert "No workflow has started here yet." in answer.stderr
    assert json.loads(answer.stdout)["counts"]["waiting"] > 0
    assert "No workflow" not in call("status", "suites=kim2024", folder=project).stderr


def test_status_and_report_follow_the_last_workflow(project):
    from awd.study import last

    config = load_config(overrides={"suites": "kim2024", "seeds": 3})
    last.remember(config, project / "results")
    answer = call("status", folder=project)
    assert answer.returncode == 0, answer.stderr
    assert "demo: 18 runs: 18 waiting" in answer.stdout
    assert "kim2024" not in call("status", "suites=bonetto2024", folder=project).stdout
    call("plan", "suites=kim2024", "scale=small", "--write", folder=project)
    call("plan", "suites=kim2024", "--write", folder=project)
    answer = call("report", "formats=csv", folder=project)
    assert answer.returncode == 0, answer.stderr
    assert "results/demo/tables/kim2024.csv" in answer.stdout
    assert "small" not in answer.stdout


def test_a_configuration_of_an_older_version_is_refused_with_the_remedy(project):
    from awd.study import last

    last.remember({"scale": "demo"}, project / "results")
    sentence = refused(call("status", folder=project))
    assert "results/last.json: key" in sentence
    assert "delete the file" in sentence


def test_a_page_is_not_left_out_silently():
    answer = call("report", "parts=page", "formats=md")
    assert refused(answer) == "awd: the command line: the page is html: add html to formats"


def test_a_corpus_is_shown(tmp_path):
    folder = texts(tmp_path / "mine", valid="a new word\n" * 30)
    answer = call("corpus", "mine", f"corpus_folders={{mine: {folder}}}")
    assert answer.returncode == 0, answer.stderr
    assert "60 (50.0%)" in answer.stdout
    assert "minimum_count=2" in answer.stdout
    assert "did you mean 'ptb'" in refused(call("corpus", "pbt"))


def test_cleaning_asks_first(project):
    log = project / "results/logs/train-old.log"
    log.parent.mkdir(parents=True)
    log.write_text("x" * 2000)
    answer = call("clean", folder=project)
    assert "2.0 kB" in answer.stdout
    assert log.exists(), "nobody answered"
    assert "say what" in refused(call("clean", "--yes", folder=project))
    assert "did you mean 'logs'" in refused(call("clean", "what=log", folder=project))
    answer = call("clean", "what=logs", "--yes", folder=project)
    assert answer.returncode == 0, answer.stderr
    assert not log.exists()
    assert "nothing to delete" in call("clean", folder=project).stdout


# logs of jobs -------------------------------------------------------------------------------

BREAK = """
import sys
from awd import cli, corpora
from awd.vocabulary import Split
def fail(*_, **__):
    {fault}
corpora.fetch = fail
cli.main(["fetch", "networkx-docs", "raw", "--log", "job.log"])
"""


@pytest.mark.parametrize(
    ("fault", "start"),
    [
        ("raise KeyError", "awd: unexpected error, please report it: KeyError\nTraceback"),
        ("import os; os.abort()", "Fatal Python error: Aborted"),
    ],
    ids=["exception", "crash"],
)
def test_a_mistake_in_awd_leaves_its_traceback_in_the_log(tmp_path, fault, start):
    """Snakemake points to the log of a failed job."""
    program = BREAK.format(fault=fault)
    environment = ENVIRONMENT | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=environment)
    assert done.returncode != 0
    log = (tmp_path / "job.log").read_text()
    assert log.startswith(start)
    assert "in fail" in log


def test_a_value_that_an_option_does_not_take_is_in_the_log(tmp_path):
    words = ("train", tmp_path, tmp_path, "--spec", "{}", "--gpu-slots", "many")
    answer = call(*words, "--log", tmp_path / "job.log")
    assert answer.returncode == 2
    for text in (answer.stderr, (tmp_path / "job.log").read_text()):
        assert "'many' is not a valid integer" in text


@pytest.mark.parametrize("words", [("--gpu", "1"), ("--slots",), ("more",)])
def test_a_word_that_a_command_does_not_have_is_in_the_log(tmp_path, words):
    """As after an update of awd while a workflow runs: Snakemake points to the log."""
    command = ("encode", "mine", tmp_path, tmp_path, "--fingerprint", "0" * 8)
    answer = call(*command, *words, "--log", tmp_path / "job.log")
    assert answer.returncode == 2
    for text in (answer.stderr, (tmp_path / "job.log").read_text()):
        assert words[0] in text


def test_with_a_log_the_terminal_shows_errors_alone(tmp_path):
    spec = make_spec({"corpus": "mine"}, "test").canonical()
    words = ("train", tmp_path / "none", tmp_path / "run", "--spec", spec, "--device", "cpu")
    words += ("--checkpoint-minutes", 5)
    answer = call(*words, "--log", tmp_path / "job.log")
    sentence = refused(answer)
    assert answer.stderr.splitlines() == [sentence]
    assert (tmp_path / "job.log").read_text().splitlines() == [sentence]


# trained models -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    results = tmp_path_factory.mktemp("models") / "results"
    return trained_runs.trained(results, trained_runs.encoded(results))


def test_text_is_generated_the_same_each_time(run):
    words = ("generate", run.name, f"results={run.parents[1]}", "length=30", "prompt=the new cat")
    answer = call(*words)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.startswith("the <unk> cat")
    assert "the prompt: 1 words are not in the vocabulary and read as <unk>: new" in answer.stderr
    assert call(*words).stdout == answer.stdout
    assert call(*words, "seed=2").stdout != answer.stdout
    greedy = call(*words, "temperature=0")
    assert greedy.stdout == call(*words, "temperature=0", "seed=2").stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["length=0"], "length must be a whole number of at least 1, not '0'"),
        (["length=2.5"], "length must be a whole number"),
        (["seed=true"], "seed must be a whole number of at least 0, not 'True'"),
        (["temperature=-1"], "temperature must be a number of at least 0, not '-1'"),
        (["temperature=0.0001"], "temperature is 0.0001; allowed: 0, or 0.01 to 100"),
        (["prompts=a"], "unknown key 'prompts'; did you mean 'prompt'?"),
        (["stage=fintune"], "stage: no 'fintune'; did you mean 'finetune'?"),
        (["stage=finetune"], "has no stage 'finetune'; it has train"),
        (["prompt=<eos>"], "the prompt, line 1, holds <eos>"),
    ],
)
def test_mistakes_in_generating_are_one_sentence(run, words, said):
    assert said in refused(call("generate", run, *words))


def test_a_run_that_does_not_exist_is_answered_with_the_nearest(run, tmp_path):
    name = "mine-lstm2x10-sgd-s7"
    for command in (
        ("generate", name),
        ("score", name, run / "train.csv"),
        ("export", "model", name, tmp_path / "new"),
    ):
        sentence = refused(call(*command, f"results={run.parents[1]}"))
        assert f"has no run '{name}'; did you mean '{run.name}'?" in sentence


def test_a_text_is_scored_by_line_and_in_total(run, tmp_path):
    text = run.parents[1] / "raw" / "test.txt"
    answer = call("score", run, text)
    assert answer.returncode == 0, answer.stderr
    recorded = json.loads((run / "train.stream.json").read_text())["splits"]["test"]
    *lines, total = answer.stdout.splitlines()[1:]
    assert total.split() == ["total", str(recorded["tokens"]), "0", f"{recorded['perplexity']:.2f}"]
    assert len(lines) == 40
    new = tmp_path / "new.txt"
    new.write_text("a newer cat\nnew\n")
    answer = call("score", run, new, "format=csv")
    assert [line.split(",")[:3] for line in answer.stdout.splitlines()] == [
        ["line", "tokens", "unknown"],
        ["1", "3", "1"],
        ["2", "2", "1"],
        ["total", "5", "2"],
    ]
    assert "2 words are not in the vocabulary and read as <unk>: new, newer" in answer.stderr


def test_a_model_is_exported(run, tmp_path):
    answer = call("export", "model", run, tmp_path / "model")
    assert answer.returncode == 0, answer.stderr
    assert [Path(line) for line in answer.stdout.splitlines()] == [
        tmp_path / "model" / name
        for name in ("weights.safetensors", "vocabulary.txt", "README.md", "model.py")
    ]
    assert "exists: name a new folder" in refused(call("export", "model", run, tmp_path / "model"))


# compare, pack, verify ----------------------------------------------------------------------


def test_results_are_compared_packed_and_verified(tmp_path):
    """The exit codes are those that docs/statistics.md lists."""
    results, archive = Path(__file__).parents[2] / "results", tmp_path / "paper.zip"
    answer = call("compare", results, results, "scale=paper")
    assert answer.returncode == 0, answer.stderr
    assert "equal to the last bit" in answer.stdout
    answer = call("pack", archive, f"results={results}", "scale=paper")
    assert answer.returncode == 0, answer.stderr
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    assert digest in answer.stdout
    answer = call("verify", archive)
    assert answer.returncode == 0, answer.stdout
    assert digest in answer.stdout
    with zipfile.ZipFile(archive) as opened:
        member = max(opened.infolist(), key=lambda each: each.compress_size)
    content = bytearray(archive.read_bytes())
    # In the data, after a header of 30 bytes and the name: not every bit of a header counts.
    content[member.header_offset + 30 + len(member.filename) + member.compress_size // 2] ^= 1
    archive.write_bytes(content)
    answer = call("verify", archive)
    assert answer.returncode == 3
    assert len(answer.stdout.splitlines()) == 1
    assert "No such file" in refused(call("verify", tmp_path / "none.zip"))


def test_the_power_of_a_plan_is_shown():
    answer = call("plan", "suites=kim2024", "--power")
    assert answer.returncode == 0, answer.stderr
    lines = [re.split(r"\s{2,}", line.strip()) for line in answer.stdout.splitlines()]
    pool = "networkx-docs, first 30,000 tokens"
    shown = [line for line in lines if line[0] == pool and len(line) == 5]
    assert [line[1] for line in shown] == [str(seeds) for seeds in range(1, 11)]
    found = [float(line[3].rstrip("%")) for line in shown]
    assert found == sorted(found, reverse=True)


def test_awd_is_installed_as_a_command():
    """`awd` and `python -m awd` are the same."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    module, _, name = project["scripts"]["awd"].partition(":")
    assert getattr(importlib.import_module(module), name) is awd.__main__.start


def test_what_is_loaded_stays_to_the_end():
    """No object is looked for garbage at the end: it took half a second after torch is loaded."""
    words = "import atexit, gc, awd.__main__; atexit._run_exitfuncs(); print(gc.get_freeze_count())"
    command = [sys.executable, "-c", words]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert int(answer.stdout) > 0


def test_a_chosen_table_is_of_one_study_and_changes_no_other_file(tmp_path):
    """Each mistake in the words is one sentence."""
    write_json(tmp_path / "paper/plans/merity2018.json", make_plan())
    write_runs(make_plan(), tmp_path / "runs", tokens=200)
    words = ("report", f"results={tmp_path}", "scale=paper", "suites=merity2018")
    answer = call(*words, "rows=full", "columns=test", r"caption=Mine: a \# b", "name=main")
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.strip() == str(tmp_path / "paper/tables/merity2018-main.tex")
    assert [path.name for path in (tmp_path / "paper/tables").iterdir()] == ["merity2018-main.tex"]
    assert r"\caption{Mine: a \# b}" in Path(answer.stdout.strip()).read_text(encoding="utf-8")
    for word, sentence in {
        "rows=ful": "did you mean 'full'",
        "rows=full,full": "rows: 'full' is given twice",
        "siunitx=3": "siunitx: no 3; allowed: true, false",
        "name=../x": "name: '../x' must",
        "formats=csv": "formats: no 'csv'; allowed: tex, since columns make a table in LaTeX",
    }.items():
        answer = call(*words, "columns=test", word)
        assert answer.returncode == 1
        assert sentence in answer.stderr
    (tmp_path / "demo/plans").mkdir(parents=True)
    (tmp_path / "demo/plans/other.json").write_text("{}")
    answer = call(*words[:2], words[3], "columns=test")
    assert answer.stdout.strip() == str(tmp_path / "paper/tables/merity2018-chosen.tex")
    answer = call(*words[:3], "rows=full")
    assert "name its study, as in suites=kim2024" in answer.stderr


def program(error: Exception) -> click.Command:
    """A command of which the library raises ``error``."""

    @click.group(cls=Commands)
    def group():
        pass

    @group.command()
    def step():
        raise error

    return group


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (MemoryError(), "awd: there is not enough memory; allow this program more"),
        (
            ImportError("libtorch_cpu.so: failed to map segment from shared object"),
            "awd: a library cannot be loaded: libtorch_cpu.so: failed to map segment from shared "
            "object; allow this program more memory",
        ),
        (FileNotFoundError(2, "No such file", "a"), "awd: No such file (a); nothing was left"),
        (ImportError("cannot import name 'x'"), "awd: unexpected error, please report it: Import"),
    ],
)
def test_what_the_machine_refuses_is_one_sentence(caplog, error, sentence):
    answer = CliRunner().invoke(program(error), ["step"])
    assert answer.exit_code == 1
    (said,) = [record.getMessage() for record in caplog.records]
    assert said.startswith(sentence)


def test_a_reader_that_closes_its_pipe_ends_a_command_without_a_word(caplog):
    """As in ``awd score RUN TEXT | head -1``."""
    answer = CliRunner().invoke(program(BrokenPipeError(32, "Broken pipe")), ["step"])
    assert (answer.exit_code, answer.output, caplog.records) == (1, "", [])


@pytest.mark.parametrize("key", ["parts", "formats", "suites", "figures", "results"])
def test_a_key_without_a_value_is_refused(caplog, key):
    """It would mean all of them, or a folder called None."""
    answer = CliRunner().invoke(awd.cli.main, ["report", "scale=demo", f"{key}="])
    assert answer.exit_code == 1
    assert caplog.messages == [f"awd: the command line: {key} must not be empty"]


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_commands_print_in_every_encoding(tmp_path, encoding):
    plan = make_plan(corpora=["ptb"])
    for name in ("a", "b"):
        write_runs(plan, tmp_path / name / "runs")
        write_json(tmp_path / name / "paper/plans/merity2018.json", plan)
    runner = CliRunner(charset=encoding)
    answer = runner.invoke(awd.cli.main, ["compare", str(tmp_path / "a"), str(tmp_path / "b")])
    assert answer.exit_code == 0, answer.output
    assert "merity2018: - fine-tuning" in answer.output


@pytest.mark.parametrize("closed", ["<&-", ">&-", "</dev/null"])
def test_cleaning_without_an_answer_deletes_nothing(tmp_path, closed):
    """A closed terminal, and the end of input."""
    runs = tmp_path / "results/corpora/mine-12345678"
    (runs / "raw").mkdir(parents=True)
    write_json(runs / "corpus.json", {})
    (runs / "raw/train.txt").write_text("a")
    command = shlex.join([sys.executable, "-m", "awd", "clean", f"results={tmp_path / 'results'}"])
    answer = subprocess.run(
        ["bash", "-c", f"{command} {closed}"], cwd=ROOT, capture_output=True, text=True
    )
    assert answer.returncode == 1
    assert "no answer to 'Delete texts?', so nothing more is deleted" in answer.stderr
    assert "Traceback" not in answer.stderr
    assert (runs / "raw/train.txt").exists()
