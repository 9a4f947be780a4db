"""What is told in the place of a hidden value: that there is one, and in this process whether it is another."""

from __future__ import annotations

import hashlib
import secrets
from typing import Any

TEXT = "[hidden]"
#: Of this process alone: what it makes of a value means nothing elsewhere, and is stored nowhere.
_KEY = secrets.token_bytes(32)


class HiddenValue(str):
    """Reads ``[hidden]`` wherever it goes; two are equal where what they stand for was equal."""

    __slots__ = ("_mark",)
    _mark: bytes

    def __new__(cls, mark: bytes) -> HiddenValue:
        made = super().__new__(cls, TEXT)
        made._mark = mark
        return made

    def __eq__(self, other: object) -> bool:
        return self._mark == other._mark if isinstance(other, HiddenValue) else str(self) == other

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(TEXT)

    def __str__(self) -> str:
        return TEXT

    def __reduce__(self) -> Any:
        return str, (TEXT,)  # without what tells values apart


def hidden(field_name: str, value: Any) -> Any:
    """Return what stands for a value of the field; null and an empty text are told as they are."""
    if value is None or value == "":
        return value
    content = f"{field_name}\0{value!r}".encode("utf-8", "backslashreplace")
    return HiddenValue(hashlib.blake2b(content, key=_KEY, digest_size=16).digest())
