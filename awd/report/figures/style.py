"""The look of figures: fonts, colours and sizes that fit a paper, and the user's own style file."""

import functools
import itertools
import re
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from pathlib import Path

import matplotlib
import seaborn as sns
from matplotlib import font_manager
from matplotlib.figure import Figure

from awd.errors import InputError, nearest
from awd.files import users_text

COLUMN, PAGE = 1, 2  # columns that a figure is wide
SHORTEST = 13  # characters of a line that is broken into several
GAP = 0.3  # inches between two columns
POINTS = 7.5  # of usual text, for which distances in figures are made
INCHES = 6.9  # the usual width of a page, for which numbers of characters are made
STYLE = Path(__file__).with_name("awd.mplstyle")
COMMENT = re.compile(r"(^|\s)#.*")  # a colour has no space before its number sign
GROWING = (
    *("axes.titlesize", "axes.labelsize", "xtick.labelsize", "ytick.labelsize", "legend.fontsize"),
    *("axes.titlepad", "axes.labelpad", "xtick.major.pad", "ytick.major.pad"),
)
"""Sizes of text and distances, in points, that grow with font.size unless a style sets them."""
FIXED = {
    "text.parse_math": False,  # text comes from data: a dollar sign is a dollar sign
    "svg.hashsalt": "awd",  # without it every save gets other identifiers
    "axes.spines.top": False,
    "axes.spines.right": False,
}
"""Settings that no style may change."""
PALETTE = sns.color_palette("colorblind").as_hex()
MAIN, INK, GREY = PALETTE[0], "0.15", "0.45"
"""Of the base row and of everything that has one colour; of words; of what explains."""
PALE, PALE_MARK = "0.72", "0.65"
"""Of published curves; of published numbers at another scale."""
BOUNDARY, BOUNDARY_MARK = "0.8", "0.7"
"""Of the line where fine-tuning begins; of its short sign in a legend, which is darker."""
FRAME = "0.85"
"""Of the edge of a legend that lies on points."""
OUT_OF_REACH = "0.93"
"""Of the area below the entropy floor."""
DIVERGING = "PuOr_r"
"""Of differences: orange is worse, violet better; without colours, signs show it."""
OTHERS = [
    *(PALETTE[i] for i in (1, 2, 3, 4, 5, 7, 9)),
    (0.2, 0.2, 0.2),
]  # yellow and pale pink vanish on white
DASHES = ["-", (0, (4, 1.2)), (0, (1.2, 1))]
FONT = "DejaVu Sans"  # comes with matplotlib, so figures are the same everywhere
WIDER_FONTS = (
    *("Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans CJK KR", "Source Han Sans SC"),
    *("WenQuanYi Zen Hei", "WenQuanYi Micro Hei", "Droid Sans Fallback", "IPAGothic"),
    *("Hiragino Sans", "PingFang SC", "Microsoft YaHei", "Yu Gothic", "Malgun Gothic"),
    *("Noto Sans", "Noto Sans Symbols2", "Noto Emoji", "Unifont"),
)
"""Fonts that have signs FONT lacks; those that are installed are used for these signs alone."""
BUNDLED = "DejaVu Sans, DejaVu Serif, DejaVu Sans Mono and STIXGeneral (similar to Times)"
"""Fonts that come with matplotlib and have all letters."""


@functools.cache
def _installed() -> frozenset[str]:
    return frozenset(font_manager.get_font_names())


def _fonts() -> list[str]:
    return [FONT, *(font for font in WIDER_FONTS if font in _installed())]


def settings(style: Path | None = None) -> dict:
    """Return matplotlib's settings for every figure: seaborn's, awd's, and those of ``style``.

    Raises InputError if the file ``style`` cannot be read or sets something wrong.
    """
    found = sns.axes_style("ticks") | sns.plotting_context("paper")
    found |= dict(matplotlib.rc_params_from_file(STYLE, use_default_template=False))
    if style is not None:
        own = read_style(style)
        found |= _grown(found, own.get("font.size", POINTS) / POINTS) | own
    family = found["font.family"]
    names = [family] if isinstance(family, str) else list(family)
    return found | FIXED | {"font.family": list(dict.fromkeys([*names, *_fonts()]))}


