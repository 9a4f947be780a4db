"""Whom a delivery trusts and how it shows itself: contexts made of certificates, and what is wrong with others."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tests.certificates import Authority
from webhooks.http import tls
from webhooks.models import Endpoint

BEGIN = "-----BEGIN PRIVATE KEY-----"


@pytest.fixture(autouse=True)
def _defaults(settings: Any) -> None:
    settings.WEBHOOKS = {}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def client(authority: Authority) -> str:
    return authority.pem("shop")


def names(context: ssl.SSLContext) -> list[str]:
    return [str(found["subject"]) for found in context.get_ca_certs()]


def connected(client: ssl.SSLContext, server: ssl.SSLContext, host: str) -> None:
    """Shake hands within this process. Raises ``ssl.SSLError`` where the two do not agree."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client.wrap_bio(to_client, to_server, server_hostname=host)
    theirs = server.wrap_bio(to_server, to_client, server_side=True)
    open_sides = [ours, theirs]
    for _ in range(10):
        for side in list(open_sides):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            open_sides.remove(side)
    assert open_sides == []


# Contexts


def test_an_endpoint_with_nothing_of_its_own_has_the_sites_context() -> None:
    assert tls.context_of(Endpoint()) is None


def test_the_site_trusts_the_file_that_its_settings_name(authority: Authority) -> None:
    [name] = names(tls.site_context(str(authority.file)))
    assert "Test authority" in name


def test_every_context_checks_certificates_and_names_and_no_old_protocol(authority: Authority) -> None:
    own = tls.context_of(Endpoint(ca_certificates=authority.file.read_text()))
    assert own is not None
    for context in (tls.site_context(None), own):
        assert context.verify_mode is ssl.CERT_REQUIRED
        assert context.check_hostname
        assert context.minimum_version == ssl.TLSVersion.TLSv1_2


def test_an_endpoints_own_authorities_are_the_only_ones_it_trusts(authority: Authority, settings: Any) -> None:
    other = Authority(authority.folder / "..")
    settings.WEBHOOKS = {"CA_FILE": str(other.file)}
    context = tls.context_of(Endpoint(ca_certificates=authority.file.read_text()))
    assert context is not None
    assert len(context.get_ca_certs()) == 1
    connected(context, authority.server("127.0.0.1"), "127.0.0.1")
    with pytest.raises(ssl.SSLError):
        connected(tls.site_context(str(other.file)), authority.server("127.0.0.1"), "127.0.0.1")


def test_the_environment_adds_nobody_to_trust(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    monkeypatch.setenv("SSLKEYLOGFILE", str(authority.folder / "keys"))
    tls.site_context.cache_clear()
    context = tls.site_context(None)
    assert "Test authority" not in "".join(names(context))
    assert context.keylog_filename is None
    tls.site_context.cache_clear()


@pytest.mark.parametrize(("host", "days"), [("other.example.com", 10), ("127.0.0.1", -1)])
def test_another_name_or_an_expired_certificate_is_refused(authority: Authority, host: str, days: float) -> None:
    context = tls.site_context(str(authority.file))
    with pytest.raises(ssl.SSLCertVerificationError):
        connected(context, authority.server(host, days=days), "127.0.0.1")


def test_a_server_goes_unchecked_only_where_endpoint_and_operator_say_so(authority: Authority, settings: Any) -> None:
    unchecked = Endpoint(verify_tls=False)
    assert tls.context_of(unchecked) is None, "the operator has not allowed it"
    settings.WEBHOOKS = {"ALLOW_UNVERIFIED_TLS": True}
    assert tls.context_of(Endpoint()) is None, "the endpoint has not asked for it"
    context = tls.context_of(unchecked)
    assert context is not None
    connected(context, authority.server("other.example.com", days=-1), "127.0.0.1")


def test_a_client_certificate_is_shown_to_a_server_that_asks(authority: Authority, client: str) -> None:
    authorities = authority.file.read_text()
    server = authority.server("127.0.0.1", clients=True)
    shows = tls.context_of(Endpoint(ca_certificates=authorities, client_certificate=client))
    assert shows is not None
    connected(shows, server, "127.0.0.1")
    hides = tls.context_of(Endpoint(ca_certificates=authorities))
    assert hides is not None
    with pytest.raises(ssl.SSLError):
        connected(hides, server, "127.0.0.1")


def test_the_same_certificates_give_the_same_context(authority: Authority, client: str) -> None:
    authorities = authority.file.read_text()
    first, second = (Endpoint(ca_certificates=authorities, client_certificate=client) for _ in "12")
    assert tls.context_of(first) is tls.context_of(second)
    assert tls.context_of(first) is not tls.context_of(Endpoint(ca_certificates=authorities))


def test_without_files_in_memory_a_client_certificate_is_read_too(
    client: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delattr("os.memfd_create", raising=False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert tls.client_problem(client) is None
    assert list(tmp_path.iterdir()) == [], "the key is not left behind"


# What is wrong


def test_certificates_of_authorities_are_fine(authority: Authority) -> None:
    text = authority.file.read_text()
    assert tls.authorities_problem(text) is None
    assert tls.authorities_problem(text + text) is None


@pytest.mark.parametrize("text", ["rubbish", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", "ü"])
def test_what_are_no_certificates_is_said(text: str) -> None:
    assert "BEGIN CERTIFICATE" in str(tls.authorities_problem(text))


def encrypted(pem: str) -> str:
    certificate, begin, rest = pem.partition(BEGIN)
    key = load_pem_private_key((begin + rest).encode(), None)
    locked = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )
    return certificate + locked.decode()


def test_a_client_certificate_with_its_key_is_fine(client: str) -> None:
    assert tls.client_problem(client) is None


def test_stored_certificates_that_are_none_are_a_fault_of_theirs() -> None:
    for broken in ("rubbish", "ü"):
        with pytest.raises((ssl.SSLError, ValueError)):
            tls.context_of(Endpoint(ca_certificates=broken))


def test_each_thing_wrong_with_a_client_certificate_is_said(authority: Authority, client: str) -> None:
    certificate = client.partition(BEGIN)[0]
    other = authority.pem("shop").partition(BEGIN)[2]
    assert "no private key" in str(tls.client_problem(certificate))
    assert "does not belong" in str(tls.client_problem(certificate + BEGIN + other))
    assert "has a password" in str(tls.client_problem(encrypted(client)))
    assert "cannot be read" in str(tls.client_problem(f"{BEGIN}\nrubbish\n-----END PRIVATE KEY-----"))


def test_what_is_wrong_with_a_key_is_said_without_it(client: str) -> None:
    certificate, _, key = client.partition(BEGIN)
    broken = key[:-60] + key[-50:]
    said = str(tls.client_problem(certificate + BEGIN + broken))
    assert key.split("\n")[1] not in said
