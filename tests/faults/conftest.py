"""What the tests of faults share: a corpus, and how trainings end when nothing happens."""

import pytest
from projects import write_texts
from trainings import Training


@pytest.fixture(scope="session")
def texts(tmp_path_factory):
    """The corpus."""
    return write_texts(tmp_path_factory.mktemp("corpus") / "texts", train=120, valid=30, test=30)


@pytest.fixture(scope="session")
def undisturbed(texts, tmp_path_factory):
    """Gives, for settings, a training whose two stages were done in one go, done once."""
    done = {}

    def training(**settings) -> Training:
        key = repr(sorted(settings.items()))
        if key not in done:
            done[key] = Training(tmp_path_factory.mktemp("undisturbed"), texts, **settings)
            assert done[key].end("train") == done[key].end("finetune") == 0
        return done[key]

    return training
