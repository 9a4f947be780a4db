"""No list cuts off a column: every table is as wide as its room and no wider, and all that a cell says is in sight."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.urls import reverse
from django.utils import timezone

from project.shop.models import Order
from rules_engine.models import AuditEntry, Event, Execution, HeldMatch, Pause
from rules_engine.testing import create_rule
from tests import admin_pages
from webhooks.models import Endpoint, EndpointState

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

DESKTOP: Any = {"width": 1280, "height": 800}
TABLET: Any = {"width": 1024, "height": 768}
PHONE: Any = {"width": 390, "height": 844}
#: A word that no line breaks, as people and machines make them.
LONG = "Donaudampfschifffahrtsgesellschaftskapitänskajütenschlüsselanhänger_" * 3
#: What is wrong with the tables of the page that is open. A text that is for listeners alone is in no one's sight.
WRONG = """() => {
  const wrong = [];
  const unseen = (node) => {
    let box = node.parentElement;
    while (box && getComputedStyle(box).clipPath === "none") {
      box = box.parentElement;
    }
    return box !== null;
  };
  for (const table of document.querySelectorAll("#content table")) {
    if (!table.checkVisibility()) {
      continue;
    }
    const name = table.id || table.className || table.querySelector("th")?.textContent || "a table";
    const room = table.parentElement;
    const space = room.getBoundingClientRect();
    if (table.scrollWidth > room.clientWidth + 1) {
      wrong.push(`${name} is ${table.scrollWidth} wide and has ${room.clientWidth}`);
    }
    const texts = document.createTreeWalker(table, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
      const text = texts.currentNode;
      if (!text.data.trim() || unseen(text) || !text.parentElement.checkVisibility({ visibilityProperty: true })) {
        continue;
      }
      const range = document.createRange();
      range.selectNodeContents(text);
      for (const place of range.getClientRects()) {
        if (place.left < space.left - 1 || place.right > space.right + 1 || place.right > innerWidth + 1) {
          wrong.push(`${name} does not show all of “${text.data.trim().slice(0, 40)}”`);
          break;
        }
        for (let box = text.parentElement; box !== table; box = box.parentElement) {
          const edge = box.getBoundingClientRect();
          const clips = getComputedStyle(box).overflowX !== "visible";
          if (clips && place.width > 1 && (place.right > edge.right + 1 || place.left < edge.left - 1)) {
            wrong.push(`${name} clips “${text.data.trim().slice(0, 40)}” at ${box.className || box.tagName}`);
          }
        }
      }
    }
    for (const cell of table.querySelectorAll("tbody :is(td, th)")) {
      if (cell.textContent.trim().length > 8 && cell.checkVisibility() && cell.clientWidth && cell.clientWidth < 40) {
        wrong.push(`${name} leaves ${cell.clientWidth} for “${cell.textContent.trim().slice(0, 40)}”`);
      }
    }
  }
  return [...new Set(wrong)].slice(0, 6);
}"""


def fill() -> None:
    """Rows whose names are as long as their columns take, in every list."""
    admin_pages.fill()
    user = get_user_model().objects.create_user(LONG[:150])
    slug = "donaudampfschifffahrtsgesellschaftskapitaen" * 2
    host = f"{'x' * 60}.{'y' * 60}.example.com"
    endpoint = Endpoint.objects.create(slug=slug, name=LONG[:100], url=f"https://{host}/")
    EndpointState.objects.create(endpoint=endpoint, failures=3, last_error=LONG)
    log = ("log_message", {"message": LONG})
    create_rule(Order, slug=slug, name=LONG[:200], actions=[log, ("webhook", {"endpoint": slug})])
    held = {"throttle_count": 1, "throttle_seconds": 60}
    create_rule(Order, slug=f"held-{slug}", name=f"Held {LONG}"[:200], actions=[log], **held)
    Pause.objects.create(rule_slug=slug, reason=LONG[:250], paused_by=LONG[:150], until=timezone.now())
    Order.objects.create(order_number=LONG[:32], customer=user)
    Execution.objects.filter(rule_slug=slug).update(state="discarded", error=LONG * 2, attempts=7)
    HeldMatch.objects.filter(rule_slug=f"held-{slug}").update(state="dropped", reason=LONG)
    Event.objects.update(actor_name=LONG)
    event = Event.objects.all()[0]
    AuditEntry.objects.create(
        at=timezone.now(),
        operation=LONG[:20],
        model="shop.order",
        object_pk="1",
        object_text=LONG,
        actor_name=LONG,
        note=LONG,
        rule_slug=slug,
        fields={LONG: 1},
        event_id=event.pk,
    )


def lists() -> dict[str, str]:
    """The list of each model of both apps, and the pages of ours that have a list of their own."""
    models = [model for model in admin.site._registry if model._meta.app_label in admin_pages.APPS]
    names = [f"{model._meta.app_label}_{model._meta.model_name}_changelist" for model in models]
    found = {name: reverse(f"admin:{name}") for name in names}
    whole = admin_pages.addresses()
    own = ("rules_engine_overview", "rules_engine_rule_versions")
    return {
        **found,
        **{name: whole[name] for name in own},
        "deliveries": f"{found['rules_engine_activity_changelist']}?queue__exact=webhooks&lane__in=erp",
        "held back": f"{found['rules_engine_activity_changelist']}?tab=held",
    }


@pytest.mark.parametrize("size", [DESKTOP, TABLET, PHONE], ids=["laptop", "tablet", "phone"])
def test_no_list_is_wider_than_its_room_or_clips_what_it_says(watched: Any, size: Any, shots: Any) -> None:
    fill()
    page: Page = watched(viewport=size)
    wrong: dict[str, Any] = {}
    for name, address in lists().items():
        page.goto(address)
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            wrong[f"{name} ({scheme})"] = page.evaluate(WRONG)
        page.screenshot(path=shots / f"list_{name.replace(' ', '_')}_{size['width']}.png", full_page=True)
    assert {name: problems for name, problems in wrong.items() if problems} == {}
