"""What rules may read of a model, and by which names."""

from __future__ import annotations

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.contrib.contenttypes.fields import GenericForeignKey, GenericRelation
from django.contrib.contenttypes.models import ContentType
from django.contrib.sessions.models import Session
from django.db import models
from django.test import override_settings
from django.test.utils import isolate_apps

from project.shop.models import Order
from rules_engine.context.paths import (
    any_is_queried,
    field_of,
    find_model,
    is_denied,
    is_secret,
    is_sensitive,
    is_user_model,
    readable_fields,
    resolve,
    steps,
)
from rules_engine.errors import UnknownPath
from rules_engine.models import Rule
from tests.zoo.models import Animal, Dog, GuardDog, Keeper, Tag


@pytest.mark.parametrize(
    ("label", "model"), [("zoo.animal", Animal), ("zoo.gone", None), ("gone.gone", None), ("x", None)]
)
def test_a_model_is_found_by_its_label(label: str, model: object):
    assert find_model(label) is model


@pytest.mark.parametrize("model", [Group, Session, Rule])
def test_models_of_power_and_the_engines_own_are_denied(model: type):
    assert is_denied(model)


def test_a_sites_models_are_not_denied():
    assert not is_denied(Animal)


@pytest.mark.parametrize("name", ["password", "Access_Key", "reset_token", "secrets"])
def test_names_of_secrets_are_known(name: str):
    assert is_secret(name)
    assert is_sensitive(Animal, name)


def test_a_site_may_name_secrets_of_its_own():
    assert not is_secret("iban")
    with override_settings(RULES_ENGINE={"SENSITIVE_FIELDS": ["iban"]}):
        assert is_secret("iban")


def test_what_makes_a_user_powerful_is_no_ordinary_field():
    user = get_user_model()
    assert is_sensitive(user, "is_superuser")
    assert is_sensitive(user, "groups")
    assert not is_sensitive(user, "email")
    assert not is_sensitive(Animal, "is_staff")


def test_a_user_is_a_user():
    assert is_user_model(get_user_model())
    assert not is_user_model(Animal)


def test_every_name_of_a_model_is_a_step():
    known = steps(Animal)
    assert {"pk", "id", "name", "keeper", "keeper_id", "tags", "meals", "clubs"} <= set(known)
    assert (known["keeper"].kind, known["keeper_id"].kind, known["tags"].kind) == ("to_one", "value", "to_many")


def test_secrets_are_no_steps():
    assert "api_token" not in steps(Keeper)


def test_a_proxy_and_a_descendant_have_what_they_inherit():
    assert {"name", "breed", "tags"} <= set(steps(Dog)) & set(steps(GuardDog))


def test_all_fields_are_those_that_are_neither_secret_nor_binary():
    names = {field.name for field in readable_fields(Animal)}
    assert {"id", "name", "keeper"} <= names
    assert "blob" not in names
    assert {field.name for field in readable_fields(Keeper)} == {"id", "name"}


@pytest.mark.parametrize(("name", "column"), [("keeper", "keeper_id"), ("keeper_id", "keeper_id"), ("pk", "id")])
def test_a_field_is_found_by_name_column_and_pk(name: str, column: str):
    assert field_of(Animal, name).attname == column


@pytest.mark.parametrize(
    ("name", "said"), [("nane", 'Did you mean "name"'), ("gone", "no field"), ("meals__count", "worked out")]
)
def test_what_is_no_field_says_what_it_is(name: str, said: str):
    with pytest.raises(UnknownPath, match=said):
        field_of(Animal, name)


def test_a_secret_is_refused_and_not_suggested():
    with pytest.raises(UnknownPath, match="may not read"):
        field_of(Keeper, "api_token")


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        (("name",), "value"),
        (("keeper", "name"), "value"),
        (("keeper",), "to_one"),
        (("tags",), "to_many"),
        (("tags", "0", "name"), "value"),
        (("*",), "every"),
        (("data", "any", "depth"), "value"),
        (("meals__count",), "value"),
        (("keeper", "animals__count"), "value"),
    ],
)
def test_a_path_leads_somewhere(path: tuple[str, ...], kind: str):
    assert resolve(Animal, path).kind == kind


@pytest.mark.parametrize(
    ("path", "said"),
    [
        (("name", "length"), "plain value"),
        (("tags", "animals__count"), "for each of its rows"),
        (("keeper__count",), "no relation to many"),
        (("gone", "name"), "no field"),
    ],
)
def test_a_path_that_leads_nowhere_says_where_it_broke(path: tuple[str, ...], said: str):
    with pytest.raises(UnknownPath, match=said):
        resolve(Animal, path)


@pytest.mark.parametrize(
    ("names", "is_queried"),
    [
        (("name", "keeper_id"), False),
        (("name", "keeper"), True),
        (("tags",), True),
        (("meals__count",), True),
        ((), False),
    ],
)
def test_related_rows_take_a_query(names: tuple[str, ...], is_queried: bool):
    assert any_is_queried(Animal, names) is is_queried


def test_what_leads_back_from_another_model_is_read_by_its_accessor():
    assert steps(Tag)["animals"].model is Animal
    assert steps(Order)["items"].kind == "to_many"


@isolate_apps("tests.zoo", "django.contrib.contenttypes")
def test_what_no_attribute_reads_is_not_offered():
    class Remark(models.Model):
        content_type = models.ForeignKey(ContentType, on_delete=models.CASCADE)
        object_id = models.PositiveIntegerField()
        about = GenericForeignKey()

        class Meta:
            app_label = "zoo"

    class Room(models.Model):
        remarks = GenericRelation(Remark, related_query_name="room")

        class Meta:
            app_label = "zoo"

    assert "room" in steps(Remark)
    steps.cache_clear()

    class Hall(Room):
        class Meta:
            app_label = "zoo"

    # The attribute "room" is now the hall's, and raises; the hall's own relation is called "+".
    assert not {"room", "+"} & set(steps(Remark))
    assert "remarks" in steps(Hall)
    assert all(hasattr(Hall, name) for name in steps(Hall))


@isolate_apps("tests.zoo")
def test_a_field_that_no_path_can_name_is_not_offered():
    body = {"__module__": __name__, "+": models.CharField(max_length=5), "Meta": type("Meta", (), {"app_label": "zoo"})}
    odd = type("Odd", (models.Model,), body)
    assert set(steps(odd)) == {"pk", "id"}
    with pytest.raises(UnknownPath, match="may not read"):
        field_of(odd, "+")
