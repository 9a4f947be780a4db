"""Claiming by lane, for batch senders: what waits for one receiver must not wait behind what waits for another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from django.core.exceptions import EmptyResultSet
from django.db import connections, router
from django.db.models import Q
from django.db.models.expressions import RawSQL
from django.db.models.functions import Now

from rules_engine import conf
from rules_engine.models import Execution
from rules_engine.models.execution import LIVE, ExecutionQuerySet
from rules_engine.work import claims
from rules_engine.work.claims import Claim


def _rows() -> ExecutionQuerySet:
    return Execution.objects.using(router.db_for_write(Execution))


def due_lanes(queue: str) -> list[str]:
    """The lanes of a queue in which something is due that no pause stops, by name.

    One probe of the index a lane, however much waits in each: a plain DISTINCT reads every waiting row, 20,000 of
    them behind two dead endpoints, ten times a second. With LIMIT 1 instead of MIN and EXISTS, PostgreSQL keeps to
    that also where a burst has made its statistics wrong: 0.2 ms, and 20 without.
    """
    connection = connections[router.db_for_write(Execution)]
    table, states = connection.ops.quote_name(Execution._meta.db_table), ", ".join(f"'{state}'" for state in LIVE)
    live = f"e.queue = %s AND NOT (e.lane = '') AND e.state IN ({states})"
    waiting = claims.unpaused(_rows().due()).filter(queue=queue, lane=RawSQL("lanes.lane", ())).exclude(lane="")
    try:
        due, params = waiting.values("pk").query.sql_with_params()
    except EmptyResultSet:  # everything is paused
        return []
    sql = (
        f"WITH RECURSIVE lanes(lane) AS ("  # noqa: S608 - no input
        f"SELECT (SELECT e.lane FROM {table} e WHERE {live} ORDER BY e.lane LIMIT 1) "
        f"UNION ALL SELECT (SELECT e.lane FROM {table} e WHERE {live} AND e.lane > lanes.lane ORDER BY e.lane LIMIT 1) "
        f"FROM lanes WHERE lanes.lane IS NOT NULL) "
        f"SELECT lane FROM lanes WHERE lane IS NOT NULL AND ({due} LIMIT 1) IS NOT NULL"
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, [queue, queue, *params])
        return [lane for (lane,) in cursor.fetchall()]


def claim_lanes(queue: str, rooms: Mapping[str, int], *, in_order: bool = False, suspects: bool = True) -> Claim:
    """Lease what is due in these lanes, up to so many of each, oldest first, what was in flight when a process died
    before the rest.

    To find those, every waiting row of the lanes is looked at; without ``suspects`` they are left to another claim.
    ``in_order`` leaves out what has to wait for an earlier execution with the same order key. An execution that has
    taken a process down twice is left to ``claim_crashed``.
    """
    of_queue = _rows().filter(queue=queue)
    rows = claims.unpaused(of_queue)
    if in_order:
        firsts = of_queue.filter(lane__in=list(rooms)).firsts()
        rows = rows.filter(Q(order_key="") | Q(pk__in=firsts.values("pk")))
    worker, lease = claims.worker_name(), conf.lease_seconds()
    found: list[Execution] = []
    if suspects:
        found = _lease_of_lanes(rows.filter(crashes=0), rooms, worker, lease, suspects=True)
    taken = Counter(one.lane for one in found)
    left = {lane: room - taken[lane] for lane, room in rooms.items() if room > taken[lane]}
    found += _lease_of_lanes(rows, left, worker, lease)
    return Claim(worker, tuple(found))


def _lease_of_lanes(
    rows: ExecutionQuerySet, rooms: Mapping[str, int], worker: str, lease: float, *, suspects: bool = False
) -> list[Execution]:
    """In one statement, where the database can: while deliveries are in flight, each costs a hand-over of the
    interpreter's lock, and with the usual ones for each of four endpoints claiming took a third of a sender's time."""
    if not rooms:
        return []
    connection = connections[rows.db]
    if connection.vendor != "postgresql":
        found = (
            rows.filter(lane=lane).lease(room, worker=worker, lease=lease, suspects=suspects)
            for lane, room in rooms.items()
        )
        return [one for of_lane in found for one in of_lane]
    try:
        # Without the second condition the planner does not know that the index of lanes has all of them.
        due = rows.leasable(suspects).filter(lane=RawSQL("lanes.lane", ())).exclude(lane="")
        select, params = due.values("pk").query.sql_with_params()
    except EmptyResultSet:  # everything is paused
        return []
    table = connection.ops.quote_name(Execution._meta.db_table)
    sql = (
        f"UPDATE {table} SET leased_by = %s, lease_until = STATEMENT_TIMESTAMP() + %s * INTERVAL '1 second' "  # noqa: S608
        # As an array the ids are looked up in the index, whatever the statistics say of their number.
        "WHERE id = ANY(ARRAY(SELECT found.id FROM unnest(%s::text[], %s::int[]) AS lanes(lane, room), "
        f"LATERAL ({select} LIMIT lanes.room FOR UPDATE OF {table} SKIP LOCKED) AS found(id))) RETURNING id"
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, [worker, lease, list(rooms), list(rooms.values()), *params])
        ids = [pk for (pk,) in cursor.fetchall()]
    return _rows().filter(pk__in=ids).leased_to(worker, suspects) if ids else []


def claim_crashed(queue: str, lanes: Sequence[str]) -> Claim:
    """Lease one execution that was in flight when a process died for the second time. Carry it out alone."""
    rows = claims.unpaused(_rows().filter(queue=queue, lane__in=lanes, crashes__gt=0))
    worker = claims.worker_name()
    return Claim(worker, tuple(rows.lease(1, worker=worker, lease=conf.lease_seconds(), suspects=True)))


def in_flight(queue: str, *lanes: str) -> int:
    """How many executions of these lanes workers have leased now."""
    return _rows().live().filter(queue=queue, lane__in=lanes, lease_until__gt=Now()).count()
