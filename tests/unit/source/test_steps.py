"""Actions as the body of a function, kind by kind."""

from __future__ import annotations

import ast
from typing import Any

import pytest

from rules_engine.source.steps import step_of
from rules_engine.source.writer import Module, Writer
from rules_engine.types import ActionSpec, RuleSpec


def writer(*signals: str) -> Writer:
    return Writer(Module(), RuleSpec(slug="rule", model="zoo.animal"), signals or ("post_save",))


@pytest.mark.parametrize(
    ("kind", "config", "lines"),
    [
        (
            "send_email",
            {"to": "a@b.c", "subject": "Hi", "body": "Text"},
            [
                'subject = "Hi"',
                'body = "Text"',
                'for address in ["a@b.c"]:',
                "    send_mail(subject, body, None, [address])",
            ],
        ),
        (
            "send_email",
            {"to": [], "subject": "a\nb", "body": "", "reply_to": "r@b.c"},
            [
                'subject = one_line("a\\nb")',
                'body = ""',
                "for address in []:",
                '    message = EmailMultiAlternatives(subject, body, None, [address], reply_to=["r@b.c"])',
                "    message.send()",
            ],
        ),
        (
            "send_email",
            {"to": ["a@b.c"], "subject": "x", "body": "y", "reply_to": "r@b.c", "html": "<p>"},
            [
                'subject = "x"',
                'body = "y"',
                'html = "<p>"',
                'for address in ["a@b.c"]:',
                '    message = EmailMultiAlternatives(subject, body, None, [address], reply_to=["r@b.c"])',
                '    message.attach_alternative(html, "text/html")',
                "    message.send()",
            ],
        ),
        ("delete_cache_keys", {"keys": ["a", "b:{{ instance.pk }}"]}, ['cache.delete_many(["a", f"b:{instance.pk}"])']),
        ("delete_cache_keys", {"keys": ["a"], "cache": "other"}, ['caches["other"].delete_many(["a"])']),
        ("delete_cache_keys", {}, ["cache.delete_many([])"]),
        ("log_message", {"message": "hello"}, ['logger.info("%s", "hello", extra={"rule": "rule", "fields": {}})']),
        (
            "log_message",
            {
                "message": "{{ instance.name }}",
                "level": "warning",
                "fields": [{"name": "legs", "value": "{{ instance.legs }}"}, "odd"],
            },
            [
                "logger.warning(",
                '    "%s",',
                '    f"{instance.name}",',
                '    extra={"rule": "rule", "fields": {"legs": f"{instance.legs}"}},',
                ")",
            ],
        ),
        (
            "write_audit_entry",
            {"fields": ["name", "keeper"], "note": "n"},
            [
                "AuditEntry.objects.create(",
                "    at=timezone.now(),",
                '    operation=("create" if created else "update").upper(),',
                '    model="zoo.animal",',
                "    object_pk=str(instance.pk),",
                '    object_text="",',
                '    fields=plain({"name": instance.name, "keeper": instance.keeper_id}),',
                "    changes=plain(changes),",
                '    note="n",',
                '    rule_slug="rule",',
                "    rule_version=0,",
                ")",
            ],
        ),
        (
            "write_audit_entry",
            {"operation": "looked at", "fields": ["name"]},
            [
                "AuditEntry.objects.create(",
                "    at=timezone.now(),",
                '    operation="looked at",',
                '    model="zoo.animal",',
                "    object_pk=str(instance.pk),",
                '    object_text="",',
                '    fields=plain({"name": instance.name}),',
                "    changes=plain(changes),",
                '    note="",',
                '    rule_slug="rule",',
                "    rule_version=0,",
                ")",
            ],
        ),
        ("set_fields", {"fields": [{"field": "name", "value": "Rex"}]}, ['instance.name = "Rex"']),
        (
            "set_fields",
            {
                "fields": [
                    {"field": "name", "value": "{{ instance.notes }}"},
                    {"field": "notes", "value": "{{ instance.name }}"},
                ]
            },
            ["new_notes = instance.name", "instance.name = instance.notes", "instance.notes = new_notes"],
        ),
        (
            "set_fields",
            {
                "fields": [
                    {"field": "name", "value": "x", "only_if_empty": True},
                    {"field": "legs", "value": {"var": "instance.legs"}, "only_if_empty": True},
                ]
            },
            [
                "if not instance.name:",
                '    instance.name = "x"',
                'if instance.legs in (None, "", [], {}):',
                "    instance.legs = instance.legs",
            ],
        ),
        ("set_fields", {"fields": [{"field": "weight", "value": ""}]}, ["instance.weight = None"]),
        ("set_fields", {}, [""]),
        ("reject", {"message": "No"}, ['raise ValidationError("No")']),
        (
            "reject",
            {"message": "No {{ instance.name }}", "field": "name"},
            ['raise ValidationError({"name": f"No {instance.name}"})'],
        ),
        ("run_task", {"task": "shop.tasks.x"}, ['current_app.send_task("shop.tasks.x")']),
        (
            "run_task",
            {
                "task": "shop.tasks.x",
                "queue": "slow",
                "arguments": [{"name": "pk", "value": "{{ instance.pk }}"}, {"name": "n", "value": 1}],
            },
            ['current_app.send_task("shop.tasks.x", kwargs={"pk": instance.pk, "n": 1}, queue="slow")'],
        ),
        (
            "create_object",
            {"model": "zoo.tag", "values": [{"field": "name", "value": "{{ instance.name }}"}]},
            ["row = Tag(name=instance.name)", "row.full_clean()", "row.save()"],
        ),
        (
            "create_object",
            {"model": "zoo.tag", "values": [{"field": "name", "value": "x"}], "unless_exists": ["name"]},
            [
                'if not Tag.objects.filter(name="x").exists():',
                '    row = Tag(name="x")',
                "    row.full_clean()",
                "    row.save()",
            ],
        ),
        (
            "create_object",
            {
                "model": "zoo.ticket",
                "values": [{"field": "animal", "value": "{{ instance.pk }}"}, {"field": "price", "value": "1.50"}],
            },
            ['row = Ticket(animal_id=instance.pk, price="1.50")', "row.full_clean()", "row.save()"],
        ),
    ],
)
def test_an_action_is_what_a_developer_would_write(kind: str, config: dict[str, Any], lines: list[str]) -> None:
    step = step_of(writer(), ActionSpec(kind, config))
    assert "\n".join(step.lines).split("\n") == lines
    assert step.before == ()
    ast.parse("\n".join(lines))


