from __future__ import annotations

import ipaddress
from typing import Any

import pytest
from cryptography.fernet import Fernet

from rules_engine.actions import SettingsError
from webhooks import conf
from webhooks.checks import libraries_are_installed, settings_are_usable
from webhooks.http.addresses import refusal


def test_the_defaults_are_those_of_the_documentation(settings: Any) -> None:
    settings.WEBHOOKS = {}
    assert conf.allow_http() is False
    assert conf.allowed_networks() == ()
    assert conf.allowed_ports() == {80, 443}
    assert conf.deadline_seconds() == 15
    assert conf.response_bytes() == 16_384
    assert conf.encryption_keys() == ()
    assert conf.retry_schedule() == (5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400)


def test_no_setting_at_all_is_fine(settings: Any) -> None:
    del settings.WEBHOOKS
    assert conf.problems() == []


def test_an_unknown_setting_is_an_error_with_a_suggestion(settings: Any) -> None:
    settings.WEBHOOKS = {"DEADLINE_SECOND": 5}
    [error] = settings_are_usable(None)
    assert error.id == "webhooks.E001"
    assert 'Did you mean "DEADLINE_SECONDS"?' in error.msg


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ALLOW_HTTP", "yes"),
        ("ALLOWED_NETWORKS", "10.0.0.0/8"),
        ("ALLOWED_NETWORKS", ["10.0.0.1/8"]),
        ("ALLOWED_NETWORKS", ["::ffff:10.0.0.1/104"]),
        ("ALLOWED_NETWORKS", [10]),
        ("ALLOWED_PORTS", [0]),
        ("ALLOWED_PORTS", [True]),
        ("ALLOWED_PORTS", ["443"]),
        ("CA_FILE", "nowhere.pem"),
        ("DEADLINE_SECONDS", 0),
        ("RESPONSE_BYTES", -1),
        ("RETRY_SCHEDULE", [-1]),
        ("RETRY_SCHEDULE", [1e300]),
        ("RETRY_SCHEDULE", 5),
        ("ALLOW_UNVERIFIED_TLS", 1),
        ("CA_FILE", 5),
        ("DEADLINE_SECONDS", "15"),
        ("DEADLINE_SECONDS", True),
        ("DEADLINE_SECONDS", float("nan")),
        ("DEADLINE_SECONDS", float("inf")),
        ("DEADLINE_SECONDS", 86_401),
        ("PROXY", "https://proxy.example:3128"),
        ("PROXY", "http://proxy.example"),
        ("PROXY", "http://proxy.example:3128/path"),
        ("PROXY", "http://proxy.example:port"),
        ("PROXY", 3128),
        ("RESPONSE_BYTES", 1.5),
        ("SLOTS", 0),
        ("SLOTS", 10_001),
        ("SLOTS", 10.0),
        ("SOURCE", ""),
        ("SOURCE", "urn:with a space"),
        ("SOURCE", "urn:ü"),
        ("ENCRYPTION_KEYS", "key"),
        ("ENCRYPTION_KEYS", ["short"]),
    ],
)
def test_an_unusable_value_is_an_error(settings: Any, name: str, value: Any) -> None:
    settings.WEBHOOKS = {name: value}
    [problem] = conf.problems()
    assert name in problem
    with pytest.raises(SettingsError):
        conf.ACCESSORS[name]()


def test_a_malformed_encryption_key_is_not_quoted(settings: Any) -> None:
    settings.WEBHOOKS = {"ENCRYPTION_KEYS": [Fernet.generate_key().decode(), "nearly-a-key"]}
    [problem] = conf.problems()
    assert "nearly-a-key" not in problem


def test_a_proxys_password_is_not_quoted(settings: Any) -> None:
    settings.WEBHOOKS = {"PROXY": "https://user:s3cret@proxy.example:3128"}
    [problem] = conf.problems()
    assert "s3cret" not in problem
    assert "http://10.0.0.5:3128" in problem


@pytest.mark.parametrize(
    ("name", "value", "read"),
    [
        ("ALLOWED_NETWORKS", ["10.20.0.0/16"], (ipaddress.ip_network("10.20.0.0/16"),)),
        ("ALLOWED_NETWORKS", ["::ffff:10.0.0.0/104"], (ipaddress.ip_network("10.0.0.0/8"),)),
        ("ALLOWED_NETWORKS", ["::ffff:0a14:0/112"], (ipaddress.ip_network("10.20.0.0/16"),)),
        ("ALLOWED_NETWORKS", ["::ffff:192.168.1.9"], (ipaddress.ip_network("192.168.1.9/32"),)),
        ("ALLOWED_NETWORKS", ["::ffff:0:0/96"], (ipaddress.ip_network("0.0.0.0/0"),)),
        # Neither of these is IPv4: a wider network, and its neighbour.
        ("ALLOWED_NETWORKS", ["::/0"], (ipaddress.ip_network("::/0"),)),
        ("ALLOWED_NETWORKS", ["::fffe:0:0/96"], (ipaddress.ip_network("::fffe:0:0/96"),)),
        ("ALLOWED_PORTS", [443, 8443], {443, 8443}),
        ("CA_FILE", __file__, __file__),
        ("CA_FILE", None, None),
        ("DEADLINE_SECONDS", 0.5, 0.5),
        ("PROXY", "http://proxy.example:3128", "http://proxy.example:3128"),
        ("PROXY", "http://proxy.example:3128/", "http://proxy.example:3128/"),
        ("RESPONSE_BYTES", 0, 0),
        ("RETRY_SCHEDULE", [], ()),
        ("RETRY_SCHEDULE", (1, 2.5), (1.0, 2.5)),
        ("SLOTS", 10_000, 10_000),
        ("SOURCE", "https://shop.example.com", "https://shop.example.com"),
    ],
)
def test_a_usable_value_is_read(settings: Any, name: str, value: Any, read: Any) -> None:
    settings.WEBHOOKS = {name: value}
    assert conf.ACCESSORS[name]() == read
    assert conf.problems() == []


@pytest.mark.parametrize("written", ["10.0.0.0/8", "::ffff:10.0.0.0/104"])
def test_a_network_is_the_same_in_either_way_of_writing_it(settings: Any, written: str) -> None:
    settings.WEBHOOKS = {"ALLOWED_NETWORKS": [written]}
    for address, is_reached in (
        ("10.1.2.3", True),
        ("::ffff:10.1.2.3", True),
        ("::ffff:11.0.0.1", True),
        ("192.168.0.1", False),
        ("::ffff:192.168.0.1", False),
        ("::10.1.2.3", False),
    ):
        refused = refusal(ipaddress.ip_address(address), conf.allowed_networks())
        assert (refused is None) is is_reached, address


def test_every_problem_is_told_at_once(settings: Any) -> None:
    settings.WEBHOOKS = {"SLOTS": 0, "SLOT": 1, "SOURCE": ""}
    assert len(conf.problems()) == 3


def test_a_setting_that_is_no_dict_is_an_error(settings: Any) -> None:
    settings.WEBHOOKS = ["ALLOW_HTTP"]
    assert conf.problems() == ["WEBHOOKS should be a dict, and is a list."]


def test_a_missing_library_is_a_warning_that_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webhooks.checks.NEEDED", ("json", "no_such_library"))
    [warning] = libraries_are_installed(None)
    assert "no_such_library" in warning.msg
    assert "install django-signal-rules[webhooks]" in warning.msg


def test_every_setting_says_what_it_is() -> None:
    assert all(accessor.__doc__ for accessor in conf.ACCESSORS.values())
