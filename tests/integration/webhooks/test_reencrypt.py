"""``manage.py webhooks_reencrypt``: after it, the old key can go."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.management import call_command

from tests.factories import make_endpoint
from webhooks.errors import EncryptionKeyError
from webhooks.models import Endpoint
from webhooks.models.fields import Sealed

pytestmark = pytest.mark.django_db

OLD, NEW = (Fernet.generate_key().decode() for _ in range(2))


def run(**options: Any) -> tuple[str, str]:
    out, err = StringIO(), StringIO()
    call_command("webhooks_reencrypt", stdout=out, stderr=err, **options)
    return out.getvalue(), err.getvalue()


@pytest.fixture
def secrets(settings: Any) -> dict[str, str]:
    """Two endpoints, encrypted with the old key; then the new key is put in front of it."""
    settings.WEBHOOKS = {"ENCRYPTION_KEYS": [OLD]}
    made = [make_endpoint(slug, headers={"X-A": slug}) for slug in ("crm", "erp")]
    secrets = {endpoint.slug: endpoint.secret for endpoint in made}
    made[0].rotate_secret(secrets["crm"])
    made[0].save()
    settings.WEBHOOKS = {"ENCRYPTION_KEYS": [NEW, OLD]}
    return secrets


def test_all_secrets_are_readable_with_the_new_key_alone_afterwards(secrets: dict[str, str], settings: Any) -> None:
    out, _err = run()
    assert "5 encrypted again; 0 under the first key already" in out
    settings.WEBHOOKS = {"ENCRYPTION_KEYS": [NEW]}
    for endpoint in Endpoint.objects.all():
        assert endpoint.secret == secrets[endpoint.slug]
        assert endpoint.headers == {"X-A": endpoint.slug}
    assert Endpoint.objects.get(slug="crm").previous_secret == secrets["crm"]
    assert "0 encrypted again; 5 under the first key already" in run()[0]


def test_a_dry_run_counts_and_changes_nothing(secrets: dict[str, str], settings: Any) -> None:
    assert "5 would be encrypted again" in run(dry_run=True)[0]
    settings.WEBHOOKS = {"ENCRYPTION_KEYS": [NEW]}
    with pytest.raises(EncryptionKeyError):
        Endpoint.objects.get(slug="crm").signing_secrets()


def test_what_no_key_opens_is_named_and_the_others_are_done(secrets: dict[str, str], settings: Any) -> None:
    Endpoint.objects.filter(slug="crm").update(headers=Sealed("enc1:lost"))
    out, err = StringIO(), StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("webhooks_reencrypt", stdout=out, stderr=err)
    assert ended.value.code == 1
    assert "4 encrypted again" in out.getvalue()
    assert "crm, headers" in err.getvalue()
    settings.WEBHOOKS = {"ENCRYPTION_KEYS": [NEW]}
    assert Endpoint.objects.get(slug="erp").secret == secrets["erp"]
