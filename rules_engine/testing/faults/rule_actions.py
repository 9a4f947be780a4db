"""The action whose effect is a line of the ledger."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from rules_engine.errors import Problem, TransientError
from rules_engine.rules import values
from rules_engine.rules.contract import Action
from rules_engine.rules.registry import register_action
from rules_engine.types import ActionContext, ActionResult, Path, RuleSpec

#: Seconds that the ledger may take.
TIMEOUT = 10.0


@register_action
class BookInLedger(Action):
    """Post the idempotency key and the change to the ledger: an effect outside, which happens at least once."""

    kind = "book_in_ledger"
    label = "Book it in the ledger of the ordeal"
    schema = {
        "type": "object",
        "keys": {
            "url": {"type": "string", "plain": True, "title": "Address of the ledger, with the kind"},
            "change": {"type": "string", "title": "What it is of"},
        },
    }

    def validate_config(self, config: Mapping[str, Any], rule: RuleSpec) -> Iterable[Problem]:
        """Check the text of the change, and that the address is one of this machine."""
        if not str(config.get("url", "")).startswith("http://127.0.0.1:"):
            yield Problem("/url", "The ledger is on this machine: expected http://127.0.0.1:PORT/KIND.")
        yield from values.problems(config.get("change"), rule, "/change")

    def reads(self, config: Mapping[str, Any], rule: RuleSpec) -> Iterable[Path]:
        """Read what the text of the change names."""
        return values.reads(config.get("change"))

    def run(self, context: ActionContext, config: Mapping[str, Any]) -> ActionResult:
        """Post it. Raises ``TransientError`` where the ledger does not take it."""
        url = urlsplit(str(config["url"]))
        body = json.dumps({"change": values.text(config.get("change"), context.data)})
        connection = http.client.HTTPConnection(url.netloc, timeout=TIMEOUT)
        try:
            connection.request("POST", url.path, body, {"Idempotency-Key": str(context.execution_id)})
            status = connection.getresponse().status
        except (OSError, http.client.HTTPException) as error:
            raise TransientError(f"The ledger does not answer: {error}.") from error
        finally:
            connection.close()
        if status != http.HTTPStatus.OK:
            raise TransientError(f"The ledger answered {status}.")
        return ActionResult(f"Booked at attempt {context.attempt}")