def test_every_row_of_a_relation_is_looped_over() -> None:
    action = ActionSpec("log_message", {"message": "{{ each.name }}"}, for_each="instance.tags")
    assert step_of(writer(), action).lines == (
        "for each in instance.tags.all():",
        '    logger.info("%s", f"{each.name}", extra={"rule": "rule", "fields": {}})',
    )


def test_an_expression_may_say_for_which_rows() -> None:
    warm = {"filter": [{"var": "instance.meals"}, {"var": "is_warm"}]}
    action = ActionSpec("log_message", {"message": "{{ each.portions }}"}, for_each=warm)
    first, second = step_of(writer(), action).lines
    assert first == "for each in [row for row in instance.meals.all() if row.is_warm]:"
    assert 'f"{each.portions}"' in second


def test_rows_of_what_is_deleted_are_gone() -> None:
    action = ActionSpec("log_message", {"message": "{{ each.name }}"}, for_each="instance.tags")
    for signal in ("pre_delete", "post_delete"):
        lines = step_of(writer(signal), action).lines
        assert lines[0].startswith("# For each row, and those are gone by now")
        assert lines[-1] == "pass"


def test_a_kind_that_is_not_installed_is_a_comment() -> None:
    for kind in ("unknown_kind", "a\nb", "\u202e<b>"):
        lines = step_of(writer(), ActionSpec(kind, {})).lines
        assert all(line.startswith("# ") for line in lines[:-1])
        assert lines[-1] == "pass"
        assert "log_message" in " ".join(lines)


def test_a_row_of_a_model_that_is_gone_is_not_made() -> None:
    config = {"model": "gone.model", "values": [{"field": "name", "value": "x"}]}
    assert step_of(writer(), ActionSpec("create_object", config)).lines == ("pass",)


