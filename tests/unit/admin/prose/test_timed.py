"""When a rule on time acts, as clauses, in English and German."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import translation
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rules_engine.admin.prose import timed
from rules_engine.admin.prose.condition import UNREADABLE
from rules_engine.admin.prose.marks import words_of
from rules_engine.types import RuleSpec
from tests.examples import examples

PENDING = {"==": [{"var": "instance.status"}, "pending"]}
RICH = {">": [{"var": "instance.total"}, 100]}
BEFORE = {"kind": "date", "path": "instance.date", "count": 3, "unit": "days", "direction": "before"}


def told(schedule: Any, model: str = "shop.order", **fields: Any) -> str:
    rule = RuleSpec("rule", model=model, **fields)
    return ", ".join(str(words_of(clause)) for clause in timed.clauses(rule, schedule))


def both(schedule: Any, model: str = "shop.order", **fields: Any) -> tuple[str, str]:
    with translation.override("de"):
        german = told(schedule, model, **fields)
    return told(schedule, model, **fields), german


@pytest.mark.parametrize(
    ("more", "english", "german"),
    [
        ({}, "3 days before the date of an appointment", "3 Tage vor Date bei einem Objekt „Appointment“"),
        ({"count": 1, "unit": "weeks"}, "1 week before the date of an appointment",
         "1 Woche vor Date bei einem Objekt „Appointment“"),
        ({"direction": "after", "unit": "months"}, "3 months after the date of an appointment",
         "3 Monate nach Date bei einem Objekt „Appointment“"),
        ({"count": 0}, "At the date of an appointment", "Zum Zeitpunkt Date bei einem Objekt „Appointment“"),
        ({"at": "08:05"}, "3 days before the date of an appointment, at 8:05",
         "3 Tage vor Date bei einem Objekt „Appointment“, um 8:05"),
        ({"at": "18:00", "zone": "Europe/Berlin"}, "3 days before the date of an appointment, at 18:00 in Berlin",
         "3 Tage vor Date bei einem Objekt „Appointment“, um 18:00 in Berlin"),
        ({"unit": "business_days", "holidays": "DE-BY"},
         "3 business days before the date of an appointment, without the holidays of DE-BY",
         "3 Arbeitstage vor Date bei einem Objekt „Appointment“, ohne die Feiertage von DE-BY"),
        ({"path": "instance.patient.name"}, "3 days before the patient’s name of an appointment",
         "3 Tage vor Name von Patient bei einem Objekt „Appointment“"),
        ({"path": "", "count": None}, "… days before the … of an appointment",
         "… Tage vor … bei einem Objekt „Appointment“"),
        ({"unit": None, "direction": "up"}, "3 … … the date of an appointment",
         "3 … … Date bei einem Objekt „Appointment“"),
    ],
)  # fmt: skip
def test_before_or_after_a_date(more: dict[str, Any], english: str, german: str) -> None:
    assert both({**BEFORE, **more}, "clinic.appointment") == (english, german)


def test_a_name_that_is_no_noun_stands_in_quotes() -> None:
    assert both({**BEFORE, "path": "instance.status_changed_at", "direction": "after"}) == (
        "3 days after “status changed at” of an order",
        "3 Tage nach „Status changed at“ bei einem Objekt „Order“",
    )


def test_what_has_to_hold_when_a_date_is_due_is_said_after_it() -> None:
    scheduled = {"==": [{"var": "instance.status"}, "scheduled"]}
    assert both(BEFORE, "clinic.appointment", condition=scheduled) == (
        "3 days before the date of an appointment, only if status is Scheduled",
        "3 Tage vor Date bei einem Objekt „Appointment“, nur wenn Status Scheduled ist",
    )
    assert told(BEFORE, "clinic.appointment", condition=UNREADABLE).endswith(", only if …")


@pytest.mark.parametrize(
    ("schedule", "english", "german"),
    [
        ({"each": "day", "at": "08:00"}, "Every day at 8:00", "Jeden Tag um 8:00"),
        ({"each": "day", "at": "08:00", "step": 3}, "Every 3 days at 8:00", "Alle 3 Tage um 8:00"),
        ({"each": "weekday", "at": "17:30"}, "Every weekday at 17:30", "An jedem Arbeitstag (Mo–Fr) um 17:30"),
        ({"each": "week", "day": 1, "at": "09:00"}, "Every Monday at 9:00", "Jeden Montag um 9:00"),
        ({"each": "week", "day": 7, "at": "09:00", "step": 2}, "Every second Sunday at 9:00",
         "Jeden zweiten Sonntag um 9:00"),
        ({"each": "week", "day": 3, "at": "09:00", "step": 3}, "Every 3 weeks on Wednesday at 9:00",
         "Alle 3 Wochen am Mittwoch um 9:00"),
        ({"each": "month", "day": 15, "at": "09:00"}, "On day 15 of every month at 9:00",
         "Am 15. jedes Monats um 9:00"),
        ({"each": "month_end", "at": "23:59", "step": 3}, "On the last day of every 3 months at 23:59",
         "Alle 3 Monate am letzten Tag um 23:59"),
        ({"each": "weekday", "at": "08:00", "holidays": "DE-BY"},
         "Every weekday at 8:00, without the holidays of DE-BY",
         "An jedem Arbeitstag (Mo–Fr) um 8:00, ohne die Feiertage von DE-BY"),
        ({"each": "day", "at": "08:00", "step": 2, "since": "2031-05-06"}, "Every 2 days at 8:00, from 2031-05-06 on",
         "Alle 2 Tage um 8:00, von 2031-05-06 an"),
        ({"cron": "0 8 * * 1-5"}, "At the times of 0 8 * * 1-5", "Zu den Zeiten von 0 8 * * 1-5"),
        ({"each": "week", "at": "", "day": 8}, "Every … at …", "Jeden … um …"),
        ({"each": "week"}, "Every Monday at 0:00", "Jeden Montag um 0:00"),
        ({"each": "hour"}, "Every hour", "Jede Stunde"),
        ({"each": "hour", "step": 6}, "Every 6 hours", "Alle 6 Stunden"),
        ({"each": "hour", "at": "00:15"}, "Every hour at minute 15", "Jede Stunde bei Minute 15"),
        ({"cron": ""}, "At the times of …", "Zu den Zeiten von …"),
        ({}, "Every … at 0:00", "Jeden … um 0:00"),
    ],
)  # fmt: skip
def test_at_fixed_times(schedule: dict[str, Any], english: str, german: str) -> None:
    assert both({"kind": "every", **schedule}, "") == (english, german)


@pytest.mark.parametrize(
    ("of", "condition", "english", "german"),
    [
        ("nothing", None, "Every weekday at 8:00 in Lisbon", "An jedem Arbeitstag (Mo–Fr) um 8:00 in Lisbon"),
        ("each", None, "Every weekday at 8:00 in Lisbon, for each order",
         "An jedem Arbeitstag (Mo–Fr) um 8:00 in Lisbon, für jedes Objekt „Order“"),
        ("each", PENDING, "Every weekday at 8:00 in Lisbon, for each order where status is Pending",
         "An jedem Arbeitstag (Mo–Fr) um 8:00 in Lisbon, für jedes Objekt „Order“, bei dem Status Pending ist"),
        ("rows", None, "Every weekday at 8:00 in Lisbon, once for all orders",
         "An jedem Arbeitstag (Mo–Fr) um 8:00 in Lisbon, einmal für alle Objekte „Orders“"),
        ("rows", RICH, "Every weekday at 8:00 in Lisbon, once for all orders where total is more than 100",
         "An jedem Arbeitstag (Mo–Fr) um 8:00 in Lisbon, einmal für alle Objekte „Orders“, bei denen Total "
         "größer als 100 ist"),
        ("some", None, "Every weekday at 8:00 in Lisbon, for some",
         "An jedem Arbeitstag (Mo–Fr) um 8:00 in Lisbon, für some"),
    ],
)  # fmt: skip
def test_what_a_fixed_time_is_for(of: str, condition: Any, english: str, german: str) -> None:
    schedule = {"kind": "every", "each": "weekday", "at": "08:00", "zone": "Europe/Lisbon", "of": of}
    assert both(schedule, condition=condition) == (english, german)


@pytest.mark.parametrize(
    ("fields", "english", "german"),
    [
        ({"condition": PENDING}, "When the status of an order stays Pending for 3 days",
         "Wenn Status bei einem Objekt „Order“ 3 Tage lang Pending bleibt"),
        ({"condition": RICH, "operations": ("update", "create")},
         "When for an order it stays so for 3 days that total is more than 100",
         "Wenn es für ein Objekt „Order“ 3 Tage lang dabei bleibt, dass Total größer als 100 ist"),
        ({}, "When for an order it stays so for 3 days that …",
         "Wenn es für ein Objekt „Order“ 3 Tage lang dabei bleibt, dass …"),
        ({"operations": ("create",)}, "When an order is created, 3 days after that",
         "Wenn ein Objekt „Order“ angelegt wird, 3 Tage danach"),
        ({"condition": PENDING, "operations": ("create",)},
         "When an order is created, and status is Pending for 3 days from then on",
         "Wenn ein Objekt „Order“ angelegt wird, und von da an 3 Tage lang Status Pending ist"),
        ({"changes": ({"field": "status", "to": "paid"},), "operations": ("update",)},
         "When an order is updated and its status becomes Paid, and that stays so for 3 days",
         "Wenn ein Objekt „Order“ geändert wird und Status auf Paid wechselt, und das 3 Tage lang so bleibt"),
    ],
)  # fmt: skip
def test_when_it_has_stayed_so(fields: dict[str, Any], english: str, german: str) -> None:
    schedule = {"kind": "stays", "count": 3, "unit": "days"}
    assert both(schedule, signals=("post_save",), **fields) == (english, german)


def test_so_many_times_in_a_window() -> None:
    often = {"kind": "often", "times": 5, "count": 10, "unit": "minutes", "by": "{{ instance.customer_id }}"}
    assert both(often, signals=("post_save",), operations=("create",), condition=RICH) == (
        "When an order is created, only if total is more than 100, 5 times within 10 minutes per customer",
        "Wenn ein Objekt „Order“ angelegt wird, nur wenn Total größer als 100 ist, 5-mal innerhalb von 10 Minuten je "
        "Customer",
    )
    assert told({"kind": "often"}, "", signals=("user_login_failed",)) == "When a login fails, … times in … …"
    assert told({**often, "unit": "weeks", "by": ""}, signals=("post_delete",)).endswith("5 times within 70 days")


def test_not_for_so_long() -> None:
    silent = {"kind": "silent", "count": 26, "unit": "hours"}
    assert both(silent, signals=("post_save",), operations=("create",)) == (
        "When for 26 hours it has not happened that an order is created",
        "Wenn es 26 Stunden lang nicht vorkam, dass ein Objekt „Order“ angelegt wird",
    )
    by = told({**silent, "by": "{{ instance.customer_id }}"}, signals=("post_save",), condition=RICH)
    assert by.endswith("created or updated per customer, only if total is more than 100")


@pytest.mark.parametrize("schedule", [{}, [], "every", {"kind": "sometimes"}, {"kind": ["date"]}, 7])
def test_a_schedule_without_words_is_code(schedule: Any) -> None:
    rule = RuleSpec("rule", model="shop.order")
    first = next(timed.clauses(rule, schedule))
    assert [part.kind for part in words_of(first).parts][:2] == ["text", "code"]
    assert timed.is_known(schedule) is False


@pytest.mark.parametrize(
    ("late", "said"),
    [("all", ""), (None, ""), ({}, ""), ("skip", "leaves out"), ("last", "the last alone")],
)
def test_what_is_missed_is_said_where_not_all_of_it_is_done(late: Any, said: str) -> None:
    told_late = timed.late({"kind": "every", "late": late})
    assert said in told_late
    assert bool(said) == bool(told_late)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
KEYS = (
    "path",
    "count",
    "unit",
    "direction",
    "at",
    "zone",
    "holidays",
    "each",
    "day",
    "step",
    "cron",
    "of",
    "by",
    "times",
)
WORDS = st.sampled_from(
    ["days", "weeks", "before", "week", "month", "rows", "each", "08:00", "instance.total", "25:99"]
)


@settings(max_examples=examples(80), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(sorted(timed.KINDS)),
    st.dictionaries(st.sampled_from(KEYS), JSON | WORDS, max_size=8),
    st.sampled_from(["", "shop.order", "no.model"]),
)
def test_whatever_stands_in_a_schedule_is_told(kind: str, fields: dict[str, Any], model: str) -> None:
    for language in ("en", "de"):
        with translation.override(language):
            said = told({**fields, "kind": kind}, model, condition=fields.get("path"))
            assert not set(said) & set("\x00\x01\x02\n")
            assert len(said) < 3_000
