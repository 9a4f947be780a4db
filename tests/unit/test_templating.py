"""What texts print, what they refuse, and what they say they read."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from uuid import UUID

import django
import pytest
from django.conf import settings

if not settings.configured:
    settings.configure(USE_TZ=True, TIME_ZONE="UTC", LANGUAGE_CODE="en")
    django.setup()

from django.test import override_settings

from rules_engine.errors import TemplateError
from rules_engine.texts import Text, compile_text, limits, render, single_line
from rules_engine.types import Path

ORDER = {
    "instance": {
        "number": "A-7",
        "total": "12.50",
        "discount": None,
        "doctor": None,
        "placed": "2026-03-05T22:30:00+00:00",
        "due": "2026-04-01",
        "opens": "08:30:00",
        "items": [{"name": "Tea", "copy": 2, "tags": ["hot"]}, {"name": "Cup", "copy": 1, "tags": []}],
        "customer": {"name": "O'Hara <b>", "clear": "not a method", "keys": "brass"},
    },
    "old": None,
    "created": True,
    "changed": ["status"],
    "changes": {"status": {"old": "draft", "new": "paid"}},
}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("Order {{ instance.number }}", "Order A-7"),
        ("{{ instance.items.1.name }}", "Cup"),
        ("{% for item in instance.items %}{{ forloop.counter }}.{{ item.name }} {% endfor %}", "1.Tea 2.Cup "),
        ("{% for i in instance.items reversed %}{{ i.name }}{% endfor %}", "CupTea"),
        ("{% for i in instance.items %}{% for t in i.tags %}{{ t }}{% empty %}-{% endfor %}{% endfor %}", "hot-"),
        ("{% with c=instance.customer %}{{ c.keys }}{% endwith %}", "brass"),
        ("{% with self=instance context=old %}{{ self.number }}{% endwith %}", "A-7"),
        ("{% for field, change in changes %}{{ field }}: {{ change.old }}{% endfor %}", "status: draft"),
        ("{% for field in changes %}{{ field }}{% endfor %}", "status"),
        ("{% if 'status' in changed %}yes{% endif %}", "yes"),
        ("{% if 'due' not in changed and not old %}yes{% endif %}", "yes"),
        ("{% if old is None or instance.x.y %}yes{% endif %}", "yes"),
        ("{% if created == True %}new{% else %}old{% endif %}", "new"),
        ("{% if instance.discount %}a{% elif instance.total %}b{% endif %}", "b"),
        ("{% firstof instance.discount instance.number %}", "A-7"),
        ("{% firstof instance.discount 'x' as y %}{{ y }}", "x"),
        ("{% comment %}{{ nothing }}{% endcomment %}{# neither #}!", "!"),
        ("{% verbatim %}{{ raw }}{% endverbatim %}", "{{ raw }}"),
        ("{{ instance.due|date:'j F Y' }}", "1 April 2026"),
        ("{{ instance.placed|date:'Y-m-d H:i' }}", "2026-03-05 22:30"),
        ("{{ instance.due|date:'SHORT_DATE_FORMAT' }}", "04/01/2026"),
        ("{{ instance.opens|time:'H:i' }} {{ instance.placed|time:'H:i' }}", "08:30 22:30"),
        ("{{ instance.discount|date:'Y' }}", ""),
        ("{{ instance.total|floatformat:1 }}", "12.5"),
        ("{{ instance.number|lower }}", "a-7"),
        ("{{ instance.discount|upper }}", ""),
        ("{{ instance.discount|default:'none' }}", "none"),
        ("{{ instance.discount|default_if_none:instance.number }}", "A-7"),
        ("{{ instance.items|length }} item{{ instance.items|pluralize }}", "2 items"),
        ("{{ instance.items|length|add:1 }} {{ instance.items|length|add:-3 }}", "3 -1"),
        ("{{ instance.discount|add:1 }}", ""),
        ("{{ changed|join:', ' }}", "status"),
        ("{% with one=instance.items|first %}{{ one.name }}{% endwith %}", "Tea"),
        ("{{ created|yesno:'yes,no' }}", "yes"),
        ("{{ instance.items.0.tags }} {{ instance.items.0 }}", '["hot"] {"name": "Tea", "copy": 2, "tags": ["hot"]}'),
        ('{"who": {{ instance.customer.name|json }}}', '{"who": "O\'Hara <b>"}'),
        ("{{ 'a'|upper }}{{ 3 }}{{ 1.5 }}", "A31.5"),
    ],
)
def test_a_text_prints_what_the_context_has(source, expected):
    assert render(source, ORDER) == expected


@pytest.mark.parametrize(
    "source", ["{{ 1.5|add:1 }}", "{{ 1|add:'1' }}", "{{ instance.total|add:1 }}", "{{ created|add:1 }}"]
)
def test_add_takes_whole_numbers_and_makes_nothing_up_of_others(source):
    with pytest.raises(TemplateError, match="add takes whole numbers"):
        render(source, ORDER)


@pytest.mark.parametrize("name", ["items", "keys", "values", "copy", "clear", "get", "pop", "update", "count", "index"])
def test_a_field_may_have_the_name_of_a_mappings_method(name):
    assert render("{{ instance." + name + " }}", {"instance": {name: "mine"}}) == "mine"


def test_null_prints_nothing_and_so_does_everything_reached_through_it():
    assert render("[{{ instance.discount }}{{ instance.doctor.email }}{{ old.status.x }}]", ORDER) == "[]"


@pytest.mark.parametrize("source", ["\n{{ instance.emial }}", "\n{% if instance.emial %}{% endif %}"])
def test_a_missing_path_is_an_error_that_names_it_and_its_line(source):
    with pytest.raises(TemplateError, match=r'^Line 2: this event has no "instance\.emial"'):
        render(source, ORDER)


def test_a_missing_path_stops_a_text_in_a_comparison_or_loop_head_too():
    for source in ("{% if x == 1 %}{% endif %}", "{% for a in x %}{% endfor %}", "{% firstof x 'y' %}"):
        with pytest.raises(TemplateError, match='has no "x"'):
            render(source, ORDER)


def test_default_forgives_a_missing_path():
    assert render("{{ instance.emial|default:'none' }}{{ x.y|default_if_none:'!' }}", ORDER) == "none!"


def test_a_field_that_did_not_change_is_null_in_changes():
    assert render("{% if changes.total %}x{% else %}{{ changes.total.old }}same{% endif %}", ORDER) == "same"


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("instance.total > 9", True),
        ("instance.total == 12.5", True),
        ("instance.total != 12", True),
        ("9 < instance.total", True),
        ("instance.total >= '9.0'", True),
        ("instance.due < '2026-05-01'", True),
        ("instance.discount < 5", False),
        ("instance.discount >= 0", False),
        ("instance.number == 7", False),
        ("'A' in instance.number", True),
        ("'x' in instance.discount", False),
        ("not instance.total <= 1 and created", True),
        ("instance.doctor is not None", False),
    ],
)
def test_conditions_compare_numbers_texts_and_null(condition, expected):
    assert (render("{% if " + condition + " %}y{% endif %}", ORDER) == "y") is expected


@pytest.mark.parametrize("condition", ["instance.number > 7", "instance.items == 1", "1 in instance.number", "1 in 2"])
def test_a_comparison_that_cannot_be_made_is_an_error_not_a_false(condition):
    with pytest.raises(TemplateError, match=r"^Line 1: a condition"):
        render("{% if " + condition + " %}{% endif %}", ORDER)


def test_values_are_escaped_for_html_only_when_asked():
    source = "<p>{{ instance.customer.name }}</p>{{ changed|join:'<br>' }}{{ instance.customer.name|linebreaksbr }}"
    assert render(source, ORDER, autoescape=True) == "<p>O&#x27;Hara &lt;b&gt;</p>statusO&#x27;Hara &lt;b&gt;"
    assert render(source, ORDER) == "<p>O'Hara <b></p>statusO'Hara <b>"


def test_a_datetime_is_shown_in_the_current_time_zone():
    with override_settings(USE_TZ=True, TIME_ZONE="Asia/Tokyo"):
        assert render("{{ instance.placed|date:'j H:i' }}", ORDER) == "6 07:30"


def test_decimals_and_uuids_print_exactly():
    key = UUID(int=7)
    assert render("{{ a }} {{ b }} {{ c }}", {"a": Decimal("1.10"), "b": key, "c": False}) == f"1.10 {key} False"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{{ a|uper }}", 'Line 1: there is no filter "uper". Did you mean "upper"? A text may use: add, capfirst, '),
        ("\n{% fro a in b %}", 'Line 2: there is no tag "fro". Did you mean "for"? A text may use: comment, '),
        ("{% if a %}", "Line 1: Unclosed tag: 'if'."),
        ("a\n\n{% endif %}", 'Line 3: "endif" closes nothing here.'),
        ("{% if a %}{% endfor %}", 'Line 1: "endfor" closes nothing here; elif or else or endif is awaited.'),
        ("{{ a..b }}", 'Line 1: a name is missing beside a dot in "a..b".'),
        ("{{ a.__class__ }}", "Line 1: Variables and attributes may not begin with underscores"),
        ("{% with _a=1 %}{% endwith %}", 'Line 1: "_a" cannot be a name'),
        ("{% for forloop in a %}{% endfor %}", 'Line 1: "forloop" cannot be a name'),
        ("{{ _('Yes') }}", "Line 1: a text has no translations"),
        ("{% if _('a %}", "Line 1: this tag is malformed"),
        ("{% if a %}{% else %}{% else %}{% endif %}", 'Line 1: "else" closes nothing here; endif is awaited.'),
        ("{% if a %}{% else b %}{% endif %}", 'Line 1: "else" stands alone'),
        ("{% if a not %}{% endif %}", "Line 1: "),
        ("{% if a == %}{% endif %}", "Line 1: Unexpected end of expression in if tag."),
    ],
)
def test_a_text_that_cannot_be_compiled_says_where_and_why(source, message):
    with pytest.raises(TemplateError) as caught:
        compile_text(source)
    assert str(caught.value).startswith(message)


def test_a_template_that_is_not_text_is_refused():
    with pytest.raises(TemplateError, match="should be text, and is int"):
        compile_text(7)


def test_reads_are_the_paths_from_the_top_of_the_context():
    text = compile_text(
        "{{ instance.doctor.email|default:instance.phone }}{% if event.model == 'x' and not old.a %}{{ True }}"
        "{% endif %}{% firstof actor.id request.id %}{{ 'literal' }}{{ 3 }}"
    )
    assert text.reads == {
        ("instance", "doctor", "email"),
        ("instance", "phone"),
        ("event", "model"),
        ("old", "a"),
        ("actor", "id"),
        ("request", "id"),
    }


def _of_rows(text: Text) -> set[tuple[Path, Path]]:
    return {(use.rows, use.path) for use in text.variables if use.rows is not None}


def test_loop_variables_are_resolved_to_the_fields_of_the_rows():
    text = compile_text(
        "{% for item in instance.items %}{{ item.name }}{{ forloop.counter }}"
        "{% for tag in item.tags %}{{ tag.label }}{{ instance.id }}{% endfor %}{% endfor %}{{ item.top }}"
    )
    of_rows = {("instance", "items", "*"), ("instance", "items", "tags", "label")}
    assert text.reads == {("instance", "items"), ("instance", "id"), ("item", "top"), *of_rows}
    items = ("instance", "items")
    assert _of_rows(text) == {(items, ("name",)), (items, ("tags",)), (items, ("tags", "label"))}


def test_aliases_are_resolved_and_forgotten_at_their_end():
    text = compile_text(
        "{% with d=instance.doctor i=instance.items.0 l=instance.lines|last %}{{ d.email }}{{ i.name }}{{ l.sku }}"
        "{% endwith %}{{ d.late }}{% firstof a.b a.c as f %}{{ f.z }}{% with n=a|length %}{{ n.none }}{% endwith %}"
    )
    assert {("instance", "doctor", "email"), ("d", "late"), ("a", "b", "z"), ("a", "c", "z")} <= text.reads
    assert _of_rows(text) == {(("instance", "items"), ("name",)), (("instance", "lines"), ("sku",))}
    assert not any("none" in path for path in text.reads)


def test_variables_say_where_they_stand_and_whether_they_may_be_missing():
    text = compile_text("Dear\n{{ instance.name|default:'you' }},\n{% if created %}{{ x }}{% endif %}")
    assert [(use.text, use.line, use.optional) for use in text.variables] == [
        ("instance.name", 2, True),
        ("created", 3, False),
        ("x", 3, False),
    ]


def test_every_path_that_a_rendering_looks_up_was_announced():
    source = "{% for i in instance.items %}{{ i.name }}{% endfor %}{{ instance.customer.name }}{{ changes.status.new }}"
    text = compile_text(source)
    kept = {"instance": {"items": [{"name": "Tea"}], "customer": {"name": "A"}}, "changes": ORDER["changes"]}
    assert {path[0] for path in text.reads} == set(kept)
    assert text.render(kept) == "TeaApaid"


def test_one_compiled_text_renders_in_many_threads_at_once():
    text = compile_text("{% for i in a %}{% with x=i %}{{ x }}{% endwith %}{{ forloop.counter }}{% endfor %}")
    expected = [f"{n}1{n}2" for n in range(50)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda n: text.render({"a": [n, n]}), range(50))) == expected


def test_compiling_the_same_source_again_gives_the_same_text():
    assert compile_text("{{ a.b.c }}") is compile_text("{{ a.b.c }}")


def test_a_long_value_is_cut_and_marked():
    printed = render("{{ a }}", {"a": "x" * 5_000})
    assert len(printed) == limits.VALUE
    assert printed.endswith("x…")


def test_a_header_takes_one_line_whatever_the_value_holds():
    hostile = "Paid\r\nBcc: all@example.com\n\x00\x85\u2028 end\n"
    assert single_line(hostile) == "Paid Bcc: all@example.com end"
    assert single_line("Grüße — 10 €") == "Grüße — 10 €"
