"""Attempts to reach code, files, live objects or secrets through a text, or to make one cost too much."""

from __future__ import annotations

import traceback
from contextlib import suppress

import django
import pytest
from django.conf import settings
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

if not settings.configured:
    settings.configure(USE_TZ=True, TIME_ZONE="UTC", LANGUAGE_CODE="en")
    django.setup()

from django.test.signals import template_rendered

from rules_engine.errors import TemplateError
from rules_engine.texts import compile_text, limits, render, rendering
from rules_engine.texts.filters import FILTERS
from rules_engine.texts.rendering import TextEngine
from rules_engine.texts.tags import register
from tests.examples import examples

CANARY = "c4n4ry-5ecret"


class Live:
    """Stands for a model instance: notes every touch."""

    touched: list[str]

    def __init__(self) -> None:
        object.__setattr__(self, "touched", [])

    def __getattr__(self, name: str) -> object:
        self.touched.append(name)
        return self

    def __call__(self) -> str:
        self.touched.append("call")
        return CANARY

    def __str__(self) -> str:
        self.touched.append("str")
        return CANARY


def refused(source: str, context: dict | None = None) -> str:
    with pytest.raises(TemplateError) as caught:
        render(source, context or {})
    return str(caught.value)


@pytest.mark.parametrize(
    "tag",
    [
        "load static",
        "include 'admin/base.html'",
        "extends 'admin/base.html'",
        "block a",
        "debug",
        "ssi /etc/passwd",
        "csrf_token",
        "url 'admin:index'",
        "now 'SHORT_DATE_FORMAT'",
        "lorem 999999999 w",
        "cycle 'a' 'b'",
        "regroup a by b as c",
        "filter upper",
        "autoescape off",
        "widthratio 1 2 3",
        "templatetag openblock",
        "partialdef x",
        "trans 'x'",
        "spaceless",
        "querystring",
    ],
)
def test_tags_that_reach_beyond_the_text_do_not_exist(tag):
    assert f'there is no tag "{tag.split()[0]}"' in refused("{% " + tag + " %}")


@pytest.mark.parametrize(
    "name",
    [
        "center:999999999",
        "ljust:999999999",
        "rjust:999999999",
        "stringformat:'999999999d'",
        "pprint",
        "safe",
        "safeseq",
        "wordwrap:1",
        "make_list",
        "dictsort:'a'",
        "random",
        "json_script:'x'",
        "unordered_list",
        "urlize",
    ],
)
def test_filters_that_grow_show_or_unescape_do_not_exist(name):
    assert f'there is no filter "{name.split(":")[0]}"' in refused("{{ ''|" + name + " }}")


def test_the_engine_has_nothing_but_the_allow_list():
    engine = TextEngine()
    assert engine.template_builtins == [register]
    assert engine.template_libraries == {}
    assert engine.template_loaders == []
    assert set(register.tags) == {"comment", "firstof", "for", "if", "verbatim", "with"}
    assert register.filters == dict(FILTERS)


@pytest.mark.parametrize(
    "path",
    ["instance.__class__", "instance.__class__.__mro__", "instance._meta", "_context", "instance.0.__init__"],
)
def test_names_with_a_leading_underscore_do_not_compile(path):
    assert "underscore" in refused("{{ " + path + " }}", {"instance": {}})


@pytest.mark.parametrize(
    "path",
    [
        "d.clear",
        "d.items",
        "d.copy",
        "d.get",
        "d.lenient",
        "rows.append",
        "rows.sort",
        "rows.count",
        "text.upper",
        "text.format",
        "number.real",
        "number.bit_length",
        "flag.numerator",
    ],
)
def test_methods_and_attributes_of_plain_data_are_out_of_reach(path):
    data = {"d": {"a": 1}, "rows": [1], "text": "abc", "number": 7, "flag": True}
    assert f'has no "{path}"' in refused("{{ " + path + " }}", data)
    assert data == {"d": {"a": 1}, "rows": [1], "text": "abc", "number": 7, "flag": True}


@pytest.mark.parametrize(
    "source",
    [
        "{{ x }}",
        "{{ x.objects.raw }}",
        "{{ x.delete }}",
        "{{ d.x.save }}",
        "{{ d }}",
        "{{ rows }}",
        "{{ rows|join:',' }}",
        "{{ rows|first }}",
        "{% for a in rows %}{{ a }}{% endfor %}",
        "{% for k, v in d %}{{ v }}{% endfor %}",
        "{% if x %}a{% endif %}",
        "{% if 1 in rows %}a{% endif %}",
        "{% with y=x %}{{ y }}{% endwith %}",
        "{% firstof x %}",
        "{{ ''|default:x }}",
        "{{ 'a'|truncatechars:x }}",
        "{{ x|default:1 }}",
        "{{ d|json }}",
    ],
)
def test_a_live_object_is_never_printed_called_or_looked_into(source):
    live = Live()
    message = refused(source, {"x": live, "d": {"x": live}, "rows": [live]})
    assert live.touched == []
    assert CANARY not in message


