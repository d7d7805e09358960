"""Where a process runs: its devices, its share of a GPU, its memory."""
