"""What a run costs, known before it is built."""

import pytest

from awd.study.cost import core_seconds, gpu_seconds, operations, parameters
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
SIZES = {"vocabulary": 10_000, "tokens": {"train": 929_589}}


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
    """As many tokens as there are at most, whatever is asked for."""
    whole, half, more = (
        make_spec({**AWD, "train_tokens": tokens}, "test") for tokens in (0, 464_794, 10**9)
    )
    for seconds in (core_seconds, gpu_seconds):
        cost = seconds(whole, {"train"}, SIZES)
        assert seconds(half, {"train"}, SIZES) == pytest.approx(cost / 2, rel=1e-5)
        assert seconds(more, {"train"}, SIZES) == cost


def test_an_epoch_of_the_published_model_takes_a_gpu_as_long_as_in_the_logs():
    """48.47 s on a GTX 1080 Ti (logs of Yoon et al.), at batch size 20."""
    spec = make_spec({**AWD, "batch_size": 20, "bptt": 70, "epochs": 1}, "test")
    assert gpu_seconds(spec, {"train"}, SIZES) == pytest.approx(48.47, rel=0.01)


def test_seconds_grow_with_the_stages_and_epochs_to_be_trained():
    spec = make_spec({**AWD, "epochs": 2, "finetune_epochs": 3}, "test")
    for seconds in (core_seconds, gpu_seconds):
        alone, both = (seconds(spec, each, SIZES) for each in ({"train"}, {"train", "finetune"}))
        assert both == pytest.approx(alone * 5 / 2)


def test_a_core_also_takes_time_for_each_update():
    """Twice the batch is half the updates."""
    wide, narrow = (make_spec({**AWD, "batch_size": size}, "test") for size in (40, 20))
    assert core_seconds(wide, {"train"}, SIZES) < core_seconds(narrow, {"train"}, SIZES)
    assert gpu_seconds(wide, {"train"}, SIZES) == gpu_seconds(narrow, {"train"}, SIZES)


def test_without_the_size_of_the_text_nothing_is_estimated():
    spec = make_spec(AWD, "test")
    assert core_seconds(spec, {"train"}, None) is None
    assert gpu_seconds(spec, {"train"}, None) is None
