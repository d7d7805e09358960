"""Installing takes minutes and needs a package index, so it is tested on request."""

import pytest


def pytest_addoption(parser):
    parser.addoption(
        "--install",
        action="store_true",
        help="install into new environments (needs: pytest -n 0 tests/installation)",
    )


@pytest.fixture(scope="session", autouse=True)  # before any environment is made
def _on_request(request):
    if not request.config.getoption("--install", default=False):
        pytest.skip("takes minutes: pytest -n 0 tests/installation --install")
