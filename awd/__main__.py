"""``python -m awd``."""

import gc
import sys

# A tenth of the time of a start, or of a report, went into looking for garbage among objects that
# stay to the end: torch's modules, records, figures.
gc.set_threshold(200_000)

from awd import forkserver  # noqa: E402

forkserver.hand_over(sys.argv[1:])

from awd.cli import main  # noqa: E402

main()
