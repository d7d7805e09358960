"""The page of all keys is the one that the models make, and leaves none out."""

from awd.places import HOME
from awd.study import keys_page
from awd.study.config import Config
from awd.study.spec import Hyperparameters
from awd.study.suite import Row, Suite


def test_the_page_is_up_to_date():
    """`python -m awd.study.keys_page > docs/keys.md` makes it."""
    assert (HOME / "docs/keys.md").read_text(encoding="utf-8") == keys_page.page()


def test_every_key_is_on_the_page_with_a_meaning():
    page = keys_page.page()
    for model in (Config, Suite, Row, Hyperparameters):
        for key, field in model.model_fields.items():
            (line, *_) = [line for line in page.splitlines() if line.startswith(f"| `{key}` |")]
            assert field.description, f"{model.__name__}.{key} has no meaning"
            assert line.count(" | ") == 3


def test_bounds_and_defaults_are_on_the_page():
    page = keys_page.page()
    assert "| `layers` | whole number, at least 1, below 1,000 | `1` |" in page
    assert "| `weight_drop` | number, at least 0, below 1 | `0` |" in page
    assert "| `cell` | `lstm`, `gru`, `rnn` | `lstm` |" in page
    assert "| `scale` | `demo`, `small`, `paper` | `demo` |" in page


def test_hyperparameters_stand_under_the_heading_of_their_theme():
    """In their order, each once; the table at the top has links to all headings of themes."""
    page = keys_page.page()
    keys = list(Hyperparameters.model_fields)
    assert [key for key in keys if key in keys_page.THEMES] == list(keys_page.THEMES)
    for key, theme in keys_page.THEMES.items():
        _, below = page.split(f"\n### {theme}\n")
        assert below.splitlines()[3].startswith(f"| `{key}` |")
        assert f"(#{theme.lower()})" in keys_page.HEAD
