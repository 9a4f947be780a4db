from __future__ import annotations

from typing import Any

import pytest

from webhooks.errors import DestinationRefused
from webhooks.http.destination import checked_url, header_problems


@pytest.fixture(autouse=True)
def _defaults(settings: Any) -> None:
    settings.WEBHOOKS = {}


@pytest.mark.parametrize(
    ("url", "canonical"),
    [
        ("https://example.com", "https://example.com/"),
        ("HTTPS://Example.COM:443/Hook?a=B", "https://example.com/Hook?a=B"),
        ("https://bücher.example/ü?q=ß", "https://xn--bcher-kva.example/%C3%BC?q=%C3%9F"),
        ("https://8.8.8.8/x", "https://8.8.8.8/x"),
        ("https://[2606:4700:4700:0::1111]/x", "https://[2606:4700:4700::1111]/x"),
        ("https://example.com/a%20b", "https://example.com/a%20b"),
    ],
)
def test_a_url_is_brought_to_its_canonical_form(url: str, canonical: str) -> None:
    assert checked_url(url) == canonical
    assert checked_url(canonical) == canonical


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "begin with https"),
        ("example.com/hook", "begin with https"),
        ("file:///etc/passwd", "begins with file"),
        ("javascript:alert(1)", "begins with javascript"),
        ("http://example.com/", "ALLOW_HTTP"),
        ("https://", "no host"),
        ("https:///path", "no host"),
        ("https://user:pass@example.com/", "user name or password"),
        ("https://user@example.com/", "user name or password"),
        ("https://example.com\\@169.254.169.254/", "backslash"),
        ("https://example.com/#top", "fragment"),
        ("https://example.com/#", "fragment"),
        ("https://exam ple.com/", "space"),
        ("https://example.com/\r\nHost: x", "line break"),
        ("https://example.com:8080/", "port 8080"),
        ("https://example.com:99999/", "from 1 to 65535"),
        ("https://example.com:http/", "from 1 to 65535"),
        ("https://[::1/", "cannot be read"),
        ("https://2130706433/", "in disguise"),
        ("https://0x7f000001/", "in disguise"),
        ("https://127.1/", "in disguise"),
        ("https://0/", "in disguise"),
        ("https://0177.0.0.1/", "in disguise"),
        ("https://①②⑦.⓪.⓪.①/", "in disguise"),
        ("https://127。0。0。1/", "in disguise"),
        ("https://127.0.0.1./", "in disguise"),
        ("https://1.2.3.0x4/", "in disguise"),
        ("https://127.0.0.1\u00ad/", "in disguise"),
        ("https://127.1\u200b/", "in disguise"),
        ("https://21307\u20606433/", "in disguise"),
        ("https://0x7f\u00ad.0.0.1/", "in disguise"),
        ("https://example.com/\ud800", "control character"),
        ("https://127.0.0.1/", "this machine itself"),
        ("https://169.254.169.254/", "metadata"),
        ("https://[::ffff:127.0.0.1]/", "this machine itself"),
        ("https://[fe80::1%25eth0]/", "in disguise"),
        ("https://exa%6dple.com/", "not a valid name"),
        ("https://-example.com/", "not a valid name"),
        ("https://" + "a" * 64 + ".com/", "not a valid name"),
        ("https://\u2066bad.example/", "international domain name"),
        ("https://example.com/" + "a" * 2000, "at most 2000"),
        # 1,020 letters as typed; each ü is six as it is sent, and the column has room for 2,000.
        ("https://example.com/" + "ü" * 1000, "Written as it is sent, in ASCII, the URL has 6020 characters"),
    ],
)
def test_a_url_that_could_be_misread_is_refused_in_words(url: str, words: str) -> None:
    with pytest.raises(DestinationRefused, match=words):
        checked_url(url)


def test_a_url_may_be_as_long_as_its_column_also_as_it_is_sent() -> None:
    longest = "https://example.com/" + "ü" * 330
    assert len(checked_url(longest)) == 2000
    with pytest.raises(DestinationRefused, match="has 2001 characters"):
        checked_url(longest + "a")


def test_the_operator_can_allow_http_ports_and_networks(settings: Any) -> None:
    settings.WEBHOOKS = {"ALLOW_HTTP": True, "ALLOWED_PORTS": [8001], "ALLOWED_NETWORKS": ["127.0.0.0/8"]}
    assert checked_url("http://127.0.0.1:8001/") == "http://127.0.0.1:8001/"
    with pytest.raises(DestinationRefused, match="port 80"):
        checked_url("http://127.0.0.1/")
    # What was allowed a moment ago is asked for anew.
    settings.WEBHOOKS = {"ALLOW_HTTP": True, "ALLOWED_PORTS": [8001]}
    with pytest.raises(DestinationRefused, match="this machine itself"):
        checked_url("http://127.0.0.1:8001/")


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ([], "JSON object"),
        ({"Host": "x"}, "reserved"),
        ({"Transfer-Encoding": "chunked"}, "reserved"),
        ({"content-length": "0"}, "reserved"),
        ({"CONNECTION": "close"}, "reserved"),
        ({"Webhook-Id": "1"}, "reserved"),
        ({"webhook-anything": "1"}, "reserved"),
        ({"X-A\r\nX-B": "1"}, "header name"),
        ({"": "1"}, "header name"),
        ({"X A": "1"}, "header name"),
        ({"X-Ä": "1"}, "header name"),
        ({"X-A": "one\r\nX-Evil: two"}, "line break"),
        ({"X-A": "one\nX-Evil: two"}, "line break"),
        ({"X-A": "a\x00b"}, "control character"),
        ({"X-A": "☃"}, "beyond ASCII"),
        ({"X-A": 5}, "should be a text"),
        ({"X-A": "y" * 5000}, "longer than"),
        ({"X-A": "1", "x-a": "2"}, "twice"),
        ({f"X-{n}": "1" for n in range(33)}, "At most 32"),
    ],
)
def test_a_header_that_could_change_the_message_is_refused(headers: Any, words: str) -> None:
    problems = header_problems(headers)
    assert any(words in problem for problem in problems), problems


def test_what_is_wrong_with_a_header_is_said_without_its_value() -> None:
    assert "s3cret" not in " ".join(header_problems({"X-A": "s3cret\n", "X-B": "s3cret☃"}))


def test_ordinary_headers_are_fine() -> None:
    assert header_problems({"Authorization": "Bearer abc", "X-Tenant": "7", "User-Agent": "us"}) == []
