"""Re-run a language-model paper's ablation study and write its table."""

__version__ = "0.2.0"
