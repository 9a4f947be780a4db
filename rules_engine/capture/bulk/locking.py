"""Locking the rows that a statement is about to write: where another transaction is in the way of that, it is in the
way of the statement, and whoever called is told what the database says, as they would be without us."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from rules_engine.databases import database_of
from rules_engine.types import Unread, ask

Parameters = ParamSpec("Parameters")
Answer = TypeVar("Answer")


def ask_locking(
    using: str, question: Callable[Parameters, Answer], *arguments: Parameters.args, **named: Parameters.kwargs
) -> Answer | Unread:
    """Ask as ``ask`` does. Raises what tells that another transaction was in the way: a deadlock, at which MySQL undoes
    all that was done before, a wait that was too long, or rows that changed since the transaction began."""
    answer = ask(question, *arguments, **named)
    if isinstance(answer, Unread):
        raise_rivalry(answer.error, using)
    return answer


def raise_rivalry(error: Exception, using: str) -> None:
    """Raise the error, where it tells that another transaction was in the way."""
    database = database_of(using)
    if database.is_rivalry(error) or database.is_lock_timeout(error):
        raise error
