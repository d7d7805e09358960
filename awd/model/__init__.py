"""The language models of all studies, and the arithmetic that makes their updates fast."""
