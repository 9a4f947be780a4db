"""A veto as Python: an error that forms show."""

from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError
from django.db.models.signals import pre_save

from project.shop.models import Tag
from rules_engine.source.module import python_of
from rules_engine.testing import create_rule, reset

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_veto_is_raised_by_the_printed_module() -> None:
    condition = {"==": [{"var": "instance.name"}, "bad"]}
    config = {"message": "{{ instance.name }} is not allowed", "field": "name"}
    rule = create_rule(Tag, ["pre_save"], condition=condition, actions=[("reject", config)], slug="no-bad-names")
    source = python_of([rule.spec()])
    rule.delete()
    reset()
    before = list(pre_save.receivers)
    names: dict[str, object] = {}
    try:
        exec(compile(source, "veto", "exec"), names)
        with pytest.raises(ValidationError) as caught:
            Tag.objects.create(name="bad")
        assert caught.value.message_dict == {"name": ["bad is not allowed"]}
        assert Tag.objects.create(name="good").pk
    finally:
        pre_save.receivers = before
        pre_save.sender_receivers_cache.clear()
