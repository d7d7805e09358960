"""What all tests share."""

import os

# Tests run side by side, so each takes one thread; set before torch is loaded.
os.environ.setdefault("OMP_NUM_THREADS", "1")
