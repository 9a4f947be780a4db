"""Defaults of columns in the database: a process of an older release goes on writing rows when a newer one has brought
columns that it does not know, and one of a newer release may leave out what it writes no longer.
"""

import time
from contextlib import nullcontext
from typing import Any

import django.core.validators
from django.db import OperationalError, migrations, models, transaction
from django.db.migrations.operations.base import Operation

#: Seconds for which what saves may stand behind us in the line for a table, and how often we get into that line.
LOCK_SECONDS, TRIES = 1, 30


class AlterTogether(Operation):
    """Alters fields of one model in a transaction of their own, so that nobody waits for two tables at once, and on
    SQLite copies its table once."""

    def __init__(self, model_name: str, fields: list[tuple[str, Any]]) -> None:
        self.model_name, self.fields = model_name, dict(fields)

    def state_forwards(self, app_label: str, state: Any) -> None:
        state.models[app_label, self.model_name].fields.update(self.fields)
        state.reload_model(app_label, self.model_name, delay=True)

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        now, then = (state.apps.get_model(app_label, self.model_name) for state in (from_state, to_state))
        if not self.allow_migrate_model(schema_editor.connection.alias, then):
            return
        pairs = [(now._meta.get_field(name), then._meta.get_field(name)) for name in self.fields]
        connection = schema_editor.connection
        # MariaDB and MySQL commit each statement by themselves.
        together = transaction.atomic(using=connection.alias) if connection.features.can_rollback_ddl else nullcontext()
        with together:
            if connection.vendor == "sqlite":
                schema_editor._remake_table(now, alter_fields=pairs)
                return
            if connection.vendor == "postgresql" and not schema_editor.collect_sql:
                _lock(connection, now._meta.db_table)
            for old, new in pairs:
                schema_editor.alter_field(now, old, new)

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        self.database_forwards(app_label, schema_editor, from_state, to_state)

    def describe(self) -> str:
        return f"Defaults of columns of {self.model_name}"

    @property
    def migration_name_fragment(self) -> str:
        return f"{self.model_name}_defaults"


