"""What errors say is told without what nobody is to read there."""

from __future__ import annotations

import pytest

from rules_engine.hidden.texts import masked

ROW = 'null value in column "age" violates not-null constraint\nDETAIL:  Failing row contains (7, ada, (x), pbkdf2$1).'


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (ROW, ROW.partition("(7")[0] + "([hidden])."),
        ("Key (api_token)=(abc) already exists.", "Key (api_token)=([hidden]) already exists."),
        ("Key (slug)=(abc) already exists.", "Key (slug)=(abc) already exists."),
        ("Duplicate entry 'abc' for key 'user.api_token'", "Duplicate entry '[hidden]' for key 'user.api_token'"),
        ("Duplicate entry 'abc' for key 'user.slug'", "Duplicate entry 'abc' for key 'user.slug'"),
        ("login failed: password=hunter2", "login failed: password=[hidden]"),
        ("no route to amqp://me:hunter2@host/", "no route to amqp://me:[hidden]@host/"),
        ("Failing row contains (", "Failing row contains ("),
    ],
)
def test_an_error_is_told_without_secrets(said: str, told: str):
    assert masked(said) == told
