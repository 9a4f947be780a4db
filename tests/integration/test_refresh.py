"""What a process reads of rules that others changed: just those, and it comes to what reading all of them would."""

from __future__ import annotations

import io
import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from threading import Event as Flag
from threading import Thread
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import connection, connections, transaction
from django.db.models import Q
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from rules_engine.capture import receiver
from rules_engine.live import cache, known, watcher
from rules_engine.live.plan import Plan
from rules_engine.models import Pause, Recording, Rule, RuleAction, RuleSetChange, RuleSetVersion, RuleVersion
from rules_engine.models.rule_set import MOST_CHANGES, MOST_NAMED
from rules_engine.rules.matching import CompiledRule
from tests.threads import SECONDS
from tests.zoo.models import Animal, Dog, GuardDog, OldAnimal

pytestmark = pytest.mark.django_db(transaction=True)

SLUGS = [f"rule-{number:02}" for number in range(12)]
LEGS = {"==": [{"var": "instance.legs"}, 3]}
MODELS = ["zoo.animal", "zoo.tag", "shop.order"]


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The slugs of the rules that were compiled, in turn."""
    slugs: list[str] = []

    def compile_rule(spec: Any, version: int, real: Any = known.compile_rule) -> CompiledRule:
        slugs.append(spec.slug)
        return real(spec, version)  # type: ignore[no-any-return]

    monkeypatch.setattr(known, "compile_rule", compile_rule)
    return slugs


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The rules and actions that were fetched, in turn."""
    rows: list[str] = []
    for model in (Rule, RuleAction):

        def from_db(cls: Any, *values: Any, real: Any = model.from_db, **options: Any) -> Any:
            row = real(*values, **options)
            rows.append(getattr(row, "slug", None) or f"{row.rule.slug}/{row.position}")
            return row

        monkeypatch.setattr(model, "from_db", classmethod(from_db))
    return rows


@pytest.fixture
def elsewhere() -> Iterator[None]:
    """What is changed is changed by another process: this one reads the rules when it looks."""
    with watcher.without_reading():
        yield


def store(slug: str, **fields: Any) -> Rule:
    fields = {"model": "zoo.animal", "signals": ["post_save"], **fields}
    rule = Rule.objects.create(slug=slug, name=slug, **fields)
    RuleAction.objects.create(rule=rule, kind="log_message", config={"message": slug})
    return rule


def look() -> list[str]:
    """Return the slugs of the rules that this process tries after a look, in order."""
    cache.refresh()
    return [rule.slug for rule in cache.current().rules]


def slugs_touched() -> list[str] | None:
    keys = RuleSetChange.objects.latest("number").rules
    return None if keys is None else sorted(Rule.objects.filter(pk__in=keys).values_list("slug", flat=True))


# What is read


def test_an_edit_is_read_and_compiled_alone(elsewhere: None, compiled: list[str], fetched: list[str]) -> None:
    for slug in SLUGS:
        store(slug)
    look()
    before = {rule.slug: rule for rule in cache.current().rules}
    compiled.clear()
    Rule.objects.filter(slug=SLUGS[3]).update(condition=LEGS)
    fetched.clear()
    with CaptureQueriesContext(connection) as asked:
        assert look() == SLUGS
    assert compiled == [SLUGS[3]]
    # The action's own rule is fetched here, to name it.
    assert set(fetched) == {SLUGS[3], f"{SLUGS[3]}/0"}
    assert not [query for query in asked.captured_queries if SLUGS[4] in query["sql"]]
    after = {rule.slug: rule for rule in cache.current().rules}
    assert [slug for slug in SLUGS if after[slug] is not before[slug]] == [SLUGS[3]]
    assert after[SLUGS[3]].version == 2


