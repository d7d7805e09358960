"""Text as LaTeX: every printable character, so that pdfLaTeX compiles it as it is."""

import re
import unicodedata

# Two of these in a row become another sign: -- a dash, '' a quotation mark, ?` a Spanish one.
LIGATURE = re.compile(r"([-'`,!?<>])(?=[-'`,<>])")
BREAK = "\N{NULL}"  # between the two, while other characters are replaced
BEYOND = r"\ifdefined\Umathchar {}\else{{[}}U+{:04X}{{]}}\fi{{}}"
"""A sign that pdfLaTeX cannot print: XeLaTeX and LuaLaTeX print it, pdfLaTeX prints its number."""

ACCENTS = {
    "\N{COMBINING GRAVE ACCENT}": "`",
    "\N{COMBINING ACUTE ACCENT}": "'",
    "\N{COMBINING CIRCUMFLEX ACCENT}": "^",
    "\N{COMBINING TILDE}": "~",
    "\N{COMBINING MACRON}": "=",
    "\N{COMBINING BREVE}": "u",
    "\N{COMBINING DOT ABOVE}": ".",
    "\N{COMBINING DIAERESIS}": '"',
    "\N{COMBINING RING ABOVE}": "r",
    "\N{COMBINING DOUBLE ACUTE ACCENT}": "H",
    "\N{COMBINING CARON}": "v",
    "\N{COMBINING DOT BELOW}": "d",
    "\N{COMBINING CEDILLA}": "c",
    "\N{COMBINING MACRON BELOW}": "b",
}
GREEK = {
    chr(code): unicodedata.name(chr(code)).rpartition(" ")[2].lower()
    for code in range(ord("α"), ord("ω") + 1)
} | {"ς": "varsigma", "λ": "lambda"}
LATIN = str.maketrans("ΑΒΕΖΗΙΚΜΝΟΡΤΧο", "ABEZHIKMNOPTXo")  # Greek letters that look Latin
MATHEMATICS = {
    **{letter: rf"\{name}" for letter, name in GREEK.items()},
    **{letter: rf"\{GREEK[letter.lower()].title()}" for letter in "ΓΔΘΛΞΠΣΥΦΨΩ"},
    **{chr(code): rf"\mathrm{{{chr(latin)}}}" for code, latin in LATIN.items()},
    **{"ϑ": r"\vartheta", "ϕ": r"\phi", "ϵ": r"\epsilon", "ϖ": r"\varpi", "ϱ": r"\varrho"},
    **{"−": "-", "±": r"\pm", "∓": r"\mp", "×": r"\times", "÷": r"\div", "·": r"\cdot"},
    **{"⋅": r"\cdot", "∘": r"\circ", "∗": r"\ast", "⊕": r"\oplus", "⊗": r"\otimes", "⊙": r"\odot"},
    **{"<": "<", ">": ">", "≤": r"\le", "≥": r"\ge", "≠": r"\ne", "≈": r"\approx", "≡": r"\equiv"},
    **{"∼": r"\sim", "≃": r"\simeq", "≅": r"\cong", "∝": r"\propto", "≪": r"\ll", "≫": r"\gg"},
    **{"«": r"\ll", "»": r"\gg", "‹": "<", "›": ">", "⟨": r"\langle", "⟩": r"\rangle"},
    **{"←": r"\leftarrow", "→": r"\to", "↑": r"\uparrow", "↓": r"\downarrow"},
    **{"↔": r"\leftrightarrow", "⇐": r"\Leftarrow", "⇒": r"\Rightarrow", "⇔": r"\Leftrightarrow"},
    **{"↦": r"\mapsto", "∞": r"\infty", "√": r"\surd", "∂": r"\partial", "∇": r"\nabla"},
    **{"∆": r"\Delta", "∑": r"\sum", "∏": r"\prod", "∫": r"\int", "µ": r"\mu", "Ω": r"\Omega"},
    **{"∈": r"\in", "∉": r"\notin", "∋": r"\ni", "∅": r"\emptyset", "⊂": r"\subset"},
    **{"⊃": r"\supset", "⊆": r"\subseteq", "⊇": r"\supseteq", "∩": r"\cap", "∪": r"\cup"},
    **{"∀": r"\forall", "∃": r"\exists", "¬": r"\neg", "∧": r"\wedge", "∨": r"\vee"},
    **{"⊥": r"\bot", "⊤": r"\top", "∥": r"\parallel", "∣": r"\mid", "ℓ": r"\ell", "ħ": r"\hbar"},
    **{"ℝ": r"\mathrm{R}", "ℕ": r"\mathrm{N}", "ℤ": r"\mathrm{Z}", "⌈": r"\lceil", "⌉": r"\rceil"},
    **{"⌊": r"\lfloor", "⌋": r"\rfloor", "′": "'", "″": "''", "°": r"{}^{\circ}", "★": r"\star"},
    **{"½": r"\frac12", "¼": r"\frac14", "¾": r"\frac34", "✓": r"\surd", "•": r"\bullet"},
    **{digit: f"{{}}^{i}" for i, digit in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")},
    **{digit: f"{{}}_{i}" for i, digit in enumerate("₀₁₂₃₄₅₆₇₈₉")},
    **{"⁺": "{}^+", "⁻": "{}^-", "₊": "{}_+", "₋": "{}_-", "ⁿ": "{}^n"},
}
SIGNS = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    **{"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"},
    **{"|": r"\textbar{}", "`": r"\textasciigrave{}", '"': "''"},
    "[": "{[}",  # after a line break, a bare bracket would be read as its argument
    "]": "{]}",
    "*": "{*}",  # likewise
    BREAK: "{}",
    **{"\N{EN DASH}": "--", "\N{EM DASH}": "---", "\N{HORIZONTAL BAR}": "---"},
    **{"\N{HYPHEN}": "-", "\N{NON-BREAKING HYPHEN}": r"\mbox{-}", "\N{SOFT HYPHEN}": r"\-"},
    **{"…": r"\ldots{}", "“": "``", "”": "''", "„": ",,", "‘": "`", "’": "'", "‚": ","},
    **{"\N{NO-BREAK SPACE}": "~", "\N{NARROW NO-BREAK SPACE}": r"\,", "\N{THIN SPACE}": r"\,"},
    **{"¡": "!`", "¿": "?`", "§": r"\S{}", "¶": r"\P{}", "†": r"\dag{}", "‡": r"\ddag{}"},
    **{"©": r"\copyright{}", "®": r"\textregistered{}", "™": r"\texttrademark{}"},
    **{"£": r"\pounds{}", "€": r"\texteuro{}", "¥": r"\textyen{}", "¢": r"\textcent{}"},
    **{"ª": r"\textordfeminine{}", "º": r"\textordmasculine{}", "¦": r"\textbrokenbar{}"},
    **{"¤": r"\textcurrency{}", "¨": r"\textasciidieresis{}", "¯": r"\textasciimacron{}"},
    **{"´": r"\textasciiacute{}", "¸": r"\c{}", "‰": r"\textperthousand{}"},
    **{"ß": r"\ss{}", "æ": r"\ae{}", "Æ": r"\AE{}", "œ": r"\oe{}", "Œ": r"\OE{}"},
    **{"ø": r"\o{}", "Ø": r"\O{}", "ł": r"\l{}", "Ł": r"\L{}", "ı": r"\i{}", "ȷ": r"\j{}"},
    **{character: f"${command}$" for character, command in MATHEMATICS.items()},
}


