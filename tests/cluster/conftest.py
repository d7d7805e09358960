"""The slower half of the cluster's faults is run on request."""


def pytest_addoption(parser):
    parser.addoption(
        "--all-faults",
        action="store_true",
        help="also the faults that take minutes each (needs: pytest tests/cluster)",
    )
