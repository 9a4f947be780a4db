"""What holds a rule back, as clauses, in English and German."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from django.utils import translation

from rules_engine.admin.prose.holding import held_back
from rules_engine.admin.prose.marks import words_of
from rules_engine.types import RuleSpec

BY = "{{ instance.customer_id }}"
BEGIN, END = datetime(2031, 5, 6, 8, tzinfo=UTC), datetime(2032, 1, 1, 12, 30, tzinfo=UTC)


def told(**fields: Any) -> list[str]:
    return [str(words_of(clause)) for clause in held_back(RuleSpec("rule", model="shop.order", **fields))]


@pytest.mark.parametrize(
    ("fields", "english", "german"),
    [
        ({"throttle_count": 1, "throttle_seconds": 3600}, "at most once an hour", "höchstens einmal pro Stunde"),
        ({"throttle_count": 2, "throttle_seconds": 86400}, "at most twice a day", "höchstens zweimal pro Tag"),
        ({"throttle_count": 5, "throttle_seconds": 7200}, "at most 5 times in 2 hours", "höchstens 5-mal in 2 Stunden"),
        ({"throttle_count": 5, "throttle_seconds": 90}, "at most 5 times in 90 seconds",
         "höchstens 5-mal in 90 Sekunden"),
        ({"throttle_count": 1, "throttle_seconds": 3600, "throttle_by": BY}, "at most once an hour per customer",
         "höchstens einmal pro Stunde je Customer"),
        ({"throttle_count": 1, "throttle_seconds": 60, "throttle_by": f"{BY}-{{{{ instance.status }}}}"},
         "at most once a minute per customer and status", "höchstens einmal pro Minute je Customer und Status"),
        ({"throttle_count": 1, "throttle_seconds": 60, "throttle_by": f"c{BY}"},
         "at most once a minute per “c‹customer›”", "höchstens einmal pro Minute je „c‹Customer›“"),
        ({"throttle_count": 5}, "at most 5 times in …", "höchstens 5-mal in …"),
        ({"throttle_seconds": 60}, "at most … times a minute", "höchstens …-mal pro Minute"),
        ({"coalesce_seconds": 300}, "once for all within 5 minutes per object",
         "einmal für alles innerhalb von 5 Minuten je Objekt"),
        ({"coalesce_seconds": 86400, "coalesce_by": BY}, "once for all within 1 day per customer",
         "einmal für alles innerhalb von 1 Tag je Customer"),
        ({"coalesce_seconds": 0}, "once per transaction and object", "einmal je Transaktion und Objekt"),
        ({"coalesce_seconds": 300, "debounce": True}, "after 5 minutes without another per object",
         "nach 5 Minuten ohne weiteres Zutreffen je Objekt"),
        ({"debounce": True}, "when nothing more has come for …", "wenn … lang nichts mehr gekommen ist"),
        ({"once": True}, "only the first time for each object", "nur beim ersten Mal je Objekt"),
        ({"raw": True}, "also when data is loaded", "auch beim Laden von Daten"),
        ({"sample_percent": 10}, "for 10% of the events, chosen by chance",
         "bei 10 % der Ereignisse, zufällig ausgewählt"),
        ({"active_from": BEGIN}, "from May 6, 2031, 8 a.m. on", "ab 6. Mai 2031 08:00"),
        ({"active_until": END}, "until Jan. 1, 2032, 12:30 p.m.", "bis 1. Januar 2032 12:30"),
        ({"active_from": BEGIN, "active_until": END}, "from May 6, 2031, 8 a.m. until Jan. 1, 2032, 12:30 p.m.",
         "von 6. Mai 2031 08:00 bis 1. Januar 2032 12:30"),
    ],
)  # fmt: skip
def test_what_holds_a_rule_back_is_a_clause(fields: dict[str, Any], english: str, german: str) -> None:
    assert told(**fields) == [english]
    with translation.override("de"):
        assert told(**fields) == [german]


def test_a_rule_that_is_not_held_back_says_nothing_of_it() -> None:
    assert told() == []


def test_what_holds_back_stands_in_the_order_in_which_it_is_met() -> None:
    said = told(throttle_count=1, throttle_seconds=60, once=True, coalesce_seconds=60, sample_percent=5, raw=True)
    assert [clause.split()[0] for clause in said] == ["also", "for", "only", "once", "at"]
