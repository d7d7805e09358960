"""What lies in the folder of a run: records, weights, checkpoints, progress."""