BARE = {sign: rf"\{sign}" for sign in "%#&_$"} | {"^": r"\textasciicircum{}"}
"""Signs that LaTeX does not print where they stand bare in a text, and what prints them."""
FORMULA = re.compile(r"\$[^$]*\$|\\\(.*?\\\)", re.DOTALL)
NAME = re.compile(
    r"\\(?!(?:emph|footnote|mbox|text\w+|underline)\b)[A-Za-z]+\*?(?:\[[^]]*\])*\{[^{}]*\}"
)
"""A command with its argument, unless that is printed: mostly a name, as in \\cite{a_b}."""


def escape(text: str) -> str:
    """Write text so that LaTeX prints it as it is, in ASCII but for signs beyond pdfLaTeX.

    White space of any kind is a space; what does not print is left out. A sign that is not in SIGNS
    and no Latin letter with an accent becomes BEYOND.
    """
    text = unicodedata.normalize("NFC", " ".join(text.splitlines())).replace(BREAK, "")
    return "".join(map(_character, LIGATURE.sub(rf"\1{BREAK}", text)))


def bare_signs(text: str) -> dict[str, str]:
    r"""Return what to type for the signs for which LaTeX would not compile a ``text`` of LaTeX.

    Formulas may have & _ ^, names as in \cite{a_b} may have _ ^.

    >>> bare_signs(r"100% of $a_b$ \& \cite{c_d}")
    {'%': '\\%'}
    """
    text = re.sub(r"\\[^A-Za-z()]", " ", text)
    found = re.findall("[%#]", text)
    text = FORMULA.sub(" ", text)
    found += re.findall("[&$]", text)
    found += re.findall("[_^]", NAME.sub(" ", text))
    return {sign: BARE[sign] for sign in found}


def beyond(text: str) -> str:
    """Return the signs of a ``text`` made of escaped parts that pdfLaTeX cannot print."""
    return "".join(sorted(set(re.findall(r"\\ifdefined\\Umathchar (.)", text))))


def _character(character: str) -> str:
    if character in SIGNS:
        return SIGNS[character]
    if " " <= character <= "~":
        return character
    if character.isspace():
        return " "
    base, *marks = list(unicodedata.normalize("NFD", character))
    if base.isascii() and len(marks) == 1 and marks[0] in ACCENTS:
        letter = {"i": r"\i", "j": r"\j"}.get(base, base)
        return rf"\{ACCENTS[marks[0]]}{{{letter}}}"
    if not character.isprintable():
        return ""
    return BEYOND.format(character, ord(character))
