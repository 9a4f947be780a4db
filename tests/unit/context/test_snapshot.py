from __future__ import annotations

import datetime
import decimal
import json
import uuid

import pytest

from rules_engine.context import snapshot


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, True),
        ("text", "text"),
        ("n\x00ul", "n\ufffdul"),
        ("\ud800", "?"),
        (2**63, str(2**63)),
        (-(2**63), -(2**63)),
        (1.5, 1.5),
        (float("nan"), None),
        (float("inf"), None),
        (decimal.Decimal("NaN"), None),
        (datetime.date(2026, 1, 2), "2026-01-02"),
        (datetime.datetime(2026, 1, 2, 3, tzinfo=datetime.UTC), "2026-01-02T03:00:00+00:00"),
        (datetime.timedelta(minutes=1), 60.0),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        ((1, {2}), [1, [2]]),
        ({1: "a"}, {"1": "a"}),
        (b"raw", {"type": "bytes", "text": "b'raw'"}),
    ],
)
def test_any_value_becomes_json(value: object, expected: object) -> None:
    found = snapshot.safe(value)
    assert found == expected
    json.dumps(snapshot.plain(found)).encode()


def test_data_that_contains_itself_is_cut() -> None:
    endless: list[object] = []
    endless.append(endless)
    assert "truncated" in json.dumps(snapshot.safe(endless))


def test_long_text_is_cut_and_marked() -> None:
    assert snapshot.clean_text("abcdef", 3) == "abc…"


def test_decimals_survive_storage_with_every_digit() -> None:
    context = {"a/b": [decimal.Decimal("12.50"), "12.50"], "~": {"x": decimal.Decimal("-0.00")}}
    pointers: list[str] = []
    stored = json.loads(json.dumps(snapshot.plain(context, found=pointers)))
    assert stored == {"a/b": ["12.50", "12.50"], "~": {"x": "-0.00"}}
    restored = snapshot.restore(stored, pointers)
    assert restored == context
    assert str(restored["a/b"][0]) == "12.50"
    assert isinstance(restored["a/b"][1], str)
