"""What is carried out together: in which order, in how many statements, and what one does to the others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext

from rules_engine.actions import Action, ActionContext, ActionResult, PermanentError, register_action
from rules_engine.databases.generic import seconds_from_now
from rules_engine.models import Attempt, AuditEntry, Event, Execution
from rules_engine.rules import registry
from rules_engine.testing import create_rule, run_due
from rules_engine.work import claims, run
from rules_engine.work.parts import parts_of
from rules_engine.work.run import run_claim
from tests.factories import make_animals
from tests.zoo.models import Animal, Tag

pytestmark = pytest.mark.django_db(transaction=True)

AUDIT = ("write_audit_entry", {"note": "{{ instance.name }}"})
CREATE = ("create_object", {"model": "zoo.tag", "values": [{"field": "name", "value": "{{ instance.name }}"}]})
UPDATE = ("update_objects", {"values": [{"field": "notes", "value": "{{ instance.name }}"}]})
LOG = ("log_message", {"message": "{{ instance.name }}"})
CACHE = ("delete_cache_keys", {"keys": ["animal_{{ instance.name }}"]})


class Many(Action):
    """Leaves a row for each animal: many at once, or one by one; ``fails`` names those that it fails at."""

    kind = "many"
    label = "Many"
    schema = {"type": "object", "keys": {}}
    calls: list[list[str]] = []
    fails: dict[str, Any] = {}

    def reads(self, config: Any, rule: Any) -> Any:
        return {("instance", "name")}

    def run(self, context: ActionContext, config: Any) -> ActionResult:
        [answer] = self._do("run", [context])
        if isinstance(answer, Exception):
            raise answer
        return answer

    def run_many(self, contexts: Sequence[ActionContext], configs: Any) -> Sequence[ActionResult | Exception]:
        if error := self.fails.get("run_many"):
            self._do("run_many", contexts)
            raise error
        return self._do("run_many", contexts)

    def _do(self, how: str, contexts: Sequence[ActionContext]) -> list[ActionResult | Exception]:
        names = [context.data["instance"]["name"] for context in contexts]
        type(self).calls.append([how, *names])
        Tag.objects.bulk_create(Tag(name=name) for name in names if name not in self.fails)
        return [
            self.fails.get(name) or ActionResult(f"did {name} at attempt {context.attempt}")
            for name, context in zip(names, contexts, strict=True)
        ]


@pytest.fixture(autouse=True)
def many() -> Iterator[Any]:
    made = type("Many", (Many,), {"calls": [], "fails": {}})
    register_action(made)
    yield made
    del registry._actions["many"]


def due(actions: Sequence[Any], *names: str, **fields: Any) -> None:
    create_rule(model=Animal, operations=["create"], actions=actions, **fields)
    for name in names:
        Animal.objects.create(name=name)


def names(count: int) -> list[str]:
    return [f"a{number:02}" for number in range(count)]


def told() -> list[tuple[str, int, str]]:
    return list(Execution.objects.order_by("id").values_list("state", "attempts", "summary"))


def done() -> list[str]:
    return sorted(Tag.objects.values_list("name", flat=True))


def claimed() -> list[list[tuple[str, str]]]:
    """The parts of what is due: of each its kind, and its animal's name."""
    parts = parts_of(claims.claim().executions, 50)
    return [[(each.kind, each.event.context["instance"]["name"]) for each in part] for part in parts]


def claimed_sizes() -> list[int]:
    """How many are in each part of what is due, which is given back."""
    claim = claims.claim()
    claims.give_back(claim.worker)
    return [len(part) for part in parts_of(claim.executions, 50)]


@pytest.mark.parametrize("kind", [AUDIT, LOG, CACHE, ("many", {})], ids=lambda action: action[0])
@pytest.mark.parametrize("crash_safe", [False, True])
@pytest.mark.row_locks
def test_fifty_take_the_statements_of_five(kind: Any, crash_safe: bool, many: Any) -> None:
    many.crash_safe = crash_safe
    taken = []
    due([kind])
    for count in (5, 50):
        make_animals(*names(count))
        with CaptureQueriesContext(connection) as queries:
            assert run.drain("rules", seconds=60, limit=count) == count
        taken.append(len(queries))
        assert not Execution.objects.exclude(state="succeeded").exists()
    # Where it takes one statement to claim, to charge and to end.
    assert taken[0] == taken[1] <= (10 if connection.vendor == "postgresql" else 22)
    assert Attempt.objects.filter(outcome="succeeded", number=1).count() == 55


