"""A rule that waits by the clock, and what is so already: it waits for that from now on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from django.db import models

from rules_engine.capture.by_clock.marking import add, key_of, placed
from rules_engine.capture.one_rule.telling import Answer, Occasion, as_told, ask_of, subject_of
from rules_engine.context import snapshot
from rules_engine.context.stored_form import key_value
from rules_engine.models import Armed
from rules_engine.rules.matching import CompiledRule
from rules_engine.rules.schedules.arms import Arms


def asked_when_due(rule: CompiledRule, arms: Arms) -> CompiledRule:
    """Return the rule as it is asked when something is due."""
    return replace(as_told(rule), condition=arms.condition, reads=arms.reads, reads_whole=rule.reads_whole)


def arm_all(rule: CompiledRule, objects: Sequence[models.Model], occasion: Occasion, using: str) -> list[Answer]:
    """Have the rule wait from now on for those of these objects that are so and that it does not wait for yet."""
    if rule.arms is None:
        return []
    asking = asked_when_due(rule, rule.arms)
    places = {str(key_value(each)): placed(key_of(rule, each._meta.label_lower, key_value(each))) for each in objects}
    keys = [key for key, _ in places.values()]
    known = set(Armed.objects.using(using).filter(rule_slug=rule.slug, key__in=keys).values_list("key", flat=True))
    answers, marks = [], []
    for instance in objects:
        pk = key_value(instance)
        said = ask_of(asking, subject_of(instance, occasion))
        answers.append(Answer(instance, "not_matched" if said is None else said.outcome))
        if said is not None and said.outcome == "matched" and (key := places[str(pk)][0]) not in known:
            label = (instance._meta.concrete_model or type(instance))._meta.label_lower
            marks.append(
                {
                    "rule_slug": rule.slug,
                    "key": key,
                    "surroundings": places[str(pk)][1],
                    "model": label,
                    "object_pk": snapshot.plain(pk),
                }
            )
    add(marks, using)
    return answers
