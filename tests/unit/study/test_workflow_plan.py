"""Which jobs ask for a GPU: on one machine, sent to a cluster, and as the cluster's job."""

import errno
import os
import re
import shlex
from tempfile import TemporaryFile
from types import SimpleNamespace

import pytest
from snakemake.io import is_flagged
from snakemake.resources import GroupResources, Resources

from awd.errors import InputError
from awd.files import write_json
from awd.machine import gpu_lease
from awd.places import HOME
from awd.study.workflow_plan import WorkflowPlan


@pytest.fixture
def plan(monkeypatch, tmp_path):
    """A plan on a machine with so many GPUs, under a limit or in a job that was given GPUs."""

    def plan(
        device,
        *,
        installed=0,
        slots=1,
        limit=None,
        in_job=False,
        given=None,
        prefix=None,
        dryrun=False,
        **more,
    ):
        machine = tmp_path / f"{installed}-gpus"
        for number in range(installed):
            (machine / str(number)).mkdir(parents=True, exist_ok=True)
        monkeypatch.setattr(gpu_lease, "GPUS", machine)
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        if given is not None:
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", given)
        limits = Resources()
        if limit is not None:
            limits["gpu"] = limit
        changes = {"device": device, "gpu_slots": slots, "suites": ["kim2024"], **more}
        workflow = SimpleNamespace(
            is_main_process=not in_job,
            global_resources=limits,
            output_settings=SimpleNamespace(dryrun=dryrun),
            config_settings=SimpleNamespace(configfiles=[], config=changes),
            modifier=SimpleNamespace(
                is_main_snakefile=lambda: True, path_modifier=SimpleNamespace(prefix=prefix)
            ),
            deployment_settings=SimpleNamespace(deployment_method=set()),
            dag_settings=SimpleNamespace(
                targets=set(), forceall=False, forcetargets=False, forcerun=set()
            ),
        )
        monkeypatch.chdir(HOME)
        return WorkflowPlan(workflow, {})

    return plan


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_a_folder_that_cannot_be_written_is_refused_first(plan, monkeypatch, code):
    """Snakemake ends with two tracebacks; a dry run needs no lock."""

    def refuse(**_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("awd.study.workflow_plan.TemporaryFile", refuse)
    said = rf"cannot be written \({os.strerror(code)}\): Snakemake keeps its locks"
    with pytest.raises(InputError, match=said):
        plan("cpu")
    assert plan("cpu", dryrun=True)
    assert plan("cpu", in_job=True)


@pytest.mark.parametrize("key", ["results", "checkpoints"])
@pytest.mark.parametrize("exists", [True, False])
def test_a_folder_of_a_key_that_cannot_be_written_is_refused_before_any_job(
    plan, monkeypatch, tmp_path, key, exists
):
    """As a scratch disk that belongs to somebody else; a dry run writes nothing."""
    place = tmp_path / "scratch"
    place.mkdir()
    folder = place if exists else place / "mine/awd"

    def refuse(**where):
        if where["dir"] == place:
            raise OSError(errno.EACCES, os.strerror(errno.EACCES))
        return TemporaryFile(**where)

    monkeypatch.setattr("awd.study.workflow_plan.TemporaryFile", refuse)
    folders = {"results": str(tmp_path), "checkpoints": str(tmp_path), key: str(folder)}
    what = "be written" if exists else f"be made in {place}"
    said = rf"the command line: {key}: {folder} cannot {what} \(Permission denied\): .* another"
    with pytest.raises(InputError, match=said):
        plan("cpu", **folders)
    assert plan("cpu", dryrun=True, **folders)
    assert plan("cpu", in_job=True, **folders)
    assert not (place / "mine").exists()


@pytest.mark.parametrize(
    "place",
    ["runs", "runs/{run}", "corpora/{corpus}", "logs", "demo/tables", "checkpoints/{run}"],
)
def test_a_file_in_place_of_a_folder_is_refused_before_any_job(plan, tmp_path, place):
    """Snakemake ends with a traceback when it removes what a job shall write."""
    made = plan("cpu", results=str(tmp_path))
    corpus = made.corpus_folder("networkx-docs").name
    file = tmp_path / place.format(run=next(iter(made.runs)), corpus=corpus)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("")
    said = f"{file} is no folder, but the workflow writes into a folder of that name: move it away"
    for dryrun in (False, True):
        with pytest.raises(InputError, match=said):
            plan("cpu", results=str(tmp_path), dryrun=dryrun)
    file.unlink()
    file.mkdir()
    assert plan("cpu", results=str(tmp_path))


@pytest.mark.parametrize(
    "value",
    ["mine" + "a" * 20, "ab" * 20, "cache-w" + "1" * 25],
)
@pytest.mark.parametrize("kind", ["suites", "fingerprints", "runs"])
def test_a_name_that_snakemake_refuses_is_refused_first(plan, value, kind):
    """Snakemake only warns, and takes the results of another configuration for up to date."""
    made = plan("cpu")
    made._check_wildcards()
    names = getattr(made, kind)
    names[value] = next(iter(names.values()))
    with pytest.raises(InputError, match=f"'{value}' ends in many times '.*', which Snakemake"):
        made._check_wildcards()


def test_a_setting_that_snakemake_refuses_in_a_name_is_refused_first(plan):
    made = plan("cpu")
    run = next(iter(made.runs.values()))
    run.evaluations["train", "cache-w" + "1" * 25] = []
    with pytest.raises(InputError, match="ends in many times '1'"):
        made._check_wildcards()


def test_a_text_too_short_for_a_batch_is_refused_first(plan, tmp_path):
    """Within a rule the sentence would stand in a traceback."""
    for split in ("train", "valid", "test"):
        (tmp_path / f"{split}.txt").write_text("a b c\n" * 10)
    own = {"corpora": ["mine"], "corpus_folders": {"mine": str(tmp_path)}}
    with pytest.raises(InputError, match="batch_size 64 leaves 0 steps of the 40 training tokens"):
        plan("cpu", suites=["bonetto2024"], scale="paper", **own)


def test_results_are_announced_only_if_they_are_those_of_the_plan(plan, tmp_path):
    made = plan("cpu")
    made.results = tmp_path
    assert not made.is_written()
    (part,) = made.write()
    assert not made.is_written()  # only the plan
    (made.folder / "report.html").touch()
    assert made.is_written()
    content = made.as_dict()
    name = next(reversed(content["runs"]))
    rows = content["suites"][0]["rows"]
    for row in rows:
        row["runs"] = [each for each in row["runs"] if each["run"] != name]
    del content["runs"][name]
    write_json(part, content)
    assert not made.is_written()
    part.write_text("{")
    assert not made.is_written()


@pytest.mark.parametrize("folder", ["-x", "--help", "a b", "it's"])
def test_a_folder_may_be_called_like_an_option(plan, folder):
    made = plan("cpu", corpus_folders={"mine": folder}, mirror=None)
    words = shlex.split(made.source_options(SimpleNamespace(corpus="mine")))
    assert words == [f"--folder={folder}"]


def test_a_finished_run_needs_a_corpus_only_if_it_is_asked_for(plan, tmp_path):
    made = plan("cpu", results=str(tmp_path))
    run = next(iter(made.runs.values()))
    wildcards = SimpleNamespace(run=run.name)
    record = made.corpus_record("train.json", "train.safetensors")
    assert record(wildcards)
    planned = dict(run.evaluations)
    run.evaluations.clear()  # a run that is only trained
    assert record(wildcards)
    run.evaluations.update(planned)
    del made._finished
    assert record(wildcards)
    run.folder.mkdir(parents=True)
    for stage, method in run.evaluations:
        (run.folder / f"{stage}.{method}.json").touch()
    del made._finished
    assert record(wildcards) == []
    made._workflow.dag_settings.targets = {f"{run.folder}/train.safetensors"}
    assert record(wildcards)
    made._workflow.dag_settings.targets = {f"{run.folder}/train.stream.json"}  # which is there
    assert record(wildcards) == []
    made._workflow.dag_settings.targets = {"all"}
    for forced in ("forceall", "forcetargets", "forcerun"):
        setattr(made._workflow.dag_settings, forced, True)
        assert record(wildcards)
        setattr(made._workflow.dag_settings, forced, False)
    (run.folder / "train.stream.json").unlink()
    del made._finished
    assert record(wildcards)
    (run.folder / "train.json").touch()
    (run.folder / "train.safetensors").touch()
    assert record(wildcards) == []


def test_a_corpus_that_is_there_is_no_input(plan, tmp_path):
    made = plan("cpu", results=str(tmp_path))
    run = next(iter(made.runs.values()))
    wildcards = SimpleNamespace(run=run.name)
    record = made.corpus_record("train.json")
    (path,) = record(wildcards)
    path.parent.mkdir(parents=True)
    path.touch()
    assert record(wildcards) == []
    made._workflow.dag_settings.targets = {f"{run.folder}/train.json"}
    assert record(wildcards) == []
    made._workflow.dag_settings.forceall = True
    assert record(wildcards) == [path]


def test_the_time_of_a_file_is_no_reason_to_do_a_finished_job_again(plan, tmp_path):
    """Nor is a deleted input; a job that is to be done waits for its inputs as usual."""
    made = plan("cpu", results=str(tmp_path), suites=["kim2024"])
    run = next(run for run in made.runs.values() if ("train", "ensemble-2") in run.evaluations)
    (member,) = run.evaluations["train", "ensemble-2"]
    wildcards = SimpleNamespace(run=run.name, stage="train", method="ensemble-2")
    weights = run.folder / "train.safetensors"
    others = made.runs[member].folder / "train.safetensors"
    questions = {
        made.trained("{stage}.safetensors", "{stage}.{method}.json"): weights,
        made.member_weights("{stage}.{method}.json"): others,
    }
    for path in (weights, others):
        path.parent.mkdir(parents=True)
        path.touch()
    for question, path in questions.items():
        assert question(wildcards) == [path]
    (run.folder / "train.ensemble-2.json").touch()
    for question, path in questions.items():
        (found,) = question(wildcards)
        assert (found, is_flagged(found, "ancient")) == (str(path), True)
        made._workflow.dag_settings.forcerun = {"train"}
        assert question(wildcards) == [path]
        made._workflow.dag_settings.forcerun = set()
        path.unlink()
        assert question(wildcards) == []
    made._workflow.dag_settings.targets = {str(weights)}
    for question, path in questions.items():
        assert question(wildcards) == [path]


def test_one_machine_has_as_many_as_its_gpus_have_slots(plan):
    assert plan("auto", installed=2, slots=3).gpus == 6
    assert plan("auto").gpus == 0
    assert plan("cpu", installed=2).gpus == 0


def test_without_gpus_no_job_asks_for_one(plan):
    assert "gpu" not in plan("auto").resources("train")
    assert plan("auto").resources("train")["device"] == "auto"
    assert plan("auto", installed=1).resources("train")["gpu"] == 1


def asked(made, rule: str, attempt: int = 1, **wildcards) -> tuple[int, int]:
    """Minutes and megabytes that a job of the plan's first run asks for."""
    wildcards = SimpleNamespace(run=next(iter(made.runs)), **wildcards)
    resources = made.resources(rule)
    return resources["runtime"](wildcards, attempt), resources["mem_mb"](wildcards, attempt)


def test_a_job_asks_for_the_time_and_memory_of_its_training_and_for_more_in_each_attempt(plan):
    paper = {"suites": ["merity2018"], "scale": "paper", "corpora": "ptb"}
    on_gpu, on_core = plan("cuda", installed=1, **paper), plan("cpu", **paper)
    (minutes, memory), (more_minutes, more_memory) = (
        asked(on_gpu, "train", attempt) for attempt in (1, 2)
    )
    assert 60 < minutes < 1440
    assert (more_minutes, more_memory) == (min(1440, 2 * minutes), 2 * memory)
    assert asked(on_gpu, "finetune")[0] <= minutes
    assert asked(on_core, "train")[0] == 1440  # days: it goes on in the next attempt
    assert asked(on_core, "train")[1] < memory
    assert asked(plan("cpu"), "train") == (30, asked(plan("cpu"), "train")[1])


def test_docs_have_what_jobs_request(plan):
    text = (HOME / "docs" / "cluster.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` of `(\w+)` \| (.+) \| (.+) \|$", text, re.M)
    assert len(rows) == 4
    for rule, suite, *cells in rows:
        made = plan("cuda", limit=100, scale="paper", suites=[suite])
        found = []
        for run in made.runs.values():
            trained = [(rule, "")] if rule == "train" or rule in run.stages else []
            for stage, method in run.evaluations if rule == "evaluate" else trained:
                wildcards = SimpleNamespace(run=run.name, stage=stage, method=method)
                request = made.resources(rule)
                found.append([request[key](wildcards, 1) for key in ("runtime", "mem_mb")])
        for numbers, cell in zip(zip(*found, strict=True), cells, strict=True):
            assert " to ".join(map(str, sorted({min(numbers), max(numbers)}))) == cell


def test_an_evaluation_asks_for_less_time_than_a_training_and_an_ensemble_for_more(plan):
    made = plan("cpu", scale="paper")
    run = next(run for run in made.runs.values() if ("train", "ensemble-2") in run.evaluations)
    runtime = made.resources("evaluate")["runtime"]
    one, two = (
        runtime(SimpleNamespace(run=run.name, stage="train", method=method), 1)
        for method in ("stream", "ensemble-2")
    )
    assert one <= two < asked(made, "train")[0]


def test_the_module_statement_may_have_no_prefix(plan):
    with pytest.raises(InputError, match="has a prefix"):
        plan("cpu", prefix="inner")


@pytest.mark.parametrize("installed", [0, 2])
@pytest.mark.parametrize("device", ["auto", "cuda"])
def test_the_profile_knows_how_many_a_cluster_has(plan, device, installed):
    """Snakemake runs where there are none, or others."""
    made = plan(device, installed=installed, limit=100)
    assert (made.gpus, made.resources("train")["gpu"]) == (100, 1)
    assert "gpu" not in plan("cpu", installed=installed, limit=100).resources("train")


@pytest.mark.parametrize("device", ["auto", "cuda"])
def test_a_job_on_a_cluster_has_the_gpu_it_was_given(plan, device):
    """It reads the workflow again, on another machine and without the profile's limit."""
    resources = plan(device, installed=8, in_job=True, given="3").resources("train")
    assert (resources["gpu"], resources["device"]) == (1, device)


@pytest.mark.parametrize("given", [None, ""])
def test_a_job_without_a_gpu_leaves_those_of_its_node_alone(plan, given):
    resources = plan("auto", installed=8, in_job=True, given=given).resources("train")
    assert "gpu" not in resources
    assert resources["device"] == "cpu"


@pytest.mark.parametrize(
    ("visible", "slots", "jobs"), [("4,5,6", 2, 6), ("4", 3, 3), ("", 2, 0), ("-1", 2, 0)]
)
def test_those_that_were_made_visible_count(plan, visible, slots, jobs):
    assert plan("auto", installed=2, slots=slots, given=visible).gpus == jobs


def test_all_trainings_of_a_plan_can_be_one_group_of_jobs(plan):
    """Snakemake makes no group of jobs whose resources are different texts."""
    made = plan("cuda", installed=1, suites=["kim2024", "merity2018"])
    resources = made.resources("train") | {"evaluate": made.evaluates("train")}
    jobs = []
    for name in made.runs:
        wildcards = SimpleNamespace(run=name)
        given = {key: value for key, value in resources.items() if not callable(value)}
        given["evaluate"] = resources["evaluate"](wildcards)
        given |= {key: resources[key](wildcards, 1) for key in ("runtime", "mem_mb")}
        jobs.append(SimpleNamespace(resources=given, pipe_group=None))
    one_gpu = Resources()
    one_gpu["gpu"] = 1
    group = GroupResources.basic_layered([jobs], one_gpu, False)
    assert group["gpu"] == 1
    assert group["runtime"] == sum(job.resources["runtime"] for job in jobs)
    assert group["mem_mb"] == max(job.resources["mem_mb"] for job in jobs)
    assert {job.resources["evaluate"] for job in jobs} == {0, 1}
