"""Lines read by themselves: what is predicted, and what only fills up."""

import numpy as np
import pytest
import torch

from awd.corpora.sentences import Sentences, line_end, predicted_places
from awd.errors import InputError

# 0 ends a line: "1 2 3 <eos>", "<eos>", "4 <eos>", "5 6 <eos>", "7" without an end
TEXT = [1, 2, 3, 0, 0, 4, 0, 5, 6, 0, 7]


def sentences(tokens=TEXT) -> Sentences:
    return Sentences(torch.tensor(tokens), 0)


def test_lines_without_anything_to_predict_are_left_out():
    found = sentences()
    assert len(found) == 3
    assert found.predicted.tolist() == [3, 1, 2]
    assert len(sentences([1, 2])) == 1, "the last line may lack its end"
    for nothing in ([0, 0, 0], [1], [0, 1]):
        with pytest.raises(InputError, match="needs a line of at least two tokens"):
            sentences(nothing)


def test_a_batch_holds_each_line_and_marks_what_is_real():
    batch = sentences().batch(np.array([1, 0, 2]))
    assert batch.tokens.tolist() == [[4, 1, 5], [0, 2, 6], [0, 3, 0], [0, 0, 0]]
    targets = batch.tokens[1:].flatten()
    assert targets[batch.real].tolist() == [0, 2, 6, 3, 0, 0]
    assert batch.real.tolist() == [0, 1, 2, 4, 5, 7]
    # After these predictions the line has another one, a row later.
    assert batch.going_on.tolist() == [1, 2, 4]
    assert set((batch.going_on + 3).tolist()) <= set(batch.real.tolist())


def test_the_order_is_another_in_each_epoch_and_of_all_lines():
    found = sentences(list(range(1, 4)) * 5 + [0] + [1, 0] * 40)
    orders = [found.shuffled((1, 0, epoch)) for epoch in (1, 2, 1)]
    assert [sorted(order) for order in orders] == [list(range(41))] * 3
    assert orders[0].tolist() == orders[2].tolist() != orders[1].tolist()


def test_the_places_of_what_is_predicted():
    text = np.array(TEXT)
    assert predicted_places(text, None).tolist() == list(range(1, 11))
    assert predicted_places(text, 0).tolist() == [1, 2, 3, 6, 8, 9]


def test_a_text_without_lines_has_no_sentences():
    assert line_end("stream", ["a"]) is None
    assert line_end("sentences", ["a", "<eos>"]) == 1
    with pytest.raises(InputError, match="'sentences' needs a text whose lines end in <eos>"):
        line_end("sentences", ["a"])
