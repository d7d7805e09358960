"""What is to be run: hyperparameters, suites and configuration, resolved to runs."""
