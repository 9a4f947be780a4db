"""A site with a past: rules, events and executions by the hundred thousand, written by the database itself."""

from __future__ import annotations

from django.contrib.auth import get_user_model
from django.db import connection

from project.shop.models import Order
from rules_engine.live.compiler import content_of, digest_of
from rules_engine.models import Pause, Recording, Rule, RuleAction, RuleVersion
from webhooks.models import Endpoint

ENDPOINTS = 100
#: What one rule in ten does: all of them are in one loop.
TOUCHING = {"filter": [{"field": "pk", "value": "{{ instance.pk }}"}], "values": [{"field": "total", "value": "5"}]}
EVENTS = """
INSERT INTO rules_engine_event (id, signal, operation, model, object_pk, occurred_at, root_id, depth, execution_count,
    actor_id, actor_name, request_id, context, decimals, evaluations, created_at)
SELECT id, 'post_save', 'update', 'shop.order', number::text, moment, id, 0, 1, '', 'somebody', '',
    jsonb_build_object('instance', jsonb_build_object('order_number', %(hostile)s::text, 'total', number %% %(rules)s)),
    '[]',
    jsonb_build_array(jsonb_build_object('rule', 'rule-' || number %% %(rules)s, 'version', 1, 'outcome', 'matched')),
    moment
FROM (SELECT gen_random_uuid() AS id, number, now() - number * interval '24 hours' / %(executions)s AS moment
      FROM generate_series(1, %(executions)s) AS number) AS made
"""
#: One object, ``BUSY``, has ten events, each of which tried as many rules as an event keeps that did not match.
BUSY = 5_000
BUSY_EVENTS = """
UPDATE rules_engine_event SET object_pk = %(busy)s::text, evaluations = (
    SELECT jsonb_agg(jsonb_build_object('rule', 'rule-' || (object_pk::int + other) %% %(rules)s, 'version', 1,
        'outcome', CASE WHEN other = 0 THEN 'matched' ELSE 'not_matched' END, 'gate', 'condition',
        'detail', 'The condition is false.'))
    FROM generate_series(0, 200) AS other)
WHERE object_pk::int BETWEEN %(busy)s - 9 AND %(busy)s
"""
EXECUTIONS = """
INSERT INTO rules_engine_execution (id, event_id, rule_slug, rule_version, kind, config, position, author_id, state,
    queue, lane, order_key, attempts, failures, crashes, delay, on_failure, next_attempt_at, leased_by, summary, error,
    created_at, finished_at)
SELECT gen_random_uuid(), id, 'rule-' || object_pk::int %% %(rules)s, 1, 'log_message',
    jsonb_build_object('message', %(hostile)s::text), 0, '',
    CASE WHEN object_pk::int %% 50 = 0 THEN 'discarded' WHEN object_pk::int %% 20 = 1 THEN 'pending'
         ELSE 'succeeded' END,
    CASE WHEN object_pk::int %% 3 = 0 THEN 'webhooks' ELSE 'rules' END,
    CASE WHEN object_pk::int %% 3 = 0 THEN 'endpoint-' || object_pk::int %% 7 ELSE '' END,
    '', 1, 0, 0, 0, 'go_on', created_at, '', 'done', CASE WHEN object_pk::int %% 50 = 0 THEN %(hostile)s ELSE '' END,
    created_at, created_at
FROM rules_engine_event
"""
ATTEMPTS = """
INSERT INTO rules_engine_attempt (execution_id, number, outcome, worker, started_at, finished_at, error_type, error,
    detail)
SELECT id, 1, 'succeeded', '', created_at, created_at + interval '20 milliseconds', '', '', '{}'
FROM rules_engine_execution
"""
AUDIT = """
INSERT INTO rules_engine_auditentry (id, at, operation, model, object_pk, object_text, actor_id, actor_name,
    request_id, request_path, fields, changes, note, rule_slug, created_at)
SELECT gen_random_uuid(), created_at, 'update', model, object_pk, %(hostile)s::text, '7', 'somebody', '', '',
    '{}', '{"total": {"old": 1, "new": 2}}', '', 'rule-' || object_pk::int %% %(rules)s, created_at
FROM rules_engine_event
"""
HELD = """
INSERT INTO rules_engine_heldmatch (id, event_id, rule_slug, rule_version, author_id, terms, actions, throttle_key,
    coalesce_key, once_key, stands_for, state, reason, waits_since, due_at, created_at)
SELECT gen_random_uuid(), id, 'rule-' || object_pk::int %% %(rules)s, 1, '',
    '{"throttle": null, "coalesce": 600, "debounce": false, "once": false}', '[]', 'throttled', object_pk, '', 1,
    CASE WHEN object_pk::int %% 10 = 0 THEN 'waiting' ELSE 'released' END, '', created_at,
    created_at + interval '1 day', created_at
FROM rules_engine_event
"""
ERRORS = """
INSERT INTO rules_engine_ruleerror (rule_slug, rule_version, event_id, gate, message, created_at)
SELECT 'rule-' || object_pk::int %% %(rules)s, 1, id, 'condition', %(hostile)s::text, created_at
FROM rules_engine_event WHERE object_pk::int %% 50 = 0
"""
VERSIONS = """
INSERT INTO rules_engine_ruleversion (rule_slug, number, digest, content, author_id, created_at)
SELECT slug, number, number::text, '{}', '', now() - number * interval '1 day'
FROM rules_engine_rule, generate_series(1, 20) AS number ON CONFLICT DO NOTHING
"""
STATEMENTS = (EVENTS, EXECUTIONS, ATTEMPTS, AUDIT, HELD, ERRORS, VERSIONS, BUSY_EVENTS)


