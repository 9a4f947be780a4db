"""What each setting takes, to the very limit, and the whole sentence that refuses what lies beyond it."""

from __future__ import annotations

from typing import Any

import pytest

from rules_engine import conf
from webhooks import conf as webhooks_conf

YEAR = 31_622_400
SECONDS = "a number of seconds above 0, up to 31,622,400 (366 days)"
DAYS = "a number of days above 0, up to 36,525 (a century), or None"
NAMES = "a list of names such as max_tokens, or shop.voucher.token where the name is a secret's elsewhere"


@pytest.mark.parametrize(
    ("name", "value", "read"),
    [
        *((name, YEAR, float(YEAR)) for name in ("REFRESH_SECONDS", "SWEEP_SECONDS", "LEASE_SECONDS", "EMAIL_SECONDS")),
        ("SWEEP_SECONDS", 0.001, 0.001),
        ("TROUBLE_SECONDS", 0, 0.0),
        ("TROUBLE_SECONDS", YEAR, float(YEAR)),
        ("RETENTION_DAYS", 36_525, 36_525.0),
        ("RETENTION_DAYS", 0.5, 0.5),
        ("AUDIT_RETENTION_DAYS", None, None),
        ("RETRY_JITTER", 0, 0.0),
        ("RETRY_SCHEDULE", [], ()),
        ("RETRY_SCHEDULE", (0, YEAR), (0.0, float(YEAR))),
        ("TEXT_LIMIT", 250, 250),
        ("EVENT_BYTES", 10_000, 10_000),
        ("ROWS_LIMIT", 1, 1),
        ("EMAILS_PER_HOUR", None, None),
        ("EMAILS_PER_RULE_PER_HOUR", 1, 1),
        ("EMAIL_DOMAINS", ["Example.COM"], ("example.com",)),
        ("EMAIL_DOMAINS", None, None),
        ("CACHE_KEY_PREFIXES", ["views."], ("views.",)),
        ("SITE_URL", "https://shop.example.com/", "https://shop.example.com"),
        ("SITE_URL", "http://localhost:8000/shop", "http://localhost:8000/shop"),
        ("OLD_VALUES_AT_LOAD", ["Shop.Order"], ("shop.order",)),
        ("SENSITIVE_EXCEPTIONS", ["max_tokens", "shop.voucher.password"], ("max_tokens", "shop.voucher.password")),
        ("TRACE_URL", "https://tempo.example.com/{trace_id}", "https://tempo.example.com/{trace_id}"),
        ("LISTEN", {"HOST": "10.0.0.5", "PORT": 5432, "OPTIONS": {"sslmode": "require"}}, None),
    ],
)
def test_a_setting_takes_what_is_just_at_its_limit(name: str, value: Any, read: Any, settings: Any) -> None:
    settings.RULES_ENGINE = {name: value}
    assert conf.problems() == []
    assert conf.ACCESSORS[name]() == (value if name == "LISTEN" else read)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("REFRESH", "watched", '"watch" or "request"'),
        ("RUNNER", "cron", '"celery", "worker" or "tasks"'),
        ("HINTS", 1, "True or False"),
        ("QUEUE", None, "the name of a queue"),
        ("SWEEP_SECONDS", 0, SECONDS),
        ("SWEEP_SECONDS", YEAR + 1, SECONDS),
        ("REFRESH_SECONDS", float("inf"), SECONDS),
        ("LEASE_SECONDS", float("nan"), SECONDS),
        ("EMAIL_SECONDS", 10**400, SECONDS),
        ("EMAIL_SECONDS", "30", SECONDS),
        ("TROUBLE_SECONDS", -0.5, "a number of seconds from 0, up to 31,622,400 (366 days)"),
        ("TROUBLE_SECONDS", float("inf"), "a number of seconds from 0, up to 31,622,400 (366 days)"),
        # Counted back from now, a million days end before the year 1, and the sweep with them.
        ("RETENTION_DAYS", 1_000_000, DAYS),
        ("RETENTION_DAYS", 36_525.1, DAYS),
        ("AUDIT_RETENTION_DAYS", float("inf"), DAYS),
        ("AUDIT_RETENTION_DAYS", 0, DAYS),
        ("RETRY_JITTER", -0.1, "a number from 0 to below 1"),
        ("RETRY_JITTER", True, "a number from 0 to below 1"),
        ("RETRY_SCHEDULE", [10, True], "a list of seconds from 0 to 31,622,400 (366 days)"),
        ("RETRY_SCHEDULE", [YEAR + 1], "a list of seconds from 0 to 31,622,400 (366 days)"),
        ("MAX_DEPTH", 0, "a whole number of at least 1, up to 2,147,483,647"),
        ("MAX_DEPTH", 8.0, "a whole number of at least 1, up to 2,147,483,647"),
        ("TEXT_LIMIT", 249, "a whole number of at least 250, up to 2,147,483,647"),
        ("EVENT_BYTES", 9_999, "a whole number of at least 10000, up to 2,147,483,647"),
        ("EMAILS_PER_HOUR", 0, "a whole number of at least 1, up to 2,147,483,647, or None"),
        ("EMAILS_PER_HOUR", True, "a whole number of at least 1, up to 2,147,483,647, or None"),
        ("EMAIL_DOMAINS", [None], "a list of domains, or None"),
        ("CACHE_KEY_PREFIXES", "views.", "a list of strings, or None"),
        ("SITE_URL", "shop.example.com", 'an address such as "https://shop.example.com"'),
        ("SITE_URL", "https://shop.example.com/?q=1", 'an address such as "https://shop.example.com"'),
        ("SITE_URL", "https://", 'an address such as "https://shop.example.com"'),
        ("TRACE_URL", "https://tempo.example.com/", "an address with {trace_id} in it"),
        ("TRACE_URL", "javascript:alert('{trace_id}')", "an address with {trace_id} in it"),
        # A bare "password" would lay open every model's, and a name with one dot is neither of the two kinds.
        ("SENSITIVE_EXCEPTIONS", ["Password"], NAMES),
        ("SENSITIVE_EXCEPTIONS", ["voucher.token"], NAMES),
        ("SENSITIVE_EXCEPTIONS", [""], NAMES),
        ("SENSITIVE_FIELDS", [b"iban"], "a list of strings"),
        ("TASKS", {5: "Five"}, "a list of task names, or a dict of task names and labels"),
        ("HEALTH", {"seconds": float("inf")}, 'None, or a dict of seconds, perhaps with "public" (True or False)'),
        ("HEALTH", {"oldest_due": True}, 'None, or a dict of seconds, perhaps with "public" (True or False)'),
    ],
)
def test_what_is_beyond_a_limit_is_refused_in_a_whole_sentence(
    name: str, value: Any, expected: str, settings: Any
) -> None:
    settings.RULES_ENGINE = {name: value}
    assert conf.problems() == [f"RULES_ENGINE['{name}'] should be {expected}, and is {value!r}."]


