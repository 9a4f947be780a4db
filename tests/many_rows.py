"""A site with a past: rules, events and executions by the hundred thousand, written by the database itself."""

from __future__ import annotations

from django.contrib.auth import get_user_model
from django.db import connection

from rules_engine.models import Rule, RuleAction

EVENTS = """
INSERT INTO rules_engine_event (id, signal, operation, model, object_pk, occurred_at, root_id, depth, execution_count,
    actor_id, actor_name, request_id, context, decimals, evaluations, created_at)
SELECT id, 'post_save', 'update', 'shop.order', number::text, moment, id, 0, 1, '', 'somebody', '',
    jsonb_build_object('instance', jsonb_build_object('order_number', %(hostile)s::text)), '[]',
    jsonb_build_array(jsonb_build_object('rule', 'rule-' || number %% %(rules)s, 'version', 1, 'outcome', 'matched')),
    moment
FROM (SELECT gen_random_uuid() AS id, number, now() - number * interval '24 hours' / %(executions)s AS moment
      FROM generate_series(1, %(executions)s) AS number) AS made
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
    '{}', '{"total": {"old": 1, "new": 2}}', '', '', created_at
FROM rules_engine_event
"""


def fill(*, rules: int, executions: int, hostile: str) -> None:
    """Write them: the executions within the last day, evenly, one in fifty failed. PostgreSQL alone."""
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
    config = {"message": hostile}
    RuleAction.objects.bulk_create(RuleAction(rule=one, kind="log_message", config=config) for one in made)
    values = {"rules": rules, "executions": executions, "hostile": hostile[:200]}
    with connection.cursor() as cursor:
        for statement in (EVENTS, EXECUTIONS, ATTEMPTS, AUDIT):
            cursor.execute(statement, values)
        for table in ("event", "execution", "attempt", "auditentry", "rule"):
            cursor.execute(f"ANALYZE rules_engine_{table}")
