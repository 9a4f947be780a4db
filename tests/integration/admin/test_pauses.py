"""Pausing and resuming in the admin, and what waits meanwhile."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from django.contrib.admin import AdminSite
from django.contrib.admin.models import DELETION, LogEntry
from django.core import mail
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from project.shop.models import Order
from rules_engine.admin import PauseAdmin
from rules_engine.models import Pause, Rule
from rules_engine.testing import create_rule, refresh, run_due

pytestmark = pytest.mark.django_db(transaction=True)

ADD = reverse("admin:rules_engine_pause_add")
LIST = reverse("admin:rules_engine_pause_changelist")
RULES = reverse("admin:rules_engine_rule_changelist")
MAIL = {"to": ["a@example.com"], "subject": "{{ instance.order_number }}", "body": "x"}
HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def mailing() -> Rule:
    return create_rule(model=Order, slug="mailing", name="Mailing", actions=[("send_email", MAIL)])


def page_of(pause: Pause, verb: str = "change") -> str:
    return reverse(f"admin:rules_engine_pause_{verb}", args=[pause.pk])


def text_at(client: Client, address: str) -> str:
    response = client.get(address)
    assert response.status_code == 200
    return unescape(response.content.decode())


def pause(client: Client, **fields: Any) -> Any:
    return client.post(ADD, {"scope": "everything", "mode": "hold", "reason": "", **fields})


def test_a_rule_that_is_paused_acts_when_it_is_resumed(admin_client: Client, mailing: Rule) -> None:
    response = pause(admin_client, scope="rule", rule_slug="mailing", reason="The mail server moves")
    assert response.status_code == 302
    refresh()
    Order.objects.create(order_number="A-1")
    assert run_due() == 0
    made = Pause.objects.get()
    assert (made.rule_slug, made.mode, made.paused_by, made.reason) == (
        "mailing",
        "hold",
        "root",
        "The mail server moves",
    )
    page = text_at(admin_client, page_of(made, "delete"))
    assert "1 action that waits is carried out as soon as a worker is free." in page
    assert admin_client.post(page_of(made, "delete"), {"post": "yes"}).status_code == 302
    refresh()
    run_due()
    assert [message.subject for message in mail.outbox] == ["A-1"]
    assert LogEntry.objects.filter(action_flag=DELETION, user__username="root").count() == 1


def test_what_was_dropped_is_not_made_up_for_and_the_page_says_so(admin_client: Client, mailing: Rule) -> None:
    pause(admin_client, scope="model", model="shop.order", mode="drop")
    refresh()
    Order.objects.create(order_number="A-1")
    page = text_at(admin_client, page_of(Pause.objects.get(), "delete"))
    assert "No action waits behind it." in page
    assert "is not made up for" in page
    admin_client.post(page_of(Pause.objects.get(), "delete"), {"post": "yes"})
    refresh()
    run_due()
    assert mail.outbox == []


def test_what_another_pause_goes_on_to_stop_is_not_promised(admin_client: Client, mailing: Rule) -> None:
    Order.objects.create(order_number="A-1")
    pause(admin_client)
    pause(admin_client, scope="rule", rule_slug="mailing")
    everything = Pause.objects.get(rule_slug="")
    assert "No action waits behind it." in text_at(admin_client, page_of(everything, "delete"))
    Pause.objects.filter(rule_slug="mailing").delete()
    assert "1 action that waits" in text_at(admin_client, page_of(everything, "delete"))


def test_several_pauses_are_lifted_at_once(admin_client: Client, mailing: Rule) -> None:
    pause(admin_client)
    pause(admin_client, scope="rule", rule_slug="mailing")
    chosen = {"action": "delete_selected", "_selected_action": list(Pause.objects.values_list("pk", flat=True))}
    Order.objects.create(order_number="A-1")
    asked = unescape(admin_client.post(LIST, chosen).content.decode())
    assert "1 action that waits is carried out as soon as a worker is free." in asked
    assert "Delete" not in asked
    done = unescape(admin_client.post(LIST, {**chosen, "post": "yes"}, follow=True).content.decode())
    assert "2 pauses are lifted." in done
    assert not Pause.objects.exists()
    assert LogEntry.objects.filter(action_flag=DELETION, user__username="root").count() == 2


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"scope": "rule"}, "rule_slug"),
        ({"scope": "rule", "rule_slug": "no-such"}, "rule_slug"),
        ({"scope": "model"}, "model"),
        ({"scope": "model", "model": "clinic.doctor"}, "model"),
        ({"scope": "", "rule_slug": "mailing"}, "scope"),
    ],
)
def test_a_pause_of_nothing_is_refused_at_its_field(
    admin_client: Client, mailing: Rule, fields: dict[str, Any], field: str
) -> None:
    response = pause(admin_client, **fields)
    assert field in response.context_data["adminform"].form.errors
    assert not Pause.objects.exists()


def test_what_does_not_belong_to_the_chosen_scope_is_left_out(admin_client: Client, mailing: Rule) -> None:
    pause(admin_client, scope="rule", rule_slug="mailing", model="shop.order")
    pause(admin_client, scope="everything", rule_slug="mailing", model="shop.order")
    assert set(Pause.objects.values_list("rule_slug", "model")) == {("mailing", ""), ("", "")}


def test_a_rules_page_leads_to_its_own_pause(admin_client: Client, mailing: Rule) -> None:
    page = text_at(admin_client, reverse("admin:rules_engine_rule_change", args=[mailing.pk]))
    address = f"{ADD}?rule_slug=mailing"
    assert f'href="{address}"' in page
    form = admin_client.get(address).context_data["adminform"].form  # type: ignore[attr-defined]
    assert (form["scope"].value(), form["rule_slug"].value()) == ("rule", "mailing")


def test_how_and_why_can_be_changed_and_what_is_paused_cannot(admin_client: Client, mailing: Rule) -> None:
    pause(admin_client, scope="rule", rule_slug="mailing")
    made = Pause.objects.get()
    posted = {"mode": "drop", "reason": "Longer", "scope": "everything", "rule_slug": ""}
    assert admin_client.post(page_of(made), posted).status_code == 302
    made.refresh_from_db()
    assert (made.rule_slug, made.mode, made.reason, made.paused_by) == ("mailing", "drop", "Longer", "root")


def test_the_list_of_rules_says_that_everything_is_paused(admin_client: Client, mailing: Rule) -> None:
    assert "rules-notice-paused" not in text_at(admin_client, RULES)
    pause(admin_client, reason=HOSTILE)
    response = admin_client.get(RULES)
    page = response.content.decode()
    assert "Paused: everything." in page
    assert HOSTILE not in page
    assert "&lt;script&gt;" in page
    assert f'href="{page_of(Pause.objects.get(), "delete")}"' in page
    assert "rules-state-paused" in page


def test_the_list_of_rules_shows_which_are_paused_and_what_waits(admin_client: Client) -> None:
    for slug in ("quiet", "busy"):
        create_rule(model=Order, slug=slug, actions=[("log_message", {"message": "x"})], coalesce_seconds=60)
    pause(admin_client, scope="rule", rule_slug="quiet")
    refresh()
    Order.objects.create(order_number="A-1")
    page = text_at(admin_client, RULES)
    assert page.count("rules-state-paused") == 1
    assert page.count("1 held") == 2
    assert "rules-notice-paused" not in page
    own = text_at(admin_client, reverse("admin:rules_engine_rule_change", args=[Rule.objects.get(slug="quiet").pk]))
    assert 'Paused: the rule "quiet".' in own
    assert "Matches of this rule that wait: 1" in own


def test_the_list_takes_no_query_for_each_rule(admin_client: Client, mailing: Rule) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as taken:
            admin_client.get(RULES)
        return len(taken)

    pause(admin_client)
    before = queries()
    for number in range(20):
        create_rule(model=Order, slug=f"rule-{number}", actions=[("send_email", MAIL)], once=True)
    assert queries() == before


def test_who_may_only_view_pauses_cannot_pause_or_resume(staff: Callable[..., Client], mailing: Rule) -> None:
    Pause.objects.create(reason="Move")
    made = Pause.objects.get()
    client = staff("rules_engine.view_pause", "rules_engine.view_rule")
    page = text_at(client, page_of(made))
    assert "Hold: what happens meanwhile is kept" in page
    assert "Resume" not in page
    assert client.get(page_of(made, "delete")).status_code == 403
    assert client.post(page_of(made, "delete"), {"post": "yes"}).status_code == 403
    assert pause(client).status_code == 403
    banner = text_at(client, RULES)
    assert "Paused: everything." in banner
    assert page_of(made, "delete") not in banner
    assert page_of(made) in banner
    assert Pause.objects.count() == 1


def test_who_may_not_see_pauses_is_told_of_them_on_the_rules_they_stop(staff: Callable[..., Client]) -> None:
    Pause.objects.create(reason="Move")
    client = staff("rules_engine.view_rule")
    assert "Paused: everything." in text_at(client, RULES)
    assert client.get(LIST).status_code == 403


INDEX = reverse("admin:index")
SETTING = ("set_fields", {"fields": [{"field": "status", "value": "paid"}]}, {"timing": "before_save"})
REFUSING = ("reject", {"message": "No"}, {"timing": "before_save"})


def of_rules(client: Client, name: str, *rules: Rule, **fields: Any) -> Any:
    return client.post(RULES, {"action": name, "_selected_action": [rule.pk for rule in rules], **fields}, follow=True)


def test_the_index_of_a_stock_admin_shows_what_is_paused(admin_client: Client, mailing: Rule) -> None:
    assert "rules-notice-paused" not in text_at(admin_client, INDEX)
    pause(admin_client, reason=HOSTILE)
    page = admin_client.get(INDEX).content.decode()
    assert "Paused: everything." in page
    assert HOSTILE not in page
    assert f'href="{page_of(Pause.objects.get(), "delete")}"' in page
    assert "Paused: everything." in text_at(admin_client, reverse("admin:app_list", args=["rules_engine"]))


def test_the_index_shows_the_widest_pauses_and_counts_the_rest(admin_client: Client) -> None:
    for number in range(5):
        create_rule(model=Order, slug=f"rule-{number}", actions=[("send_email", MAIL)])
        Pause.objects.create(rule_slug=f"rule-{number}")
    Pause.objects.create(model="shop.order")
    page = text_at(admin_client, INDEX)
    assert page.count("rules-notice-paused") == 3
    assert "Paused: all rules that watch Order (shop.order)." in page
    assert "and 3 more pauses" in page


def test_the_index_asks_nothing_for_people_who_see_no_rules(staff: Callable[..., Client], mailing: Rule) -> None:
    def queries(client: Client) -> int:
        with CaptureQueriesContext(connection) as taken:
            assert "rules-notice-paused" not in text_at(client, INDEX)
        return sum("rules_engine_pause" in one["sql"] for one in taken)

    Pause.objects.create(reason="Move")
    assert queries(staff("shop.view_order")) == 0


def test_who_may_view_rules_reads_on_the_index_what_is_paused(staff: Callable[..., Client], mailing: Rule) -> None:
    Pause.objects.create(reason="Move")
    page = text_at(staff("rules_engine.view_rule"), INDEX)
    assert "Paused: everything." in page
    assert "/pause/" not in page


def test_an_admin_with_an_index_of_its_own_keeps_it() -> None:
    class Own(AdminSite):
        index_template = "mine/index.html"

    own, plain = Own(), AdminSite()
    for site in (own, plain):
        site.register(Pause, PauseAdmin)
    assert (own.index_template, plain.index_template) == ("mine/index.html", "admin/rules_engine/index.html")


def test_an_objects_page_tells_of_the_pauses_that_concern_it(admin_client: Client, mailing: Rule) -> None:
    order = Order.objects.create(order_number="A-1")
    page = reverse("admin:shop_order_change", args=[order.pk])
    Pause.objects.create(model="clinic.doctor", reason="Elsewhere")
    Pause.objects.create(rule_slug="gone", reason="Elsewhere")
    assert "rules-notice-paused" not in text_at(admin_client, page)
    Pause.objects.create(rule_slug="mailing", reason="The mail server moves")
    assert "The mail server moves" in text_at(admin_client, page)
    Pause.objects.filter(rule_slug="mailing").delete()
    Pause.objects.create(reason="All of it")
    assert "All of it" in text_at(admin_client, page)


def test_who_may_not_see_rules_reads_of_no_pause_on_an_object(staff: Callable[..., Client], mailing: Rule) -> None:
    order = Order.objects.create(order_number="A-1")
    Pause.objects.create(reason="Secret plans")
    page = reverse("admin:shop_order_change", args=[order.pk])
    assert "Secret plans" not in text_at(staff("shop.view_order", "shop.change_order"), page)


def test_what_hold_cannot_make_up_for_is_said_in_the_choice(admin_client: Client, mailing: Rule) -> None:
    page = text_at(admin_client, ADD)
    assert "Left out for good is what belongs to a save itself" in page
    assert "rules-left-out" not in page
    create_rule(model=Order, slug="rounding", name="Round it", signals=["pre_save"], actions=[SETTING, REFUSING])
    create_rule(model=Order, slug="off", name="Off", signals=["pre_save"], actions=[SETTING], enabled=False)
    page = text_at(admin_client, ADD)
    assert "Neither choice makes up for it:" in page
    assert (
        'data-rule="rounding" data-model="shop.order">Round it: Set fields before the save, Reject the change' in page
    )
    assert "Off:" not in page


def test_the_page_of_a_pause_names_only_what_that_pause_stops(admin_client: Client, mailing: Rule) -> None:
    create_rule(model=Order, slug="rounding", name="Round it", signals=["pre_save"], actions=[SETTING])
    of_all, of_one = Pause.objects.create(), Pause.objects.create(rule_slug="mailing")
    assert "Round it: Set fields" in text_at(admin_client, page_of(of_all))
    assert "Round it: Set fields" not in text_at(admin_client, page_of(of_one))


def test_pausing_has_its_own_words_and_returns_to_the_rule(admin_client: Client, mailing: Rule) -> None:
    page = text_at(admin_client, f"{ADD}?rule_slug=mailing")
    assert '<input type="submit" value="Pause"' in page
    for words in ("Save and", "Add pause"):
        assert words not in page
    done = admin_client.post(ADD, {"scope": "rule", "rule_slug": "mailing", "mode": "hold", "reason": ""}, follow=True)
    assert done.redirect_chain[-1][0] == reverse("admin:rules_engine_rule_change", args=[mailing.pk])
    assert 'Paused: the rule "Mailing", until somebody resumes.' in unescape(done.content.decode())
    resumed = admin_client.post(page_of(Pause.objects.get(), "delete"), {"post": "yes"}, follow=True)
    assert resumed.redirect_chain[-1][0] == reverse("admin:rules_engine_rule_change", args=[mailing.pk])
    page = unescape(resumed.content.decode())
    assert 'Resumed: the rule "Mailing".' in page
    assert "deleted successfully" not in page


def test_the_pages_of_pauses_never_speak_of_adding_or_deleting(admin_client: Client, mailing: Rule) -> None:
    Pause.objects.create(rule_slug="mailing")
    for address in (ADD, LIST, page_of(Pause.objects.get()), page_of(Pause.objects.get(), "delete")):
        page = text_at(admin_client, address)
        main = page[page.index("<main") : page.index("</main>")]
        assert not re.search(r"\b(?:Add pause|Delete|deleted)\b", main), address


def test_a_row_of_the_list_pauses_and_resumes_its_rule(admin_client: Client, mailing: Rule) -> None:
    create_rule(model=Order, slug="off", name="Off", enabled=False, actions=[("send_email", MAIL)])
    page = text_at(admin_client, RULES)
    assert f'href="{ADD}?rule_slug=mailing" aria-label="Pause: Mailing"' in page
    assert "rule_slug=off" not in page[page.index("result_list") :].replace("execution/?rule_slug=off", "")
    Pause.objects.create()
    Pause.objects.create(rule_slug="mailing")
    own = Pause.objects.get(rule_slug="mailing")
    assert f'href="{page_of(own, "delete")}" aria-label="Resume: Mailing"' in text_at(admin_client, RULES)


def test_several_rules_are_resumed_from_the_list_after_a_question(admin_client: Client, mailing: Rule) -> None:
    other = create_rule(model=Order, slug="other", actions=[("send_email", MAIL)])
    for slug in ("mailing", "other"):
        Pause.objects.create(rule_slug=slug)
    Pause.objects.create(model="shop.order", reason="All orders")
    Order.objects.create(order_number="A-1")
    asked = unescape(of_rules(admin_client, "resume", mailing, other).content.decode())
    assert "What happens then:" in asked
    assert "Other pauses go on to stop some of these rules, or all: all rules that watch Order (shop.order)." in asked
    assert Pause.objects.count() == 3
    done = unescape(of_rules(admin_client, "resume", mailing, other, post="yes").content.decode())
    assert "2 rules are resumed." in done
    assert [one.model for one in Pause.objects.all()] == ["shop.order"]
    assert LogEntry.objects.filter(action_flag=DELETION).count() == 2
    again = unescape(of_rules(admin_client, "resume", mailing).content.decode())
    assert "None of these rules has a pause of its own" in again


def test_resuming_from_the_list_takes_the_permission_to_resume(staff: Callable[..., Client], mailing: Rule) -> None:
    Pause.objects.create(rule_slug="mailing")
    client = staff("rules_engine.view_rule", "rules_engine.change_rule", "rules_engine.view_pause")
    of_rules(client, "resume", mailing, post="yes")
    assert Pause.objects.exists()
    assert 'aria-label="Resume' not in text_at(client, RULES)


@pytest.mark.parametrize(
    ("until", "said"),
    [
        ({}, "Say until when, or choose how long above."),
        ({"until_0": "2020-05-06", "until_1": "10:00"}, "is over already"),
    ],
)
def test_an_end_that_is_none_pauses_nothing_and_says_so(
    admin_client: Client, mailing: Rule, until: dict[str, str], said: str
) -> None:
    page = unescape(pause(admin_client, lasts="at", **until).content.decode())
    assert said in page
    assert not Pause.objects.exists()


@pytest.mark.parametrize("scope", ["rule", "model"])
def test_what_is_to_be_paused_has_to_be_chosen(admin_client: Client, mailing: Rule, scope: str) -> None:
    page = unescape(pause(admin_client, scope=scope).content.decode())
    assert "Choose one, or pause something else above." in page
    assert not Pause.objects.exists()