@pytest.mark.parametrize(
    ("listen", "is_usable"),
    [
        ({}, True),
        ({"PORT": "5432"}, True),
        ({"ENGINE": "django.db.backends.postgresql"}, False),
        ({"OPTIONS": "sslmode=require"}, False),
        ({"PASSWORD": None}, False),
        ("postgres://user:s3cret@host/", False),
    ],
)
def test_how_listeners_connect_is_checked_and_never_shown(listen: Any, is_usable: bool, settings: Any) -> None:
    settings.RULES_ENGINE = {"LISTEN": listen}
    wanted = "a dict with some of HOST, PORT, NAME, USER, PASSWORD, OPTIONS, as in DATABASES"
    refused = [f"RULES_ENGINE['LISTEN'] should be {wanted}, and is not (its value is not shown)."]
    assert conf.problems() == ([] if is_usable else refused)


@pytest.mark.parametrize(
    "signals",
    [
        {"shop.paid": 5},
        {5: "shop.signals.paid"},
        {"shop.paid": {"signal": 5}},
        {"shop.paid": {"signal": "shop.signals.paid", "instance": None}},
        {"shop.paid": {"signal": "shop.signals.paid", "label": 5}},
        {"shop.paid": {"signal": "shop.signals.paid", "arguments": {"order": None}}},
        {"shop.paid": {"signal": "shop.signals.paid", "arguments": {5: "the order"}}},
    ],
)
def test_a_signal_that_is_described_wrongly_is_told_with_an_example(signals: Any, settings: Any) -> None:
    settings.RULES_ENGINE = {"SIGNALS": signals}
    [problem] = conf.problems()
    assert problem.startswith("RULES_ENGINE['SIGNALS'] should be a dict of names and dotted paths such as {")
    assert problem.endswith(f"and is {signals!r}.")


def test_a_signal_that_is_described_rightly_is_read_part_by_part(settings: Any) -> None:
    described = {"signal": "s.shipped", "label": "Shipped", "arguments": {"at": "when"}, "instance": "order"}
    settings.RULES_ENGINE = {"SIGNALS": {"shop.paid": "s.paid", "shop.shipped": described}}
    paid, shipped = conf.signals()["shop.paid"], conf.signals()["shop.shipped"]
    assert (paid.path, paid.label, paid.arguments, paid.instance) == ("s.paid", "", None, "")
    assert (shipped.path, shipped.label) == ("s.shipped", "Shipped")
    assert (shipped.arguments, shipped.instance) == ({"at": "when"}, "order")


@pytest.mark.parametrize(
    ("parts", "is_on"),
    [({}, True), ({"in_a_row": 0}, True), ({"percent": 0}, True), ({"in_a_row": 0, "percent": 0}, False)],
)
def test_a_breaker_is_off_where_both_of_its_measures_are(parts: dict[str, Any], is_on: bool, settings: Any) -> None:
    settings.RULES_ENGINE = {"BREAKER": parts}
    assert conf.breaker().is_on is is_on


NUMBERS: list[Any] = [0, -1, 3.5, 10**9, 10**400, -(10**400), 1e300, *map(float, ("inf", "-inf", "nan"))]


class Unwanted:
    """What no setting takes; said without its address, for a test has one name in every process."""

    def __repr__(self) -> str:
        return "<unwanted>"


ODD: list[Any] = [*NUMBERS, None, True, "", "x", "\ud800", b"x", Unwanted(), {}, {None: 1}, {"a": []}, {"token": 5}]


@pytest.mark.parametrize("value", [*ODD, *([odd] for odd in ODD), *((odd, odd) for odd in NUMBERS)], ids=ascii)
def test_no_value_makes_a_setting_do_anything_but_refuse(value: Any, settings: Any) -> None:
    for name in conf.ACCESSORS:
        settings.RULES_ENGINE = {name: value}
        assert all(problem.startswith(f"RULES_ENGINE['{name}']") for problem in conf.problems())
    for name in webhooks_conf.ACCESSORS:
        settings.WEBHOOKS = {name: value}
        assert all(problem.startswith(f"WEBHOOKS['{name}'] should be ") for problem in webhooks_conf.problems())
