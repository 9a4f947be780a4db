"""What a rule does not allow, as whoever wanted it is told: in the admin's forms and lists, and in other views."""

from __future__ import annotations

import json
from html import unescape
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client
from django.urls import path

from project.clinic.models import Appointment, Doctor, Patient
from project.shop.models import Tag
from project.urls import urlpatterns as sites
from rules_engine.models import Execution
from rules_engine.testing import create_rule, refresh

pytestmark = pytest.mark.django_db(transaction=True)

SAID = "A bad <name> is not allowed"
TAGS = "/admin/shop/tag/"


def rename(request: HttpRequest) -> HttpResponse:
    """Saves without asking ``full_clean()``, as much code does."""
    Tag.objects.create(name="written before")
    Tag.objects.create(name=request.GET["name"])
    return HttpResponse("saved")


urlpatterns = [*sites, path("rename/", rename)]


@pytest.fixture
def no_bad_names(settings: Any) -> Any:
    """A rule rejects a tag of that name; a view of the site's own saves tags. Gives the settings."""
    settings.ROOT_URLCONF = __name__
    condition = {"==": [{"var": "instance.name"}, "bad"]}
    create_rule(Tag, ["pre_save"], condition=condition, actions=[("reject", {"message": SAID, "field": "name"})])
    return settings


@pytest.fixture
def no_deletes() -> Tag:
    """A rule rejects the delete of any tag."""
    create_rule(Tag, ["pre_delete"], actions=[("reject", {"message": "Tags stay"})])
    return Tag.objects.create(name="kept")


def errors_in(response: Any) -> Any:
    assert response.status_code == 200
    return response.context_data["adminform"].form.errors


def test_a_save_that_is_rejected_is_an_error_at_its_field(admin_client: Client, no_bad_names: Any) -> None:
    assert errors_in(admin_client.post(f"{TAGS}add/", {"name": "bad"})) == {"name": [SAID]}
    tag = Tag.objects.create(name="good")
    response = admin_client.post(f"{TAGS}{tag.pk}/change/", {"name": "bad"})
    assert errors_in(response) == {"name": [SAID]}
    assert "A bad &lt;name&gt;" in response.content.decode()
    assert list(Tag.objects.values_list("name", flat=True)) == ["good"]


