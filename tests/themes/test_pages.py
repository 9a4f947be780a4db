"""No page of ours falls apart in a theme: no control lies on another or is a sliver, and nothing it says is cut off."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from django.conf import settings
from django.contrib.auth import get_user_model
from django.urls import reverse

from rules_engine.models import Rule
from tests import admin_pages
from webhooks.models import Endpoint

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

DESKTOP: Any = {"width": 1280, "height": 900}
#: What is folded away is looked at, too.
UNFOLD = "document.querySelectorAll('form details').forEach((one) => { one.open = true; })"
#: What is wrong with the controls of the page that is open.
WRONG = """() => {
  const wrong = [];
  const content = document.querySelector("#content, #grp-content, main, .content-wrapper") ?? document.body;
  const named = (one) => {
    const words = one.getAttribute("aria-label") || one.labels?.[0]?.textContent || one.textContent || one.value || "";
    const said = words.trim().replace(/\\s+/g, " ").slice(0, 30);
    return `${one.tagName.toLowerCase()} ${one.name || one.id || one.className} “${said}”`;
  };
  const controls = [...content.querySelectorAll("input, select, textarea, button, a.button, summary")].filter((one) => {
    const box = one.getBoundingClientRect();
    const clip = getComputedStyle(one);
    // Grappelli lays its button for a date over the end of the field.
    return !one.matches(".ui-datepicker-trigger, .ui-timepicker-trigger")
      && one.type !== "hidden" && box.width * box.height > 1 && clip.clipPath === "none"
      && one.checkVisibility({ opacityProperty: true, visibilityProperty: true });
  });
  const boxes = controls.map((one) => {
    if (one.tagName !== "SUMMARY") {
      return one.getBoundingClientRect();
    }
    // It is as wide as its card, and buttons stand at its end.
    const words = document.createRange();
    words.selectNodeContents(one);
    return words.getBoundingClientRect();
  });
  // A bar that stays where it is lies on what is scrolled under it.
  const bar = (one) => {
    let box = one;
    while (box && !["fixed", "sticky"].includes(getComputedStyle(box).position)) {
      box = box.parentElement;
    }
    return box;
  };
  const bars = controls.map(bar);
  controls.forEach((one, place) => {
    const box = boxes[place];
    for (let other = place + 1; other < controls.length; other += 1) {
      const beside = boxes[other];
      const across = Math.min(box.right, beside.right) - Math.max(box.left, beside.left);
      const down = Math.min(box.bottom, beside.bottom) - Math.max(box.top, beside.top);
      if (bars[place] === bars[other] && across > 2 && down > 2 && !one.contains(controls[other])) {
        wrong.push(`${named(one)} and ${named(controls[other])} lie on each other`);
      }
    }
    if (box.width < 24 && !["checkbox", "radio"].includes(one.type)) {
      wrong.push(`${named(one)} is ${Math.round(box.width)} wide`);
    }
    const card = one.closest(".rules-card, fieldset")?.getBoundingClientRect();
    if (card && (box.right > card.right + 1 || box.left < card.left - 1)) {
      wrong.push(`${named(one)} stands out of its card`);
    }
    const fold = one.closest("details")?.getBoundingClientRect();
    if (fold && (box.bottom > fold.bottom + 1 || box.top < fold.top - 1)) {
      wrong.push(`${named(one)} stands out of its fold`);
    }
    if (box.right > innerWidth + 1 || box.left < -1) {
      wrong.push(`${named(one)} stands out of the window`);
    }
  });
  for (const one of content.querySelectorAll("label, button, a.button, summary, legend, option:checked")) {
    if (one.checkVisibility() && one.clientWidth > 1 && one.scrollWidth > one.clientWidth + 1) {
      wrong.push(`${named(one)} has ${one.clientWidth} for ${one.scrollWidth}`);
    }
  }
  const root = document.documentElement;
  if (root.scrollWidth > root.clientWidth) {
    wrong.push(`The page is ${root.scrollWidth - root.clientWidth} wider than the window`);
  }
  return [...new Set(wrong)];
}"""


def pages() -> dict[str, str]:
    whole = admin_pages.addresses()
    rule, endpoint = Rule.objects.get(slug="mails"), Endpoint.objects.get(slug="erp")
    return {
        "rules": reverse("admin:rules_engine_rule_changelist"),
        "new_rule": reverse("admin:rules_engine_rule_add"),
        "rule": reverse("admin:rules_engine_rule_change", args=[rule.pk]),
        "activity": reverse("admin:rules_engine_activity_changelist"),
        "overview": whole["rules_engine_overview"],
        "why": whole["rules_engine_rule_why"],
        "endpoint": reverse("admin:webhooks_endpoint_change", args=[endpoint.pk]),
    }


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_falls_apart(browse: Any, shots: Any, scheme: str) -> None:
    admin_pages.fill()
    root = get_user_model().objects.create_superuser("root", "root@example.com", "x")
    page: Page = browse(root, viewport=DESKTOP, color_scheme=scheme).new_page()
    wrong: dict[str, Any] = {}
    for name, address in pages().items():
        page.goto(address)
        page.evaluate(UNFOLD)
        page.screenshot(path=shots / f"{settings.THEME}_{name}_{scheme}.png", full_page=True)
        wrong[name] = page.evaluate(WRONG)
    assert {name: problems for name, problems in wrong.items() if problems} == {}
