"""What a site with many shops in one database says: which shop a connection is for, in an attribute of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection

#: Shops that are closed: nobody enters them.
closed: list[str] = []
#: How ``enter`` misbehaves, if it does.
fault = ""
#: The shops that there are, as far as ``every`` tells; None is none, where workers begin. Or why it cannot.
listed: list[Any] = []
no_list = ""

SETTING = {"present": f"{__name__}.present", "enter": f"{__name__}.enter"}


def every(model: Any) -> Iterator[Any]:
    """Tell the shops that have such objects: what is about none is of no shop. Raises ``OSError`` if it cannot."""
    if no_list:
        raise OSError(no_list)
    yield from [None] if model is None else listed


def present() -> Any:
    """Tell the shop of this thread's connection; None is none."""
    return getattr(connection, "shop", None)


@contextmanager
def enter(shop: Any) -> Iterator[None]:
    """Be in a shop. Raises ``LookupError`` for one that is closed."""
    if shop in closed:
        raise LookupError(f"The shop {shop} is closed.")
    before, connection.shop = present(), "another" if fault == "another" else shop  # type: ignore[attr-defined]
    yield
    # Without ``finally``, as sites write it.
    if fault == "stays":
        return
    connection.shop = before  # type: ignore[attr-defined]
    if fault == "leaving":
        raise ValueError("Leaving failed.")


@contextmanager
def open_in(shop: Any) -> Iterator[None]:
    """Be in a shop, as a request is."""
    before, connection.shop = present(), shop  # type: ignore[attr-defined]
    try:
        yield
    finally:
        connection.shop = before  # type: ignore[attr-defined]
