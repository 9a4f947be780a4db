"""Texts of rules as Python: f-strings where fields alone are named, else Django's templates."""

from __future__ import annotations

import ast
from dataclasses import replace
from typing import Any

import pytest

from rules_engine.source.texts import text_of, value_of
from rules_engine.source.writer import Module, Writer
from rules_engine.types import RuleSpec
from tests.zoo.models import Animal


def writer(*signals: str) -> Writer:
    return Writer(Module(), RuleSpec(slug="rule", model="zoo.animal"), signals or ("post_save",))


@pytest.mark.parametrize(
    ("written", "as_text", "as_value"),
    [
        ("plain", '"plain"', '"plain"'),
        ("", '""', '""'),
        ("two\nlines", '"two\\nlines"', '"two\\nlines"'),
        ("a\nb\nc\n", '(\n    "a\\n"\n    "b\\n"\n    "c\\n"\n)', '(\n    "a\\n"\n    "b\\n"\n    "c\\n"\n)'),
        ("quote \" and '", "'quote \" and \\''", "'quote \" and \\''"),
        ("{{ instance.name }}", 'f"{instance.name}"', "instance.name"),
        ("Dear {{ instance.name }}!", 'f"Dear {instance.name}!"', 'f"Dear {instance.name}!"'),
        ("{ {{ instance.name }} }", 'f"{{ {instance.name} }}"', 'f"{{ {instance.name} }}"'),
        (
            "{{ instance.weight }}",
            "render('{{ instance.weight|default_if_none:\"\" }}', instance=instance)",
            "instance.weight",
        ),
        ("{{ instance.legs }} legs", 'f"{instance.legs} legs"', 'f"{instance.legs} legs"'),
        (
            "{{ instance.keeper.name }} x",
            "render('{{ instance.keeper.name|default_if_none:\"\" }} x', instance=instance)",
            "render('{{ instance.keeper.name|default_if_none:\"\" }} x', instance=instance)",
        ),
        (
            "{{ instance.born }}!",
            "render('{{ instance.born|date:\"Y-m-d\" }}!', instance=instance)",
            "render('{{ instance.born|date:\"Y-m-d\" }}!', instance=instance)",
        ),
        (
            "{{ instance.fed_at }}!",
            "render('{{ instance.fed_at|date:\"c\" }}!', instance=instance)",
            "render('{{ instance.fed_at|date:\"c\" }}!', instance=instance)",
        ),
        (
            "{{ instance.name|upper }}",
            'render("{{ instance.name|upper }}", instance=instance)',
            'render("{{ instance.name|upper }}", instance=instance)',
        ),
        (
            "{% if created %}new{% endif %}",
            'render("{% if created %}new{% endif %}", created=created)',
            'render("{% if created %}new{% endif %}", created=created)',
        ),
        ("{# hidden #}shown", 'render("shown")', 'render("shown")'),
        (
            "{{ instance.born|date:'Y' }}",
            "render(\"{{ instance.born|date:'Y' }}\", instance=instance)",
            "render(\"{{ instance.born|date:'Y' }}\", instance=instance)",
        ),
        (
            "{{ instance.weight|default:'none' }}",
            "render(\"{{ instance.weight|default:'none' }}\", instance=instance)",
            "render(\"{{ instance.weight|default:'none' }}\", instance=instance)",
        ),
        (
            "{{ 'quoted instance.tags' }}",
            "render(\"{{ 'quoted instance.tags' }}\")",
            "render(\"{{ 'quoted instance.tags' }}\")",
        ),
        ("{% nonsense %}", "not_in_python('\"{% nonsense %}\"')", "not_in_python('\"{% nonsense %}\"')"),
        ("{{ instance.name }", '"{{ instance.name }"', '"{{ instance.name }"'),
        ("\u202e{{ instance.name }}\x00", 'f"\\u202e{instance.name}\\x00"', 'f"\\u202e{instance.name}\\x00"'),
        (None, '""', "None"),
        (5, "text(5)", "5"),
        (True, "text(True)", "True"),
        (1.5, "text(1.5)", "1.5"),
        ([1], "text([1])", "[1]"),
        ({"var": "instance.legs"}, "text(instance.legs)", "instance.legs"),
        ({"cat": ["a", {"var": "instance.name"}]}, '"a" + instance.name', '"a" + instance.name'),
        ({"var": "instance.name"}, "instance.name", "instance.name"),
    ],
)
def test_a_text_is_as_short_as_python_allows(written: Any, as_text: str, as_value: str) -> None:
    assert text_of(writer(), written).code == as_text
    assert value_of(writer(), written).code == as_value
    ast.parse(as_text, mode="eval")


@pytest.mark.parametrize(
    "written", ["", "plain", "{", "}}", "{{", "{%", "a\nb\nc", "'\"", "\x00\u202e\u2028", "x" * 5_000]
)
def test_a_text_without_fields_reads_back_as_it_was(written: str) -> None:
    value = text_of(writer(), written)
    assert value.constant == (written,)
    assert ast.literal_eval(value.code) == written
    assert value.code.replace("\n", "").isprintable()


@pytest.mark.parametrize(
    "written",
    ["Dear {{ instance.name }}!", "{ {{ instance.name }} }", "a\n{{ instance.name }}\n{}\n" * 20],
    ids=["plain", "brackets", "long"],
)
def test_an_f_string_says_what_the_template_says(written: str) -> None:
    code = text_of(writer(), written).code
    assert "render" not in code
    said = eval(code, {"instance": Animal(name="R{e}x")})
    assert said == written.replace("{{ instance.name }}", "R{e}x")


def test_html_is_escaped_by_the_template() -> None:
    html = text_of(writer(), "{{ instance.name }}", autoescape=True)
    assert html.code == 'render("{{ instance.name }}", autoescape=True, instance=instance)'
    assert text_of(writer(), "<b>", autoescape=True).code == '"<b>"'


def test_an_event_is_printed_with_what_a_receiver_knows_of_it() -> None:
    code = text_of(writer(), "{{ event.operation }}!").code
    for part in ('"signal": "post_save"', '"model": "zoo.animal"', '"pk": instance.pk', '"depth": 0'):
        assert part in code


@pytest.mark.parametrize(
    ("written", "template"),
    [
        ("{{ each.name }}", None),
        ("{{ each.born }}!", '{{ each.born|date:"Y-m-d" }}!'),
        ("{{ each.fed_at }}!", '{{ each.fed_at|date:"c" }}!'),
        ("{{ each.weight }}!", '{{ each.weight|default_if_none:"" }}!'),
        ("{% for tag in each.tags %}x{% endfor %}", "{% for tag in each.tags.all %}x{% endfor %}"),
        ("{{ each.tags.count }}{{ 'each.tags' }}", "{{ each.tags.all.count|default_if_none:\"\" }}{{ 'each.tags' }}"),
    ],
)
def test_each_row_prints_as_the_object_does(written: str, template: str | None) -> None:
    code = text_of(replace(writer(), each=Animal), written).code
    if template is None:
        assert code == 'f"{each.name}"'
    else:
        call = ast.parse(code, mode="eval").body
        assert isinstance(call, ast.Call)
        assert ast.literal_eval(call.args[0]) == template
