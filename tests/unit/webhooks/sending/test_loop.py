"""What is read from the task of a delivery: there is an answer, whatever became of it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from webhooks.errors import DeliveryError, Unforeseen
from webhooks.http.client import Response
from webhooks.sending.loop import _answer


async def _fail(error: Exception) -> Any:
    raise error


def _answer_of(posting: Coroutine[Any, Any, Any], *, cancel: bool = False) -> Response | DeliveryError:
    async def run() -> Response | DeliveryError:
        task = asyncio.ensure_future(posting)
        await asyncio.sleep(0)
        if cancel:
            task.cancel()
        await asyncio.wait([task])
        return _answer(task)

    return asyncio.run(run())


def test_an_error_of_the_delivery_is_its_answer():
    error = Unforeseen("The receiver went away.")
    assert _answer_of(_fail(error)) is error


def test_a_delivery_that_is_broken_off_is_our_fault():
    answer = _answer_of(asyncio.sleep(60), cancel=True)
    assert isinstance(answer, Unforeseen)
    assert str(answer) == "The delivery was broken off."
    assert answer.ours


def test_an_error_nobody_foresaw_is_named_in_the_answer():
    answer = _answer_of(_fail(ZeroDivisionError("no divisor")))
    assert isinstance(answer, Unforeseen)
    assert "ZeroDivisionError: no divisor" in str(answer)
