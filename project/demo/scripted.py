"""The round that ``demo --once`` plays: what is done, and what must arrive for it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import TextIO

from django.contrib.auth import authenticate
from django.core.cache import cache
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.management.base import OutputWrapper

from project.accounts.models import User
from project.accounts.signals import cv_checked
from project.clinic.models import Appointment, Doctor, Patient
from project.demo.arrivals import arrivals
from project.shop import signals
from project.shop.models import Order, OrderItem, Product, StatusHistory, Tag
from project.shop.tasks import packing_list
from rules_engine.models import AuditEntry

#: For the whole round; it takes about two.
SECONDS = 60.0
#: What the round puts into the cache; the demo's lookout fills gaps with something else.
CACHED = "cached for the round"


@dataclass(slots=True)
class Expectation:
    """An effect in words, and how to tell whether it is here. Once seen it counts: the demo refills its cache."""

    text: str
    is_here: Callable[[], bool]
    seen: bool = False

    def has_arrived(self) -> bool:
        """Whether it is here, or has been."""
        self.seen = self.seen or self.is_here()
        return self.seen


def play(out: TextIO | OutputWrapper) -> list[str]:
    """Do it all, wait, print a checklist; returns what did not arrive."""
    out.write("Playing one round: a doctor, an appointment, a product, an order, a user …\n")
    expected = [*_doctor(), *_appointment(), *_product(), *_order(), *_user()]
    arrivals.wait_until(lambda: not _missing(expected), SECONDS)
    missing = _missing(expected)
    for effect in expected:
        out.write(f"  [{' ' if effect in missing else 'x'}] {effect.text}\n")
    return [effect.text for effect in missing]


def _missing(expected: list[Expectation]) -> list[Expectation]:
    # All are asked each time, since what is here now may be gone when the others have come.
    return [effect for effect in expected if not effect.has_arrived()]


def _is_gone(key: str) -> bool:
    """Whether a key was deleted, also where the lookout has filled the gap since."""
    return bool(cache.get(key) != CACHED)


def _doctor() -> Iterator[Expectation]:
    """A doctor is created, changed, and another deleted."""
    doctor = Doctor.objects.create(first_name="Nadia", last_name="Petrov", email="nadia@clinic.example", slug="nadia")
    keys = [f"doctor_{doctor.pk}", "doctor_list"]
    gone = Doctor.objects.create(first_name="Otto", last_name="Brandt", email="otto@clinic.example", slug="otto")
    gone_pk = str(gone.pk)
    cache.set_many(dict.fromkeys(keys, CACHED), None)
    doctor.is_on_vacation = True
    doctor.save()
    gone.delete()
    yield _sent("a welcome mail to the new doctor", "mail", "nadia@clinic.example")
    yield _sent("a mail to the office about the changed doctor", "mail", "Nadia Petrov was saved")
    yield Expectation("the doctor's cache keys deleted", lambda: _is_gone(keys[0]))
    yield Expectation("an audit entry for the creation", lambda: _audited("CREATE", str(doctor.pk)))
    yield Expectation("an audit entry for the update", lambda: _audited("UPDATE", str(doctor.pk)))
    yield Expectation("an audit entry for the deletion", lambda: _audited("DELETE", gone_pk))
    yield _sent("a verified webhook for the new doctor", "webhook", f"clinic.doctor.create {doctor.pk}")
    yield _sent("a verified webhook for the deleted doctor", "webhook", f"clinic.doctor.delete {gone_pk}")
    yield _sent("a log line about the doctor", "log", "Petrov")


def _appointment() -> Iterator[Expectation]:
    doctor = Doctor.objects.get(slug="asha-rao")
    patient = Patient.objects.get(email="leila@example.org")
    Appointment.objects.create(doctor=doctor, patient=patient, date=dt.date(2031, 5, 6), time=dt.time(10, 30))
    yield _sent("a mail to the patient about the appointment", "mail", "To leila@example.org")
    yield _sent("a mail to the doctor about the appointment", "mail", "To asha.rao@clinic.example")


def _product() -> Iterator[Expectation]:
    """A product of a name that is taken gets a tag, and another one is deleted."""
    product = Product.objects.create(name="Blue ink", price="11.50", stock=10)
    product.tags.add(Tag.objects.create(name="sale"))
    gone = Product.objects.create(name="Gone", price="1.00")
    key = f"product_{gone.pk}"
    cache.set(key, CACHED, None)
    gone.delete()
    yield Expectation("a slug with a counter for the product", lambda: product.slug == "blue-ink-2")
    yield Expectation("the product counted at its tag", lambda: Tag.objects.get(name="sale").product_count == 1)
    yield Expectation("the deleted product's cache key deleted", lambda: _is_gone(key))


def _order() -> Iterator[Expectation]:
    """An order gets another item, and is paid."""
    order = Order.objects.get(order_number="2026-0001")
    key = f"order_{order.pk}"
    cache.set(key, CACHED, None)
    pen = Product.objects.get(slug="fountain-pen")
    OrderItem.objects.create(order=order, product=pen, quantity=1, unit_price=pen.price)
    order.status = Order.Status.PAID
    order.save()
    signals.order_paid.send(sender=Order, instance=order)
    yield _sent("a mail to the customer", "mail", "To carmen@example.org")
    yield Expectation("the order's cache key deleted", lambda: _is_gone(key))
    yield Expectation("an audit entry for the order", lambda: _audited("UPDATE", str(order.pk), "shop.order"))
    yield _sent("a verified webhook for the order", "webhook", f"shop.order.update {order.pk}")
    yield _sent("a log line about the order", "log", "2026-0001")
    yield Expectation("the order's total with the new item", lambda: _total(order.pk) == Decimal("71.50"))
    yield Expectation("a row of the order's history", lambda: StatusHistory.objects.filter(to_status="paid").exists())
    yield Expectation("the paid items taken out of the stock", lambda: _stock(pen.pk) == pen.stock - 2)
    yield Expectation("a packing list, by a task", lambda: default_storage.exists(packing_list(order.pk)))


def _total(pk: int) -> Decimal:
    return Order.objects.get(pk=pk).total


def _stock(pk: int) -> int:
    return Product.objects.get(pk=pk).stock


def _user() -> Iterator[Expectation]:
    """A user comes with a CV, hears what came of it, and goes; somebody else tries to get in."""
    nina = User.objects.create(username="nina", email="nina@example.org", cv=ContentFile(b"CV", name="nina.pdf"))
    name, storage = str(nina.cv.name), nina.cv.storage
    cv_checked.send(sender=User, instance=nina, is_accepted=True, checked_by="Asha Rao", remarks="")
    nina.delete()
    authenticate(username="mallory")  # without a password nobody gets in
    yield _sent("a welcome mail to the new user", "mail", "Welcome, nina")
    yield _sent("a mail about the CV, through a signal of the site's own", "mail", "Your CV was accepted")
    yield Expectation("the CV's file deleted with its user", lambda: not storage.exists(name))
    yield Expectation("an audit entry for the failed login", lambda: _audited("LOGIN FAILED", "", ""))


def _sent(text: str, kind: str, part: str) -> Expectation:
    def is_here() -> bool:
        arrived = (arrival for arrival in arrivals.after(0) if arrival.kind == kind and arrival.good)
        return any(part in f"{arrival.title}\n{arrival.text}" for arrival in arrived)

    return Expectation(text, is_here)


def _audited(operation: str, pk: str, model: str = "clinic.doctor") -> bool:
    return AuditEntry.objects.filter(operation=operation, model=model, object_pk=pk).exists()
