from __future__ import annotations

from datetime import UTC, datetime

import pytest

from webhooks.deliveries.verdict import refusal_text, retry_after_seconds, succeeded, wait

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(("status", "success"), [(200, True), (204, True), (299, True), (101, False), (301, False)])
def test_only_2xx_is_success(status: int, success: bool) -> None:
    assert succeeded(status) is success


def test_a_redirect_is_explained() -> None:
    assert "do not follow redirects" in refusal_text(302)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        (" 5 ", 5.0),
        ("Thu, 01 Jan 2026 12:02:00 GMT", 120.0),
        ("Thu, 01 Jan 2026 12:02:00", 120.0),
        ("315360000", 86_400.0),
        ("Thu, 01 Jan 2036 12:00:00 GMT", 86_400.0),
        ("0", None),
        ("-5", None),
        ("Thu, 01 Jan 2026 11:00:00 GMT", None),
        ("9" * 5000, None),
        ("soon", None),
        ("1e5", None),
        ("²", None),
        ("Thu, 99 Foo 2026 99:99:99 GMT", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_read_and_bounded(value: str | None, seconds: float | None) -> None:
    assert retry_after_seconds(value, NOW) == seconds


@pytest.mark.parametrize(
    ("asked", "attempt", "expected"),
    [(600.0, 1, 600.0), (1.0, 1, None), (1.0, 2, None), (None, 1, None), (600.0, 3, None)],
)
def test_retry_after_makes_a_wait_longer_and_never_shorter(
    asked: float | None, attempt: int, expected: float | None
) -> None:
    assert wait(asked, attempt, (5, 300)) == expected
