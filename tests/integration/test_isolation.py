"""What fails in reading, matching or deciding for one rule is an error that this rule shows; all others act, and vetoes
are asked."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import DatabaseError, OperationalError, connection, models, transaction
from django.db.models.manager import BaseManager
from django.db.models.signals import post_save
from django.utils.functional import SimpleLazyObject

from rules_engine import acting_as
from rules_engine.capture import receiver
from rules_engine.capture.earlier import old_values
from rules_engine.context import columns, stored_form
from rules_engine.errors import Rejected
from rules_engine.live import constants, faults
from rules_engine.models import Event, Execution, HeldMatch, RuleError
from rules_engine.outbox import writing
from rules_engine.testing import create_rule, run_due
from tests.integration.test_confinement import without_column
from tests.integration.test_named_signals import loose
from tests.zoo.models import Animal, Enclosure, Keeper, Tag

pytestmark = pytest.mark.django_db(transaction=True)

LOG = [("log_message", {"message": "x"})]
COUNTS = [("log_message", {"message": "{{ instance.animals__count }}"})]
HAS_ANIMALS = {">": [{"var": "instance.animals__count"}, -1]}


class Unprintable(Exception):
    """Raises when it is printed."""

    def __str__(self) -> str:
        raise ValueError("no text")


class Nameless:
    """Somebody who is logged in; ``get_username`` is what tells their name, or raises."""

    is_authenticated, pk = True, 1

    def __init__(self, get_username: Callable[[], str]) -> None:
        self.get_username = get_username


ERRORS = [RuntimeError("A scope needs to be active"), DatabaseError("permission denied"), Unprintable()]


@contextmanager
def refusing(model: type[models.Model], error: BaseException) -> Iterator[None]:
    """Every manager of the model raises, as one does that wants a tenant first."""
    real = BaseManager.get_queryset

    def get_queryset(self: Any) -> Any:
        if self.model is model:
            raise error.with_traceback(None)
        return real(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BaseManager, "get_queryset", get_queryset)
        yield


@pytest.fixture(autouse=True)
def _forms_anew() -> Iterator[None]:
    """How a field stores its values is found out once a field; these tests give fields other code."""
    forget_forms()
    yield
    forget_forms()


def forget_forms() -> None:
    forms = (stored_form.form_of, stored_form.reader_of, stored_form.is_told_plainly)
    for known in (*forms, columns.told_columns, constants._is_plain_on):
        known.cache_clear()


def raising(error: BaseException, at: str = "bad") -> Callable[..., Any]:
    """A field's own code that raises at one value."""

    def convert(value: Any, *_: Any) -> Any:
        if value == at:
            raise error.with_traceback(None)
        return value

    return convert


def innocent(model: type[models.Model] = Keeper, **fields: Any) -> None:
    create_rule(model=model, slug="innocent", actions=LOG, **fields)


def veto(model: type[models.Model] = Keeper, signal: str = "pre_save") -> None:
    condition = {"==": [{"var": "instance.name"}, "bad"]}
    create_rule(
        model=model, slug="veto", signals=[signal], condition=condition, actions=[("reject", {"message": "No"})]
    )


def acted() -> set[str]:
    return set(Execution.objects.values_list("rule_slug", flat=True))


