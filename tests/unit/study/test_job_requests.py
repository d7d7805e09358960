"""What a job asks for: enough for every training on record, and more with each attempt."""

import json
from pathlib import Path

import pytest

from awd.study import job_requests
from awd.study.spec import RunSpec

RECORDS = sorted((Path(__file__).parents[3] / "results" / "runs").glob("*/train.json"))


def read(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.parent.name)
def test_every_committed_training_fits_in_its_first_request_of_memory(path):
    record = read(path)
    gpu = record["devices"][0]["kind"] != "cpu"
    spec = RunSpec(**record["spec"])
    asked = job_requests.megabytes(spec, record["corpus"]["vocabulary"], gpu=gpu)
    assert record["peak_memory_mb"] < asked < 10 * record["peak_memory_mb"]


def test_there_are_records_to_compare_with():
    assert len(RECORDS) > 20


def test_minutes_double_the_estimate_and_grow_with_each_attempt_up_to_a_day():
    assert [job_requests.minutes(3600, attempt) for attempt in (1, 2, 3)] == [120, 240, 360]
    assert job_requests.minutes(1) == job_requests.LEAST_MINUTES
    assert (
        job_requests.minutes(1e9)
        == job_requests.minutes(3600, 100)
        == job_requests.minutes(None)
        == 1440
    )


def test_memory_grows_with_the_model_and_each_attempt_up_to_a_limit():
    spec = RunSpec(**read(RECORDS[0])["spec"])
    small, large = (job_requests.megabytes(spec, words, gpu=False) for words in (10_000, 1_000_000))
    assert small < large
    assert job_requests.megabytes(spec, 10_000, gpu=False, attempt=3) == 3 * small
    assert job_requests.megabytes(spec, 10**9, gpu=False) == job_requests.MOST_MEGABYTES
    assert job_requests.megabytes(spec, None, gpu=True) == job_requests.ON_GPU
