"""django-treebeard and Wagtail: what keeps a tree in order is theirs to write; a StreamField is readable."""

from __future__ import annotations

import pytest
from django.db.models import Model
from wagtail.models import Locale

from rules_engine.errors import InvalidRule
from rules_engine.testing import create_rule, run_due
from tests.integration.noting import note
from tests.interop.models import NewsPage, Shelf

pytestmark = pytest.mark.django_db(transaction=True)

COLUMNS = [(model, column) for model in (Shelf, NewsPage) for column in ("path", "depth", "numchild")]


@pytest.mark.parametrize(("model", "column"), [*COLUMNS, (NewsPage, "url_path")])
def test_a_rule_does_not_write_the_columns_of_a_tree(model: type[Model], column: str) -> None:
    config = {"target": "instance", "values": [{"field": column, "value": "1"}]}
    with pytest.raises(InvalidRule, match="tree"):
        create_rule(model=model, actions=[("update_objects", config, {"timing": "after_commit"})])


def test_create_object_says_why_it_makes_no_node() -> None:
    config = {"model": "interop.shelf", "values": [{"field": "name", "value": "x"}]}
    with pytest.raises(InvalidRule, match="tree"):
        create_rule(model=Shelf, actions=[("create_object", config, {"timing": "after_commit"})])


def test_nodes_and_pages_are_told_and_their_other_fields_written(noted: list[str]) -> None:
    create_rule(
        model=Shelf,
        operations=["update"],
        actions=[note("{{ old.name }} {{ instance.name }}")],
    )
    config = {"values": [{"field": "name", "value": "set"}]}
    shelf = Shelf.add_root(name="One")
    child = shelf.add_child(name="Child")
    condition = {"==": [{"var": "instance.name"}, "Two"]}
    create_rule(model=Shelf, condition=condition, actions=[("update_objects", config, {"timing": "after_commit"})])
    child.name = "Two"
    child.save()
    run_due()
    assert noted[0] == "Child Two"
    assert Shelf.objects.get(pk=child.pk).name == "set"
    assert Shelf.find_problems() == ([], [], [], [], [])


def test_a_stream_field_is_read_as_what_it_stores(noted: list[str]) -> None:
    create_rule(model=NewsPage, operations=["create"], actions=[note("{{ instance.title }} {{ instance.body }}")])
    Locale.objects.create(language_code="en")
    NewsPage.add_root(title="News", slug="news", body=[("line", "A first line")])
    run_due()
    assert len(noted) == 1
    assert "News" in noted[0]
    assert "A first line" in noted[0]
    assert "StreamValue" not in noted[0]