def test_an_edit_finds_a_new_place_for_its_rule_alone(elsewhere: None, monkeypatch: pytest.MonkeyPatch) -> None:
    for slug in SLUGS:
        store(slug, model="zoo.tag" if slug == SLUGS[0] else "zoo.animal")
    look()
    placed: list[tuple[str, type[Any]]] = []

    def entry(self: Plan, rule: CompiledRule, draft: Any, real: Any = Plan._entry) -> Any:
        placed.append((rule.slug, self.model))
        return real(self, rule, draft)

    monkeypatch.setattr(Plan, "_entry", entry)
    before = dict(receiver.watched())
    Rule.objects.filter(slug=SLUGS[3]).update(stop_processing=True)
    look()
    # A save of each of these is one of an animal; as what they inherit they are looked at by the animals' own plan.
    animals = [Animal, Dog, GuardDog, OldAnimal]
    assert sorted(placed, key=str) == sorted(((SLUGS[3], model) for model in animals), key=str)
    after = receiver.watched()
    assert {model for model, watch in before.items() if after[model] is not watch} == set(animals)
    assert [parent.plans["post_save"] is after[Animal].plans["post_save"] for parent in after[Dog].parents] == [True]


def test_a_look_at_nothing_new_asks_for_one_number(elsewhere: None) -> None:
    store("one")
    look()
    with CaptureQueriesContext(connection) as asked:
        assert not cache.refresh()
    assert len([query for query in asked.captured_queries if "SELECT" in query["sql"]]) == 1


def test_what_is_saved_as_it_was_is_not_compiled_again(elsewhere: None, compiled: list[str]) -> None:
    store("one")
    look()
    rule = cache.current().rules[0]
    compiled.clear()
    Rule.objects.get(slug="one").save()
    look()
    assert not compiled
    assert cache.current().rules[0] is rule


def test_a_pause_has_no_rule_read(elsewhere: None, compiled: list[str], fetched: list[str]) -> None:
    for slug in SLUGS:
        store(slug)
    look()
    compiled.clear()
    fetched.clear()
    Pause.objects.create(rule_slug=SLUGS[0])
    look()
    assert (compiled, fetched) == ([], [])
    held = cache.current().rules[0]
    assert (held.is_paused, cache.current().rules[1].is_paused) == (True, False)
    Pause.objects.create(rule_slug=SLUGS[1], mode="drop")
    assert look() == [SLUGS[0], *SLUGS[2:]]
    assert cache.current().rules[0] is held
    Pause.objects.all().delete()
    assert look() == SLUGS
    assert (compiled, fetched) == ([], [])


CHANGES = {
    "saved": lambda: Rule.objects.get(slug="two").save(),
    "updated": lambda: Rule.objects.filter(slug="two").update(position=5),
    "bulk updated": lambda: Rule.objects.bulk_update([Rule.objects.get(slug="two")], ["position"]),
    "an action saved": lambda: RuleAction.objects.get(rule__slug="two").save(),
    "an action made": lambda: RuleAction.objects.create(
        rule=Rule.objects.get(slug="two"), kind="log_message", position=1
    ),
    "an action updated": lambda: RuleAction.objects.filter(rule=Rule.objects.get(slug="two")).update(delay=1),
    "an action updated by its rule's slug": lambda: RuleAction.objects.filter(rule__slug="two").update(delay=1),
    "updated by an action": lambda: Rule.objects.filter(actions__config__message="two").update(position=5),
    "actions deleted": lambda: RuleAction.objects.filter(rule__slug="two").delete(),
    "an action deleted": lambda: RuleAction.objects.get(rule__slug="two").delete(),
}


@pytest.mark.parametrize("how", CHANGES)
def test_a_change_names_the_rule_that_it_touches(elsewhere: None, how: str) -> None:
    for slug in ("one", "two"):
        store(slug)
    CHANGES[how]()
    assert slugs_touched() == ["two"]


def test_a_deleted_rule_is_named_and_goes(elsewhere: None, compiled: list[str]) -> None:
    keys = {slug: store(slug).pk for slug in ("one", "two", "three")}
    assert look() == ["one", "three", "two"]
    compiled.clear()
    Rule.objects.get(slug="two").delete()
    assert RuleSetChange.objects.latest("number").rules == [keys["two"]]
    assert look() == ["one", "three"]
    Rule.objects.filter(slug="one").delete()
    assert RuleSetChange.objects.latest("number").rules == [keys["one"]]
    assert look() == ["three"]
    assert not compiled


