"""Data to play with. Making it a second time changes nothing; what people changed stays as they left it."""

from __future__ import annotations

import datetime as dt

from django.db import transaction
from django.utils import timezone

from project.accounts.models import User
from project.clinic.models import Appointment, Department, Doctor, Patient
from project.demo.servers.receiver import ERP, SLUG, url_of
from project.shop.models import Category, Order, OrderItem, Product, Tag
from rules_engine import paused
from webhooks.models import Endpoint

ADMIN = "admin"

ENDPOINTS = ((SLUG, "The demo's own receiver"), (ERP, "The ERP, played by the demo"))

DOCTORS = (
    ("Asha", "Rao", "asha.rao@clinic.example", "Cardiologist", "Cardiology"),
    ("Jonas", "Lindqvist", "jonas.lindqvist@clinic.example", "Paediatrician", "Children"),
    ("Mei", "Tanaka", "mei.tanaka@clinic.example", "Neurologist", "Neurology"),
)
PATIENTS = (
    ("Tomas Novak", "tomas@example.org"),
    ("Leila Haddad", "leila@example.org"),
    ("Sam Okoye", "sam@example.org"),
)
PRODUCTS = (
    ("Field notebook", "7.50", 120, "Paper"),
    ("Fountain pen", "32.00", 40, "Pens"),
    ("Blue ink", "9.90", 75, "Pens"),
)
#: A small one, one that comes to more than 100, and one with a line of more than two pieces.
ORDERS: tuple[tuple[str, str, tuple[tuple[str, int], ...]], ...] = (
    ("2026-0001", "39.50", (("Field notebook", 1), ("Fountain pen", 1))),
    ("2026-0002", "128.00", (("Fountain pen", 4),)),
    ("2026-0003", "22.50", (("Field notebook", 3),)),
)


def make(webhook_port: int) -> None:
    """Make what is missing; no rule fires for it."""
    with paused(), transaction.atomic():
        _endpoints(webhook_port)
        _users()
        _clinic()
        _shop()


def _endpoints(port: int) -> None:
    for slug, name in ENDPOINTS:
        url = url_of(port, slug)
        endpoint, _ = Endpoint.objects.get_or_create(slug=slug, defaults={"name": name, "url": url})
        if endpoint.url != url:
            endpoint.url = url
            endpoint.save(update_fields=["url", "updated_at"])


def _users() -> None:
    if not User.objects.filter(username=ADMIN).exists():
        User.objects.create_superuser(ADMIN, "admin@example.com", ADMIN)
    customer, made = User.objects.get_or_create(
        username="carmen", defaults={"first_name": "Carmen", "last_name": "Ortiz", "email": "carmen@example.org"}
    )
    if made:
        customer.set_unusable_password()
        customer.save()


def _clinic() -> None:
    for first, last, address, qualification, department in DOCTORS:
        doctor, made = Doctor.objects.get_or_create(
            email=address,
            defaults={
                "first_name": first,
                "last_name": last,
                "qualification": qualification,
                "slug": f"{first}-{last}".lower(),
            },
        )
        if made:
            doctor.departments.add(Department.objects.get_or_create(name=department)[0])
    for name, address in PATIENTS:
        Patient.objects.get_or_create(email=address, defaults={"name": name})
    if not Appointment.objects.exists():
        doctors, day = list(Doctor.objects.all()), timezone.localdate() + dt.timedelta(days=7)
        for hour, patient in enumerate(Patient.objects.all(), start=9):
            Appointment.objects.create(
                doctor=doctors[hour % len(doctors)], patient=patient, date=day, time=dt.time(hour)
            )


def _shop() -> None:
    tag, _ = Tag.objects.get_or_create(name="new")
    for name, price, stock, shelf in PRODUCTS:
        category, _ = Category.objects.get_or_create(name=shelf)
        fields = {"slug": name.lower().replace(" ", "-"), "price": price, "stock": stock, "category": category}
        product, made = Product.objects.get_or_create(name=name, defaults=fields)
        if made:
            product.tags.add(tag)
            tag.product_count += 1
    tag.save()
    customer = User.objects.get(username="carmen")
    for number, total, lines in ORDERS:
        amounts = {"subtotal": total, "total": total}
        order, made = Order.objects.get_or_create(order_number=number, defaults={"customer": customer, **amounts})
        for name, quantity in lines if made else ():
            product = Product.objects.get(name=name)
            OrderItem.objects.create(order=order, product=product, quantity=quantity, unit_price=product.price)
