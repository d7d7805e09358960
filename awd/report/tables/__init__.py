"""Records -> one table per suite, and one of all: published beside reproduced, in four formats."""

from awd.report.tables.build import COLUMNS, TOLERANCE, Verdict, build, combine
from awd.report.tables.files import FORMATS, write

__all__ = ["COLUMNS", "FORMATS", "TOLERANCE", "Verdict", "build", "combine", "write"]
