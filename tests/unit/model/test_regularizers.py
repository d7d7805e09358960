"""Each regulariser against its definition."""

import pytest
import torch
from torch.nn import functional

from awd.model import kernels
from awd.model.regularizers import (
    activation_regularization,
    embedding_dropout,
    locked_dropout,
    standard_dropout,
    temporal_activation_regularization,
    weight_drop,
)


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def test_weight_drop_scales_what_it_keeps_and_gives_the_raw_matrix_a_masked_gradient():
    weight = torch.randn(40, 10, requires_grad=True)
    dropped = weight_drop(weight, 0.25, training=True)
    kept = dropped != 0
    assert 0.6 < kept.float().mean() < 0.9
    torch.testing.assert_close(dropped[kept], weight[kept] / 0.75)
    dropped.sum().backward()
    torch.testing.assert_close(weight.grad, kept / 0.75)


def test_locked_masks_are_constant_over_time_and_differ_between_batch_rows():
    output = locked_dropout(torch.ones(7, 4, 50), 0.5, training=True)
    assert (output == output[:1]).all()
    assert not any(
        torch.equal(output[0, row], output[0, other]) for row in range(4) for other in range(row)
    )
    assert set(output.unique().tolist()) == {0.0, 2.0}


def test_locked_masks_are_drawn_anew_at_each_call():
    values = torch.ones(2, 4, 50)
    first, second = (locked_dropout(values, 0.5, training=True) for _ in range(2))
    assert not torch.equal(first, second)


def test_standard_dropout_differs_between_time_steps():
    output = standard_dropout(torch.ones(7, 4, 50), 0.5, training=True)
    assert not (output == output[:1]).all()


def test_embedding_dropout_removes_all_occurrences_of_a_word_type_or_none():
    embedding = torch.randn(30, 6)
    tokens = torch.randint(30, (50, 8))
    vectors = embedding_dropout(tokens, embedding, 0.4, training=True)
    gone = {word: (vectors[tokens == word] == 0).all(dim=1) for word in tokens.unique().tolist()}
    assert all(flags.all() or not flags.any() for flags in gone.values())
    share = sum(flags.all().item() for flags in gone.values()) / len(gone)
    assert 0.15 < share < 0.65
    kept = next(word for word, flags in gone.items() if not flags.any())
    torch.testing.assert_close(vectors[tokens == kept][0], embedding[kept] / 0.6)


@pytest.mark.parametrize("drop", [locked_dropout, standard_dropout, weight_drop])
def test_dropouts_are_the_identity_in_evaluation_and_at_zero(drop):
    values = torch.randn(5, 4, 3)
    assert drop(values, 0.5, training=False) is values
    assert drop(values, 0.0, training=True) is values


def test_embedding_dropout_is_a_lookup_in_evaluation():
    embedding, tokens = torch.randn(9, 3), torch.tensor([[1, 8], [0, 1]])
    expected = functional.embedding(tokens, embedding)
    assert torch.equal(embedding_dropout(tokens, embedding, 0.5, training=False), expected)


def test_activation_regularization_is_the_mean_of_squares():
    output = torch.tensor([[[1.0, 2.0]], [[3.0, 0.0]]])  # two time steps, one row
    assert activation_regularization(output).item() == pytest.approx((1 + 4 + 9 + 0) / 4)


def test_temporal_activation_regularization_is_the_mean_square_of_changes():
    output = torch.tensor([[[1.0, 2.0]], [[3.0, 0.0]], [[3.0, 1.0]]])
    expected = (4 + 4 + 0 + 1) / 4
    assert temporal_activation_regularization(output).item() == pytest.approx(expected)


@pytest.mark.parametrize("p", [0.1, 0.4, 0.5, 0.999999])
def test_masks_drop_the_share_they_are_told_to(p):
    dropped = standard_dropout(torch.ones(1_000_003), p, training=True) == 0
    deviation = (p * (1 - p) / 1_000_003) ** 0.5
    assert abs(dropped.double().mean().item() - p) < 5 * deviation + 1 / 65_536


def test_masks_are_decided_by_torchs_seed():
    draws = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        draws.append(standard_dropout(torch.ones(200), 0.5, training=True))
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


@pytest.mark.skipif(kernels.operators is None, reason="no compiled kernels")
@pytest.mark.parametrize("p", [0.1, 0.35, 0.5, 0.999999])
def test_masks_of_the_kernels_are_those_of_torch(monkeypatch, p):
    masks = []
    for operators in (kernels.operators, None):
        monkeypatch.setattr(kernels, "operators", operators)
        torch.manual_seed(1)
        masks.append(weight_drop(torch.ones(7, 33), p, training=True))
    assert torch.equal(*masks)
