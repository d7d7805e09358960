"""One page that opens anywhere: results, figures, how to run each row again."""

from awd.report.page.build import render

__all__ = ["render"]
