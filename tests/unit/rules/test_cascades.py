"""Which rule can set off which, from what the actions say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pytest

from rules_engine.rules import registry
from rules_engine.rules.cascades import Cascades, analyse, components
from rules_engine.rules.contract import Action, Effect
from rules_engine.types import ActionSpec, RuleSpec


def rule(slug: str, model: str = "", signals: Any = ("post_save",), *actions: ActionSpec, **fields: Any) -> RuleSpec:
    return RuleSpec(slug=slug, model=model, signals=tuple(signals), actions=actions, **fields)


def update(*fields: str, **config: Any) -> ActionSpec:
    return ActionSpec("update_objects", {"values": [{"field": one, "value": "1"} for one in fields], **config})


def create(model: str) -> ActionSpec:
    return ActionSpec("create_object", {"model": model})


class Doing(Action):
    """Has the effects of its config, or none that it can tell."""

    kind = "doing"
    label = "Doing"

    def effects(self, config: Mapping[str, Any], rule: RuleSpec) -> Iterable[Effect]:
        if "effects" not in config:
            raise KeyError("no idea")
        return [Effect(*one) for one in config["effects"]]


@pytest.fixture(autouse=True)
def doing() -> Iterator[None]:
    registry.register_action(Doing)
    yield
    del registry._actions["doing"]


def does(*effects: tuple[Any, ...]) -> ActionSpec:
    return ActionSpec("doing", {"effects": list(effects)})


def pairs(found: Cascades) -> set[tuple[str, str]]:
    return {(link.source, link.target) for slug in found.effects for link in found.sets_off(slug)}


def heard(effect: tuple[Any, ...], *others: RuleSpec) -> set[str]:
    """The slugs of those that a rule with this effect can set off."""
    found = analyse([rule("source", "shop.tag", ["post_delete"], does(effect)), *others])
    return {link.target for link in found.sets_off("source")}


def test_an_update_sets_off_the_rules_on_that_model_with_the_reason() -> None:
    recalculate = rule("items", "shop.orderitem", ["post_save"], update("subtotal", "total", target="order"))
    found = analyse([recalculate, rule("orders", "shop.order"), rule("products", "shop.product")])
    [link] = found.sets_off("items")
    assert (link.target, link.kind) == ("orders", "update_objects")
    assert link.effect == Effect("shop.order", "update", frozenset({"subtotal", "total"}))
    assert found.set_off_by("orders") == [link]
    assert found.set_off_by("products") == found.sets_off("orders") == found.loops() == []


@pytest.mark.parametrize(
    ("listener", "is_heard"),
    [
        ({"signals": ["post_save"]}, True),
        ({"signals": ["pre_save"]}, True),
        ({"signals": ["post_delete"]}, False),
        ({"signals": ["m2m_changed"]}, False),
        ({"operations": ("create",)}, False),
        ({"operations": ("create", "update")}, True),
        ({"changes": ({"field": "total"},)}, True),
        ({"changes": ({"field": "total"}, {"field": "subtotal", "to": 5})}, True),
        ({"changes": ({"field": "total"}, {"field": "status"})}, False),
        ({"changes": ({"field": "gone"},)}, False),
        ({"changes": ({},)}, False),
        ({"signals": ["shop.order_paid"], "model": ""}, False),
    ],
)
def test_an_update_reaches_those_that_listen_to_it_and_ask_for_its_fields(
    listener: dict[str, Any], is_heard: bool
) -> None:
    effect = ("shop.order", "update", frozenset({"total", "subtotal"}))
    assert heard(effect, rule("x", **{"model": "shop.order", **listener})) == ({"x"} if is_heard else set())


def test_a_save_of_no_named_field_may_be_of_any() -> None:
    changes = ({"field": "status"},)
    touch = rule("touch", "shop.orderitem", ["post_save"], update(target="order"))
    assert pairs(analyse([touch, rule("x", "shop.order", changes=changes)])) == {("touch", "x")}


def test_what_is_new_comes_from_null() -> None:
    was_draft = rule("x", "shop.order", changes=({"field": "status", "from": "draft"},))
    is_paid = rule("y", "shop.order", changes=({"field": "status", "to": "paid"},))
    assert pairs(analyse([rule("a", "shop.tag", ["post_save"], create("shop.order")), was_draft, is_paid])) == {
        ("a", "y")
    }


def test_rules_hear_descendants_and_proxies_as_the_receiver_does() -> None:
    listeners = [rule(name, f"zoo.{name}") for name in ("animal", "dog", "guarddog", "oldanimal")]
    assert heard(("zoo.dog", "create"), *listeners) == {"animal", "dog"}
    assert heard(("zoo.animal", "create"), *listeners) == {"animal"}
    assert heard(("zoo.guarddog", "create"), *listeners) == {"animal", "dog", "guarddog"}
    assert heard(("zoo.oldanimal", "create"), *listeners) == {"animal", "oldanimal"}


def test_a_delete_is_heard_by_rules_on_the_parents_too() -> None:
    listeners = [rule(name, f"zoo.{name}", ["post_delete"]) for name in ("animal", "dog", "guarddog", "oldanimal")]
    assert heard(("zoo.dog", "delete"), *listeners) == {"animal", "dog"}
    assert heard(("zoo.animal", "delete"), *listeners) == {"animal"}
    assert heard(("zoo.dog", "delete"), rule("x", "zoo.dog", ["post_delete"], changes=({"field": "name"},))) == set()


def test_the_own_object_may_be_of_a_descendant() -> None:
    weigh = rule("weigh", "zoo.animal", ["post_save"], update("weight"))
    assert pairs(analyse([weigh, rule("dogs", "zoo.dog"), rule("proxies", "zoo.oldanimal")])) == {("weigh", "dogs")}


def test_both_ends_hear_of_a_relation() -> None:
    products = rule("products", "shop.product", ["m2m_changed"], changes=({"field": "tags"},))
    tags = rule("tags", "shop.tag", ["m2m_changed"], operations=("add",))
    other = rule("animals", "zoo.animal", ["m2m_changed"])
    assert heard(("shop.product", "add", frozenset({"tags"})), products, tags, other) == {"products", "tags"}
    assert heard(("shop.product", "remove", None), products, tags, other) == {"products"}
    assert heard(("shop.product", "update", None), products) == set()


def test_a_signal_sets_off_the_rules_of_its_name() -> None:
    send = rule("send", "shop.order", ["post_save"], ActionSpec("send_signal", {"signal": "shop.order_paid"}))
    listener, other = rule("paid", "", ["shop.order_paid"]), rule("shipped", "", ["shop.order_shipped"])
    assert pairs(analyse([send, listener, other])) == {("send", "paid")}


@pytest.mark.parametrize(
    "action",
    [
        ActionSpec("log_message", {"message": "x"}),
        ActionSpec("set_fields", {"fields": [{"field": "status", "value": "paid"}]}, timing="before_save"),
        update("total", target="order", one_statement=True),
        update("total", target="nothing_such"),
        update("gone", target="order"),
        ActionSpec("update_objects", {"target": "query"}),
        create("auth.user"),
        create("no.such"),
        ActionSpec("create_object", {}),
        ActionSpec("send_signal", {"signal": ["x"]}),
        ActionSpec("send_signal", {"signal": "post_save"}),
        ActionSpec("no_such_kind", {}),
        ActionSpec("update_objects", {"values": [{"field": "total", "value": "1"}], "target": "order"}, enabled=False),
        ActionSpec("update_objects", "text"),  # type: ignore[arg-type]
    ],
)
def test_what_saves_nothing_sets_off_nothing(action: ActionSpec) -> None:
    listeners = [rule("x", "shop.order"), rule("y", "shop.orderitem", ["post_save", "pre_save"])]
    assert pairs(analyse([rule("source", "shop.orderitem", ["pre_save"], action), *listeners])) == set()


def test_a_rule_in_shadow_sets_off_nothing() -> None:
    source = rule("source", "shop.orderitem", ["post_save"], update("total", target="order"), shadow=True)
    assert pairs(analyse([source, rule("x", "shop.order")])) == set()


@pytest.mark.parametrize("action", [ActionSpec("run_task", {"task": "x"}), ActionSpec("doing", {})])
def test_an_action_that_cannot_tell_may_do_anything(action: ActionSpec) -> None:
    found = analyse([rule("source", "shop.order", ["post_save"], action), rule("x", "shop.order")])
    assert found.does_anything("source")
    assert not found.does_anything("x")
    assert pairs(found) == set()


def test_a_rule_that_hears_itself_is_no_loop() -> None:
    found = analyse([rule("self", "shop.order", ["post_save"], update("total"))])
    assert found.sets_off("self") == found.set_off_by("self") == found.loops() == []
    assert [link.kind for link in found.hears_itself("self")] == ["update_objects"]


def test_ping_pong_is_a_loop_and_what_hangs_on_it_is_not_in_it() -> None:
    items = rule("items", "shop.orderitem", ["post_save"], update("total", target="order"))
    orders = rule("orders", "shop.order", ["post_save"], update(target="items"))
    before = rule("before", "shop.tag", ["post_save"], create("shop.orderitem"))
    after = rule("after", "shop.order", ["post_save"], create("shop.statushistory"))
    found = analyse([before, items, orders, after])
    assert found.loops() == [("items", "orders")]
    assert found.loop_of("orders") == ("items", "orders")
    assert found.loop_of("after") == found.loop_of("no-such") == ()
    [said] = found.loops_said()
    assert "items (update shop.order total) → orders" in said
    assert "orders (update shop.orderitem) → items" in said


def test_two_rules_that_change_what_both_hear_are_a_loop() -> None:
    found = analyse([rule(slug, "shop.order", ["post_save"], update("total")) for slug in ("a", "b")])
    assert found.loops() == [("a", "b")]


def test_a_thousand_rules_in_a_ring_are_one_loop() -> None:
    names = [f"ring.{n}" for n in range(1000)]
    ring = [
        RuleSpec(slug=f"r{n:04}", signals=(name,), actions=(does(("", names[(n + 1) % 1000])),))
        for n, name in enumerate(names)
    ]
    [loop] = analyse(ring).loops()
    assert len(loop) == 1000
    assert analyse(ring[1:]).loops() == []


def test_broken_rules_are_left_out() -> None:
    broken = rule("broken", 5, ["post_save", 7])  # type: ignore[arg-type]
    assert pairs(analyse([broken, rule("a", "shop.tag", ["post_save"], create("shop.order"))])) == set()


def test_strongly_connected_parts() -> None:
    graph = {1: [2], 2: [3], 3: [1, 4], 4: [5], 5: [4, 5], 6: [6], 7: []}
    assert sorted(sorted(part) for part in components(graph)) == [[1, 2, 3], [4, 5], [6], [7]]