def _grown(usual: dict, factor: float) -> dict:
    """Sizes and distances, and the least height of a panel, for text ``factor`` times as large."""
    wide, high = usual["figure.figsize"]
    sizes = {name: factor * usual[name] for name in GROWING}
    return sizes | {"figure.figsize": [wide, factor * high]}


def read_style(path: Path) -> dict:
    """Read a style file of matplotlib; raises InputError with its first mistake or unknown font."""
    lines = users_text(path).splitlines()
    found = matplotlib.RcParams()
    names = matplotlib.rcParams.keys()
    for number, line in enumerate(lines, 1):
        text = COMMENT.sub("", line).strip()
        if not text:
            continue
        name, colon, value = (part.strip() for part in text.partition(":"))
        if not colon:
            raise InputError(f"{path}, line {number}: '{text}' must have the form SETTING: VALUE")
        if name not in names:
            raise InputError(f"{path}, line {number}: no setting '{name}'; {nearest(name, names)}")
        try:
            found[name] = value.strip("\"'")
        except (ValueError, TypeError) as error:
            raise InputError(f"{path}, line {number}: {error}") from error
    _refuse_unknown_fonts(dict(found), path)
    return dict(found)


def _refuse_unknown_fonts(style: Mapping, path: Path) -> None:
    """Raise InputError for a family that matplotlib would replace by another."""
    known = {name.lower() for name in _installed()}
    for family in style.get("font.family", ()):
        names = [family]
        if family.lower() in font_manager.font_family_aliases:
            generic = "font." + re.sub("sans.*", "sans-serif", family.lower())
            names = style.get(generic, matplotlib.rcParams[generic])
        if known.isdisjoint(map(str.lower, names)):
            near = get_close_matches(names[0], _installed(), n=1)
            instead = f"did you mean '{near[0]}'?" if near else f"it comes with {BUNDLED}"
            raise InputError(
                f"{path}, font.family: matplotlib finds no font '{names[0]}' here; {instead}"
            )


def width(columns: int) -> float:
    """Return how wide a figure of one or two columns is, in inches."""
    page = matplotlib.rcParams["figure.figsize"][0]
    return round(page if columns == PAGE else (page - GAP) / 2, 3)


def least_height() -> float:
    """Return the least height of a panel, in inches."""
    return matplotlib.rcParams["figure.figsize"][1]


def scaled(size: float) -> float:
    """Return a size of text or of a distance that grows with it, made for text of POINTS."""
    return size * matplotlib.rcParams["font.size"] / POINTS


def fitting(count: int, least: int = 1) -> int:
    """Return how many characters or ticks fit where ``count`` of them do at the usual sizes.

    Fewer of larger ones, more in a wider figure; at least ``least``.
    """
    settings = matplotlib.rcParams
    room = settings["figure.figsize"][0] / INCHES * POINTS / settings["font.size"]
    return max(least, int(count * room + 1e-6))


def roomy() -> bool:
    """Return whether letters are no larger than usual, for the figure's width."""
    return fitting(100) >= 100


def styled(draw: Callable[..., Figure]) -> Callable[..., Figure]:
    """Make ``draw`` use `settings`, and leave the caller's settings as they are.

    The function gets another argument: ``style``, a style file in addition.
    """

    @functools.wraps(draw)
    def drawn(*inputs, style: Path | None = None, **named) -> Figure:
        with matplotlib.rc_context(settings(style)):
            return draw(*inputs, **named)

    return drawn


def looks(suite: dict) -> dict[str, tuple]:
    """Dashes and colour of each row: the same in every panel and figure of the suite.

    Neighbours differ in both, so that they differ without colour, too.
    """
    base = suite.get("base")
    others = [name for name in dict.fromkeys(r["row"] for r in suite["rows"]) if name != base]
    pairs = zip(itertools.cycle(DASHES), itertools.cycle(OTHERS), strict=False)
    return dict(zip(others, pairs, strict=False)) | {base: ("-", MAIN)}