def test_it_is_said_in_a_list_that_can_be_edited(
    admin_client: Client, no_bad_names: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    model_admin = admin.site._registry[Tag]
    monkeypatch.setattr(model_admin, "list_display", ("pk", "name"))
    monkeypatch.setattr(model_admin, "list_editable", ("name",))
    tag = Tag.objects.create(name="good")
    rows = {"form-TOTAL_FORMS": "1", "form-INITIAL_FORMS": "1", "form-0-id": str(tag.pk), "form-0-name": "bad"}
    response = admin_client.post(TAGS, {**rows, "_save": "Save"})
    assert response.status_code == 200
    assert SAID in unescape(response.content.decode())
    tag.refresh_from_db()
    assert tag.name == "good"


def inline(patient: Patient, *appointments: Appointment, **fields: Any) -> dict[str, Any]:
    first = appointments[0]
    return {
        "name": "Ada Lovelace",
        "email": patient.email,
        "appointments-TOTAL_FORMS": "1",
        "appointments-INITIAL_FORMS": "1",
        "appointments-0-id": str(first.pk),
        "appointments-0-patient": str(patient.pk),
        "appointments-0-doctor": str(first.doctor_id),
        "appointments-0-date": "2026-01-05",
        "appointments-0-time": "10:00",
        "appointments-0-status": "scheduled",
        "appointments-0-notes": "",
        **fields,
    }


@pytest.fixture
def appointment() -> Appointment:
    doctor = Doctor.objects.create(first_name="Grace", last_name="Hopper", email="g@example.com")
    patient = Patient.objects.create(name="Ada", email="a@example.com")
    return Appointment.objects.create(doctor=doctor, patient=patient, date="2026-01-05", time="10:00")


def test_it_is_said_in_the_row_of_an_inline(admin_client: Client, appointment: Appointment) -> None:
    condition = {"==": [{"var": "instance.status"}, "cancelled"]}
    create_rule(Appointment, ["pre_save"], condition=condition, actions=[("reject", {"message": "Call them first"})])
    url = f"/admin/clinic/patient/{appointment.patient_id}/change/"
    posted = inline(appointment.patient, appointment, **{"appointments-0-status": "cancelled"})
    response: Any = admin_client.post(url, posted)
    assert response.status_code == 200
    formset = response.context_data["inline_admin_formsets"][0].formset
    assert formset.errors == [{"__all__": ["Call them first"]}]
    assert Patient.objects.get().name == "Ada"


def test_the_delete_of_a_row_says_why_not_and_changes_nothing(admin_client: Client, appointment: Appointment) -> None:
    create_rule(Appointment, ["pre_delete"], actions=[("reject", {"message": "Cancel it, do not delete it"})])
    url = f"/admin/clinic/patient/{appointment.patient_id}/change/"
    posted = inline(appointment.patient, appointment, **{"appointments-0-DELETE": "on"})
    response = admin_client.post(url, posted)
    assert response.status_code == 409
    page = response.content.decode()
    assert "Cancel it, do not delete it" in page
    assert "what you entered is still there" in page
    assert Patient.objects.get().name == "Ada"
    assert Appointment.objects.count() == 1


def test_a_delete_that_is_rejected_leads_back_with_the_message(admin_client: Client, no_deletes: Tag) -> None:
    response = admin_client.post(f"{TAGS}{no_deletes.pk}/delete/", {"post": "yes"}, follow=True)
    assert response.redirect_chain == [(f"{TAGS}{no_deletes.pk}/change/", 302)]
    assert "Nothing was changed: Tags stay" in response.content.decode()
    assert Tag.objects.count() == 1


def test_a_bulk_delete_that_is_rejected_deletes_nothing(admin_client: Client, no_deletes: Tag) -> None:
    Tag.objects.create(name="another")
    chosen = {"action": "delete_selected", "_selected_action": list(Tag.objects.values_list("pk", flat=True))}
    response = admin_client.post(f"{TAGS}?q=a", {**chosen, "post": "yes"}, follow=True)
    assert response.redirect_chain == [(f"{TAGS}?q=a", 302)]
    assert "Nothing was changed: Tags stay" in response.content.decode()
    assert Tag.objects.count() == 2


def test_a_change_that_was_undone_is_said_in_the_admin(admin_client: Client) -> None:
    config = {"model": "shop.category", "values": [{"field": "name", "value": "x" * 300}]}
    rule = create_rule(Tag, actions=[("create_object", config)])
    rule.actions.update(timing="in_transaction", on_failure="stop")
    refresh()
    response = admin_client.post(f"{TAGS}add/", {"name": "good"})
    assert response.status_code == 409
    assert "nothing is to be done without it" in response.content.decode()
    assert not Tag.objects.exists()


def test_another_view_answers_with_a_page(client: Client, no_bad_names: Any) -> None:
    response = client.get("/rename/", {"name": "bad"}, headers={"Accept": "text/html,*/*"})
    assert response.status_code == 409
    page = response.content.decode()
    assert "A bad &lt;name&gt; is not allowed" in page
    assert "This change is not allowed" in page
    # All that the request did is undone with it.
    assert not Tag.objects.exists()
    assert not Execution.objects.exists()
    assert client.get("/rename/", {"name": "good"}).content == b"saved"


@pytest.mark.parametrize("headers", [{"Accept": "application/json"}, {"Content-Type": "application/json"}])
def test_an_api_answers_with_json(client: Client, no_bad_names: Any, headers: dict[str, str]) -> None:
    response = client.post("/rename/?name=bad", "{}", content_type="application/json", headers=headers)
    assert response.status_code == 409
    assert json.loads(response.content) == {"detail": SAID, "errors": {"name": [SAID]}}


def test_it_is_the_same_under_asgi(no_bad_names: Any) -> None:
    response = async_to_sync(AsyncClient().get)("/rename/?name=bad", headers={"Accept": "application/json"})
    assert response.status_code == 409


def test_the_site_may_have_the_exception_itself(client: Client, no_bad_names: Any) -> None:
    no_bad_names.RULES_ENGINE = {**no_bad_names.RULES_ENGINE, "ANSWER_REJECTIONS": False}
    client.raise_request_exception = False
    assert client.get("/rename/", {"name": "bad"}).status_code == 500
