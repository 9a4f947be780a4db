"""Row 23, and what else an endpoint's own certificates do: whom it trusts, and how deliveries show who they are."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from django.core.exceptions import ValidationError
from django.db import connection

from project.shop.models import Product
from rules_engine.models import Attempt, Execution
from rules_engine.testing import create_rule
from tests.certificates import Authority
from tests.factories import make_endpoint
from tests.http_server import MisbehavingServer
from webhooks.models import Endpoint, EndpointState
from webhooks.sending.sender import drain

pytestmark = pytest.mark.django_db(transaction=True)

Start = Callable[..., MisbehavingServer]


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def start(settings: Any) -> Iterator[Start]:
    with ExitStack() as running:

        def started(tls: ssl.SSLContext, **webhooks: Any) -> MisbehavingServer:
            server = running.enter_context(MisbehavingServer(tls=tls))
            allowed = {"ALLOWED_NETWORKS": ["127.0.0.0/8"], "ALLOWED_PORTS": [server.port], "DEADLINE_SECONDS": 5}
            settings.WEBHOOKS = {**allowed, **webhooks}
            return server

        yield started


def endpoint(server: MisbehavingServer, **fields: Any) -> Endpoint:
    made = make_endpoint("bank", url=server.url("/hook"), **fields)
    create_rule(Product, actions=[("webhook", {"endpoint": "bank"})])
    return made


def deliver() -> Execution:
    Product.objects.create(name="A chair", slug="chair", price="1")
    drain(5)
    return Execution.objects.latest("id")


def test_row_23_an_expired_client_certificate_is_the_receivers_to_refuse(start: Start, authority: Authority) -> None:
    server = start(authority.server("127.0.0.1", clients=True))
    bank = endpoint(server, ca_certificates=authority.file.read_text(), client_certificate=authority.pem("shop"))
    assert deliver().state == "succeeded"
    bank.client_certificate = authority.pem("shop", days=-1)
    bank.save()
    Product.objects.update(slug="other")
    refused = deliver()
    assert refused.state == "retryable"
    assert Attempt.objects.get(execution=refused).detail["error_kind"] in ("tls", "connect")
    assert EndpointState.objects.get().failures == 1
    assert len(server.requests) == 1


def test_without_a_client_certificate_such_a_receiver_is_not_reached(start: Start, authority: Authority) -> None:
    server = start(authority.server("127.0.0.1", clients=True))
    endpoint(server, ca_certificates=authority.file.read_text())
    assert deliver().state == "retryable"
    assert server.requests == []


def test_an_endpoint_trusts_its_own_authority_alone(start: Start, authority: Authority, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    server = start(authority.server("127.0.0.1"), CA_FILE=str(authority.file))
    bank = endpoint(server, ca_certificates=Authority(tmp_path / "other").file.read_text())
    assert deliver().state == "retryable"
    assert server.requests == []
    bank.ca_certificates = ""
    bank.save()
    Execution.objects.all().retry()
    drain(5)
    assert Execution.objects.get().state == "succeeded"


def test_a_server_goes_unchecked_only_where_the_operator_allows_it(
    start: Start, authority: Authority, settings: Any
) -> None:
    server = start(authority.server("elsewhere.example"))
    with pytest.raises(ValidationError, match="ALLOW_UNVERIFIED_TLS"):
        endpoint(server, verify_tls=False)
    settings.WEBHOOKS = {**settings.WEBHOOKS, "ALLOW_UNVERIFIED_TLS": True}
    endpoint(server, verify_tls=False)
    assert deliver().state == "succeeded"
    settings.WEBHOOKS = {**settings.WEBHOOKS, "ALLOW_UNVERIFIED_TLS": False}
    Product.objects.update(slug="other")
    assert deliver().state == "retryable", "an operator who takes it back is obeyed at once"


def test_a_private_key_is_encrypted_at_rest(start: Start, authority: Authority) -> None:
    endpoint(start(authority.server("127.0.0.1")), client_certificate=authority.pem("shop"))
    with connection.cursor() as cursor:
        cursor.execute("SELECT client_certificate FROM webhooks_endpoint")
        assert "PRIVATE" not in cursor.fetchone()[0]


def test_certificates_that_cannot_be_used_are_refused_in_words(start: Start, authority: Authority) -> None:
    server = start(authority.server("127.0.0.1"))
    shop, other = authority.pem("shop"), authority.pem("shop")
    begin = "-----BEGIN PRIVATE KEY-----"
    locked = load_pem_private_key(shop.partition(begin)[1].encode() + shop.partition(begin)[2].encode(), None)
    with_password = locked.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    ).decode()
    for wrong, said in (
        (shop.partition(begin)[0], "no private key"),
        (shop.partition(begin)[0] + begin + other.partition(begin)[2], "does not belong"),
        (shop.partition(begin)[0] + with_password, "has a password"),
        (f"{begin}\nrubbish\n-----END PRIVATE KEY-----", "cannot be read"),
    ):
        with pytest.raises(ValidationError, match=said):
            make_endpoint("x", url=server.url("/"), client_certificate=wrong)
    with pytest.raises(ValidationError, match="BEGIN CERTIFICATE"):
        make_endpoint("x", url=server.url("/"), ca_certificates="rubbish")