def _lock(connection: Any, table: str) -> None:
    """Wait for the table's lock, in short turns: whoever saves behind us would wait for the transactions before us."""
    for left in reversed(range(TRIES)):
        try:
            with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
                cursor.execute(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'")
                cursor.execute(f"LOCK TABLE {connection.ops.quote_name(table)} IN ACCESS EXCLUSIVE MODE")
            return
        except OperationalError:
            if not left:
                raise
            time.sleep(LOCK_SECONDS)


class Migration(migrations.Migration):

    # A transaction a table, and no longer.
    atomic = False

    dependencies = [
        ('rules_engine', '0024_firing_index'),
    ]

    operations = [
        AlterTogether('armed', [
            ('holds', models.BooleanField(db_default=True, default=True, verbose_name='holds')),
            ('key', models.CharField(blank=True, db_default='', default='', max_length=255, verbose_name='waits for')),
            ('model', models.CharField(blank=True, db_default='', default='', max_length=200, verbose_name='model')),
            ('state', models.CharField(choices=[('new', 'new'), ('waiting', 'waiting'), ('done', 'done')], db_default='new', default='new', max_length=10, verbose_name='state')),
        ]),
        AlterTogether('attempt', [
            ('detail', models.JSONField(blank=True, db_default={}, default=dict, verbose_name='detail')),
            ('error', models.TextField(blank=True, db_default='', default='', verbose_name='error')),
            ('error_type', models.CharField(blank=True, db_default='', default='', max_length=200, verbose_name='error type')),
            ('outcome', models.CharField(choices=[('started', 'started'), ('succeeded', 'succeeded'), ('failed', 'failed'), ('lost', 'lost with its process'), ('put_off', 'put off')], db_default='started', default='started', max_length=10, verbose_name='outcome')),
            ('worker', models.CharField(blank=True, db_default='', default='', max_length=200, verbose_name='worker')),
        ]),
        AlterTogether('auditentry', [
            ('actor_id', models.CharField(blank=True, db_default='', default='', max_length=64, verbose_name='actor')),
            ('actor_name', models.CharField(blank=True, db_default='', default='', max_length=255, verbose_name="actor's name")),
            ('changes', models.JSONField(blank=True, db_default={}, default=dict, verbose_name='changes')),
            ('fields', models.JSONField(blank=True, db_default={}, default=dict, verbose_name='fields')),
            ('model', models.CharField(blank=True, db_default='', default='', max_length=200, verbose_name='model')),
            ('note', models.TextField(blank=True, db_default='', default='', verbose_name='note')),
            ('object_pk', models.CharField(blank=True, db_default='', default='', max_length=255, verbose_name='object')),
            ('object_text', models.CharField(blank=True, db_default='', default='', max_length=255, verbose_name="object's name")),
            ('request_id', models.CharField(blank=True, db_default='', default='', max_length=64, verbose_name='request')),
            ('request_path', models.CharField(blank=True, db_default='', default='', max_length=500, verbose_name='path')),
            ('rule_slug', models.CharField(blank=True, db_default='', default='', max_length=100, verbose_name='rule')),
        ]),
        AlterTogether('auditseal', [
            ('entries', models.JSONField(db_default=[], default=list, editable=False, verbose_name='entries')),
            ('previous', models.CharField(blank=True, db_default='', default='', editable=False, max_length=64, verbose_name='previous hash')),
            ('reason', models.CharField(blank=True, choices=[('retention', 'retention'), ('erasure', 'erasure')], db_default='', default='', editable=False, max_length=10, verbose_name='reason')),
            ('removed', models.JSONField(db_default=[], default=list, editable=False, verbose_name='removed')),
        ]),
        AlterTogether('capturedchange', [
            ('new', models.TextField(blank=True, db_default='', default='')),
            ('object_pk', models.CharField(blank=True, db_default='', default='', max_length=255, verbose_name='object')),
            ('old', models.TextField(blank=True, db_default='', default='')),
            ('origin', models.TextField(blank=True, db_default='', default='')),
        ]),
        AlterTogether('event', [
            ('actor_id', models.CharField(blank=True, db_default='', default='', max_length=64, verbose_name='actor')),
            ('actor_name', models.CharField(blank=True, db_default='', default='', max_length=255, verbose_name="actor's name")),
            ('context', models.JSONField(db_default={}, default=dict, verbose_name='context')),
            ('decimals', models.JSONField(db_default=[], default=list, editable=False)),
            ('depth', models.PositiveSmallIntegerField(db_default=0, default=0, verbose_name='depth')),
            ('evaluations', models.JSONField(db_default=[], default=list, verbose_name='evaluations')),
            ('model', models.CharField(blank=True, db_default='', default='', max_length=200, verbose_name='model')),
            ('object_pk', models.CharField(blank=True, db_default='', default='', max_length=255, verbose_name='object')),
            ('operation', models.CharField(blank=True, db_default='', default='', max_length=10, verbose_name='operation')),
            ('request_id', models.CharField(blank=True, db_default='', default='', max_length=64, verbose_name='request')),
        ]),
        AlterTogether('execution', [
            ('attempts', models.PositiveIntegerField(db_default=0, default=0, verbose_name='attempts')),
            ('author_id', models.CharField(blank=True, db_default='', default='', max_length=64, verbose_name='author')),
            ('config', models.JSONField(db_default={}, default=dict, verbose_name='config')),
            ('crashes', models.PositiveSmallIntegerField(db_default=0, default=0, verbose_name='crashes')),
            ('delay', models.PositiveIntegerField(db_default=0, default=0, verbose_name='delay')),
            ('error', models.TextField(blank=True, db_default='', default='', verbose_name='error')),
            ('failures', models.PositiveIntegerField(db_default=0, default=0, editable=False)),
            ('lane', models.CharField(blank=True, db_default='', default='', max_length=200, verbose_name='lane')),
            ('leased_by', models.CharField(blank=True, db_default='', default='', max_length=200, verbose_name='leased by')),
            ('on_failure', models.CharField(db_default='go_on', default='go_on', editable=False, max_length=10)),
            ('order_key', models.CharField(blank=True, db_default='', default='', max_length=255, verbose_name='order key')),
            ('position', models.PositiveIntegerField(db_default=0, default=0, verbose_name='position')),
            ('state', models.CharField(choices=[('pending', 'pending'), ('running', 'running'), ('succeeded', 'succeeded'), ('retryable', 'retryable'), ('discarded', 'discarded'), ('cancelled', 'cancelled'), ('refused', 'refused')], db_default='pending', default='pending', max_length=10, verbose_name='state')),
            ('summary', models.TextField(blank=True, db_default='', default='', verbose_name='what it did')),
        ]),
        AlterTogether('firing', [
            ('object_key', models.CharField(blank=True, db_default='', default='', max_length=255, verbose_name='object')),
        ]),
        AlterTogether('heldmatch', [
            ('actions', models.JSONField(db_default=[], default=list, editable=False)),
            ('author_id', models.CharField(blank=True, db_default='', default='', max_length=64, verbose_name='author')),
            ('coalesce_key', models.CharField(blank=True, db_default='', default='', max_length=255, verbose_name='taken together as')),
            ('once_key', models.CharField(blank=True, db_default='', default='', max_length=255, verbose_name='once for')),
            ('reason', models.TextField(blank=True, db_default='', default='', verbose_name='reason')),
            ('state', models.CharField(choices=[('waiting', 'waiting'), ('released', 'released'), ('dropped', 'held back')], db_default='waiting', default='waiting', max_length=10, verbose_name='state')),
            ('terms', models.JSONField(db_default={}, default=dict, editable=False)),
            ('throttle_key', models.CharField(blank=True, db_default='', default='', max_length=255, verbose_name='counted for')),
        ]),
        AlterTogether('largechange', [
            ('failures', models.PositiveIntegerField(db_default=0, default=0, verbose_name='failures')),
            ('is_target', models.BooleanField(db_default=False, default=False)),
            ('keys', models.JSONField(db_default=[], default=list)),
            ('origin', models.JSONField(db_default={}, default=dict)),
        ]),
        AlterTogether('mailhour', [
            ('discarded', models.PositiveIntegerField(db_default=0, default=0, verbose_name='discarded')),
            ('expected', models.PositiveIntegerField(db_default=0, default=0, verbose_name='expected')),
            ('put_off', models.PositiveIntegerField(db_default=0, default=0, verbose_name='put off')),
            ('rule_slug', models.CharField(blank=True, db_default='', default='', max_length=100, verbose_name='rule')),
            ('sent', models.PositiveIntegerField(db_default=0, default=0, verbose_name='mailed')),
        ]),
        AlterTogether('rule', [
            ('coalesce_by', models.TextField(blank=True, db_default='', default='', help_text='A text such as {{ signal.path }}; empty: the object.', verbose_name='taken together by')),
            ('debounce', models.BooleanField(db_default=False, default=False, help_text='Each further match starts the wait again.', verbose_name='wait until it is quiet')),
            ('once', models.BooleanField(db_default=False, default=False, help_text='It acts on the first match of each object, and never again.', verbose_name='once per object')),
            ('raw', models.BooleanField(db_default=False, default=False, help_text='Rules do not see what loaddata saves, unless this is ticked.', verbose_name='also when data is loaded')),
            ('sample_percent', models.PositiveSmallIntegerField(db_default=100, default=100, help_text='Tried on this share of all events, chosen by chance.', validators=[django.core.validators.MinValueValidator(1), django.core.validators.MaxValueValidator(100)], verbose_name='sample, in percent')),
            ('throttle_by', models.TextField(blank=True, db_default='', default='', help_text='A text such as {{ instance.customer_id }}; empty: the rule as a whole.', verbose_name='counted separately for each')),
        ]),
        AlterTogether('ruleaction', [
            ('delay', models.PositiveIntegerField(db_default=0, default=0, validators=[django.core.validators.MaxValueValidator(2592000)], verbose_name='delay, in seconds')),
            ('on_failure', models.CharField(choices=[('go_on', 'the next actions go on'), ('stop', 'the next actions are not carried out')], db_default='go_on', default='go_on', max_length=10, verbose_name='if it fails')),
        ]),
        AlterTogether('ruleerror', [
            ('gate', models.CharField(blank=True, db_default='', default='', max_length=20, verbose_name='gate')),
        ]),
        AlterTogether('run', [
            ('asked_by', models.CharField(blank=True, db_default='', default='', max_length=255, verbose_name='asked for by')),
            ('counts_only', models.BooleanField(db_default=False, default=False)),
            ('failed', models.BigIntegerField(db_default=0, default=0, verbose_name='failed')),
            ('failures', models.PositiveIntegerField(db_default=0, default=0, verbose_name='failures')),
            ('looked_at', models.BigIntegerField(db_default=0, default=0, verbose_name='looked at')),
            ('matched', models.BigIntegerField(db_default=0, default=0, verbose_name='matched')),
            ('reason', models.TextField(blank=True, db_default='', default='', verbose_name='reason')),
            ('state', models.CharField(choices=[('waiting', 'waiting for a worker'), ('running', 'going on'), ('done', 'done'), ('cancelled', 'cancelled'), ('stopped', 'stopped')], db_default='waiting', default='waiting', max_length=10, verbose_name='state')),
            ('step', models.PositiveIntegerField(db_default=0, default=0)),
        ]),
    ]
