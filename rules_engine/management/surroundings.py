"""Whose object a command is about, where a site has surroundings: objects of one key in two of them are two objects."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from django.core.management.base import CommandError

from rules_engine.errors import NotEntered
from rules_engine.surroundings.state import NAME, functions, here, text_of, within


def add_surroundings(parser: Any) -> None:
    """Add the option that names them to a parser, or to a group of options."""
    about = f"Whose object it is, where {NAME} tells objects of one key apart: the tenant's name. Here unless told."
    parser.add_argument("--surroundings", default="", metavar="NAME", help=about)


@contextmanager
def entered(name: str) -> Iterator[str | None]:
    """Enter the surroundings of that name, if any is given; yields the text of those that are entered, or None where
    the site has none.

    Raises ``CommandError`` for a name where the site has none, and for surroundings that cannot be entered.
    """
    if functions() is None:
        if name:
            raise CommandError(f"--surroundings {name}: {NAME} is not set, so all objects of a key are one object.")
        yield None
        return
    try:
        with within(text_of(name)) if name else nullcontext():
            yield here()
    except NotEntered as error:
        raise CommandError(str(error)) from error
