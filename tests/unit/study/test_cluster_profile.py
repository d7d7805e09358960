"""A profile gives minutes and tries, or an expression that is not taken for a number."""

import pytest

from awd.errors import InputError
from awd.places import HOME
from awd.study.cluster_profile import ClusterProfile
from awd.vocabulary import Stage


@pytest.fixture
def given(tmp_path):
    """A function from the text of a profile to what it gives."""

    def read(text: str, name: str = "profile.yaml") -> ClusterProfile:
        (tmp_path / name).write_text(text, encoding="utf-8")
        return ClusterProfile(tmp_path)

    return read


@pytest.mark.parametrize(
    ("runtime", "minutes"),
    [
        ("90", 90),
        ('"90"', 90),
        ("90m", 90),
        ("1.5h", 90),
        ("12 hours", 720),
        ("2d", 2880),
        ("90.5", 1),  # seconds, to Snakemake
        ("60 * attempt", "60 * attempt"),
        ('"?60 if gpu else 600"', "?60 if gpu else 600"),
    ],
)
def test_minutes_are_those_that_snakemake_takes(given, runtime, minutes):
    """The same for a list of what its command line takes."""
    assert (
        given(f"set-resources: {{train: {{runtime: {runtime}}}}}").minutes(Stage.TRAIN) == minutes
    )
    entry = runtime.strip('"')
    assert given(f'set-resources: ["train:runtime={entry}"]').minutes(Stage.TRAIN) == minutes


def test_the_numbers_are_those_of_snakemake_itself():
    """Whatever its version reads as a time, if it is one that has the function."""
    resources = pytest.importorskip("snakemake.resources")
    if not hasattr(resources, "Resource"):
        pytest.skip("another version")
    for text in ("90", "90m", "1.5h", "12 hours", "2d", "90.5"):
        assert resources.Resource("runtime", text).value == ClusterProfile.read_minutes(text)


def test_a_profile_without_runtime_gives_no_minutes(given):
    for text in ("retries: 5", "set-resources: {train: {slurm_partition: x}}", "set-resources:"):
        assert given(text).minutes(Stage.TRAIN) is None
    assert given("set-resources: {finetune: {runtime: 5}}").minutes(Stage.TRAIN) is None


def test_tries_are_one_more_than_retries(given):
    assert given("jobs: 1").tries == 1
    assert given("retries: 5").tries == given("restart-times: 5").tries == 6
    assert given("retries: ?more").tries == "?more"


def test_what_stands_under_a_condition_is_not_known(given):
    inside = "?if gpu"
    assert given(f'"{inside}": {{retries: 3}}').tries == inside
    assert given(f'"{inside}": {{jobs: 3}}').tries == 1
    for text in (
        f'"{inside}": {{set-resources: {{train: {{runtime: 60}}}}}}',
        f'set-resources: {{"{inside}": {{train: {{runtime: 60}}}}}}',
        f'set-resources: {{train: {{"{inside}": {{runtime: 60}}}}}}',
    ):
        assert given(text).minutes(Stage.TRAIN) == inside


@pytest.mark.parametrize("runtime", ["-5", "true", "[1]", "{a: 1}"])
def test_what_is_no_time_is_refused(given, runtime):
    with pytest.raises(InputError, match=r"profile\.yaml: runtime of train must be minutes or a"):
        given(f"set-resources: {{train: {{runtime: {runtime}}}}}").minutes(Stage.TRAIN)


@pytest.mark.parametrize("text", ["retries: many", "retries: -1", "retries: [1]", "[1]", "", "a"])
def test_a_profile_without_numbers_is_refused(given, text):
    with pytest.raises(InputError, match=r"profile\.yaml: (retries|a profile) must be a"):
        given(text)


def test_a_file_or_a_folder_with_a_file_of_an_older_name_is_a_profile(given, tmp_path):
    assert given("retries: 1", "config.yaml").tries == 2
    assert ClusterProfile(tmp_path / "config.yaml").tries == 2
    assert given("retries: 2").tries == 3, "profile.yaml comes first"
    with pytest.raises(InputError, match=r"none/profile\.yaml"):
        ClusterProfile(tmp_path / "none")


def test_the_profile_of_the_project_gives_tries_alone():
    profile = ClusterProfile(HOME / "workflow/profiles/slurm")
    assert (profile.tries, profile.minutes(Stage.TRAIN)) == (6, None)
