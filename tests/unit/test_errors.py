"""An error is one sentence of bounded length; a misspelt word gets the nearest one."""

import pytest

from awd.errors import LONGEST, InputError, nearest, words_of


def test_an_error_of_the_system_is_told_in_its_words():
    assert words_of(PermissionError(13, "Permission denied", "a")) == "Permission denied (a)"
    assert words_of(OSError(28, "No space left on device")) == "No space left on device"
    assert words_of(OSError("some text")) == "some text"


def test_a_folder_that_was_deleted_is_named_as_the_reason(tmp_path, monkeypatch):
    """The system names no file then. Another missing file has its own name."""
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    missing = FileNotFoundError(2, "No such file or directory")
    assert words_of(missing) == "No such file or directory"
    gone.rmdir()
    assert words_of(missing).startswith("the folder that this command runs in no longer exists")
    named = FileNotFoundError(2, "No such file or directory", "a")
    assert words_of(named) == "No such file or directory (a)"
    monkeypatch.undo()


def test_an_error_is_one_line():
    assert str(InputError("first\nsecond\n")) == "first second"


def test_a_long_error_keeps_its_beginning_and_its_end():
    sentence = "a" * LONGEST + "b" * LONGEST
    shown = str(InputError(sentence))
    assert len(shown) < LONGEST
    assert shown.startswith("a" * (LONGEST // 2))
    assert shown.endswith("b" * (LONGEST // 4))
    assert " [...] " in shown
    assert str(InputError("a" * LONGEST)) == "a" * LONGEST, "up to this length nothing is cut"


@pytest.mark.parametrize(
    ("word", "allowed", "expected"),
    [
        ("hiden_size", ["layers", "hidden_size"], "did you mean 'hidden_size'?"),
        ("x", ["layers", "hidden_size"], "allowed: hidden_size, layers"),
        (10, [1, 100], "did you mean '100'?"),
        (
            "dropout",
            ["dropout_kind", "dropout_input", "layers", "dropout_output"],
            "did you mean 'dropout_input', 'dropout_kind' or 'dropout_output'?",
        ),
        ("rate", ["learning_rate", "layers"], "did you mean 'learning_rate'?"),
        ("output_dropout", ["dropout_output", "layers"], "did you mean 'dropout_output'?"),
        ("LSTM", ["gru", "lstm"], "did you mean 'lstm'?"),
        ("", ["gru", "lstm"], "allowed: gru, lstm"),
    ],
)
def test_the_nearest_words_are_named_or_all_are(word, allowed, expected):
    assert nearest(word, allowed) == expected
