"""What the engine is to cost, as data: each goal, and the limits that a run is held against.

A limit has a name by which the measures give their figures (``Found.figures``). One that is another number on each
database has both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

SQLITE, POSTGRESQL = "sqlite", "postgresql"
BOTH = (SQLITE, POSTGRESQL)


@dataclass(frozen=True, slots=True)
class Limit:
    """One number that a goal asks for: no more than that, or no less."""

    name: str
    values: Mapping[str, float]
    unit: str = "×"
    is_least: bool = False

    def is_met(self, figure: float, vendor: str) -> bool:
        """Whether the figure keeps the limit; as it is printed, to the limit's own digits."""
        rounded = round(figure, 2) if self.unit == "×" else figure
        return rounded >= self.values[vendor] if self.is_least else rounded <= self.values[vendor]

    def words(self, vendor: str) -> str:
        """Say what is asked for."""
        return f"{'≥' if self.is_least else '≤'} {self.values[vendor]:g} {self.unit}"


@dataclass(frozen=True, slots=True)
class Goal:
    """A goal, its title, and what it asks for."""

    key: str
    title: str
    limits: tuple[Limit, ...]

    def of(self, vendor: str) -> list[Limit]:
        """Return what is asked for on that database."""
        return [limit for limit in self.limits if vendor in limit.values]


def most(name: str, value: float, unit: str = "×", on: tuple[str, ...] = BOTH) -> Limit:
    """Ask for no more than that."""
    return Limit(name, dict.fromkeys(on, value), unit)


def least(name: str, value: float, unit: str = "×", on: tuple[str, ...] = BOTH) -> Limit:
    """Ask for no less than that."""
    return Limit(name, dict.fromkeys(on, value), unit, is_least=True)


ON_POSTGRESQL = (POSTGRESQL,)
COUNTS = tuple(
    f"statements: {what}" for what in ("delete one", "delete 100", "delete with relations", "add to relation")
)
#: How many rules P5 has on a model, and by what they are told apart.
MANY = [(size, kind) for size in (1_000, 10_000) for kind in ("change", "condition")]

GOALS = (
    Goal(
        "P1",
        "A model that no rule watches: statements, rules on another model beside none",
        tuple(most(name, count, "statements") for name, count in zip(COUNTS, (1, 1, 4, 1), strict=True)),
    ),
    Goal(
        "P2", "Save of a model that no rule watches, rules on another model, to no rules at all", (most("save", 1.01),)
    ),
    Goal(
        "P3",
        "Get, change, save in a transaction, nothing can match, to the same without rules",
        (
            most("watched field unchanged", 1.05),
            most("unchanged, old values at load", 1.05),
            most("constants rule it out", 1.05),
            most("statements more, unchanged", 0, "statements"),
            most("statements more, unchanged, old values at load", 0, "statements"),
            most("statements more, constants", 0, "statements"),
        ),
    ),
    Goal(
        "P4",
        "Save alone where an old value is needed and nothing matches, to a plain save",
        (
            Limit("old value read", {SQLITE: 1.20, POSTGRESQL: 1.55}),
            most("statements more", 1, "statements"),
        ),
    ),
    Goal(
        "P5",
        "1,000 and 10,000 rules on a model, to the same with one rule",
        (
            *(most(f"{size} by {kind}, none matches", 1.05) for size, kind in MANY),
            *(most(f"{size} by {kind}, one matches", 1.10) for size, kind in MANY),
            most("refresh after one edit of 10,000", 50, "ms of CPU"),
            most("memory a rule of 10,000", 5, "KB"),
        ),
    ),
    Goal(
        "P6",
        "Get, change, save, one rule matches, durable, to a hand-written receiver that is not durable",
        (Limit("one rule", {SQLITE: 0.60, POSTGRESQL: 0.85}),),
    ),
    Goal("P7", "One rule of ten actions, to ten .delay()", (Limit("ten actions", {SQLITE: 0.20, POSTGRESQL: 0.30}),)),
    Goal(
        "P8",
        "Actions a second of two worker processes, to one Celery message each that inserts a row",
        (
            least("to Celery's defaults", 10, on=ON_POSTGRESQL),
            least("to the connection kept", 2.5, on=ON_POSTGRESQL),
        ),
    ),
    Goal(
        "P9",
        "Webhooks of one process to receivers that answer after 50 ms, to bare aiohttp",
        (least("rate", 0.50), most("CPU a delivery", 2.2)),
    ),
    Goal(
        "P10",
        "The same task beside peers, which are not durable",
        tuple(
            most(f"{label}, to {peer}", 1)
            for peer in ("django-lifecycle", "django-webhook")
            for label in ("matched", "not matched")
        ),
    ),
    Goal(
        "P11",
        "From commit to the start of the action, idle worker",
        tuple(
            most(f"{way}, {percentile}", limit, "ms", ON_POSTGRESQL)
            for way in ("Redis", "no broker")
            for percentile, limit in (("p50", 10), ("p99", 50))
        ),
    ),
    Goal(
        "P12",
        "A table of very many executions",
        (
            most("claim of 50", 10, "ms", ON_POSTGRESQL),
            most("an ordinary event", 900, "bytes", ON_POSTGRESQL),
            most("save while pruning, p99", 50, "ms", ON_POSTGRESQL),
        ),
    ),
    Goal(
        "P13",
        "10,000 rows by one statement that rules are told of, of which 1 % match, to the statement alone",
        (most("a constant", 10, "µs"), most("an expression", 10, "µs")),
    ),
    Goal(
        "P14",
        "10,000 rows by one statement, captured by database triggers, to the statement alone; a save likewise",
        (
            Limit("microseconds more a row", {SQLITE: 3, POSTGRESQL: 8}, "µs"),
            most("save, captured", 1.50),
            most("save of another model", 1.02),
        ),
    ),
    Goal(
        "P15",
        "A look for what is due by a date, among a million objects",
        (
            most("a look, none due", 10, "ms", ON_POSTGRESQL),
            most("finding 100 due", 20, "ms", ON_POSTGRESQL),
        ),
    ),
    Goal(
        "P16",
        "From due to the start of the action, among a million objects, while 200 saves a second go on",
        (
            most("p99 of lateness", 60, "s", ON_POSTGRESQL),
            most("early, twice or never", 0, "objects", ON_POSTGRESQL),
        ),
    ),
    Goal(
        "P17",
        "A run on 100,000 objects, two worker processes, acting included",
        (most("100,000 objects", 300, "s", ON_POSTGRESQL), most("not acted on", 0, "objects", ON_POSTGRESQL)),
    ),
    Goal(
        "P18",
        "A save that begins a wait of a rule, or ends it, to the save and one row more",
        (most("begins a wait", 1.50), most("ends a wait", 1.50), most("waits not marked", 0, "objects")),
    ),
    Goal(
        "P19",
        "A save with traces off, and with metrics counted, to one that asks for neither",
        tuple(
            most(f"{name}, {kind}", 1.01 if "METRICS" not in name else 1.02)
            for kind in ("matches", "does not match")
            for name in (
                "TRACES is False",
                "opentelemetry-api not installed",
                "opentelemetry-api not configured",
                "METRICS counted",
            )
        ),
    ),
)
