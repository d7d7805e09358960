"""How a stream becomes chunks, and how long they are."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from awd.corpora.batching import batchify, chunks, evaluation_chunks


def test_batchify_puts_consecutive_text_in_columns_and_leaves_out_the_rest():
    batches = batchify(torch.arange(11), 3)
    assert batches.tolist() == [[0, 3, 6], [1, 4, 7], [2, 5, 8]]


def test_fixed_chunks_cover_every_step_once():
    result = chunks(steps=101, bptt=20)
    assert [chunk.start for chunk in result] == [0, 20, 40, 60, 80]
    assert all(chunk.length == 20 and chunk.rate_scale == 1 for chunk in result)


def test_the_last_chunk_is_cut_but_never_to_one_step():
    assert chunks(steps=27, bptt=20)[-1] == (20, 6, 1.0)
    # one step would be left at 40: it is not worth a chunk, and TAR needs two
    assert [chunk.start for chunk in chunks(steps=42, bptt=20)] == [0, 20]


def test_variable_lengths_follow_the_papers_distribution():
    """Mean of 0.95 N(70, 5) + 0.05 N(35, 5), cut to whole numbers, is 67.78."""
    lengths = [
        chunk.rate_scale * 70
        for epoch in range(40)
        for chunk in chunks(46_479, 70, variable=True, seed=(1, 0, epoch))
    ]
    assert np.mean(lengths) == pytest.approx(67.78, abs=0.2)
    assert 0.035 < np.mean([length < 52 for length in lengths]) < 0.065


def test_variable_chunks_touch_each_other_and_scale_the_rate_by_the_drawn_length():
    result = chunks(5_000, 35, variable=True, seed=(1, 0, 3))
    for chunk, following in pairwise(result):
        assert chunk.start + chunk.length == following.start
        assert chunk.rate_scale == chunk.length / 35
    assert result[-1].rate_scale >= result[-1].length / 35


def test_lengths_depend_on_the_seed_alone_and_change_with_the_epoch():
    first = chunks(5_000, 35, variable=True, seed=(1, 0, 1))
    assert first == chunks(5_000, 35, variable=True, seed=(1, 0, 1))
    assert first != chunks(5_000, 35, variable=True, seed=(1, 0, 2))


def test_no_length_is_below_five():
    assert min(chunk.rate_scale * 5 for chunk in chunks(5_000, 5, variable=True, seed=(1,))) == 5


def test_evaluation_predicts_every_token_but_the_first_of_each_stream():
    batches = batchify(torch.arange(23), 1)
    targets = torch.cat([target for _, target in evaluation_chunks(batches, 5)])
    assert targets.flatten().tolist() == list(range(1, 23))
    for tokens, target in evaluation_chunks(batches, 5):
        assert torch.equal(tokens + 1, target)
