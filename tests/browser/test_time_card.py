"""Rules on time on the *When* card: made by choices alone, and stored ones stay as they are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth import get_user_model
from django.urls import reverse
from django.utils import translation
from django.utils.translation import gettext
from playwright.sync_api import expect

from project.clinic.models import Appointment
from project.shop.models import Order
from rules_engine.models import Rule
from rules_engine.testing import create_rule, refresh
from tests.browser.conftest import unlabelled
from tests.browser.test_every_page import findings
from tests.browser.test_when_card import ADD, card, dump, happens, save_all_untouched, stored
from tests.integration.admin.conftest import change_url

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

LOG = ("log_message", {"message": "x"})
PHONE = {"width": 390, "height": 844}
TOO_WIDE = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
WEEKDAYS = {"kind": "every", "each": "weekday", "at": "08:00", "of": "each"}


def scheduled(page: Page) -> Any:
    text = page.input_value("#id_schedule")
    return json.loads(text) if text else None


def labelled(page: Page, text: str) -> Locator:
    return card(page).get_by_label(text, exact=True)


def sentence(page: Page) -> Locator:
    return page.locator("[data-rules-sentence]")


def say_what_to_do(page: Page) -> None:
    page.get_by_role("button", name="Write a log message", exact=True).last.click()
    page.locator("#actions-0").get_by_role("textbox", name="Message").fill("x")


def test_before_a_date_without_typing_a_path(watched: Any, shots: Path) -> None:
    page = watched()
    page.goto(ADD)
    page.select_option("#id_model", "clinic.appointment")
    happens(page).select_option(label="a date is near, or has passed")
    assert stored(page) == ([], [], [])
    expect(card(page).locator(".field-changes")).to_be_hidden()
    labelled(page, "When:").fill("3")
    labelled(page, "Which date").select_option(label="Date")
    labelled(page, "At what time:").fill("18:00")
    labelled(page, "Time zone").select_option(label="Berlin")
    expect(sentence(page)).to_contain_text("3 days before the date of an appointment, at 18:00 in Berlin")
    page.screenshot(path=str(shots / "time-date.png"), full_page=True)
    assert unlabelled(page) == []
    say_what_to_do(page)
    page.click('.submit-row [name="_save"]')
    page.wait_for_url("**/change/")
    rule = Rule.objects.get()
    wanted = {"kind": "date", "path": "instance.date", "count": 3, "unit": "days", "direction": "before"}
    assert rule.schedule == {**wanted, "at": "18:00", "zone": "Europe/Berlin"}
    assert (rule.signals, rule.operations, rule.changes) == ([], [], [])
    assert rule.name == "3 days before the date of an appointment, at 18:00 in Berlin"


def next_times(page: Page) -> Locator:
    return card(page).locator(".rules-schedule-next")


def test_when_it_acts_next_stands_beside_the_form_as_one_types(watched: Any) -> None:
    page = watched()
    rule = create_rule(Order, [], slug="daily", schedule=WEEKDAYS, actions=[LOG])
    page.goto(change_url(rule))
    expect(next_times(page)).to_contain_text("Next (time zone UTC): ")
    labelled(page, "Time zone").select_option(label="Berlin")
    expect(next_times(page)).to_contain_text("Next (time zone Berlin): ")
    card(page).get_by_text("Advanced", exact=True).click()
    cron = labelled(page, "Cron text:")
    cron.press_sequentially("30 18 * *")
    expect(next_times(page)).to_contain_text("Expected five fields")
    cron.press_sequentially(" *")
    expect(next_times(page)).to_contain_text("6:30 p.m.")
    expect(cron).to_be_focused()
    happens(page).select_option(label="it is created")
    expect(next_times(page)).to_be_hidden()


def test_dates_of_what_an_object_belongs_to_are_offered_by_their_names(watched: Any) -> None:
    page = watched()
    page.goto(ADD)
    page.select_option("#id_model", "shop.orderitem")
    happens(page).select_option("date")
    dates = labelled(page, "Which date")
    expect(dates.locator("option")).to_contain_text(["– which date –", "Order › Status changed at"])
    dates.select_option(label="Order › Status changed at")
    assert scheduled(page)["path"] == "instance.order.status_changed_at"
    page.select_option("#id_model", "shop.order")
    assert scheduled(page)["path"] == ""
    expect(sentence(page)).to_contain_text("1 day before the …")


def test_a_time_of_day_goes_with_days_alone(watched: Any) -> None:
    page = watched()
    page.goto(ADD)
    page.select_option("#id_model", "shop.order")
    happens(page).select_option("date")
    labelled(page, "At what time:").fill("18:00")
    labelled(page, "Unit").first.select_option(label="hours")
    expect(labelled(page, "At what time:")).to_have_count(0)
    assert "at" not in scheduled(page)
    labelled(page, "Unit").first.select_option(label="business days")
    labelled(page, "Without the holidays of:").fill("DE-BY")
    assert scheduled(page)["holidays"] == "DE-BY"
    labelled(page, "Unit").first.select_option(label="weeks")
    assert "holidays" not in scheduled(page)


def test_at_fixed_times_for_a_model_and_for_none(watched: Any, shots: Path) -> None:
    page = watched()
    page.goto(ADD)
    page.select_option("#id_model", "shop.order")
    happens(page).select_option("every")
    often = labelled(page, "How often:")
    often.select_option(label="every week")
    labelled(page, "On which day").select_option(label="Friday")
    labelled(page, "Each time, or less often").select_option(label="every second time")
    labelled(page, "What for:").select_option(label="once, with the list of all that fit “Only if”")
    assert scheduled(page) == {
        "kind": "every", "each": "week", "at": "08:00", "of": "rows", "day": 5, "step": 2,
    }  # fmt: skip
    expect(sentence(page)).to_contain_text("Every second Friday at 8:00, once for all orders")
    page.screenshot(path=str(shots / "time-every.png"), full_page=True)
    often.select_option(label="every hour")
    assert scheduled(page) == {"kind": "every", "each": "hour", "of": "rows", "step": 2}
    page.select_option("#id_model", index=1)
    assert scheduled(page) == {"kind": "every", "each": "hour", "step": 2}
    expect(labelled(page, "What for:")).to_have_count(0)
    happens(page).select_option(label="a signal about it is sent")
    assert scheduled(page) is None
    expect(labelled(page, "Which signal:")).to_be_visible()


def test_whoever_goes_back_to_what_happens_has_no_schedule(watched: Any) -> None:
    page = watched()
    page.goto(change_url(create_rule(Order, [], slug="daily", schedule=WEEKDAYS, actions=[LOG])))
    expect(happens(page)).to_have_value("every")
    happens(page).select_option(label="it is created")
    assert (stored(page)[:2], scheduled(page)) == ((["post_save"], ["create"]), None)
    happens(page).select_option("every")
    assert (stored(page), scheduled(page)["each"]) == (([], [], []), "day")


def test_a_cron_text_and_lateness_are_under_advanced(watched: Any) -> None:
    page = watched()
    page.goto(change_url(create_rule(Order, [], slug="daily", schedule=WEEKDAYS, actions=[LOG])))
    details = card(page).locator("details").first
    expect(details).not_to_have_attribute("open", "")
    details.locator("summary").first.click()
    labelled(page, "Cron text:").fill("0 8 1 * *")
    labelled(page, "Cron text:").press("Tab")
    assert scheduled(page) == {"kind": "every", "of": "each", "cron": "0 8 1 * *"}
    expect(labelled(page, "How often:")).to_have_value("cron")
    labelled(page, "What falls due while no worker runs:").select_option(label="it is left out")
    labelled(page, "It acts at most so long after its time:").fill("2")
    assert scheduled(page) == {"kind": "every", "of": "each", "cron": "0 8 1 * *", "late": "skip", "lateness": 172_800}
    expect(sentence(page)).to_contain_text("It leaves out what fell due while no worker ran.")
    labelled(page, "Cron text:").fill("")
    labelled(page, "Cron text:").press("Tab")
    assert scheduled(page)["each"] == "day"


def test_what_is_written_under_advanced_is_drawn_above(watched: Any) -> None:
    page = watched()
    page.goto(change_url(create_rule(Order, [], slug="daily", schedule=WEEKDAYS, actions=[LOG])))
    card(page).locator("details").first.locator("summary").first.click()
    page.fill("#id_schedule", '{"kind": "every", "each": "month", "day": 3}')
    page.locator("#id_schedule").press("Tab")
    expect(labelled(page, "How often:")).to_have_value("month")
    page.fill("#id_schedule", '{"kind": "someday"}')
    page.locator("#id_schedule").press("Tab")
    expect(happens(page)).to_have_value("other")


def test_stored_schedules_are_saved_as_they_are(watched: Any) -> None:
    date = {"direction": "before", "unit": "weeks", "count": 2, "kind": "date", "path": "instance.date"}
    schedules: list[tuple[Any, dict[str, Any]]] = [
        (Appointment, date),
        (Appointment, {**date, "at": "18:00", "zone": "America/Sao_Paulo", "late": "skip", "lateness": 61}),
        (Order, {**date, "unit": "minutes", "path": "instance.customer.last_login"}),
        (Order, {**WEEKDAYS, "each": "day", "step": 5, "since": "2031-05-06", "lateness": 3600}),
        (Order, {"of": "rows", "cron": "0 8 * * 1-5", "kind": "every"}),
        ("", {"kind": "every", "each": "month_end"}),
    ]
    for number, (model, schedule) in enumerate(schedules):
        create_rule(model, [], slug=f"timed-{number}", schedule=schedule, actions=[LOG])
    refresh()
    before = dump()
    save_all_untouched(watched(), Rule.objects.order_by("pk"))
    refresh()
    assert dump() == before


def test_what_is_wrong_is_said_beside_the_choice(watched: Any) -> None:
    page = watched()
    page.goto(ADD)
    page.select_option("#id_model", "clinic.appointment")
    happens(page).select_option("date")
    say_what_to_do(page)
    page.click('.submit-row [name="_save"]')
    expect(card(page).locator(".field-schedule-plain .errorlist")).to_be_visible()
    expect(card(page).locator("details").first).not_to_have_attribute("open", "")
    labelled(page, "Which date").select_option(label="Date")
    expect(card(page).locator(".field-schedule-plain .errorlist")).to_have_count(0)
    page.click('.submit-row [name="_save"]')
    page.wait_for_url("**/change/")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_in_german_on_a_phone_nobody_is_shut_out(browse: Any, settings: Any, shots: Path, scheme: str) -> None:
    settings.LANGUAGE_CODE = "de"
    root = get_user_model().objects.create_superuser("root", "root@example.com", "x")
    page = browse(root, viewport=PHONE, color_scheme=scheme).new_page()
    with translation.override("de"):
        page.goto(ADD)
        page.select_option("#id_model", "clinic.appointment")
        what = labelled(page, gettext("What happens") + ":")
        for kind in ("date", "every"):
            what.select_option(kind)
            expect(card(page).locator(".field-schedule-plain")).to_be_visible()
            assert page.evaluate(TOO_WIDE) <= 0
            assert unlabelled(page) == []
            page.screenshot(path=str(shots / f"time-{kind}-phone-{scheme}.png"), full_page=True)
        expect(sentence(page)).to_contain_text("Jeden Tag um 8:00, für jedes Objekt „Appointment“")
    assert findings(page, "phone") == []


def test_by_keyboard_alone(watched: Any) -> None:
    page = watched()
    page.goto(ADD)
    page.focus("#id_model")
    page.keyboard.type("Appointment")
    page.keyboard.press("Tab")
    page.keyboard.type("a date")
    expect(labelled(page, "When:")).to_be_visible()
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowUp")
    assert scheduled(page)["count"] == 2
    page.keyboard.press("Tab")
    page.keyboard.type("weeks")
    page.keyboard.press("Tab")
    page.keyboard.type("after")
    page.keyboard.press("Tab")
    page.keyboard.type("Date")
    assert scheduled(page) == {
        "kind": "date", "path": "instance.date", "count": 2, "unit": "weeks", "direction": "after",
    }  # fmt: skip


def test_what_stays_so_comes_often_or_does_not_come(watched: Any, shots: Path) -> None:
    page = watched()
    page.goto(ADD)
    page.select_option("#id_model", "shop.order")
    happens(page).select_option(label="it stays so for some time")
    assert (stored(page), scheduled(page)) == (
        (["post_save"], [], []),
        {"kind": "stays", "count": 3, "unit": "days"},
    )
    expect(labelled(page, "Counted from when:")).to_have_count(0)
    happens(page).select_option(label="it happens several times within a while")
    labelled(page, "counted for each").select_option(label="Customer")
    labelled(page, "What is counted:").select_option(label="it is deleted")
    assert stored(page)[:2] == (["post_delete"], [])
    assert scheduled(page) == {
        "kind": "often", "times": 5, "count": 10, "unit": "minutes", "by": "{{ instance.customer_id }}",
    }  # fmt: skip
    expect(sentence(page)).to_contain_text("When an order is deleted, 5 times within 10 minutes per customer")
    page.screenshot(path=str(shots / "time-often.png"), full_page=True)
    happens(page).select_option(label="it does not happen for a while")
    labelled(page, "Not for:").fill("26")
    labelled(page, "Unit").first.select_option(label="hours")
    expect(sentence(page)).to_contain_text("When for 26 hours it has not happened that an order is created")
    assert unlabelled(page) == []
    say_what_to_do(page)
    page.click('.submit-row [name="_save"]')
    page.wait_for_url("**/change/")
    rule = Rule.objects.get()
    assert (rule.schedule, rule.operations) == ({"kind": "silent", "count": 26, "unit": "hours"}, ["create"])
    expect(happens(page)).to_have_value("silent")
    expect(labelled(page, "What does not happen:")).to_have_value("create")


def test_a_signal_of_the_site_is_counted_without_a_model(watched: Any) -> None:
    page = watched()
    page.goto(ADD)
    page.select_option("#id_model", index=1)
    happens(page).select_option(label="it happens several times within a while")
    labelled(page, "Which signal:").select_option("user_login_failed")
    assert (stored(page)[0], scheduled(page)["kind"]) == (["user_login_failed"], "often")
    expect(sentence(page)).to_contain_text("When a login fails, 5 times within 10 minutes")


def test_holidays_and_the_day_that_steps_are_counted_from(watched: Any) -> None:
    page = watched()
    page.goto(ADD)
    page.select_option("#id_model", "shop.order")
    happens(page).select_option("every")
    labelled(page, "How often:").select_option(label="every weekday")
    labelled(page, "Without the holidays of:").fill("DE-BY")
    assert scheduled(page)["holidays"] == "DE-BY"
    labelled(page, "How often:").select_option(label="every day")
    assert "holidays" not in scheduled(page)
    labelled(page, "Each time, or less often").select_option(label="every third time")
    labelled(page, "Counted from the day:").fill("2031-05-06")
    assert (scheduled(page)["step"], scheduled(page)["since"]) == (3, "2031-05-06")


def test_when_it_acts_is_read_on_a_phone_and_in_the_dark(browse: Any, shots: Path) -> None:
    root = get_user_model().objects.create_superuser("root", "root@example.com", "x")
    rule = create_rule(Order, [], slug="daily", schedule=WEEKDAYS, actions=[LOG])
    for name, options in (("desktop", {}), ("phone", {"viewport": PHONE, "color_scheme": "dark"})):
        page = browse(root, **options).new_page()
        page.goto(change_url(rule).replace("/change/", "/times/"))
        expect(page.locator(".rules-times time").first).to_be_visible()
        assert page.locator(".rules-times").first.locator("li").count() == 20
        assert page.evaluate(TOO_WIDE) <= 0
        page.screenshot(path=str(shots / f"times-{name}.png"), full_page=True)
        assert findings(page, "phone") == []


def test_a_day_to_count_from_is_seen_and_goes_with_a_cron_text(watched: Any) -> None:
    stored_one = {"kind": "every", "each": "day", "since": "2031-05-06", "at": "08:00", "of": "each"}
    rule = create_rule(Order, [], slug="since", schedule=stored_one, actions=[LOG])
    page = watched()
    page.goto(change_url(rule))
    expect(card(page).locator('[data-key="since"]')).to_have_value("2031-05-06")
    page.locator('[data-key="cron"]').evaluate(
        "(input) => { input.value = '0 8 * * *'; input.dispatchEvent(new Event('change', { bubbles: true })); }"
    )
    assert scheduled(page) == {"kind": "every", "cron": "0 8 * * *", "of": "each"}
    expect(card(page).locator('[data-key="since"]')).to_have_count(0)


def test_a_rule_that_is_asked_of_no_object_has_a_page_without_faults(watched: Any) -> None:
    rule = create_rule("", [], slug="nightly", schedule={"kind": "every", "each": "day", "at": "08:00"}, actions=[LOG])
    page = watched()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(reverse("admin:rules_engine_rule_times", args=[rule.pk]))
    expect(page.get_by_role("button", name="Show")).to_be_visible()
    assert faults == []
