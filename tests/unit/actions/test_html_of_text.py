"""A mail's text as HTML."""

from __future__ import annotations

import pytest

from rules_engine.actions.mail.html import html_of


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("Hello", "<p>Hello</p>"),
        ("one\ntwo\r\nthree", "<p>one<br>two<br>three</p>"),
        ("one\n\n  \n\ntwo\n", "<p>one</p>\n<p>two</p>"),
        ("<b>Zoë & 'co'</b>", "<p>&lt;b&gt;Zoë &amp; &#x27;co&#x27;&lt;/b&gt;</p>"),
        (
            "See https://example.com/a?b=1&c=2.",
            '<p>See <a href="https://example.com/a?b=1&amp;c=2">https://example.com/a?b=1&amp;c=2</a>.</p>',
        ),
        ("(http://example.com/x)", '<p>(<a href="http://example.com/x">http://example.com/x</a>)</p>'),
        (
            'https://example.com/"onmouseover="x',
            '<p><a href="https://example.com/">https://example.com/</a>&quot;onmouseover=&quot;x</p>',
        ),
        ("javascript:alert(1) ftp://x", "<p>javascript:alert(1) ftp://x</p>"),
        ("https://", "<p>https://</p>"),
        ("", ""),
    ],
)
def test_paragraphs_breaks_and_links_are_made_and_nothing_else(text: str, html: str) -> None:
    made = html_of(text)
    assert made.split("<body>\n")[1].split("\n</body>")[0] == html
    assert made.startswith("<!DOCTYPE html>\n")


def test_a_long_text_of_beginnings_of_links_takes_no_time() -> None:
    assert html_of("https://" * 25_000).count("<a ") == 1
    assert html_of("https://" + "." * 100_000).count("<a ") == 0