def test_a_callable_is_not_called():
    assert "plain data only" in refused("{{ f }}", {"f": lambda: CANARY})


def test_a_string_that_calls_itself_safe_is_escaped_all_the_same():
    from django.utils.safestring import mark_safe

    data = {"a": mark_safe("<script>"), "b": [mark_safe("<i>")]}
    assert render("{{ a }}{{ b|join:'' }}{{ b.0|upper }}", data, autoescape=True) == (
        "&lt;script&gt;&lt;i&gt;&lt;I&gt;"
    )


@pytest.mark.parametrize(
    "source",
    [
        "{{ a.b.c }}",
        "{{ a|date:'Y' }}",
        "{{ a|time:'H' }}",
        "{{ a|first }}",
        "{{ a|join:',' }}",
        "{{ d|floatformat:a }}",
        "{{ d|truncatewords:rows }}",
        "{% for x in a %}{% endfor %}",
        "{% for x, y in rows %}{% endfor %}",
        "{% for x in rows %}{{ x.nope }}{% endfor %}",
        "{% if a > 1 %}{% endif %}",
        "{% if 1 in a %}{% endif %}",
        "{% if d == a %}{% endif %}",
        "{% for x in rows %}{% for y in big %}{{ a }}{% endfor %}{% endfor %}",
        "{{ long|json }}",
        "{{ number }}",
    ],
)
def test_an_error_and_its_traceback_never_carry_a_value(source):
    data = {"a": CANARY, "d": {CANARY: CANARY}, "rows": [CANARY] * 20, "big": [CANARY] * 1_000, "long": CANARY * 999}
    with pytest.raises(TemplateError) as caught:
        render(source, {**data, "number": 10**9_999})
    assert CANARY not in "".join(traceback.format_exception(caught.value))
    assert caught.value.__context__ is None


def test_no_signal_carries_the_context_away():
    received: list[object] = []
    # A receiver is known by its identity, and each look at a built-in's method makes another one.
    receive = received.append
    template_rendered.connect(receive, weak=False)
    try:
        render("{{ a }}", {"a": CANARY})
    finally:
        template_rendered.disconnect(receive)
    assert received == []


@pytest.mark.parametrize("places", ["999999999", "'-999999999'", "'999999999g'", "'1e9'", "''", "'u9'"])
def test_floatformat_makes_no_more_than_99_places(places):
    assert "floatformat" in refused("{{ 1.5|floatformat:" + places + " }}")


def test_chained_joins_do_not_multiply():
    rows = ["x" * 4_000] * 5_000
    chained = "{{ rows|join:sep" + "|join:sep" * 50 + " }}"
    assert "cannot work on text" in refused(chained, {"rows": rows, "sep": "y" * 4_000})
    assert len(render("{{ rows|join:sep }}", {"rows": rows, "sep": "y" * 4_000})) <= limits.VALUE


@pytest.mark.parametrize("name", sorted(FILTERS))
def test_no_filter_makes_five_megabytes_into_more_than_a_few_kilobytes(name):
    arguments = {"date": ":'Y'", "time": ":'H'", "join": ":','", "truncatechars": ":9999999", "truncatewords": ":99999"}
    arguments |= {"add": ":1", "default": ":1", "default_if_none": ":1", "yesno": ":'a,b'"}
    for value in ("&<a\n" * 1_250_000, ["\n<b>"] * 1_000_000, {"a": "<" * 5_000_000}, 10**4_000):
        for autoescape in (False, True):
            try:
                text = render("{{ a|" + name + arguments.get(name, "") + " }}", {"a": value}, autoescape=autoescape)
            except TemplateError:
                continue
            assert len(text) <= 8 * limits.VALUE


@pytest.fixture
def unhurried(monkeypatch):
    """No second that a busy machine takes ends a text before the limit that is looked at."""
    monkeypatch.setattr(rendering, "SECONDS", 60.0)


def test_a_five_megabyte_value_is_cut_wherever_it_is_printed():
    data = {"a": "x" * 5_000_000, "rows": ["y" * 5_000_000] * 3}
    for source in ("{{ a }}", "{% firstof a %}", "{{ rows }}", "{{ rows.0 }}", "{{ ''|default:a }}", "{{ a|upper }}"):
        assert len(render(source, data)) == limits.VALUE


@pytest.mark.parametrize(
    "source",
    [
        "{% for a in rows %}{% endfor %}",
        "{% for a in rows reversed %}{% endfor %}",
        "{% for k, v in record %}{% endfor %}",
        "{% for a in few %}{% for b in few %}{% for c in few %}x{% endfor %}{% endfor %}{% endfor %}",
        "{% for a in few %}{% for b in few %}{{ a|upper|lower|title }}{% endfor %}{% endfor %}",
    ],
)
def test_loops_stop_at_the_step_budget(source, unhurried):
    data = {"rows": [1] * 1_000_000, "few": list(range(99)), "record": {str(n): n for n in range(20_000)}}
    assert "more than 10,000 steps" in refused(source, data)