def test_an_action_that_moves_touches_the_rule_that_it_leaves(elsewhere: None) -> None:
    store("one")
    two = store("two")
    look()
    action = RuleAction.objects.get(rule__slug="one")
    action.rule, action.position = two, 1
    action.save()
    assert slugs_touched() == ["one", "two"]
    look()
    assert [len(rule.actions) for rule in cache.current().rules] == [0, 2]
    RuleAction.objects.filter(pk=action.pk).update(rule=Rule.objects.get(slug="one"))
    look()
    assert [len(rule.actions) for rule in cache.current().rules] == [1, 1]


def test_an_action_that_moved_meanwhile_is_deleted_from_where_it_is(elsewhere: None) -> None:
    store("one")
    two = store("two")
    action = RuleAction.objects.get(rule__slug="one")
    RuleAction.objects.filter(pk=action.pk).update(rule=two, position=1)
    look()
    assert [len(rule.actions) for rule in cache.current().rules] == [0, 2]
    action.delete()
    assert slugs_touched() == ["one", "two"]
    look()
    assert [len(rule.actions) for rule in cache.current().rules] == [0, 1]


def test_what_is_read_beside_the_rules_keeps_nobody_from_deleting_them(elsewhere: None) -> None:
    for slug in ("one", "two", "three", "four"):
        store(slug)
    Rule.objects.select_related("author").filter(slug="one").delete()
    Rule.objects.order_by("author__username").filter(slug="two").delete()
    by_nobody = Q(author__username="nobody") | Q(author__isnull=True)
    Rule.objects.filter(by_nobody, slug="three").delete()
    assert RuleSetChange.objects.latest("number").rules is None
    Rule.objects.select_related("author").order_by("author__username").filter(by_nobody).update(shadow=True)
    assert look() == ["four"]
    assert cache.current().rules[0].shadow


def test_an_update_by_what_it_changes_names_the_rules_that_it_changed(elsewhere: None) -> None:
    for slug in ("one", "two"):
        store(slug, enabled=slug == "one")
    assert look() == ["one"]
    Rule.objects.filter(enabled=True).update(enabled=False)
    assert slugs_touched() == ["one"]
    assert look() == []


def test_a_slug_that_passes_to_another_rule_is_that_of_the_other(elsewhere: None) -> None:
    one, two = store("one"), store("two", condition={"==": [{"var": "instance.legs"}, 2]})
    look()
    Rule.objects.filter(pk=one.pk).update(slug="three")
    Rule.objects.filter(pk=two.pk).update(slug="one")
    assert look() == ["one", "three"]
    assert [rule.condition is not None for rule in cache.current().rules] == [True, False]


# Where it is not known what changed


def test_an_older_release_that_names_no_rules_has_all_compared(elsewhere: None, compiled: list[str]) -> None:
    for slug in ("one", "two"):
        store(slug)
    look()
    compiled.clear()
    RuleSetVersion.advance("default")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE rules_engine_rule SET position = 9 WHERE slug = 'one'")
    assert look() == ["two", "one"]
    assert compiled == ["one"]


def test_a_process_that_is_far_behind_compares_all(elsewhere: None, compiled: list[str]) -> None:
    for slug in ("one", "two"):
        store(slug)
    look()
    compiled.clear()
    Rule.objects.filter(slug="one").update(stop_processing=True)
    RuleSetVersion.objects.update(number=RuleSetVersion.current() + 2 * MOST_CHANGES)
    Rule.objects.filter(slug="two").update(raw=True)
    look()
    assert sorted(compiled) == ["one", "two"]


def test_changes_that_no_process_needs_are_forgotten(elsewhere: None) -> None:
    rule = store("one")
    RuleSetChange.objects.bulk_create(RuleSetChange(number=-number, rules=[rule.pk]) for number in range(10))
    RuleSetVersion.objects.update(number=MOST_CHANGES * 3 - 1)
    rule.save()
    assert [change.number for change in RuleSetChange.objects.all()] == [MOST_CHANGES * 3]