def failed() -> set[str]:
    return set(RuleError.objects.values_list("rule_slug", flat=True))


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("signal", ["pre_save", "post_save"])
@pytest.mark.parametrize("asks", [{"condition": HAS_ANIMALS, "actions": LOG}, {"actions": COUNTS}], ids=str)
def test_a_manager_that_raises_is_the_error_of_the_rule_that_reads(
    error: Exception, signal: str, asks: dict[str, Any]
) -> None:
    keeper = Keeper.objects.create(name="a")
    innocent()
    veto()
    create_rule(model=Keeper, slug="reads", signals=[signal], **asks)
    with refusing(Animal, error), transaction.atomic():
        keeper.name = "b"
        keeper.save()
    assert (acted(), failed()) == ({"innocent"}, {"reads"})
    keeper.name = "bad"
    with refusing(Animal, error), pytest.raises(Rejected):
        keeper.save()
    assert Keeper.objects.get().name == "b"


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_a_delete_goes_on_for_the_rules_that_can_be_asked(error: Exception) -> None:
    keeper = Keeper.objects.create(name="a")
    innocent(signals=["post_delete"])
    create_rule(model=Keeper, slug="reads", signals=["pre_delete"], actions=COUNTS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rules_engine.context.aggregates._query", _raise(error))
        keeper.delete()
    assert (acted(), failed()) == ({"innocent"}, {"reads"})


def _raise(error: BaseException) -> Callable[..., Any]:
    def fail(*_: Any, **__: Any) -> Any:
        raise error

    return fail


def test_a_veto_is_no_weaker_where_its_message_cannot_be_told_in_full() -> None:
    actions = [("reject", {"message": "Keeps {{ instance.animals__count }} animals"})]
    create_rule(model=Keeper, slug="veto", signals=["pre_save"], actions=actions)
    Keeper.objects.bulk_create([Keeper(name="a")])
    keeper = Keeper.objects.get()
    with refusing(Animal, ERRORS[0]), pytest.raises(Rejected, match="This is not allowed"):
        keeper.save()
    assert failed() == {"veto"}


def test_a_veto_acts_though_its_rules_other_action_cannot_read() -> None:
    create_rule(model=Keeper, slug="veto", signals=["pre_save"], actions=[*COUNTS, ("reject", {"message": "No"})])
    Keeper.objects.bulk_create([Keeper(name="a")])
    keeper = Keeper.objects.get()
    with refusing(Animal, ERRORS[0]), pytest.raises(Rejected, match="No"):
        keeper.save()


def test_what_is_not_to_be_swallowed_is_not() -> None:
    create_rule(model=Keeper, actions=COUNTS)
    keeper = Keeper.objects.create(name="a")
    with refusing(Animal, KeyboardInterrupt()), pytest.raises(KeyboardInterrupt):
        keeper.save()


def test_a_database_error_in_a_text_leaves_the_transaction_usable() -> None:
    keeper = Keeper.objects.create(name="a")
    innocent()
    create_rule(model=Keeper, slug="reads", actions=[("log_message", {"message": "{{ instance.animals__legs__sum }}"})])
    with without_column(Animal, "legs"), transaction.atomic():
        keeper.save()
        Tag.objects.create(name="what the caller does next")
    assert Tag.objects.exists()
    assert (acted(), failed()) == ({"innocent"}, {"reads"})


def test_a_write_that_fails_in_being_read_marks_no_transaction() -> None:
    keeper = Keeper.objects.create(name="a")
    create_rule(model=Keeper, slug="reads", actions=COUNTS)

    def write(*_: Any) -> Any:
        with transaction.mark_for_rollback_on_error("default"):
            raise RuntimeError("a write that failed")

    with pytest.MonkeyPatch.context() as patch, transaction.atomic():
        patch.setattr("rules_engine.context.aggregates._query", write)
        keeper.name = "b"
        keeper.save()
    assert Keeper.objects.get().name == "b"
    assert failed() == {"reads"}


@pytest.mark.parametrize(
    "asks",
    [
        {"changes": [{"field": "notes"}]},
        {"changes": [{"field": "legs"}, {"field": "notes", "to": "new"}]},
        {"condition": {"!=": [{"var": "old.notes"}, "x"]}},
        {"condition": {"in": ["legs", {"var": "changed"}]}},
        {"condition": {"!!": [{"var": "changes.notes.old"}]}},
    ],
    ids=str,
)
def test_an_old_value_that_its_field_cannot_read_is_an_error_of_who_asks(
    monkeypatch: pytest.MonkeyPatch, asks: dict[str, Any]
) -> None:
    animal = Animal.objects.create(name="a", notes="bad")
    notes = Animal._meta.get_field("notes")
    monkeypatch.setattr(notes, "from_db_value", raising(ERRORS[2]), raising=False)
    innocent(Animal, changes=[{"field": "legs"}])
    veto(Animal)
    for signal in ("pre_save", "post_save"):
        create_rule(model=Animal, slug=f"asks-{signal}", signals=[signal], actions=LOG, **asks)
    animal.notes, animal.legs = "new", 3
    animal.save()
    assert (acted(), failed()) == ({"innocent"}, {"asks-pre_save", "asks-post_save"})
    [event] = Event.objects.filter(signal="post_save")
    assert event.context["changes"]["legs"] == {"old": 4, "new": 3}
    assert "notes" not in {**event.context["changes"], **event.context["old"]}
    animal.name = "bad"
    Animal.objects.update(notes="bad")
    with pytest.raises(Rejected):
        animal.save()


def test_a_change_that_cannot_be_the_one_asked_for_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    animal = Animal.objects.create(name="a", notes="bad")
    monkeypatch.setattr(Animal._meta.get_field("notes"), "from_db_value", raising(ERRORS[0]), raising=False)
    create_rule(model=Animal, changes=[{"field": "notes", "to": "other"}], actions=LOG)
    animal.notes = "new"
    animal.save()
    assert (acted(), failed()) == (set(), set())


def test_a_value_that_its_field_cannot_convert_is_an_error_of_who_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    animal = Animal.objects.create(name="a")
    notes = Animal._meta.get_field("notes")
    monkeypatch.setattr(notes, "get_prep_value", raising(ERRORS[2]))
    # What the field itself does in Django's own save is not ours to mend.
    monkeypatch.setattr(notes, "get_db_prep_save", lambda value, connection: value)
    innocent(Animal)
    veto(Animal)
    create_rule(model=Animal, slug="asks", changes=[{"field": "notes"}], actions=LOG)
    create_rule(model=Animal, slug="tells", actions=[("log_message", {"message": "{{ instance.notes }}"})])
    create_rule(model=Animal, slug="legs", changes=[{"field": "legs"}], actions=LOG)
    animal.notes, animal.legs = "bad", 3
    animal.save()
    assert (acted(), failed()) == ({"innocent", "legs"}, {"asks", "tells"})
    animal.name = "bad"
    with pytest.raises(Rejected):
        animal.save()


def test_a_value_that_nobody_asks_for_keeps_no_delete_from_being_told(monkeypatch: pytest.MonkeyPatch) -> None:
    animal = Animal.objects.create(name="a")
    monkeypatch.setattr(Animal._meta.get_field("notes"), "get_prep_value", raising(ERRORS[0]))
    innocent(Animal, signals=["pre_delete", "post_delete"])
    animal.notes = "bad"
    animal.delete()
    assert (acted(), failed()) == ({"innocent"}, set())
    assert Event.objects.first() is not None


def test_a_column_that_is_gone_is_an_error_of_who_asks_for_it() -> None:
    animal = Animal.objects.create(name="a")
    innocent(Animal, changes=[{"field": "legs"}])
    create_rule(model=Animal, slug="asks", changes=[{"field": "notes"}], actions=LOG)
    create_rule(model=Animal, slug="weighs", condition={"!=": [{"var": "old.weight"}, 1]}, actions=LOG)
    with without_column(Animal, "notes"), transaction.atomic():
        animal.legs = 3
        animal.save(update_fields=["legs"])
    assert acted() == {"innocent", "weighs"}


def test_a_key_of_two_columns_can_be_told() -> None:
    create_rule(model=Enclosure, slug="tells", actions=[("log_message", {"message": "{{ instance.pk }}"})])
    create_rule(model=Enclosure, slug="asks", condition={"!!": [{"var": "instance.pk"}]}, actions=LOG)
    enclosure = Enclosure.objects.create(house=1, number=2)
    enclosure.name = "b"
    enclosure.save()
    enclosure.save(update_fields=["name"])
    assert (acted(), failed()) == ({"tells", "asks"}, set())
    assert Execution.objects.count() == 6


@pytest.mark.skipif(not hasattr(models, "FETCH_RAISE"), reason="Since Django 6.1.")
def test_an_object_that_may_fetch_nothing_is_read_all_the_same() -> None:
    animal = Animal.objects.create(name="a", keeper=Keeper.objects.create(name="k"))
    message = "{{ instance.keeper.name }} {{ instance.notes }}"
    create_rule(model=Animal, slug="reads", actions=[("log_message", {"message": message})])
    veto(Animal)
    animal = Animal.objects.fetch_mode(models.FETCH_RAISE).defer("notes").get()
    animal.legs = 3
    animal.save()
    assert (acted(), failed()) == ({"reads"}, set())
    assert run_due() == 1
    assert Execution.objects.get().summary == "Logged: k "


def test_a_lazy_value_that_raises_keeps_no_veto_from_acting() -> None:
    animal = Animal.objects.create(name="a")
    veto(Animal)
    create_rule(model=Animal, slug="asks", signals=["pre_save"], changes=[{"field": "notes"}], actions=LOG)
    animal.name, animal.notes = "bad", lazy()
    with pytest.raises(Rejected):
        animal.save()
    assert failed() == {"asks"}


def test_a_field_of_which_nothing_can_be_found_out_costs_who_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    animal = Animal.objects.create(name="a")
    real = old_values.form_of

    def form_of(field: Any) -> Any:
        return _raise(ERRORS[0])() if field.name == "notes" else real(field)

    monkeypatch.setattr(old_values, "form_of", form_of)
    innocent(Animal, changes=[{"field": "legs"}])
    veto(Animal)
    create_rule(model=Animal, slug="asks", changes=[{"field": "notes"}], actions=LOG)
    animal.notes, animal.legs = "new", 3
    animal.save()
    assert (acted(), failed()) == ({"innocent"}, {"asks"})


def test_a_key_that_cannot_be_told_silences_no_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    innocent()
    create_rule(model=Keeper, slug="tells", actions=[("log_message", {"message": "{{ instance.pk }}"})])
    monkeypatch.setattr("rules_engine.context.snapshot.key_value", _raise(RuntimeError("no key")))
    # As of a key with code of its own, which is asked: a plain number is not.
    monkeypatch.setattr("rules_engine.context.subject.is_held_plainly", lambda model, name: False)
    Keeper.objects.create(name="a")
    assert (acted(), failed()) == ({"innocent"}, {"tells"})
    assert Event.objects.get().object_pk == "<RuntimeError>"


def test_a_relation_that_cannot_be_read_before_it_is_cleared_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    animal = Animal.objects.create(name="a")
    animal.tags.add(Tag.objects.create(name="t"))
    create_rule(model=Animal, slug="hears", signals=["m2m_changed"], actions=LOG)
    monkeypatch.setattr(Tag._meta.pk, "from_db_value", _raise(ERRORS[0]), raising=False)
    animal.tags.clear()
    assert not animal.tags.exists()
    assert failed() == {"hears"}


def test_who_acts_is_an_error_of_who_asks_for_them() -> None:
    innocent()
    create_rule(model=Keeper, slug="asks", condition={"!!": [{"var": "actor.username"}]}, actions=LOG)

    with acting_as(Nameless(_raise(RuntimeError("no name")))):
        Keeper.objects.create(name="a")
    assert (acted(), failed()) == ({"innocent"}, {"asks"})
    assert Event.objects.get().actor_name == "<RuntimeError>"


def test_a_name_that_no_database_takes_silences_no_rule() -> None:
    innocent()
    with acting_as(get_user_model()(pk=1, username="nul\x00 and \ud800")):
        Keeper.objects.create(name="a")
    assert acted() == {"innocent"}


class Wild:
    """Raises whatever is asked of it."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(name)

    def __str__(self) -> str:
        raise RuntimeError("str")


class WildMapping(dict[str, Any]):
    """Cannot be gone through."""

    def items(self) -> Any:
        raise RuntimeError("items")


def lazy() -> Any:
    return SimpleLazyObject(_raise(RuntimeError("late")))


def test_what_a_signals_argument_raises_is_marked_and_the_rest_told() -> None:
    create_rule(signals=["zoo.anything"], slug="innocent", actions=LOG)
    create_rule(signals=["zoo.anything"], slug="reads", condition={"==": [{"var": "signal.good"}, 1]}, actions=LOG)
    create_rule(model=Keeper, signals=["zoo.anything"], slug="about", actions=LOG)
    loose.send(
        sender=None,
        good=1,
        wild=Wild(),
        lazy=lazy(),
        mapping=WildMapping(a=1),
        nested=[1, {"deep": Wild()}, lazy()],
        instance=lazy(),
        request=lazy(),
        raw=True,
        using="nowhere",
        long=10**10_000,
        wide=Decimal("1e400"),
        update_fields=["x"],
        created=Wild(),
    )
    assert (acted(), failed()) == ({"innocent", "reads"}, {"about"})
    told = Event.objects.get(evaluations__icontains="innocent").context["signal"]
    assert (told["good"], told["raw"], told["using"], told["update_fields"]) == (1, True, "nowhere", ["x"])
    assert told["mapping"] == {"type": "WildMapping", "text": "<RuntimeError>"}
    assert told["nested"][0] == 1
    assert told["nested"][1]["deep"]["type"] == "Wild"
    assert told["nested"][2] == {"type": "SimpleLazyObject", "text": "<RuntimeError>"}
    assert told["long"]["type"] == "int"
    assert told["long"]["text"].startswith("0x")
    assert told["wide"] == "1E+400"


def test_an_argument_that_fails_in_the_database_spoils_no_transaction() -> None:

    class Report:
        def __str__(self) -> str:
            with connection.cursor() as cursor:
                cursor.execute("SELECT nothing_of_that_name")
            return ""

    with transaction.atomic():
        create_rule(signals=["zoo.anything"], slug="innocent", actions=LOG)
        loose.send(sender=None, report=Report(), lazy=SimpleLazyObject(lambda: Report().__str__()))
        Tag.objects.create(name="what the caller does next")
    assert acted() == {"innocent"}
    assert Tag.objects.exists()


def test_a_key_that_cannot_be_rendered_is_the_error_of_its_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    innocent()
    create_rule(model=Keeper, slug="holds", throttle_count=1, throttle_seconds=9, throttle_by="x", actions=LOG)
    monkeypatch.setattr("rules_engine.rules.holding.texts.render", _raise(Unprintable()))
    Keeper.objects.create(name="a")
    assert (acted(), failed()) == ({"innocent"}, {"holds"})
    assert not HeldMatch.objects.exists()


def test_what_cannot_be_stored_for_one_rule_is_that_rules_error(monkeypatch: pytest.MonkeyPatch) -> None:
    innocent()
    create_rule(model=Keeper, slug="second", actions=[("log_message", {"message": "{{ instance.name }}"})])
    create_rule(model=Keeper, slug="lost", actions=LOG)
    create_rule(model=Keeper, slug="fails", condition={"==": [[], {"var": "instance.name"}]}, actions=LOG)
    real = writing.make_batch

    def make_batch(event: Any, matched: Any, **more: Any) -> Any:
        if any(rule.slug == "lost" for rule in matched):
            raise TypeError("Object of type Odd is not JSON serializable")
        return real(event, matched, **more)

    monkeypatch.setattr(writing, "make_batch", make_batch)
    Keeper.objects.create(name="a")
    assert (acted(), failed()) == ({"innocent", "second"}, {"lost", "fails"})
    event = Event.objects.get(pk=Execution.objects.get(rule_slug="second").event_id)
    assert event.context["instance"]["name"] == "a"
    assert event.context["event"]["id"] == str(event.pk)
    assert run_due() == 2


def test_a_database_that_is_gone_is_not_asked_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    innocent()
    create_rule(model=Keeper, slug="second", actions=LOG)
    asked: list[Any] = []

    def make_batch(*given: Any, **_: Any) -> Any:
        asked.append(given)
        raise OperationalError("the server closed the connection")

    monkeypatch.setattr(writing, "make_batch", make_batch)
    before = faults.of_process.total
    Keeper.objects.create(name="a")
    assert (len(asked), faults.of_process.total) == (1, before + 1)


def test_a_model_in_another_database_is_told_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    innocent()
    keeper = Keeper(pk=1, name="a")
    with caplog.at_level(logging.ERROR, "rules_engine"):
        for _ in range(5):
            receiver.receive(Keeper, post_save, instance=keeper, created=True, raw=False, using="elsewhere")
    [record] = caplog.records
    assert record.exc_info is None
    assert 'is stored in the database "elsewhere"' in record.getMessage()
    [error] = RuleError.objects.all()
    assert 'is stored in the database "elsewhere"' in error.message
    assert acted() == set()
