"""The page of arrivals."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import NoReverseMatch, reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from project.clinic.models import Doctor
from project.demo import lookout
from project.demo.arrivals import arrivals
from project.shop.models import Order
from rules_engine.models import Execution

SHOWN = 60
LONGEST_NUMBER = 18


@require_safe
@transaction.non_atomic_requests
def page(request: HttpRequest) -> HttpResponse:
    """What to try, and what came of it; the admin where the site runs without the command ``demo``."""
    if lookout.on_duty is None:
        return redirect("admin:index")
    return render(request, "demo/page.html", {"steps": [step for step in _steps() if step["url"]]})


@require_safe
@never_cache
@transaction.non_atomic_requests  # on SQLite a transaction would take the writers' lock, every second
def news(request: HttpRequest) -> JsonResponse:
    """The arrivals after number ``after``, the cache keys, and how many executions have not ended."""
    after = request.GET.get("after", "")
    duty = lookout.on_duty
    arrived = arrivals.after(int(after) if after.isdecimal() and len(after) < LONGEST_NUMBER else 0)
    return JsonResponse(
        {
            "arrivals": [asdict(arrival) for arrival in arrived[-SHOWN:]],
            "last": arrivals.count,
            "keys": duty.states() if duty else {},
            "waiting": Execution.objects.live().count(),
        }
    )


def _steps() -> list[dict[str, str]]:
    doctor, order = Doctor.objects.order_by("pk").first(), Order.objects.order_by("pk").first()
    return [
        {
            "url": _admin("clinic_doctor", doctor),
            "title": "Save a doctor",
            "text": "Log in as admin with the password admin, change something, and press Save: "
            "a mail, cache keys, an audit entry, a signed webhook and a log line.",
        },
        {
            "url": _admin("clinic_appointment"),
            "title": "Add an appointment",
            "text": "The patient and the doctor each get a mail.",
        },
        {
            "url": _admin("shop_order", order),
            "title": "Change the status of an order",
            "text": "One rule with five actions.",
        },
        {
            "url": _list("rules_engine_rule"),
            "title": "Look at the rules",
            "text": "Change a text, switch one off, or switch the appointments' webhook on: it counts within a second.",
        },
        {
            "url": _admin("rules_engine_rule"),
            "title": "Make a rule of your own",
            "text": "“When an order is paid, and its total is over 100 or it has a line of more than two pieces, mail "
            "the warehouse and call the ERP.” Model: Order. What happens: after it is saved. Add the field Status, to "
            "Paid. For ANY of these, add Total is more than 100, and Order items have at least one where Quantity is "
            "more than 2. Send an email, and call the webhook of the ERP, which is played here. Untick Enabled; then "
            "Save and test, on order 2026-0002, and switch it on.",
        },
        {
            "url": _list("shop_order"),
            "title": "See your rule act, or ask why not",
            "text": "Set order 2026-0002 to Paid and look at this page; then 2026-0001, for which it does nothing. At "
            "the end of that order's page: Why did a rule not act?",
        },
        {
            "url": _list("rules_engine_execution"),
            "title": "See what was done",
            "text": "Each action, each attempt, and what it said.",
        },
    ]


def _admin(name: str, obj: Any = None) -> str:
    return _address(f"admin:{name}_change", obj.pk) if obj else _address(f"admin:{name}_add")


def _list(name: str) -> str:
    return _address(f"admin:{name}_changelist")


def _address(name: str, *args: Any) -> str:
    try:
        return reverse(name, args=args)
    except NoReverseMatch:
        return ""
