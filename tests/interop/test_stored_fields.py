"""Fields of other packages: what is told, compared and written back is what their columns hold."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.core import mail
from django.utils import translation
from djmoney.money import Money

from rules_engine.errors import InvalidRule
from rules_engine.testing import create_rule, run_due
from tests.integration.noting import note
from tests.interop.models import Article, Colors, Contact, Person, Theme
from tests.interop.told import listen, told

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_time_zone_is_told_by_its_name() -> None:
    listen(Contact, "zone")
    contact = Contact.objects.create(name="Ada", zone="Europe/Vienna")
    contact.zone = "Europe/Berlin"
    contact.save()
    assert told("zone") == [(None, "Europe/Vienna"), ("Europe/Vienna", "Europe/Berlin")]


def test_an_amount_of_money_keeps_its_digits_and_its_currency() -> None:
    listen(Contact, "fee", "fee_currency")
    contact = Contact.objects.create(name="Ada", fee=Money("1.10", "EUR"))
    contact.fee = Money("1.20", "CZK")
    contact.save()
    assert [tuple(map(Decimal, map(str, filter(None, pair)))) for pair in told("fee")] == [
        (Decimal("1.10"),),
        (Decimal("1.10"), Decimal("1.20")),
    ]
    assert told("fee_currency") == [(None, "EUR"), ("EUR", "CZK")]


def test_no_class_of_a_package_stands_in_a_mail() -> None:
    text = "{{ instance.phone }} | {{ instance.zone }} | {{ instance.fee }} {{ instance.fee_currency }}"
    config = {"to": ["a@x.example"], "subject": "s", "body": text}
    create_rule(model=Contact, actions=[("send_email", config)])
    Contact.objects.create(name="Ada", phone="030 123456", zone="Europe/Vienna", fee=Money("1.10", "EUR"))
    run_due()
    assert [message.body for message in mail.outbox] == ["+4930123456 | Europe/Vienna | 1.10 EUR"]


def test_what_the_context_gives_an_action_writes_back() -> None:
    source = Contact.objects.create(name="Ada", phone="030 123456", zone="Europe/Vienna", fee=Money("1.10", "CZK"))
    fields = ("phone", "zone", "fee", "fee_currency")
    values = [{"field": name, "value": f"{{{{ instance.{name} }}}}"} for name in fields]
    config = {"model": "interop.contact", "values": [{"field": "name", "value": "copy"}, *values]}
    condition = {"==": [{"var": "instance.name"}, "Byron"]}
    create_rule(model=Contact, condition=condition, actions=[("create_object", config, {"timing": "after_commit"})])
    source.name = "Byron"
    source.save()
    run_due()
    copy = Contact.objects.get(name="copy")
    source.refresh_from_db()
    assert [getattr(copy, name) for name in fields] == [getattr(source, name) for name in fields]


def test_a_save_in_another_language_changes_no_other_column(noted: list[str]) -> None:
    article = Article.objects.create(title_en="House", title_de="Haus")
    text = "{{ old.title }} {{ instance.title }} | {{ old.title_de }} {{ instance.title_de }}"
    create_rule(model=Article, actions=[note(text)], changes=[{"field": "title"}, {"field": "title_de"}])
    with translation.override("de"):
        article = Article.objects.get()
        article.save()
    run_due()
    assert noted == []


def test_the_base_column_of_a_translated_field_is_told_as_it_is_stored() -> None:
    listen(Article, "title", "title_en", "title_de")
    with translation.override("de"):
        article = Article.objects.create(title="Haus")
        article.title = "Hof"
        article.save()
    stored = Article.objects.rewrite(False).values_list("title", "title_en", "title_de").get()
    assert stored[2] == "Hof"
    assert told("title")[-1][1] == stored[0] or told("title_de")[-1] == ("Haus", "Hof")
    assert told("title_de") == [(None, "Haus"), ("Haus", "Hof")]


def test_a_column_that_the_database_decrypts_tells_only_that_it_changed() -> None:
    listen(Person, "number", "name")
    person = Person.objects.create(name="Ada", number="123")
    person = Person.objects.get()
    person.name = "Byron"
    person.save()
    person.number = "456"
    person.save()
    changes = told("number")
    assert changes == [(None, "[hidden]"), ("[hidden]", "[hidden]")], "A save without a new number tells of no change."


def test_a_path_into_a_schema_reads_its_stored_json_or_is_refused(noted: list[str]) -> None:
    condition = {"==": [{"var": "instance.colors.color"}, "blue"]}
    try:
        create_rule(model=Theme, condition=condition, actions=[note("{{ instance.colors.color }}")])
    except InvalidRule:
        return
    Theme.objects.create(colors=Colors(color="blue"))
    Theme.objects.create(colors=Colors(color="red"))
    run_due()
    assert noted == ["blue"]


def test_a_schema_is_told_as_json() -> None:
    listen(Theme, "colors")
    theme = Theme.objects.create(colors=Colors(color="blue"))
    theme.save()
    theme.colors = Colors(color="red", shades=2)
    theme.save()
    blue = {"color": "blue", "shades": 1}
    assert told("colors") == [(None, blue), (blue, {"color": "red", "shades": 2})]
