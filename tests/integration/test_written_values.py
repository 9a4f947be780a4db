"""What rules write to rows, through the whole engine: each value as its field has it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from django.conf import LazySettings
from django.db import connection, models
from django.utils import timezone

from rules_engine.models import Event, Execution
from rules_engine.rules.changes import change_problems
from rules_engine.testing import create_rule, run_due
from tests.zoo.models import Animal, Plaque, Tag
from tests.zoo.written import Assorted, Letter, Named, Part, Stamped, Whole

pytestmark = pytest.mark.django_db(transaction=True)

EARLIER = timezone.now() - timedelta(days=3)


def row(field: str, value: Any, how: str | None = None) -> dict[str, Any]:
    return {"field": field, "value": value} | ({"how": how} if how else {})


def query(model: str, values: list[dict[str, Any]], **more: Any) -> tuple[str, Mapping[str, Any]]:
    every = [row("pk__isnull", "false")]
    return "update_objects", {"target": "query", "model": model, "filter": every, "values": values, **more}


def states() -> list[tuple[str, str]]:
    return [(execution.state, execution.error) for execution in Execution.objects.order_by("created_at")]


# Fields that set themselves.


def stamped_earlier() -> Stamped:
    stamped = Stamped.objects.create(name="a")
    Stamped.objects.update(modified=EARLIER, changed_on=EARLIER, made_on=EARLIER)
    return stamped


def test_fields_that_stamp_themselves_are_stamped_by_a_rules_save() -> None:
    stamped = stamped_earlier()
    create_rule(model=Tag, actions=[query("zoo.stamped", [row("name", "b")])])
    Tag.objects.create(name="t")
    run_due()
    stamped.refresh_from_db()
    assert (stamped.name, stamped.made_on) == ("b", EARLIER)
    assert stamped.modified > EARLIER
    assert stamped.changed_on > EARLIER


def test_a_row_that_has_the_values_already_is_not_stamped() -> None:
    stamped = stamped_earlier()
    create_rule(model=Tag, actions=[query("zoo.stamped", [row("name", "a")])])
    Tag.objects.create(name="t")
    run_due()
    stamped.refresh_from_db()
    assert (stamped.modified, stamped.changed_on) == (EARLIER, EARLIER)


def test_one_statement_stamps_what_djangos_auto_now_would() -> None:
    stamped = stamped_earlier()
    create_rule(model=Tag, actions=[query("zoo.stamped", [row("name", "b")], one_statement=True)])
    Tag.objects.create(name="t")
    run_due()
    stamped.refresh_from_db()
    assert stamped.name == "b"
    assert stamped.changed_on > EARLIER
    assert stamped.made_on == EARLIER


def test_a_rule_hears_of_a_stamp_that_a_rules_save_set() -> None:
    stamped_earlier()
    create_rule(model=Tag, actions=[query("zoo.stamped", [row("name", "b")])])
    create_rule(model=Stamped, changes=[{"field": "modified"}], actions=[("write_audit_entry", {})])
    Tag.objects.create(name="t")
    run_due()
    assert [state for state, _ in states()] == ["succeeded", "succeeded"]


# Secrets.


def test_secrets_inside_json_are_in_no_event() -> None:
    create_rule(model=Animal, actions=[("log_message", {"message": "{{ instance.data }}"})])
    Animal.objects.create(name="a", data={"api_key": "CANARY", "config": [{"password": "CANARY", "host": "h"}]})
    run_due()
    told = f"{Event.objects.get().context} {Execution.objects.get().summary}"
    assert "CANARY" not in told
    assert "host" in told


# What the context gives for a type can be written back to that type.

EMOJI = "a \u00e4 \U0001f600 {% raw %} 'b'"
VALUES = [
    ("flag", True),
    ("flag", False),
    ("flag", None),
    ("small", -7),
    ("number", 0),
    ("big", 2**63 - 1),
    ("positive", 2**53 + 1),
    ("fraction", 0.1),
    ("fraction", 1e300),
    ("price", Decimal("12345.6700000000")),
    ("price", None),
    ("day", date(2026, 2, 28)),
    ("clock", time(23, 59, 59, 1)),
    ("moment", datetime(2026, 7, 1, 10, 0, 0, 5, tzinfo=UTC)),
    ("length", timedelta(days=2, minutes=90, microseconds=5)),
    ("length", timedelta(microseconds=3)),
    ("length", -timedelta(hours=3)),
    ("length", timedelta(0)),
    ("code", UUID(int=7)),
    ("address", "2001:db8::1"),
    ("mail", "ann@example.com"),
    ("link", "https://example.com/a?b=c&d=%20"),
    ("slug", "a-b"),
    ("text", EMOJI),
    ("text", "x" * 9_000),
    ("text", ""),
    ("facts", {"a": [1, None, True, 1.5, {"b": " c "}], "text": EMOJI}),
    ("facts", [1, [2]]),
    ("facts", "7"),
    ("facts", 7),
    ("facts", False),
    ("facts", {}),
    ("facts", []),
    ("facts", None),
    ("whole", Named("01ABC")),
    ("whole", None),
]
IDS = [f"{field}-{str(value)[:12]}" for field, value in VALUES]


def places(field: str) -> list[Any]:
    return [f"{{{{ instance.{field} }}}}", f" {{{{instance.{field}}}}}\n", {"var": f"instance.{field}"}]


def originals_only() -> dict[str, Any]:
    return {"==": [{"var": "instance.name"}, "original"]}


@pytest.mark.parametrize("how", range(3), ids=["text", "text with blanks", "expression"])
@pytest.mark.parametrize(("field", "value"), VALUES, ids=IDS)
def test_a_value_of_each_type_is_copied_to_a_new_object(field: str, value: Any, how: int) -> None:
    Whole.objects.create(id=Named("01ABC"))
    name = "whole_id" if field == "whole" else field
    values = [row("name", "copy"), row(field, places(name)[how])]
    copy = ("create_object", {"model": "zoo.assorted", "values": values})
    create_rule(model=Assorted, condition=originals_only(), actions=[copy])
    original = Assorted.objects.create(name="original", **{name: value})
    run_due()
    assert states() == [("succeeded", "")]
    original.refresh_from_db()
    assert getattr(Assorted.objects.get(name="copy"), name) == getattr(original, name) == value


@pytest.mark.parametrize(("field", "value"), VALUES, ids=IDS)
def test_a_value_of_each_type_is_copied_to_a_row_and_to_the_object(field: str, value: Any) -> None:
    Whole.objects.create(id=Named("01ABC"))
    name = "whole_id" if field == "whole" else field
    other = Assorted.objects.create(name="other")
    config = {"target": "query", "model": "zoo.assorted", "filter": [row("name", "other")]}
    values = [row(field, f"{{{{ instance.{name} }}}}")]
    create_rule(model=Assorted, condition=originals_only(), actions=[("update_objects", {**config, "values": values})])
    set_fields = ("set_fields", {"fields": [row(field, f"{{{{ instance.{name} }}}}")]}, {"timing": "before_save"})
    create_rule(model=Assorted, signals=["pre_save"], condition=originals_only(), actions=[set_fields])
    original = Assorted.objects.create(name="original", **{name: value})
    run_due()
    assert states()[-1] == ("succeeded", "")
    for row_of in (original, other):
        row_of.refresh_from_db()
        assert getattr(row_of, name) == value


@pytest.mark.skipif(connection.vendor != "postgresql", reason="arrays and ranges are PostgreSQL's")
@pytest.mark.parametrize("how", range(3), ids=["text", "text with blanks", "expression"])
def test_arrays_and_ranges_are_copied(how: int) -> None:
    from django.db.backends.postgresql.psycopg_any import DateRange, DateTimeTZRange, NumericRange

    from tests.zoo.written import Spanned

    begin, end = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)
    held = {
        "words": ["a", "", "b, c"],
        "prices": [Decimal("1.10"), None],
        "days": [[date(2026, 1, 1)], [date(2026, 1, 2)]],
        "whole_numbers": NumericRange(1, 5),
        "fractions": NumericRange(Decimal("0.10"), None, "(]"),
        "dates": DateRange(begin.date(), end.date()),
        "moments": DateTimeTZRange(begin, end, "[]"),
    }
    values = [row("name", "copy"), *(row(name, places(name)[how]) for name in held)]
    copy = ("create_object", {"model": "zoo.spanned", "values": values})
    create_rule(model=Spanned, condition=originals_only(), actions=[copy])
    original = Spanned.objects.create(name="original", **held)
    run_due()
    assert states() == [("succeeded", "")]
    original.refresh_from_db()
    copied = Spanned.objects.get(name="copy")
    assert {name: getattr(copied, name) for name in held} == {name: getattr(original, name) for name in held}


def test_a_text_around_a_place_stays_a_text() -> None:
    values = [row("name", "copy"), row("facts", "facts: {{ instance.facts }}"), row("text", "{{ instance.facts }}")]
    copy = ("create_object", {"model": "zoo.assorted", "values": values})
    create_rule(model=Assorted, condition=originals_only(), actions=[copy])
    Assorted.objects.create(name="original", facts={"a": [1, None]})
    run_due()
    copied = Assorted.objects.get(name="copy")
    assert (copied.facts, copied.text) == ('facts: {"a": [1, null]}', '{"a": [1, null]}')


def test_what_an_event_tells_in_part_is_not_written_as_the_whole(settings: LazySettings) -> None:
    settings.RULES_ENGINE = {**settings.RULES_ENGINE, "TEXT_LIMIT": 300}
    values = [row("name", "copy"), row("text", "{{ instance.text }}")]
    copy = ("create_object", {"model": "zoo.assorted", "values": values})
    create_rule(model=Assorted, condition=originals_only(), actions=[copy])
    Assorted.objects.create(name="original", text="x" * 301)
    run_due()
    [(state, error)] = states()
    assert state == "discarded"
    assert "TEXT_LIMIT" in error


# Decimals through expressions.

LONG = Decimal("12345678901234567890.1234567891")


def priced(expression: Any, price: Decimal = LONG) -> list[tuple[str, str]]:
    """Create a part whose name is made of a price of that many digits, by the expression."""
    create_rule(
        model=Assorted,
        condition=originals_only(),
        actions=[("create_object", {"model": "zoo.part", "values": [row("name", expression)]})],
    )
    Assorted.objects.create(name="original", price=price, number=3)
    run_due()
    return states()


@pytest.mark.parametrize(
    "expression",
    [
        {"var": "instance.price"},
        {"if": [{">": [{"var": "instance.number"}, 2]}, {"var": "instance.price"}, 0]},
        {"??": [{"var": "instance.price"}, 0]},
        {"max": [{"var": "instance.price"}, {"var": "instance.number"}]},
        "{{ instance.price }}",
    ],
)
def test_a_decimal_that_is_chosen_keeps_its_digits(expression: Any) -> None:
    assert priced(expression) == [("succeeded", "")]
    assert Part.objects.get().name == str(LONG)


def test_a_decimal_keeps_the_zeros_of_its_column() -> None:
    assert priced({"var": "instance.price"}, Decimal("9.9")) == [("succeeded", "")]
    assert Part.objects.get().name == "9.9000000000"


@pytest.mark.parametrize("operator", ["+", "*", "cat"])
def test_a_calculation_with_more_digits_than_it_keeps_is_an_error(operator: str) -> None:
    [(state, error)] = priced({operator: [{"var": "instance.price"}, {"var": "instance.number"}]})
    assert state == "discarded"
    assert '"instance.price" has more digits than' in error
    assert not Part.objects.exists()


def test_a_result_with_more_digits_than_it_keeps_is_not_written() -> None:
    other = Assorted.objects.create(name="other")
    config = {"target": "query", "model": "zoo.assorted", "filter": [row("name", "other")]}
    values = [row("price", {"*": [{"var": "instance.price"}, 1000.5]})]
    create_rule(model=Assorted, condition=originals_only(), actions=[("update_objects", {**config, "values": values})])
    Assorted.objects.create(name="original", price=Decimal("123456789.01"))
    run_due()
    assert states() == [("discarded", "Assorted cannot be saved: price (digits).")]
    other.refresh_from_db()
    assert other.price is None


# Relations that may be empty.


@pytest.mark.parametrize("empty", [None, "", "{{ instance.whole_id }}", {"var": "instance.whole_id"}])
def test_a_relation_that_may_be_null_is_cleared(empty: Any) -> None:
    whole = Whole.objects.create(id=Named("01ABC"))
    part, other = Part.objects.create(name="part", whole=whole), Assorted.objects.create(name="other", whole=whole)
    create_rule(
        model=Assorted,
        condition=originals_only(),
        actions=[
            query("zoo.part", [row("whole", empty)]),
            query("zoo.assorted", [row("whole_id", empty)], one_statement=True),
            ("create_object", {"model": "zoo.part", "values": [row("name", "new"), row("whole", empty)]}),
        ],
    )
    Assorted.objects.create(name="original")
    run_due()
    assert {state for state, _ in states()} == {"succeeded"}
    part.refresh_from_db()
    other.refresh_from_db()
    assert (part.whole, other.whole, Part.objects.get(name="new").whole) == (None, None, None)


def test_a_relation_is_cleared_before_the_save() -> None:
    clear = ("set_fields", {"fields": [row("whole", None)]}, {"timing": "before_save"})
    create_rule(model=Part, signals=["pre_save"], actions=[clear])
    part = Part.objects.create(whole=Whole.objects.create(id=Named("01ABC")))
    assert part.whole is None
    part.refresh_from_db()
    assert part.whole is None


# Keys of their own type.


def test_an_object_whose_key_is_an_object_is_found_by_every_action() -> None:
    part_of_it = [row("name", "new"), row("whole", "{{ instance.pk }}")]
    create_rule(
        model=Whole,
        operations=["create"],
        actions=[
            ("update_objects", {"values": [row("name", "done")]}),
            ("create_object", {"model": "zoo.part", "values": part_of_it}),
            ("create_object", {"model": "zoo.part", "values": part_of_it, "unless_exists": ["whole"]}),
            ("update_objects", {"target": "parts", "values": [row("name", "{{ row.whole.pk }} {{ row.whole.name }}")]}),
            ("write_audit_entry", {}),
        ],
    )
    whole = Whole.objects.create(id=Named("01ABC"))
    run_due()
    assert states() == [("succeeded", "")] * 5
    whole.refresh_from_db()
    assert whole.name == "done"
    assert [part.name for part in Part.objects.all()] == ["01ABC done"]


def test_what_a_deleted_row_hung_on_is_found_by_such_a_key() -> None:
    count = [row("name", "{{ row.parts__count }}")]
    actions = [("update_objects", {"target": "whole", "values": count})]
    create_rule(model=Part, signals=["post_delete"], actions=actions)
    whole = Whole.objects.create(id=Named("01ABC"))
    Part.objects.create(whole=whole).delete()
    run_due()
    whole.refresh_from_db()
    assert whole.name == "0"
    assert Execution.objects.get().attempt_set.get().detail["pks"] == ["01ABC"]


# What a default manager hides is gone.


def hidden(letter: Letter) -> None:
    letter.is_deleted = True
    letter.save(keep_deleted=True)


@pytest.mark.parametrize("values", [[], [row("name", "changed")]], ids=["touched", "changed"])
def test_what_was_deleted_softly_is_not_brought_back(values: list[dict[str, Any]]) -> None:
    create_rule(model=Letter, operations=["create"], actions=[("update_objects", {"values": values})])
    letter = Letter.objects.create(name="a")
    hidden(letter)
    run_due()
    assert states() == [("discarded", "The object is gone.")]
    assert [(one.name, one.is_deleted) for one in Letter.everything.all()] == [("a", True)]


@pytest.mark.parametrize("target", ["answers", "answered_by"])
def test_what_was_deleted_softly_is_reached_by_no_relation(target: str) -> None:
    first = Letter.objects.create(name="first")
    second = Letter.objects.create(name="second", answers=first)
    hidden(first if target == "answers" else second)
    changed = ("update_objects", {"target": target, "values": [row("name", "changed")]})
    create_rule(model=Letter, operations=["update"], actions=[changed])
    (second if target == "answers" else first).save()
    run_due()
    assert states() == [("succeeded", "")]
    assert sorted(Letter.everything.values_list("name", flat=True)) == ["first", "second"]


def test_an_object_that_is_deleted_softly_leads_to_what_it_hangs_on() -> None:
    first = Letter.objects.create(name="first")
    second = Letter.objects.create(name="second", answers=first)
    changed = ("update_objects", {"target": "answers", "values": [row("name", "unanswered")]})
    create_rule(model=Letter, changes=[{"field": "is_deleted", "to": True}], actions=[changed])
    hidden(second)
    run_due()
    first.refresh_from_db()
    assert first.name == "unanswered"


def test_what_was_deleted_softly_does_not_count_as_there() -> None:
    hidden(Letter.objects.create(name="a"))
    letter = {"model": "zoo.letter", "values": [row("name", "a")], "unless_exists": ["name"]}
    create_rule(model=Tag, actions=[("create_object", letter)])
    for _ in range(2):
        Tag.objects.create(name="t")
    run_due()
    assert Letter.objects.count() == 1


# Keys that JSON does not have.


@pytest.mark.parametrize("path", ["absent", "absent.deep", "text.deep", "list.7", "list.7.deep", "list.0.absent"])
def test_a_key_that_json_does_not_have_is_null_to_texts_as_to_conditions(path: str) -> None:
    create_rule(
        model=Assorted,
        condition={"==": [{"var": f"instance.facts.{path}"}, None]},
        actions=[("log_message", {"message": f"[{{{{ instance.facts.{path} }}}}]"})],
    )
    Assorted.objects.create(facts={"text": "a", "list": [{"pk": 1}]})
    run_due()
    assert [(one.state, one.summary) for one in Execution.objects.all()] == [("succeeded", "Logged: []")]


# What a row may hold can be asked for.


class Sized(models.Model):
    """Its size begins as none of its choices."""

    size = models.CharField(max_length=9, choices=[("s", "small"), ("l", "large")], default="unset")

    class Meta:
        app_label = "zoo"
        managed = False


@pytest.mark.parametrize(("model", "value"), [(Plaque, ""), (Plaque, "s"), (Sized, ""), (Sized, "unset")])
def test_what_a_row_may_hold_beside_its_choices_can_be_asked_for(model: type[models.Model], value: str) -> None:
    for end in ("from", "to"):
        assert not list(change_problems(model, [{"field": "size", end: value}]))


@pytest.mark.parametrize(("model", "value"), [(Plaque, "unset"), (Sized, "m")])
def test_what_no_row_holds_is_told(model: type[models.Model], value: str) -> None:
    [problem] = change_problems(model, [{"field": "size", "to": value}])
    assert "It has: s, l." in problem.message


def test_a_choice_that_may_be_empty_becomes_so() -> None:
    create_rule(model=Plaque, changes=[{"field": "size", "from": "s", "to": ""}], actions=[("write_audit_entry", {})])
    plaque = Plaque.objects.create(size="s")
    plaque.size = ""
    plaque.save()
    run_due()
    assert states() == [("succeeded", "")]
