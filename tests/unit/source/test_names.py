"""Paths of the context as what a receiver has at hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rules_engine.source.names import columns_wanted, context_value, kind_of
from rules_engine.source.writer import Module, Writer
from rules_engine.types import RuleSpec
from tests.zoo.models import Animal


def writer(*signals: str) -> Writer:
    return Writer(Module(), RuleSpec(slug="rule", model="zoo.animal"), signals or ("post_save",))


@pytest.mark.parametrize(
    ("path", "code", "kind", "null"),
    [
        ("instance", "instance", "object", False),
        ("instance.pk", "instance.pk", "integer", False),
        ("instance.id", "instance.id", "integer", False),
        ("instance.keeper.name", "instance.keeper.name if instance.keeper else None", "text", True),
        ("instance.keeper_id", "instance.keeper_id", "integer", True),
        ("instance.nowhere", 'not_in_python(\'{"var": "instance.nowhere"}\')', "any", True),
        ("instance.name.length", 'read(instance.name, "length")', "any", True),
        ("instance.data.a.b", 'read(instance.data, "a", "b")', "any", True),
        (
            "instance.dog.breed",
            'getattr(instance, "dog", None).breed if getattr(instance, "dog", None) else None',
            "text",
            True,
        ),
        ("instance.meals__count", "instance.meals.count()", "integer", False),
        (
            "instance.meals__price__sum",
            '(instance.meals.aggregate(found=Sum("price"))["found"] or 0)',
            "decimal",
            False,
        ),
        ("instance.meals__price__avg", 'instance.meals.aggregate(found=Avg("price"))["found"]', "any", True),
        ("instance.meals__portions__max", 'instance.meals.aggregate(found=Max("portions"))["found"]', "integer", True),
        (
            "instance.meals__portions__price__sum",
            'not_in_python(\'{"var": "instance.meals__portions__price__sum"}\')',
            "any",
            True,
        ),
        ("instance.tags.name", 'not_in_python(\'{"var": "instance.tags.all().name"}\')', "any", True),
        ("instance.*", 'not_in_python(\'{"var": "instance.*"}\')', "any", True),
        ("old", "old", "any", True),
        ("old.name", '(old or {}).get("name")', "text", True),
        ("old.data.a", 'read(old, "data", "a")', "any", True),
        ("old.*", "old", "any", True),
        ("changes", "changes", "any", False),
        ("changes.name.old", 'changes.get("name", {}).get("old")', "text", True),
        ("changes.name", 'read(changes, "name")', "any", True),
        ("changed", "changed", "list", False),
        ("created", "created", "boolean", False),
        ("actor", "current_user()", "object", True),
        ("actor.id", 'getattr(current_user(), "pk", None)', "any", True),
        ("actor.username", 'getattr(current_user(), "username", None)', "text", True),
        ("actor.email", 'getattr(current_user(), "email", None)', "text", True),
        ("request", "current_request()", "object", True),
        ("request.path", 'getattr(current_request(), "path", None)', "text", True),
        ("event.occurred_at", "timezone.now()", "datetime", False),
        ("event.pk", "instance.pk", "integer", False),
        ("event.model", '"zoo.animal"', "text", False),
        ("event.signal", '"post_save"', "text", False),
        ("event.operation", '"create" if created else "update"', "text", False),
        ("event.id", "uuid4()", "uuid", False),
        ("event.depth", "0", "integer", False),
        ("event.other", 'not_in_python(\'{"var": "event"}\')', "any", True),
        ("m2m.count", "None", "null", True),
        ("signal", "kwargs", "any", False),
        ("signal.order", 'kwargs.get("order")', "any", True),
        ("signal.order.total", 'read(kwargs, "order", "total")', "any", True),
        ("each", "each", "any", False),
        ("each.name", 'read(each, "name")', "any", True),
        ("nobody", 'not_in_python(\'{"var": "nobody"}\')', "any", True),
        ("", 'not_in_python(\'{"var": ""}\')', "any", True),
    ],
)
def test_a_path_is_what_a_receiver_reads(path: str, code: str, kind: str, null: bool) -> None:
    value = context_value(writer(), tuple(path.split(".")))
    assert (value.code, value.kind, value.null) == (code, kind, null)
    compile(value.code, "printed", "eval")


@pytest.mark.parametrize(
    ("signal", "path", "code"),
    [
        ("pre_save", "created", "created"),
        ("pre_save", "event.operation", '"create" if created else "update"'),
        ("pre_save", "instance.pk", "instance.pk"),
        ("pre_save", "m2m.field", "None"),
        ("pre_save", "m2m.action", "None"),
        ("pre_save", "m2m.side", "None"),
        ("pre_save", "m2m.pks", "None"),
        ("pre_save", "m2m.count", "None"),
        ("pre_save", "m2m.objects", "None"),
        ("pre_save", "m2m.objects.name", "None"),
        ("pre_save", "m2m.nothing", "None"),
        ("pre_save", "event.signal", '"pre_save"'),
        ("post_save", "created", "created"),
        ("post_save", "event.operation", '"create" if created else "update"'),
        ("post_save", "instance.pk", "instance.pk"),
        ("post_save", "m2m.field", "None"),
        ("post_save", "m2m.action", "None"),
        ("post_save", "m2m.side", "None"),
        ("post_save", "m2m.pks", "None"),
        ("post_save", "m2m.count", "None"),
        ("post_save", "m2m.objects", "None"),
        ("post_save", "m2m.objects.name", "None"),
        ("post_save", "m2m.nothing", "None"),
        ("post_save", "event.signal", '"post_save"'),
        ("pre_delete", "created", "None"),
        ("pre_delete", "event.operation", '"delete"'),
        ("pre_delete", "instance.pk", "instance.pk"),
        ("pre_delete", "m2m.field", "None"),
        ("pre_delete", "m2m.action", "None"),
        ("pre_delete", "m2m.side", "None"),
        ("pre_delete", "m2m.pks", "None"),
        ("pre_delete", "m2m.count", "None"),
        ("pre_delete", "m2m.objects", "None"),
        ("pre_delete", "m2m.objects.name", "None"),
        ("pre_delete", "m2m.nothing", "None"),
        ("pre_delete", "event.signal", '"pre_delete"'),
        ("post_delete", "created", "None"),
        ("post_delete", "event.operation", '"delete"'),
        ("post_delete", "instance.pk", "instance.pk"),
        ("post_delete", "m2m.field", "None"),
        ("post_delete", "m2m.action", "None"),
        ("post_delete", "m2m.side", "None"),
        ("post_delete", "m2m.pks", "None"),
        ("post_delete", "m2m.count", "None"),
        ("post_delete", "m2m.objects", "None"),
        ("post_delete", "m2m.objects.name", "None"),
        ("post_delete", "m2m.nothing", "None"),
        ("post_delete", "event.signal", '"post_delete"'),
        ("m2m_changed", "created", "None"),
        ("m2m_changed", "event.operation", 'action.removeprefix("post_")'),
        ("m2m_changed", "instance.pk", "instance.pk"),
        ("m2m_changed", "m2m.field", '"tags"'),
        ("m2m_changed", "m2m.action", 'action.removeprefix("post_")'),
        ("m2m_changed", "m2m.side", '"own"'),
        ("m2m_changed", "m2m.pks", "sorted(pk_set or ())"),
        ("m2m_changed", "m2m.count", "len(pk_set or ())"),
        ("m2m_changed", "m2m.objects", "Tag._base_manager.filter(pk__in=pk_set or ())"),
        ("m2m_changed", "m2m.objects.name", 'not_in_python(\'{"var": "m2m.objects.name"}\')'),
        ("m2m_changed", "m2m.nothing", "None"),
        ("m2m_changed", "event.signal", '"m2m_changed"'),
    ],
)
def test_what_is_known_depends_on_the_signal(signal: str, path: str, code: str) -> None:
    heard = replace(writer(signal), relation="tags" if signal == "m2m_changed" else "")
    assert context_value(heard, tuple(path.split("."))).code == code


def test_before_the_first_save_there_is_no_key_and_no_total() -> None:
    early = writer("pre_save")
    assert context_value(early, ("instance", "pk")).null
    assert context_value(early, ("instance", "meals__count")).code.startswith("not_in_python")
    assert not context_value(writer(), ("instance", "pk")).null


@pytest.mark.parametrize(
    ("field", "kind"),
    [
        ("name", "text"),
        ("notes", "text"),
        ("weight", "decimal"),
        ("legs", "integer"),
        ("born", "date"),
        ("fed_at", "datetime"),
        ("keeper", "integer"),
        ("data", "any"),
        ("blob", "any"),
        ("tags", "any"),
    ],
)
def test_a_field_is_of_the_kind_that_it_holds(field: str, kind: str) -> None:
    assert kind_of(Animal._meta.get_field(field)) == kind


@pytest.mark.parametrize(
    ("reads", "columns"),
    [
        ([], []),
        ([("instance", "name")], []),
        ([("old", "name")], ["name"]),
        ([("old", "keeper")], ["keeper_id"]),
        ([("old", "keeper_id")], ["keeper_id"]),
        ([("changes", "legs", "old"), ("old", "nowhere")], ["legs"]),
        ([("old", "data", "a", "b")], ["data"]),
    ],
)
def test_only_columns_that_are_read_are_kept(reads: list[tuple[str, ...]], columns: list[str]) -> None:
    assert list(columns_wanted(writer(), reads)) == columns


def test_whoever_reads_all_that_was_wants_every_column_but_secrets() -> None:
    for read in (("old",), ("old", "*"), ("changed",)):
        wanted = list(columns_wanted(writer(), [read]))
        assert {"name", "legs", "keeper_id", "born"} <= set(wanted)
    assert columns_wanted(Writer(Module(), RuleSpec(slug="rule"), ("user_logged_in",)), [("old",)]) == {}