def test_a_number_that_was_given_twice_has_all_compared(elsewhere: None) -> None:
    """A process that read its rules inside of a transaction, which was then undone."""
    rule = store("one")
    look()
    with pytest.raises(KeyError), transaction.atomic():
        Rule.objects.filter(pk=rule.pk).update(shadow=True)
        look()
        raise KeyError
    assert cache.current().rules[0].shadow
    # Another takes the number for something else.
    store("two")
    look()
    assert [rule.shadow for rule in cache.current().rules] == [False, False]


def test_of_very_many_rules_none_is_named(elsewhere: None) -> None:
    Rule.objects.bulk_create(
        Rule(slug=f"r{number}", name="r", model="zoo.animal", signals=["post_save"]) for number in range(MOST_NAMED + 1)
    )
    assert RuleSetChange.objects.latest("number").rules is None
    Rule.objects.update(shadow=True)
    assert RuleSetChange.objects.latest("number").rules is None
    look()
    assert {rule.shadow for rule in cache.current().rules} == {True}


def test_a_form_that_came_back_has_its_newest_version(elsewhere: None) -> None:
    store("one")
    look()
    first = RuleVersion.objects.get()
    # Two edits, the second of which undoes the first; another process compiled both.
    Rule.objects.filter(slug="one").update(shadow=True)
    Rule.objects.filter(slug="one").update(shadow=False)
    for number, digest in ((2, "another form"), (3, first.digest)):
        RuleVersion.objects.create(rule_slug="one", number=number, digest=digest, content={})
    look()
    assert cache.current().rules[0].version == 3


# Editors at the same time


def in_thread(work: Any) -> Thread:
    def run() -> None:
        try:
            with watcher.without_reading():
                work()
        finally:
            connections.close_all()

    thread = Thread(target=run)
    thread.start()
    return thread


def test_of_two_editors_no_edit_is_missed_whichever_commits_first(elsewhere: None) -> None:
    if not connection.features.has_select_for_update:
        pytest.skip("A writer keeps all others out, and those who look as well.")
    for slug in ("one", "two"):
        store(slug)
    look()
    has_edited, may_commit, second_is_at_it = Flag(), Flag(), Flag()

    def first() -> None:
        with transaction.atomic():
            Rule.objects.filter(slug="one").update(shadow=True)
            has_edited.set()
            may_commit.wait(SECONDS)

    def second() -> None:
        second_is_at_it.set()
        # Its row is written before the first has committed, its number comes after the first's.
        Rule.objects.filter(slug="two").update(shadow=True)

    editors = [in_thread(first)]
    assert has_edited.wait(SECONDS)
    editors.append(in_thread(second))
    assert second_is_at_it.wait(SECONDS)
    look()
    may_commit.set()
    for editor in editors:
        editor.join(SECONDS)
        look()
    assert [rule.shadow for rule in cache.current().rules] == [True, True]
    numbers = list(RuleSetChange.objects.order_by("pk").values_list("number", flat=True))
    assert numbers == list(range(1, RuleSetVersion.current() + 1))


def test_two_editors_of_the_first_rules_give_two_numbers(elsewhere: None) -> None:
    RuleSetVersion.objects.all().delete()
    has_edited, may_commit = Flag(), Flag()

    def first() -> None:
        with transaction.atomic():
            store("one")
            has_edited.set()
            may_commit.wait(SECONDS)

    editor = in_thread(first)
    assert has_edited.wait(SECONDS)
    other = in_thread(lambda: store("two"))
    may_commit.set()
    editor.join(SECONDS)
    other.join(SECONDS)
    assert RuleSetVersion.current() == RuleSetChange.objects.count() == 4
    assert look() == ["one", "two"]


# Whatever is done