def fill(*, rules: int, executions: int, hostile: str) -> None:
    """Write them: the executions within the last day, evenly, one in fifty failed, one in three for one of seven
    endpoints; with each event, an audit entry and a held match. PostgreSQL alone."""
    Order.objects.create(order_number="1")
    author = get_user_model().objects.create_superuser("author", "author@example.com", "x")
    made = Rule.objects.bulk_create(
        Rule(
            slug=f"rule-{number}",
            name=f"{number} {hostile}"[:200],
            description=hostile,
            model="shop.order",
            signals=["post_save"],
            operations=["create", "update"],
            condition={">": [{"var": "instance.total"}, number]},
            author=author,
        )
        for number in range(rules)
    )
    Recording.objects.create(model="shop.order", until="2999-01-01T00:00:00Z")
    Pause.objects.bulk_create(Pause(rule_slug=one.slug, reason=hostile) for one in made[::10])
    Endpoint.objects.bulk_create(
        Endpoint(slug=f"endpoint-{number}", name=f"{number} {hostile}"[:200], url="https://example.com/")
        for number in range(ENDPOINTS)
    )
    logs, touches = ("log_message", {"message": hostile}), ("update_objects", {"model": "shop.order", **TOUCHING})
    configs = [(one, touches if number % 10 == 1 else logs) for number, one in enumerate(made)]
    RuleAction.objects.bulk_create(RuleAction(rule=one, kind=kind, config=config) for one, (kind, config) in configs)
    contents = {one.slug: content_of(one.spec()) for one in Rule.objects.prefetch_related("actions")}
    versions = [
        RuleVersion(rule_slug=slug, number=1, digest=digest_of(one), content=one) for slug, one in contents.items()
    ]
    # A process that refreshes its rules numbers them too.
    RuleVersion.objects.bulk_create(versions, ignore_conflicts=True)
    values = {"rules": rules, "executions": executions, "hostile": hostile[:200], "busy": BUSY}
    with connection.cursor() as cursor:
        for statement in STATEMENTS:
            cursor.execute(statement, values)
        cursor.execute("ANALYZE")