def sizes(many: Any) -> list[int]:
    """Of how many each part was that was done."""
    return [len(call) - 1 for call in many.calls]


def due_in_batches_of_five(settings: Any, count: int) -> None:
    settings.RULES_ENGINE = {**settings.RULES_ENGINE, "BATCH_SIZE": 5}
    due([("many", {})], *names(count))


def test_a_worker_that_is_behind_takes_more_at_once_while_that_is_quick(
    many: Any, settings: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr(run, "QUICK_SECONDS", 60.0)
    many.crash_safe = True
    due_in_batches_of_five(settings, 60)
    assert run.drain("rules", seconds=60) == 60
    assert sizes(many) == [5, 10, 20, 20, 5], "twice as many each time, to four times as many as it is set to"
    assert done() == names(60)


def test_after_a_batch_that_took_long_no_more_than_set_are_taken(many: Any, settings: Any, monkeypatch: Any) -> None:
    many.crash_safe = True
    due_in_batches_of_five(settings, 20)
    monkeypatch.setattr(run, "QUICK_SECONDS", 0.0)
    assert run.drain("rules", seconds=60) == 20
    assert sizes(many) == [5] * 4


def test_of_what_happens_outside_no_more_than_set_are_in_flight(many: Any, settings: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(run, "QUICK_SECONDS", 60.0)
    due_in_batches_of_five(settings, 35)
    assert run.drain("rules", seconds=60) == 35
    assert sizes(many) == [5] * 7
    assert done() == names(35)


def test_what_is_done_together_is_recorded_each_with_its_own(many: Any) -> None:
    due([("many", {})], "a", "b", "c")
    assert run_due() == 3
    assert many.calls == [["run_many", "a", "b", "c"]]
    assert told() == [("succeeded", 1, f"did {name} at attempt 1") for name in "abc"]
    assert list(Attempt.objects.values_list("outcome", "number")) == [("succeeded", 1)] * 3


def test_the_actions_of_one_event_stay_in_order() -> None:
    due([AUDIT, LOG, ("many", {}), LOG], "a", "b")
    assert claimed() == [
        [("write_audit_entry", "a"), ("write_audit_entry", "b")],
        [("log_message", "a"), ("log_message", "b")],
        [("many", "a"), ("many", "b")],
        [("log_message", "a"), ("log_message", "b")],
    ]


def test_what_is_about_one_object_stays_in_order() -> None:
    create_rule(model=Animal, operations=["update"], actions=[LOG, AUDIT, LOG])
    [animal] = make_animals("a")
    for name in "bc":
        animal.name = name
        animal.save()
    assert [name for part in claimed() for kind, name in part if kind == "log_message"] == ["b", "b", "c", "c"]


def test_authors_and_what_cannot_be_shared_come_by_themselves() -> None:
    for name in ("root", "other"):
        author = get_user_model().objects.create_superuser(name)
        create_rule(model=Animal, actions=[LOG, UPDATE], author=author)
    make_animals("a", "b")
    kinds = [[kind for kind, _name in part] for part in claimed()]
    assert sorted(kinds) == [["log_message"] * 2] * 2 + [["update_objects"]] * 4


def test_what_comes_by_itself_keeps_nothing_apart() -> None:
    due([UPDATE, LOG], "a", "b", "c")
    assert [[kind for kind, _name in part] for part in claimed()] == [["update_objects"]] * 3 + [["log_message"] * 3]


def test_rules_share_what_they_do_alike(many: Any) -> None:
    due([("many", {})])
    due([("many", {"other": 1})], "a", "b")
    run_due()
    assert many.calls == [["run_many", "a", "a", "b", "b"]]


@pytest.mark.parametrize("crash_safe", [False, True])
def test_one_that_fails_leaves_the_others_what_they_did(many: Any, crash_safe: bool) -> None:
    many.crash_safe, many.fails = crash_safe, {"b": PermanentError("Not b.")}
    due([("many", {})], "a", "b", "c")
    run_due()
    assert [state for state, _attempts, _summary in told()] == ["succeeded", "discarded", "succeeded"]
    assert {attempts for _state, attempts, _summary in told()} == {1}
    assert Execution.objects.get(state="discarded").error == "Not b."
    assert (done(), len(many.calls)) == (["a", "c"], 1)


def test_an_effect_in_our_database_is_undone_and_done_one_by_one(many: Any) -> None:
    many.crash_safe = True
    many.fails = {"run_many": ValueError("a bug"), "b": PermanentError("Not b.")}
    due([("many", {})], "a", "b", "c")
    run_due()
    assert many.calls == [["run_many", "a", "b", "c"], ["run", "a"], ["run", "b"], ["run", "c"]]
    assert [(state, attempts) for state, attempts, _ in told()] == [
        ("succeeded", 1),
        ("discarded", 1),
        ("succeeded", 1),
    ]
    assert done() == ["a", "c"], "what was done together was undone"


def test_what_cannot_be_done_together_outside_is_done_one_by_one(many: Any) -> None:
    many.fails = {"run_many": ValueError("a bug")}
    due([("many", {})], "a", "b")
    run_due()
    assert many.calls == [["run_many", "a", "b"], ["run", "a"], ["run", "b"]]
    assert [(state, attempts) for state, attempts, _ in told()] == [("succeeded", 1)] * 2
    assert Attempt.objects.count() == 2


@pytest.mark.parametrize("answer", [None, [], [ActionResult("one")], 7, ["x"] * 9])
@pytest.mark.parametrize("crash_safe", [False, True])
def test_an_odd_answer_for_many_repeats_nothing(many: Any, answer: Any, crash_safe: bool) -> None:
    many.crash_safe = crash_safe
    many.run_many = lambda self, contexts, configs: self._do("run_many", contexts) and answer
    due([("many", {})], "a", "b")
    run_due()
    assert {state for state, _attempts, _summary in told()} == {"succeeded"}
    assert done() == ["a", "b"]


def test_a_bad_row_takes_no_other_entry_along() -> None:
    due([AUDIT], "a", "b", "c")
    blocking = Execution.objects.order_by("id")[1]
    AuditEntry.objects.add(AuditEntry(id=blocking.pk, at=blocking.created_at, operation="THERE", note="before"))
    run_due()
    assert sorted(AuditEntry.objects.values_list("note", flat=True)) == ["a", "before", "c"]
    assert [state for state, _attempts, _summary in told()] == ["succeeded", "retryable", "succeeded"]


def test_rows_are_created_together_and_one_that_fails_leaves_the_others() -> None:
    due([CREATE], "a", "b" * 100, "c")
    config = {"model": "zoo.tag", "values": [{"field": "name", "value": "{{ instance.name }}!"}]}
    Execution.objects.filter(pk=Execution.objects.order_by("id")[1].pk).update(config=config)
    assert claimed_sizes() == [3]
    run_due()
    assert [(state, attempts) for state, attempts, _ in told()] == [
        ("succeeded", 1),
        ("discarded", 1),
        ("succeeded", 1),
    ]
    assert done() == ["a", "c"]


def test_what_follows_a_row_created_with_others_is_told_as_its_own() -> None:
    due([CREATE], "a", "b", "c")
    create_rule(model=Tag, actions=[LOG])
    run_due()
    causes = dict(Event.objects.filter(model="zoo.tag").values_list("context__instance__name", "cause_id"))
    own = {each.event.context["instance"]["name"]: each.pk for each in Execution.objects.filter(kind="create_object")}
    assert causes == own


def test_rows_that_one_chain_leads_to_are_created_one_by_one() -> None:
    due([CREATE], "a", "b", "c")
    assert claimed_sizes() == [3]
    first, second = Event.objects.order_by("pk")[:2]
    Event.objects.filter(pk=second.pk).update(root_id=first.root_id)
    assert claimed_sizes() == [2, 1]


def test_a_rival_of_one_has_all_done_again(monkeypatch: pytest.MonkeyPatch) -> None:
    due([CREATE], "a", "b", "c")
    action = type(registry.find("create_object"))
    usual, tries = action.run, []

    def run_once_beside_a_rival(self: Any, context: ActionContext, config: Any) -> ActionResult:
        tries.append(context.data["instance"]["name"])
        if len(tries) == 2:
            raise OperationalError("the server went away")
        return usual(self, context, config)

    monkeypatch.setattr(action, "run", run_once_beside_a_rival)
    run_due()
    assert tries == ["a", "b", "a", "b", "c"]
    assert (done(), {state for state, _attempts, _ in told()}) == (["a", "b", "c"], {"succeeded"})


def test_a_process_that_dies_amid_database_effects_did_nothing(many: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    many.crash_safe, many.fails = True, {"run_many": SystemExit(9)}
    due([("many", {})], "a", "b", "c")
    die(monkeypatch)
    assert (done(), Attempt.objects.count()) == ([], 0)
    run_due()
    assert many.calls[1:] == [["run", "a"], ["run", "b"], ["run", "c"]], "each alone, since one may be to blame"
    assert told() == [("succeeded", 1, f"did {name} at attempt 1") for name in "abc"]
    assert (done(), set(Execution.objects.values_list("crashes", flat=True))) == (["a", "b", "c"], {0})


def test_a_process_that_dies_amid_effects_outside_leaves_a_trace(many: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    many.fails = {"run_many": SystemExit(9)}
    due([("many", {})], "a", "b")
    die(monkeypatch)
    run_due()
    assert many.calls[1:] == [["run", "a"], ["run", "b"]]
    assert [(state, attempts) for state, attempts, _ in told()] == [("succeeded", 2)] * 2
    assert sorted(Attempt.objects.values_list("outcome", "number")) == [("lost", 1)] * 2 + [("succeeded", 2)] * 2


def die(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run what is due in a process that ends amid it, and let its leases expire."""
    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(claims, "give_back", lambda worker: 0)  # a killed process gives nothing back
        run_due()
    Execution.objects.filter(lease_until__isnull=False).update(lease_until=seconds_from_now(-1))


@pytest.mark.parametrize("crash_safe", [False, True])
def test_what_another_worker_took_is_left_to_it(many: Any, crash_safe: bool) -> None:
    many.crash_safe = crash_safe
    due([("many", {})], "a", "b", "c")
    claim = claims.claim()
    Execution.objects.filter(pk=claim.executions[1].pk).update(leased_by="another")
    run_claim(claim)
    assert [(state, attempts) for state, attempts, _ in told()] == [("succeeded", 1), ("pending", 0), ("succeeded", 1)]
    assert done() == ["a", "c"]


def test_a_lost_right_counts_at_the_next_batch() -> None:
    author = get_user_model().objects.create_superuser("root")
    due([LOG], "a", "b", author=author)
    assert run.drain("rules", seconds=60, limit=1) == 1
    get_user_model().objects.update(is_active=False)
    run_due()
    assert [state for state, _attempts, _summary in told()] == ["succeeded", "refused"]


def test_what_is_not_begun_in_time_is_given_back(many: Any) -> None:
    due([("many", {}), LOG], "a", "b")
    assert run_claim(claims.claim(), end=0) == 0
    assert set(Execution.objects.values_list("state", "attempts", "leased_by")) == {("pending", 0, "")}


@pytest.mark.parametrize(
    ("kind", "most"),
    [
        # Charged, counted in the hour's mails under a lock, and ended.
        (("send_email", {"to": ["a@example.com"], "subject": "S", "body": "B"}), 8),
        # Written within three savepoints, and recorded with the others by what all share.
        (("create_object", {"model": "zoo.tag", "values": [{"field": "name", "value": "t"}]}), 8),
    ],
    ids=["send_email", "create_object"],
)
@pytest.mark.row_locks
def test_one_more_by_itself_takes_as_many_statements(kind: Any, most: int) -> None:
    taken = []
    due([kind])
    for count in (1, 5):
        make_animals(*names(count))
        with CaptureQueriesContext(connection) as queries:
            assert run.drain("rules", seconds=60, limit=count) == count
        taken.append(len(queries))
        assert not Execution.objects.exclude(state="succeeded").exists()
    # Elsewhere a lock takes a statement more, and so do savepoints around what is charged and ended.
    assert (taken[1] - taken[0]) / 4 <= (most if connection.vendor == "postgresql" else 2 * most)
