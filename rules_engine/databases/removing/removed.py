"""What is removed together, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from django.db.models import Model


class Parts(NamedTuple):
    """Rows that hang on others by that foreign key, and go with them."""

    model: type[Model]
    key: str


class Removed(NamedTuple):
    """How many rows and parts were removed; where the last row stood, None where there was none; and the keys there
    that were left, because others have locked them, if the next batch would find them again."""

    rows: int
    parts: int
    last: Any
    left: Sequence[Any] = ()
