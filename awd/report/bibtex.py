"""The published studies as a list of sources, and as BibTeX."""

import re
from collections.abc import Collection, Mapping

from awd.errors import InputError, nearest
from awd.places import PUBLISHED, data_folders
from awd.report.tables.latex_text import escape
from awd.study.published_studies import Study, read_study
from awd.study.suite import read_suite, suite_files

YEAR = re.compile(r"(?:19|20)\d\d(?=\D*$)")
YEAR_AT_END = re.compile(rf"(?:^|,?\s+)\(?{YEAR.pattern}\)?$")


def studies(suites: Collection[str] | None = None) -> dict[str, Study]:
    """Return the published studies by name: all, or those whose numbers ``suites`` show.

    Raises InputError for a suite that there is not, or a mistake in a file.
    """
    if suites is None:
        found = {path.stem for each in data_folders(PUBLISHED) for path in each.glob("[!.]*.yaml")}
        names = sorted(found)
    else:
        known = suite_files()
        for suite in suites:
            if suite not in known:
                raise InputError(f"suites: no suite '{suite}'; {nearest(suite, known)}")
        names = [
            name for suite in suites for name in read_suite(suite, "suites")[0].published_names()
        ]
    return {name: read_study(name, "published") for name in dict.fromkeys(names)}


def bibtex(found: Mapping[str, Study]) -> str:
    """Return an entry for each study, by its name; in ASCII, for every engine of BibTeX.

    Only what the file of the study has is in it: a study without an address has no ``url``.
    """
    return "\n".join(_entry(name, study) for name, study in found.items())


def _entry(name: str, study: Study) -> str:
    year = YEAR.search(study.venue)
    fields = {
        "author": " and ".join(escape(author) for author in study.authors),
        "title": f"{{{escape(study.title)}}}",  # as it is written, in every style
        # Styles print the year after this, so a venue that ends with it would show it twice.
        "howpublished": escape(YEAR_AT_END.sub("", study.venue)),
        "year": year[0] if year else "",
        "url": study.url or "",
    }
    lines = [f"  {field} = {{{value}}}" for field, value in fields.items() if value]
    return f"@misc{{{name},\n" + ",\n".join(lines) + "\n}\n"
