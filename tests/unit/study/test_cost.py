"""What a run costs, known before it is built."""

import pytest

from awd.study import cost
from awd.study.cost import operations, parameters
from awd.study.spec import make_spec

AWD = {
    "corpus": "ptb",
    "layers": 3,
    "hidden_size": 1150,
    "embedding_size": 400,
    "tied": True,
    "learning_rate": 30,
    "optimizer": "nt-asgd",
}
SIZES = {"vocabulary": 10_000, "tokens": {"train": 929_589, "valid": 30_000}}

ZAREMBA = {
    **{"corpus": "ptb", "layers": 2, "hidden_size": 200, "embedding_size": 200},
    **{"batch_size": 20, "bptt": 20},
}
BONETTO = {
    **{"corpus": "ptb", "layers": 1, "hidden_size": 300, "embedding_size": 300, "tied": True},
    **{"batch_size": 64, "bptt": 35},
}
MODELS = (ZAREMBA, BONETTO, {**AWD, "batch_size": 20, "bptt": 70})
MEASURED = {
    "Zen 5, AVX512-BF16": {"fp32": (11_064, 9_321, 1_464), "bf16": (18_223, 16_441, 2_685)},
    "Zen 4, AVX2": {"fp32": (3_075, 2_814, 461), "bf16": (3_216, 2_322, 409)},
    "AMX": {"fp32": (6_795, 6_171, 841), "bf16": (13_902, 16_914, 2_292)},
}
"""Tokens per CPU-second of the three models (docs/speed.md)."""


@pytest.mark.parametrize(
    ("vocabulary", "settings", "expected"),
    [
        (10_000, {}, 24_221_600),
        (33_278, {}, 33_556_078),
        (10_000, {"cell": "gru"}, 19_168_700),
        (10_000, {"cell": "gru", "layers": 5}, 35_052_500),
        (10_000, {"bidirectional": True}, 18_611_600),
        (10_000, {"attention_window": 10}, 24_221_600 + 4 * 400**2 + 400),
        # all layers twice, but word vectors and decoder once
        (10_000, {"objective": "both-directions"}, 2 * 24_221_600 - 4_010_000),
        (10_000, {"embedding_size": 1150}, 43_277_600),
        (
            10_000,
            {"layers": 2, "hidden_size": 200, "embedding_size": 200, "tied": False},
            4_653_200,
        ),
    ],
)
def test_parameter_counts(vocabulary, settings, expected):
    """The sizes of the published models, known without building them."""
    assert parameters(make_spec({**AWD, **settings}, "test"), vocabulary) == expected


def test_operations_of_training_on_a_token():
    """Six for each weight of a product; a decoder that both directions use counts twice."""
    spec = make_spec(AWD, "test")
    biases = 2 * 4 * (1150 + 1150 + 400) + 10_000
    matrices = parameters(spec, 10_000) - biases  # the decoder's are the word vectors
    assert operations(spec, 10_000) == 6 * matrices
    both = make_spec({**AWD, "objective": "both-directions"}, "test")
    assert operations(both, 10_000) == 6 * 2 * matrices
    assert parameters(both, 10_000) < 2 * matrices


def test_a_part_of_the_text_costs_its_share():
    """As many tokens as there are at most, whatever is asked for; all of the validation text."""
    whole, half, more = (
        make_spec({**AWD, "epochs": 2, "train_tokens": tokens}, "test")
        for tokens in (0, 464_794, 10**9)
    )
    assert cost.read_tokens(whole, ["train"], SIZES) == 2 * (929_589 + 10_000)
    assert cost.read_tokens(half, ["train"], SIZES) == 2 * (464_794 + 10_000)
    assert cost.read_tokens(more, ["train"], SIZES) == 2 * (929_589 + 10_000)


def test_each_stage_trains_on_its_epochs():
    spec = make_spec({**AWD, "epochs": 2, "finetune_epochs": 3}, "test")
    stages = (["train"], ["finetune"], ["train", "finetune"], [])
    epochs = [cost.read_tokens(spec, each, SIZES) / 939_589 for each in stages]
    assert epochs == [2, 3, 5, 0]


def test_an_epoch_of_the_published_model_takes_a_gpu_as_long_as_in_the_logs():
    """48.47 s on a GTX 1080 Ti (logs of Yoon et al.), at batch size 20."""
    spec = make_spec({**AWD, "batch_size": 20, "bptt": 70, "epochs": 1}, "test")
    seconds = cost.gpu_seconds(cost.size(spec, 10_000)) * 929_589
    assert seconds == pytest.approx(48.47, rel=0.01)


def test_a_core_also_takes_time_for_each_update():
    """Twice the batch is half the updates."""
    wide, narrow = (
        cost.size(make_spec({**AWD, "batch_size": size}, "test"), 10_000) for size in (40, 20)
    )
    speed = cost.Speed(fp32=100e9, bf16=200e9, update=0.01)
    assert cost.core_seconds(narrow, speed) - cost.core_seconds(wide, speed) == pytest.approx(
        0.01 / (20 * narrow.bptt) - 0.01 / (40 * narrow.bptt)
    )
    assert cost.gpu_seconds(wide) == cost.gpu_seconds(narrow)


def test_the_rate_is_that_of_the_precision():
    sizes = [
        cost.size(make_spec({**AWD, "precision": precision}, "test"), 10_000)
        for precision in ("fp32", "bf16")
    ]
    speed = cost.Speed(fp32=100e9, bf16=200e9, update=0.0)
    fp32, bf16 = (cost.core_seconds(size, speed) for size in sizes)
    assert fp32 == pytest.approx(sizes[0].operations / 100e9) == pytest.approx(2 * bf16)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("kind", cost.SPEEDS)
def test_the_speed_of_each_cpu_is_near_what_was_measured(kind, precision):
    """Within 35%: the models differ in what they do beside products."""
    for spec, measured in zip(MODELS, MEASURED[kind][precision], strict=True):
        size = cost.size(make_spec({**spec, "precision": precision}, "test"), 10_000)
        assert 1 / cost.core_seconds(size, cost.SPEEDS[kind]) == pytest.approx(measured, rel=0.35)


def test_a_cpu_without_constants_has_those_of_another():
    assert cost.USUAL_CPU in cost.SPEEDS


def test_bytes_that_stay_are_weights_of_stages_and_losses_of_evaluations():
    """In single precision; the stages and the evaluations need not be as many."""
    spec = make_spec(AWD, "test")
    sizes = {"vocabulary": 10_000, "tokens": {"train": 929_589, "valid": 10, "test": 20}}
    weights = 4 * parameters(spec, 10_000)
    assert cost.kept_bytes(spec, 2, 1, sizes) == 2 * weights + 4 * 30
    assert cost.kept_bytes(spec, 1, 3, sizes) == weights + 3 * 4 * 30
    assert cost.kept_bytes(spec, 0, 1, sizes) == 4 * 30
