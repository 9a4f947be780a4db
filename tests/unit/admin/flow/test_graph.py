"""What sets off what, as boxes and arrows and as lines, from rules alone."""

from __future__ import annotations

from typing import Any

from rules_engine.admin.flow.graph import MOST_BOXES, Flow, flow_of
from rules_engine.rules.cascades import analyse
from rules_engine.types import ActionSpec, RuleSpec

LOG = ActionSpec("log_message", {"message": "x"})


def saves(field: str, model: str = "shop.order") -> ActionSpec:
    where = [{"field": "pk", "value": "1"}]
    config = {"target": "query", "model": model, "filter": where, "values": [{"field": field, "value": "1"}]}
    return ActionSpec("update_objects", config)


def rule(slug: str, *actions: ActionSpec, field: str = "", **columns: Any) -> RuleSpec:
    changes = ({"field": field},) if field else ()
    given = {"model": "shop.order", "signals": ("post_save",), "changes": changes, **columns}
    return RuleSpec(slug, slug.title(), actions=actions, **given)


def flow(*rules: RuleSpec, begin: list[str] | None = None, here: str = "") -> Flow:
    return flow_of(rules, analyse(rules), begin or [one.slug for one in rules], here=here)


def titles(drawn: Flow) -> list[str]:
    names = {box.key: box.title for box in drawn.boxes}
    return [f"{names[source]} → {names[target]}" for source, target in drawn.arrows]


def test_a_model_leads_to_its_rule_and_on_to_what_the_rule_changes() -> None:
    drawn = flow(rule("first", saves("status"), LOG), rule("second", LOG, field="status"))
    assert titles(drawn) == [
        "Order → First",
        "First → Update objects",
        "Update objects → saves Order (status)",
        "saves Order (status) → Second",
        "First → Write a log message",
        "Second → Write a log message",
    ]


def test_the_list_says_the_same_as_the_picture() -> None:
    drawn = flow(rule("first", saves("status"), LOG), rule("second", LOG, field="status"))
    first = drawn.lines[0]
    assert (first.rule.slug, first.note) == ("first", "")
    assert first.when.startswith("When an order is")
    [(update, (changed,)), (log, nothing)] = first.actions
    assert (update, log, nothing) == ("Update objects", "Write a log message", ())
    assert (changed.words, [one.slug for one in changed.sets_off], changed.more) == (
        "saves Order (status)",
        ["second"],
        0,
    )


def test_it_begins_where_it_is_asked_and_goes_on_as_far_as_rules_reach() -> None:
    rules = (
        rule("first", saves("status")),
        rule("second", saves("discount"), field="status"),
        rule("third", LOG, field="discount"),
        rule("other", LOG, field="total"),
    )
    assert [line.rule.slug for line in flow(*rules, begin=["first"]).lines] == ["first", "second", "third"]


def test_rules_in_a_loop_are_drawn_once_each() -> None:
    drawn = flow(rule("one", saves("discount"), field="status"), rule("two", saves("status"), field="discount"))
    assert [box.title for box in drawn.boxes if box.kind == "rule"] == ["One", "Two"]
    assert "saves Order (status) → One" in titles(drawn)
    assert "Order → One" in titles(drawn)


def test_several_actions_of_a_kind_are_one_box() -> None:
    drawn = flow(rule("first", LOG, LOG, ActionSpec("log_message", {"message": "x"}, enabled=False)))
    assert [box.title for box in drawn.boxes if box.kind == "action"] == ["Write a log message × 2"]


def test_a_picture_has_room_for_so_many_boxes_and_counts_the_rest() -> None:
    drawn = flow(*(rule(f"rule-{number}", LOG) for number in range(100)))
    assert len(drawn.boxes) <= MOST_BOXES
    assert len(drawn.lines) + drawn.more == 100
    assert drawn.more > 0


def test_rules_without_room_are_counted_where_they_are_set_off() -> None:
    hearers = [rule(f"rule-{number}", LOG, field="status") for number in range(60)]
    drawn = flow(rule("first", saves("status")), *hearers, begin=["first"])
    [(_title, (changed,))] = drawn.lines[0].actions
    assert len(changed.sets_off) + changed.more == 60
    assert changed.more == drawn.more


def test_a_rule_that_is_off_or_in_shadow_says_so() -> None:
    drawn = flow(rule("off", LOG, enabled=False), rule("shadow", saves("status"), shadow=True))
    notes = {box.title: (box.note, box.is_on) for box in drawn.boxes if box.kind == "rule"}
    assert notes == {"Off": ("off", False), "Shadow": ("shadow", True)}
    assert not [box for box in drawn.boxes if box.kind == "effect"]


def test_a_signal_is_a_box_of_its_own() -> None:
    drawn = flow(rule("login", LOG, model="", signals=("user_logged_in",)))
    assert drawn.boxes[0].title == "after a user logs in (user_logged_in)"
    assert drawn.boxes[0].kind == "signal"


def test_the_rule_that_it_is_about_is_marked() -> None:
    drawn = flow(rule("first", LOG), rule("second", LOG), here="second")
    assert [box.title for box in drawn.boxes if box.is_here] == ["Second"]


def test_a_rule_with_nonsense_in_it_is_drawn_all_the_same() -> None:
    wrong: Any = RuleSpec("wrong", model="no.such", signals=("post_save",), actions=(ActionSpec("no_such", {}),))
    drawn = flow(wrong)
    assert [box.title for box in drawn.boxes] == ["no.such", "wrong", "no_such"]


def test_what_acts_by_the_clock_alone_begins_at_the_clock() -> None:
    daily = {"kind": "every", "each": "day", "at": "08:00", "of": "each"}
    drawn = flow(rule("first", LOG, signals=(), schedule=daily), rule("second", LOG, signals=(), schedule=daily))
    assert titles(drawn)[:2] == ["The clock → First", "First → Write a log message"]
    assert [box.title for box in drawn.boxes].count("The clock") == 1
    assert drawn.lines[0].when == "Every day at 8:00, for each order"