@pytest.mark.parametrize(
    ("signal", "operation"),
    [
        ("post_save", '("create" if created else "update").upper()'),
        ("pre_delete", '"DELETE"'),
        ("post_delete", '"DELETE"'),
        ("m2m_changed", 'action.removeprefix("post_").upper()'),
    ],
)
def test_an_audit_entry_says_what_was_done(signal: str, operation: str) -> None:
    lines = step_of(writer(signal), ActionSpec("write_audit_entry", {"fields": ["name"]})).lines
    assert f"operation={operation}," in lines[0]
    assert ("changes=plain(changes)" in lines[0]) is (signal == "post_save")


@pytest.mark.parametrize(
    ("target", "rows"),
    [
        ("instance", "Animal._base_manager.filter(pk=instance.pk)"),
        ("keeper", "Keeper.objects.filter("),
        ("keeper.animals", "Animal.objects.filter("),
        ("tags", "Tag.objects.filter("),
        ("nowhere", "pass"),
    ],
)
def test_rows_are_locked_by_key_and_changed(target: str, rows: str) -> None:
    config = {"target": target, "values": [{"field": "name", "value": "x"}]}
    source = "\n".join(step_of(writer(), ActionSpec("update_objects", config)).lines)
    assert rows in source
    ast.parse(source)
    if target != "nowhere":
        assert 'select_for_update().order_by("pk")' in source
        assert 'set_values(row, name="x")' in source


@pytest.mark.parametrize(
    ("row", "line"),
    [
        ({"field": "legs", "how": "increment", "value": "1"}, 'row.legs = F("legs") + 1'),
        ({"field": "legs", "how": "increment", "value": "-1"}, 'row.legs = F("legs") + (-1)'),
        ({"field": "legs", "how": "increment", "value": 2}, 'row.legs = F("legs") + 2'),
        (
            {"field": "weight", "how": "increment", "value": "0.5"},
            'row.weight = Coalesce(F("weight"), 0) + Decimal("0.5")',
        ),
        ({"field": "name", "how": "append", "value": "!"}, 'row.name = Concat(F("name"), Value("!"))'),
    ],
)
def test_what_is_added_is_worked_out_by_the_database(row: dict[str, Any], line: str) -> None:
    config = {"target": "instance", "values": [row]}
    assert f"        {line}" in step_of(writer(), ActionSpec("update_objects", config)).lines


def test_one_statement_changes_rows_without_reading_them() -> None:
    rows = [{"field": "name", "value": "x"}, {"field": "legs", "how": "increment", "value": "1"}]
    config = {"target": "instance", "one_statement": True, "values": rows}
    lines = step_of(writer(), ActionSpec("update_objects", config)).lines
    assert lines == ('Animal._base_manager.filter(pk=instance.pk).update(name="x", legs=F("legs") + 1)',)


def test_keys_are_kept_while_the_object_is_being_deleted() -> None:
    config = {"target": "tags", "values": [{"field": "name", "value": "x"}]}
    step = step_of(writer("pre_delete"), ActionSpec("update_objects", config))
    assert step.before == ('tags_before = list(instance.tags.order_by().values_list("pk", flat=True))',)
    assert "Tag.objects.filter(pk__in=tags_before)" in "\n".join(step.lines)
    late = step_of(writer("post_delete"), ActionSpec("update_objects", config))
    assert late.before == ()
    assert late.lines[0].startswith("# Which rows: the deleted object's relation to many is gone by now")


@pytest.mark.parametrize(
    "text", ['"); import os; ("', "'" * 3, "\\", "\n", "{x}", "\x00\u202e", "{{ instance.name }}'\""]
)
def test_hostile_texts_stay_texts(text: str) -> None:
    for kind, config in (
        ("log_message", {"message": text, "fields": [{"name": text, "value": text}]}),
        ("reject", {"message": text, "field": text}),
        ("delete_cache_keys", {"keys": [text], "cache": text}),
        ("run_task", {"task": text, "queue": text, "arguments": [{"name": text, "value": text}]}),
        ("send_email", {"to": [text], "subject": text, "body": text, "html": text, "reply_to": text}),
    ):
        tree = ast.parse("\n".join(step_of(writer(), ActionSpec(kind, config)).lines))
        assert not [node for node in ast.walk(tree) if isinstance(node, ast.Import)]
