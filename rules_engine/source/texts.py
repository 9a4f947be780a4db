"""Texts of rules: f-strings where they only name fields, else Django's template language."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from django.template.base import Lexer, Token, TokenType

from rules_engine import texts
from rules_engine.errors import TemplateError
from rules_engine.source.literals import call, keywords, literal, quoted
from rules_engine.source.logic import expression
from rules_engine.source.names import context_value, unsupported
from rules_engine.source.writer import Value, Writer
from rules_engine.texts.happened import READS
from rules_engine.types import Path

NAME = re.compile(r"[A-Za-z_]\w*(\.\w+)*", re.ASCII)
#: What an f-string can hold in every version of Python: no quotes, no brackets.
SIMPLE = re.compile(r"[A-Za-z_][\w.]*", re.ASCII)
PRINTED = frozenset({"text", "integer", "decimal", "float", "uuid", "boolean"})
FORMATS = {"date": 'date:"Y-m-d"', "time": 'time:"H:i:s"', "datetime": 'date:"c"'}
DATES = ("date", "time", "timesince", "timeuntil")
#: Longer texts stand one line of theirs to a line.
LONG = 80


def value_of(writer: Writer, written: Any) -> Value:
    """Return a config's value: a text, an expression, or itself. A text that is one variable alone is that value."""
    if isinstance(written, Mapping):
        return expression(writer, written)
    if not isinstance(written, str):
        return Value(literal(written), "any", written is None, constant=(written,))
    return _alone(writer, written) or text_of(writer, written)


def _alone(writer: Writer, source: str) -> Value | None:
    tokens = Lexer(source).tokenize()
    if len(tokens) == 1 and tokens[0].token_type is TokenType.VAR and NAME.fullmatch(tokens[0].contents):
        return context_value(writer, tuple(tokens[0].contents.split(".")))
    return None


def text_of(writer: Writer, written: Any, *, autoescape: bool = False) -> Value:
    """Return a config's value as a text."""
    if written is None:
        return Value('""', "text", False, constant=("",))
    if not isinstance(written, str):
        value = value_of(writer, written)
        if value.kind == "text" and not value.null:
            return value
        return Value(f"{writer.module.function('text')}({value.code})", "text", False)
    tokens = Lexer(written).tokenize()
    if all(token.token_type is TokenType.TEXT for token in tokens):
        return _literal(written)
    pieces = None if autoescape else _pieces(writer, tokens)
    return _rendered(writer, written, tokens, autoescape) if pieces is None else _formatted(pieces)


def _literal(source: str) -> Value:
    code = quoted(source)
    if len(source) > LONG or source.count("\n") > 1:
        code = _stacked([quoted(line) for line in source.splitlines(keepends=True)])
    return Value(code, "text", False, constant=(source,))


def _stacked(lines: list[str]) -> str:
    return "(\n" + "\n".join(f"    {line}" for line in lines) + "\n)" if len(lines) > 1 else lines[0]


def _pieces(writer: Writer, tokens: list[Token]) -> list[tuple[str, str]] | None:
    """Split into literal texts ``("", text)`` and expressions ``(code, "")``; None where an f-string cannot do it."""
    pieces = []
    for token in tokens:
        if token.token_type is TokenType.TEXT:
            pieces.append(("", token.contents))
            continue
        if token.token_type is not TokenType.VAR or not NAME.fullmatch(token.contents):
            return None
        value = context_value(writer, tuple(token.contents.split(".")))
        if value.null or value.kind not in PRINTED or not SIMPLE.fullmatch(value.code):
            return None
        pieces.append((value.code, ""))
    return pieces


def _formatted(pieces: list[tuple[str, str]]) -> Value:
    whole = "".join(f"{{{code}}}" if code else _braced(text) for code, text in pieces)
    lines = whole.splitlines(keepends=True) if len(whole) > LONG else [whole]
    # A line break never stands within an expression: those are plain names with dots.
    return Value(
        _stacked([("f" if _has_expression(line) else "") + quoted(_unbraced(line)) for line in lines]), "text", False
    )


def _braced(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


def _has_expression(line: str) -> bool:
    return re.search(r"(?<!\{)(?:\{\{)*\{[A-Za-z_]", line) is not None


def _unbraced(line: str) -> str:
    return line if _has_expression(line) else line.replace("{{", "{").replace("}}", "}")


def _rendered(writer: Writer, source: str, tokens: list[Token], autoescape: bool) -> Value:
    try:
        text = texts.compile_text(source)
    except TemplateError:
        return unsupported(writer, source)
    roots = sorted({use.path[0] for use in text.variables if use.rows is None and use.path})
    read = {root: _root(writer, root) for root in roots if root.isidentifier()}
    written = "".join(_django(writer, token) for token in tokens)
    flags = ["autoescape=True"] if autoescape else []
    code = call(writer.module.function("render"), [_literal(written).code, *flags, *keywords(read)])
    return Value(code, "text", False)


def _root(writer: Writer, root: str) -> str:
    if root == "event":
        names = ("id", "signal", "operation", "model", "pk", "occurred_at", "root_id", "depth")
        return "{" + ", ".join(f"{quoted(name)}: {context_value(writer, ('event', name)).code}" for name in names) + "}"
    return context_value(writer, (root,)).code


def _django(writer: Writer, token: Token) -> str:
    """Return a piece of the text as Django's own engine takes it."""
    if token.token_type is TokenType.TEXT:
        return token.contents
    if token.token_type is TokenType.VAR:
        return f"{{{{ {_variable(writer, token.contents)} }}}}"
    if token.token_type is TokenType.BLOCK:
        return f"{{% {_relations(writer, token.contents)} %}}"
    return ""


def _variable(writer: Writer, contents: str) -> str:
    """Return the variable, with what the rule does by itself: null prints nothing, dates are ISO 8601."""
    match = NAME.match(contents)
    if match is None:
        return contents
    name, rest = match[0], contents[match.end() :].strip()
    if rest[:1] not in ("", "|"):
        return contents
    value = context_value(writer, tuple(name.split("."))) if name.split(".")[0] in _ROOTS else Value(name)
    first = rest.removeprefix("|").split("|")[0].split(":")[0].strip()
    many = _relations(writer, name)
    if value.kind in FORMATS and first not in DATES:
        return f"{many}|{FORMATS[value.kind]}{rest}"
    if value.null and first not in ("default", "default_if_none", *DATES):
        return f'{many}|default_if_none:""{rest}'
    return many + rest


_ROOTS = frozenset(
    {"instance", "old", "changed", "changes", "created", "actor", "request", "event", "m2m", "row", "each", "signal"}
    | READS.keys()
)
_READ = re.compile(r"\b(?:instance|row|each)(?:\.\w+)+", re.ASCII)
_TEXTS = re.compile(r'("[^"]*"|\'[^\']*\')')


def _relations(writer: Writer, contents: str) -> str:
    """Write to-many relations by their manager's ``all``, outside of texts in quotes."""
    parts = _TEXTS.split(contents)
    return "".join(
        part if index % 2 else _READ.sub(lambda m: _many(writer, m[0]), part) for index, part in enumerate(parts)
    )


def _many(writer: Writer, name: str) -> str:
    steps: Path = tuple(name.split("."))
    for end in range(2, len(steps) + 1):
        if context_value(writer, steps[:end]).kind == "rows":
            return ".".join((*steps[:end], "all", *steps[end:]))
    return name
