"""``python -m awd``."""

import gc

# torch's modules, records and figures stay to the end: collecting among them took a tenth of the
# time of a start or a report.
gc.set_threshold(200_000)

from awd.cli import main  # noqa: E402

main()
