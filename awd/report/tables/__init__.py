"""Records -> one table per suite, and one of all: published beside reproduced, in four formats."""

from awd.report.tables.build import COLUMNS, build, combine
from awd.report.tables.files import FORMATS, typeset, write

__all__ = ["COLUMNS", "FORMATS", "build", "combine", "typeset", "write"]
