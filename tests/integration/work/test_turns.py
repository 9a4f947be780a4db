"""A flood of one rule: the others get their turn, each rule keeps its order, and claiming stays as cheap."""

from __future__ import annotations

from collections import Counter

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from rules_engine.models import Event, Execution, Pause
from rules_engine.testing import create_rule, run_due
from rules_engine.types import new_id
from rules_engine.work import claims, run
from tests.factories import make_animals
from tests.integration.noting import note
from tests.integration.work.test_backlog import INSERT, rows_looked_at
from tests.zoo.models import Animal

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("noted")]


def rules(*slugs: str) -> None:
    """A rule each that notes the names of animals that begin with its slug."""
    for slug in slugs:
        condition = {"starts_with": [{"var": "instance.name"}, slug]}
        create_rule(Animal, slug=slug, condition=condition, actions=[note("{{ instance.name }}")])


def names(prefix: str, count: int) -> list[str]:
    return [f"{prefix}{number:03}" for number in range(count)]


def small_batches(settings: object, size: int) -> None:
    settings.RULES_ENGINE = {**settings.RULES_ENGINE, "BATCH_SIZE": size}  # type: ignore[attr-defined]


def test_a_flood_of_one_rule_does_not_hold_up_the_others(settings: object, noted: list[str]) -> None:
    small_batches(settings, 10)
    rules("flood", "a", "b")
    make_animals(*names("flood", 60), "a1", "b1", "a2")
    run.drain("rules", seconds=60, limit=20)
    assert noted[:10] == names("flood", 10), "the oldest first, as long as nobody knows how much waits"
    assert {"a1", "a2", "b1"} <= set(noted)
    assert len(noted) == 20, "what the others leave is the flood's"
    run_due()
    assert sorted(noted) == sorted([*names("flood", 60), "a1", "a2", "b1"])


def test_each_rule_keeps_its_order(settings: object, noted: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    small_batches(settings, 6)
    monkeypatch.setattr(run, "QUICK_SECONDS", 0.0)
    rules("a", "b", "c")
    make_animals(*names("a", 20), *names("b", 20), *names("c", 20))
    run.drain("rules", seconds=60)
    for slug in "abc":
        assert [name for name in noted if name.startswith(slug)] == names(slug, 20)
    of_second_batch = Counter(name[0] for name in noted[6:12])
    assert of_second_batch == {"a": 2, "b": 2, "c": 2}


def test_more_rules_than_a_batch_has_room_for_are_all_done(settings: object, noted: list[str]) -> None:
    small_batches(settings, 2)
    rules("a", "b", "c", "d")
    made = [name for slug in "abcd" for name in names(slug, 3)]
    make_animals(*made)
    run.drain("rules", seconds=60)
    assert sorted(noted) == sorted(made)


def test_what_a_pause_stops_has_no_turn(noted: list[str]) -> None:
    rules("a", "b")
    make_animals("a1", "b1")
    Pause.objects.create(rule_slug="a")
    assert [each.rule_slug for each in claims.claim_in_turn("rules", 10).executions] == ["b"]
    Pause.objects.update(rule_slug="")
    assert not claims.claim_in_turn("rules", 10), "everything is paused"


def test_what_is_in_a_lane_waits_in_its_place(noted: list[str]) -> None:
    rules("a", "b")
    make_animals("a1", "b1", "b2")
    Execution.objects.filter(rule_slug="a").update(lane="slow")
    assert len(claims.claim_in_turn("rules", 10).executions) == 3


@pytest.mark.postgres("its plan is told in its words")
def test_a_turn_looks_at_what_it_takes(noted: list[str]) -> None:
    rules("a", "b", "c")
    event = Event.objects.create(id=new_id(), signal="post_save", root_id=new_id(), occurred_at=timezone.now())
    of_event = INSERT.replace("% 2", "%% 2").replace("gen_random_uuid(), 'r'", f"'{event.pk}', 'r'")
    with connection.cursor() as cursor:
        for slug in ("a", "b", "c"):
            cursor.execute(of_event.replace("'r'", f"'{slug}'"), [10_000])
        cursor.execute("ANALYZE rules_engine_execution")
    told: list[str] = []
    looked_at = rows_looked_at(lambda: told.extend(e.rule_slug for e in claims.claim_in_turn("rules", 51).executions))
    assert looked_at <= 4 * 51
    assert Counter(told) == {"a": 17, "b": 17, "c": 17}
    with CaptureQueriesContext(connection) as queries:
        claims.claim_in_turn("rules", 51)
    assert len(queries) == 3, "what is unusual, the rules that are due, and the lease"
    leased = Execution.objects.exclude(leased_by="").values_list("rule_slug", flat=True)
    assert Counter(leased) == {"a": 34, "b": 34, "c": 34}
