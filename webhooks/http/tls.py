"""Whom a delivery trusts and how it shows itself: the site's settings, and what an endpoint has of its own."""

from __future__ import annotations

import os
import ssl
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from django.utils.translation import gettext

from webhooks import conf

if TYPE_CHECKING:
    from webhooks.models import Endpoint

BEGIN_KEY = "PRIVATE KEY-----"


def context_of(endpoint: Endpoint) -> ssl.SSLContext | None:
    """Give what an endpoint's connections are made with, None for what the site's settings say.

    Raises ``EncryptionKeyError`` where its client certificate cannot be read, and ``ssl.SSLError`` or ``ValueError``
    where one of its certificates has been broken since it was saved.
    """
    verify = endpoint.verify_tls or not conf.allow_unverified_tls()
    if verify and not endpoint.ca_certificates and not endpoint.client_certificate:
        return None
    return _own(conf.ca_file(), endpoint.ca_certificates, str(endpoint.client_certificate), verify)


@lru_cache(maxsize=4)
def site_context(ca_file: str | None) -> ssl.SSLContext:
    """Give what connections are made with where the endpoint has nothing of its own."""
    # Not ssl.create_default_context(): it asks SSL_CERT_FILE, SSL_CERT_DIR and SSLKEYLOGFILE.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _trust(context, ca_file)
    return context


def _trust(context: ssl.SSLContext, ca_file: str | None) -> None:
    if ca_file is not None:
        context.load_verify_locations(cafile=ca_file)
        return
    compiled_in = ssl.get_default_verify_paths()
    file, directory = Path(compiled_in.openssl_cafile), Path(compiled_in.openssl_capath)
    if file.is_file():
        context.load_verify_locations(cafile=str(file))
    if directory.is_dir():
        context.load_verify_locations(capath=str(directory))


def _trust_only(context: ssl.SSLContext, authorities: str) -> None:
    if not authorities.isascii():
        # Python would raise a TypeError, as if the code were wrong.
        raise ValueError("PEM is ASCII.")
    context.load_verify_locations(cadata=authorities)


# Connections are kept alive by context, so the same certificates must give the same one.
@lru_cache(maxsize=256)
def _own(ca_file: str | None, authorities: str, client: str, verify: bool) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif authorities:
        _trust_only(context, authorities)
    else:
        _trust(context, ca_file)
    if client:
        _show(context, client)
    return context


def _show(context: ssl.SSLContext, client: str) -> None:
    # OpenSSL takes files only. Where the system can, one without a name, which no other user ever sees.
    if hasattr(os, "memfd_create"):
        number = os.memfd_create("client-certificate")
        with open(number, "wb") as unnamed:
            unnamed.write(client.encode())
            unnamed.flush()
            context.load_cert_chain(f"/proc/self/fd/{number}", password=_no_password)
        return
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "client.pem"
        file.touch(mode=0o600)
        file.write_text(client)
        context.load_cert_chain(file, password=_no_password)


def _no_password() -> str:
    # Without this OpenSSL would ask on the terminal, and the worker would wait for an answer.
    raise ValueError(gettext("The private key has a password. Store it without one; it is encrypted here."))


def authorities_problem(pem: str) -> str | None:
    """Say what is wrong with certificates of authorities, as a sentence; None where they are fine."""
    try:
        _trust_only(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), pem)
    except (ssl.SSLError, ValueError):
        return gettext(
            "Expected certificates in PEM, each from “-----BEGIN CERTIFICATE-----” to “-----END CERTIFICATE-----”."
        )
    return None


def client_problem(pem: str) -> str | None:
    """Say what is wrong with a client certificate and its key, quoting neither; None where it is fine."""
    if BEGIN_KEY not in pem:
        return gettext(
            "Expected the client's certificate and, after it, its private key, both in PEM. There is no private key."
        )
    try:
        _show(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), pem)
    except ssl.SSLError as error:
        if "MISMATCH" in (error.reason or ""):
            return gettext("The private key does not belong to the certificate.")
        return gettext(
            "Expected the client's certificate and, after it, its private key, both in PEM. They cannot be read."
        )
    except ValueError as error:
        return str(error)
    return None