class Editor:
    """Does what people, packs and code do to rules, by chance."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.author = get_user_model().objects.create_user("author")

    def edit(self) -> str:
        how = self.chance.choice([name for name in dir(self) if name.startswith("do_")])
        with transaction.atomic():
            getattr(self, how)()
        return how

    def some(self, model: type[Any] = Rule) -> Any:
        rows = list(model.objects.order_by("pk"))
        return self.chance.choice(rows) if rows else None

    def do_create(self) -> None:
        free = sorted(set(SLUGS) - set(Rule.objects.values_list("slug", flat=True)))
        if free:
            store(self.chance.choice(free), model=self.chance.choice(MODELS), position=self.chance.randrange(3))

    def do_edit(self) -> None:
        if rule := self.some():
            rule.condition = {"==": [{"var": "event.depth"}, self.chance.randrange(3)]}
            rule.author = self.chance.choice([None, self.author])
            rule.save()

    def do_break(self) -> None:
        if rule := self.some():
            Rule.objects.filter(pk=rule.pk).update(condition={"nonsense": [self.chance.randrange(3)]})

    def do_switch(self) -> None:
        Rule.objects.filter(position=self.chance.randrange(3)).update(enabled=self.chance.random() < 0.7)

    def do_reorder(self) -> None:
        if rule := self.some():
            rule.position = self.chance.randrange(3)
            rule.save(update_fields=["position"])

    def do_rename(self) -> None:
        free = sorted(set(SLUGS) - set(Rule.objects.values_list("slug", flat=True)))
        if free and (rule := self.some()):
            Rule.objects.filter(pk=rule.pk).update(slug=self.chance.choice(free))

    def do_delete(self) -> None:
        if rule := self.some():
            rule.delete() if self.chance.random() < 0.5 else Rule.objects.filter(pk=rule.pk).delete()

    def do_edit_action(self) -> None:
        if action := self.some(RuleAction):
            action.config = {"message": str(self.chance.randrange(5))}
            action.kind = self.chance.choice(["log_message", "not_installed"])
            action.save()

    def do_add_action(self) -> None:
        if rule := self.some():
            position = rule.actions.count() + self.chance.randrange(2)
            if not rule.actions.filter(position=position).exists():
                RuleAction.objects.bulk_create([
                    RuleAction(rule=rule, position=position, kind="log_message", config={"message": "x"})
                ])  # fmt: skip

    def do_remove_actions(self) -> None:
        if rule := self.some():
            rule.actions.all().delete()

    def do_move_action(self) -> None:
        if (action := self.some(RuleAction)) and (rule := self.some()):
            action.rule, action.position = rule, 1 + max(RuleAction.objects.values_list("position", flat=True))
            action.save()

    def do_pause(self) -> None:
        mode = self.chance.choice(["hold", "drop"])
        scope = self.chance.choice([{"model": "zoo.animal"}, {"rule_slug": self.chance.choice(SLUGS)}, {}])
        Pause.objects.create(mode=mode, **scope)

    def do_resume(self) -> None:
        Pause.objects.all().delete()

    def do_record(self) -> None:
        Recording.objects.create(model=self.chance.choice(MODELS), until=timezone.now() + timedelta(hours=1))

    def do_stop_recording(self) -> None:
        Recording.objects.all().delete()

    def do_install_pack(self) -> None:
        out = io.StringIO()
        call_command("rulepack", "install", "clinic", overwrite=self.chance.random() < 0.5, stdout=out, stderr=out)

    def do_nothing_that_stays(self) -> None:
        if rule := self.some():
            with pytest.raises(KeyError), transaction.atomic():
                rule.delete()
                raise KeyError


def known_to(rule_set: cache.RuleSet) -> list[Any]:
    assert rule_set.reading is not None
    recorders = [replace(recorder, active_until=None) for recorder in rule_set.recorders]
    return [rule_set.reading.stamp, *rule_set.reading.rules.items(), *recorders]


@pytest.mark.parametrize("seed", range(6))
def test_what_is_read_piece_by_piece_is_what_is_read_whole(elsewhere: None, seed: int) -> None:
    chance = random.Random(seed)
    editor, done = Editor(chance), []
    for _ in range(40):
        done.append(editor.edit())
        if chance.random() < 0.6:
            cache.refresh()
            piecewise = cache.current()
            whole = cache.load(RuleSetVersion.current("default"), "default")
            assert piecewise.rules == whole.rules, done
            assert known_to(piecewise) == known_to(whole), done