def test_ten_thousand_rounds_of_plain_text_stop_at_the_output_limit(unhurried):
    assert "200,000 characters" in refused("{% for a in rows %}" + "x" * 16_000 + "{% endfor %}", {"rows": [1] * 9_000})
    values = "{% for a in rows %}{{ a }}{% endfor %}"
    assert "200,000 characters" in refused(values, {"rows": ["y" * 5_000] * 9_000})
    escaped = "{{ a }}" * 10
    with pytest.raises(TemplateError, match="200,000"):
        render(escaped, {"a": "'" * 5_000}, autoescape=True)


def test_a_text_stops_at_its_deadline(monkeypatch):
    monkeypatch.setattr(rendering, "SECONDS", -1.0)
    assert "takes longer than" in refused("{% if a %}{{ a }}{% endif %}", {"a": 1})


def test_data_that_contains_itself_has_an_end():
    loop: dict = {"name": "x"}
    loop["self"] = loop
    rows: list = []
    rows.append(rows)
    printed = render("{{ a }}{{ b }}{{ a.self.self.self.name }}", {"a": loop, "b": rows})
    assert printed.count("name") == 8
    assert "…" in printed
    assert "compares a record with a record" in refused("{% if a == a.self %}{% endif %}", {"a": loop})
    refused("{% for x in b %}" * 15 + "{{ nothing }}" + "{% endfor %}" * 15, {"b": rows})


def test_data_nested_a_hundred_thousand_deep_prints():
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    assert render("{{ a }}", {"a": deep}) == "[" * 8 + '"…"' + "]" * 8
    while deep:
        deep = deep.pop()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("x" * (limits.SOURCE + 1), "16,384 characters"),
        ("{{" * 8_000, "1,000 tags"),
        ("{% if a %}" * 25 + "{% endif %}" * 25, "20 deep"),
        ("{% if " + "not " * 3_000 + "a %}{% endif %}", "60 words"),
        ("{% if " + "a and " * 2_000 + "a %}{% endif %}", "60 words"),
    ],
)
def test_sources_that_are_costly_to_compile_are_refused(source, message):
    with pytest.raises(TemplateError, match=message):
        compile_text(source)


@pytest.mark.parametrize(
    "source", ["{{ a" + " " * 9_000 + "b }}", "{{ a|" + "x" * 9_000 + " }}", "{{ " + "a" * 9_000 + " }}"]
)
def test_an_error_quotes_only_so_much_of_the_template(source):
    assert len(refused(source)) <= limits.MESSAGE


def test_a_recursion_limit_reached_by_the_caller_is_a_template_error():
    def dive(depth: int) -> str:
        try:
            return dive(depth + 1)
        except RecursionError:
            with pytest.raises(TemplateError):
                render("{% if a %}" * 20 + "{% endif %}" * 20, {"a": 1})
            raise

    with pytest.raises((RecursionError, TemplateError)):
        dive(0)


MARKS = """{{ }} {% %} {# #} | : . _ ' " _( ) \\ , = - 0 1e9 a rows d.x"""
WORDS = (
    "if endif elif else for endfor in with endwith as firstof empty not comment endcomment verbatim endverbatim and or"
    " == < is reversed forloop True"
)
WHOLE = [
    "{{ a }}",
    "{% if a %}",
    "{% endif %}",
    "{% for x in rows %}",
    "{% for k, v in d %}",
    "{% endfor %}",
    "{{ x.y }}",
]
PIECES = st.sampled_from([" ", "\n", *MARKS.split(), *(f"{word} " for word in WORDS.split()), *WHOLE, *FILTERS])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@hypothesis_settings(max_examples=examples(400), deadline=None)
@given(st.lists(PIECES | st.text(max_size=4), max_size=25).map("".join), VALUES, st.booleans())
def test_random_text_raises_nothing_but_template_errors(source, value, autoescape):
    try:
        text = compile_text(source)
        text.render({"a": value, "rows": [value, 1], "d": {"x": value}}, autoescape=autoescape)
    except TemplateError:
        pass


@hypothesis_settings(max_examples=examples(400), deadline=None)
@given(st.sampled_from(sorted(FILTERS)), VALUES, VALUES, st.booleans(), st.booleans())
def test_any_filter_on_any_value_raises_nothing_but_template_errors(name, value, argument, given_one, autoescape):
    try:
        source = "{{ a|" + name + (":b" if given_one else "") + " }}"
        render(source, {"a": value, "b": argument}, autoescape=autoescape)
    except TemplateError:
        pass


@hypothesis_settings(max_examples=examples(300), deadline=None)
@given(VALUES, VALUES, st.sampled_from(["<", "<=", "==", "!=", "in", "not in", "is", "and", "or"]))
def test_any_comparison_raises_nothing_but_template_errors(left, right, operator):
    with suppress(TemplateError):
        render("{% if a " + operator + " b %}y{% endif %}", {"a": left, "b": right})
