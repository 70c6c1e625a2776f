r"""MathML for a formula in a small part of LaTeX.

It knows letters, numbers, Greek letters and the names in `SIGNS`; `_` and `^`; `\frac{}{}`, `\sqrt{}` and
`\hat{}`; braces; `\min`, `\max`, and `\sign`, which LaTeX lacks; and `\quad`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from markupsafe import Markup, escape

TOKEN = re.compile(r"\\[A-Za-z]+|\\\||\d+(?:\.\d+)?|[A-Za-z]|[-+=(),_^{}]")

LETTERS = {
    "alpha": "α",
    "beta": "β",
    "epsilon": "ε",
    "gamma": "γ",
    "eta": "η",
    "lambda": "λ",
    "mu": "μ",
    "nu": "ν",
    "pi": "π",
    "rho": "ρ",
    "theta": "θ",
    "infty": "∞",
    "top": "⊤",
}
SIGNS = {
    "nabla": "∇",
    "cdots": "⋯",
    "cdot": "·",
    "min": "min",
    "max": "max",
    "sign": "sign",
    "|": "‖",
    "lvert": "|",
    "rvert": "|",
    "-": "−",
    "(": "(",
    ")": ")",
}


def mathml(formula: str) -> Markup:
    """Return the formula as a `<math>` element.

    Raises:
        ValueError: something of it is not understood.
    """
    tokens = _tokens(formula)
    body = Markup().join(_row(tokens))
    if tokens:
        raise ValueError(f"a brace too many in {formula!r}")
    return Markup('<math display="block">{}</math>').format(body)


def _tokens(formula: str) -> list[str]:
    found = TOKEN.findall(formula)
    if "".join(found) != re.sub(r"\s", "", formula):
        raise ValueError(f"cannot read {formula!r}")
    return found[::-1]  # the next one is the last


def _row(tokens: list[str]) -> Iterator[Markup]:
    """Yield the parts up to a closing brace or the end."""
    while tokens and tokens[-1] != "}":
        part, tag = _atom(tokens), ""
        scripts: dict[str, Markup] = {}
        while tokens and tokens[-1] in ("_", "^"):
            sign = tokens.pop()
            scripts[sign] = _atom(tokens)
        if scripts:
            tag = {"_": "msub", "^": "msup", "_^": "msubsup"}["".join(sorted(scripts, key="_^".index))]
            inside = Markup().join(scripts[sign] for sign in "_^" if sign in scripts)
            part = Markup("<{0}>{1}{2}</{0}>").format(Markup(tag), part, inside)
        yield part


def _atom(tokens: list[str]) -> Markup:
    if not tokens:
        raise ValueError("a formula ends too early")
    token = tokens.pop()
    if token == "{":
        inside = Markup().join(_row(tokens))
        if not tokens:
            raise ValueError("a brace is not closed")
        tokens.pop()
        return Markup("<mrow>{}</mrow>").format(inside)
    name = token.removeprefix("\\")
    if token == r"\frac":
        above, below = _atom(tokens), _atom(tokens)
        return Markup("<mfrac>{}{}</mfrac>").format(above, below)
    if token == r"\sqrt":
        return Markup("<msqrt>{}</msqrt>").format(_atom(tokens))
    if token == r"\hat":
        return Markup('<mover accent="true">{}<mo>^</mo></mover>').format(_atom(tokens))
    if token == r"\quad":
        return Markup('<mspace width="1.2em"></mspace>')
    if token.startswith("\\") and name in LETTERS:
        return Markup("<mi>{}</mi>").format(LETTERS[name])
    if name in SIGNS:
        return Markup("<mo{}>{}</mo>").format(_form(name), SIGNS[name])
    if token.startswith("\\"):
        raise ValueError(f"unknown name {token}")
    kind = "mn" if token[0].isdigit() else "mi" if token.isalpha() else "mo"
    return Markup("<{0}>{1}</{0}>").format(Markup(kind), escape(token))


def _form(name: str) -> Markup:
    """Return the attributes of a sign: a fence does not grow, and a norm's bars have no room of their own."""
    bar = ' stretchy="false" lspace="0" rspace="0"'
    fence = ' stretchy="false"'
    return Markup({"|": bar, "lvert": bar, "rvert": bar, "(": fence, ")": fence}.get(name, ""))
