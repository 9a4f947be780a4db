"""What one text may cost, and what it says when that is spent."""

from __future__ import annotations

import pytest

from rules_engine.errors import TemplateError
from rules_engine.texts import compile_text, limits, render, rendering
from rules_engine.texts.limits import NESTING, OUTPUT, SOURCE, STEPS, TAGS
from rules_engine.texts.rendering import Budget


def test_a_budget_counts_steps_down_to_none() -> None:
    budget = Budget()
    for _ in range(STEPS):
        budget.spend()
    with pytest.raises(TemplateError, match="more than 10,000 steps; loop over fewer rows"):
        budget.spend()


def test_a_budget_counts_characters_and_gives_the_text_back() -> None:
    budget = Budget()
    assert budget.write("x" * OUTPUT) == "x" * OUTPUT
    with pytest.raises(TemplateError, match="more than 200,000 characters"):
        budget.write("y")


def test_a_budget_ends_with_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(rendering.time, "monotonic", lambda: now)
    budget = Budget()
    budget.spend()
    now += limits.SECONDS + 0.1
    with pytest.raises(TemplateError, match="longer than 1 s"):
        budget.spend()


def test_each_rendering_has_a_budget_of_its_own() -> None:
    text = compile_text("{% for row in rows %}{{ row }}{% endfor %}")
    for _ in range(3):
        assert text.render({"rows": [1] * (STEPS // 3)}) == "1" * (STEPS // 3)


def test_loops_in_loops_are_stopped_by_their_steps() -> None:
    source = "{% for a in rows %}{% for b in rows %}.{% endfor %}{% endfor %}"
    assert len(render(source, {"rows": list(range(90))})) == 90 * 90
    with pytest.raises(TemplateError, match="steps"):
        render(source, {"rows": list(range(101))})


def test_text_between_tags_counts_as_output() -> None:
    source = "{% for a in rows %}" + "x" * 1000 + "{% endfor %}"
    with pytest.raises(TemplateError, match="characters"):
        render(source, {"rows": list(range(OUTPUT // 1000 + 1))})


def test_a_template_has_a_bounded_length() -> None:
    assert render("x" * SOURCE, {}) == "x" * SOURCE
    with pytest.raises(TemplateError, match="may have 16,384 characters, and this has 16,385"):
        compile_text("x" * (SOURCE + 1))


def test_a_template_has_a_bounded_number_of_tags() -> None:
    compile_text("{{ a }}" * TAGS)
    with pytest.raises(TemplateError, match="may have 1,000 tags and variables, and this has 1,001"):
        compile_text("{{ a }}" * (TAGS + 1))


def test_tags_stand_in_each_other_to_a_bounded_depth() -> None:
    def nested(depth: int) -> str:
        return "{% if a %}" * depth + "{% endif %}" * depth

    compile_text(nested(NESTING - 1))
    with pytest.raises(TemplateError, match=f"{NESTING} deep, and these go deeper"):
        compile_text(nested(NESTING + 1))


def test_an_error_never_quotes_a_whole_template() -> None:
    with pytest.raises(TemplateError) as caught:
        compile_text("{% " + "nothing" * 500 + " %}")
    assert len(str(caught.value)) <= limits.MESSAGE


@pytest.mark.parametrize(
    ("source", "line"),
    [("a\nb\n{{ c.d }}", 3), ("\n{% if x %}\n{{ y }}{% endif %}", 2), ("{% with a=b %}{% endwith %}", 1)],
)
def test_an_error_in_rendering_names_its_line(source: str, line: int) -> None:
    with pytest.raises(TemplateError, match=f"^Line {line}: this event has no"):
        render(source, {"c": {}})


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("{% for a, b in rows %}{% endfor %}", "does not have that many parts"),
        ("{% for a in number %}{% endfor %}", 'a loop goes over a list, and "number" is a number'),
        ("{% for a in text %}{% endfor %}", 'a loop goes over a list, and "text" is text'),
    ],
)
def test_a_loop_over_what_is_no_list_says_what_it_is(source: str, said: str) -> None:
    with pytest.raises(TemplateError, match=said):
        render(source, {"rows": [1], "number": 5, "text": "abc"})


@pytest.mark.parametrize("name", ["forloop", "_private", "True", "1st", "a-b"])
@pytest.mark.parametrize("tag", ["for {} in rows", "with {}=rows", "firstof rows as {}"])
def test_a_name_that_a_text_could_not_read_cannot_be_given(tag: str, name: str) -> None:
    closing = {"for": "{% endfor %}", "with": "{% endwith %}"}.get(tag.split()[0], "")
    with pytest.raises(TemplateError):
        compile_text("{% " + tag.format(name) + " %}" + closing)


@pytest.mark.parametrize(
    "tag", ["load static", "include 'x'", "extends 'x'", "now 'Y'", "url 'x'", "csrf_token", "cycle 1 2", "debug"]
)
def test_a_tag_that_reaches_code_files_or_the_clock_is_not_there(tag: str) -> None:
    with pytest.raises(TemplateError, match=f'there is no tag "{tag.split()[0]}"'):
        compile_text("{% " + tag + " %}")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("{% endif %}", '"endif" closes nothing here'),
        ("{% if a %}{% endfor %}{% endif %}", '"endfor" closes nothing here; elif or else or endif is awaited'),
        ("{% if a %}{% else b %}{% endif %}", 'for another condition write "elif"'),
        ("{% if a %}{% endif b %}", '"endif" stands alone'),
        ("{{ a..b }}", 'a name is missing beside a dot in "a..b"'),
        ("{{ _('a') }}", "a text has no translations"),
    ],
)
def test_a_tag_out_of_place_is_told_with_what_is_awaited(source: str, said: str) -> None:
    with pytest.raises(TemplateError) as caught:
        compile_text(source)
    assert said in str(caught.value)
