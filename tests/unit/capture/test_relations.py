"""Many-to-many changes, told from the side of the watched model."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from django.test import override_settings

from rules_engine.capture.relations import changed
from rules_engine.capture.watches import Reading, build
from tests.unit.compiled import compiled
from tests.zoo.models import Animal, Club, Dog, Tag

NOW = datetime(2026, 5, 6, tzinfo=UTC)


def told(watched: Any, relation: str, through: Any, **sent: Any) -> Sequence[Reading]:
    rule = compiled(model=watched._meta.label_lower, signals=("m2m_changed",), changes=({"field": relation},))
    watches = [watch for watch in build([rule], "default").relations[through] if watch.name == relation]
    return list(changed(watches, {"using": "default", "reverse": False, "pk_set": {3, 1}, "model": Tag, **sent}, NOW))


def tags(action: str, **sent: Any) -> Sequence[Reading]:
    return told(Animal, "tags", Animal.tags.through, action=action, instance=Animal(pk=5), **sent)


def test_what_is_added_is_told_once_it_is_there():
    assert tags("pre_add") == []
    [(subject, rules)] = tags("post_add")
    assert (subject.signal, subject.operation, subject.pk, subject.occurred_at) == ("m2m_changed", "add", 5, NOW)
    assert subject.m2m == {"field": "tags", "action": "add", "side": "own", "pks": [1, 3], "count": 2}
    assert [rule.slug for rule in rules] == ["rule"]


def test_what_is_added_has_come_and_what_is_removed_has_gone():
    [(added, _)], [(removed, _)] = tags("post_add"), tags("post_remove")
    assert (added.changes["tags"].old, added.changes["tags"].new) == ([], [1, 3])
    assert (removed.changes["tags"].old, removed.changes["tags"].new) == ([1, 3], [])


def test_nothing_added_is_nothing_to_tell():
    assert tags("post_add", pk_set=set()) == []


def test_a_clear_of_which_no_keys_are_known_is_not_told():
    assert tags("post_clear", pk_set=None) == []


@override_settings(RULES_ENGINE={"ROWS_LIMIT": 1})
def test_many_keys_are_cut_off_and_counted():
    [(subject, _)] = tags("post_add")
    assert (subject.m2m or {})["pks"] == [1]
    assert (subject.m2m or {})["count"] == 2


def test_the_other_ends_are_known_for_whoever_asks():
    [(subject, _)] = tags("post_add")
    assert subject.others is not None
    assert (subject.others.model, list(subject.others.pks)) == (Tag, [1, 3])


def test_a_relation_told_at_the_model_it_points_to_is_that_models_own():
    [(subject, _)] = told(
        Tag, "animals", Animal.tags.through, action="post_add", instance=Tag(pk=7), model=Animal, reverse=True
    )
    assert (subject.m2m or {})["side"] == "own"
    assert (subject.model, subject.pk) == ("zoo.tag", 7)


def test_a_rule_on_a_descendant_hears_only_its_own_objects():
    sent: dict[str, Any] = {"action": "post_add"}
    assert told(Dog, "tags", Animal.tags.through, instance=Animal(pk=5), **sent) == []
    [(subject, _)] = told(Dog, "tags", Animal.tags.through, instance=Dog(pk=5), **sent)
    assert subject.model == "zoo.dog"


def test_a_relation_with_a_table_of_its_own_is_heard_at_that():
    rule = compiled(model="zoo.club", signals=("m2m_changed",), changes=({"field": "members"},))
    assert Club.members.through in build([rule], "default").relations
