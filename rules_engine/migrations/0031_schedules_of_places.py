"""Rules on time are looked after in each of a site's surroundings by itself: a schedule, and a firing, for each place.

A table's key cannot be made another one on every database, so the schedules, one for each rule on time, go to a new
table, which then has the old one's name: a worker of the release before goes on with it.
"""

from typing import Any

import django.db.models.functions.datetime
from django.db import migrations, models

COLUMNS = ('rule_slug', 'digest', 'since', 'looked_until', 'next_look_at', 'next_wide_at', 'step', 'skipped', 'error')


def _copy(apps: Any, schema_editor: Any, source: str, target: str) -> None:
    using = schema_editor.connection.alias
    rows = apps.get_model('rules_engine', source).objects.using(using).all()
    if source == 'PlacedSchedule':
        rows = rows.filter(surroundings='')
    model = apps.get_model('rules_engine', target)
    model.objects.using(using).bulk_create([model(**row) for row in rows.values(*COLUMNS)])


def move(apps: Any, schema_editor: Any) -> None:
    _copy(apps, schema_editor, 'Schedule', 'PlacedSchedule')


def move_back(apps: Any, schema_editor: Any) -> None:
    _copy(apps, schema_editor, 'PlacedSchedule', 'Schedule')


class Migration(migrations.Migration):

    dependencies = [
        ('rules_engine', '0030_untold_workers'),
    ]

    operations = [
        migrations.CreateModel(
            name='PlacedSchedule',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('rule_slug', models.CharField(max_length=100, verbose_name='rule')),
                ('surroundings', models.CharField(blank=True, db_default='', default='', editable=False, max_length=100)),
                ('digest', models.CharField(editable=False, max_length=64)),
                ('since', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='since')),
                ('looked_until', models.DateTimeField(null=True, verbose_name='looked until')),
                ('next_look_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='next look')),
                ('next_wide_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('step', models.PositiveBigIntegerField(db_default=0, default=0)),
                ('skipped', models.PositiveBigIntegerField(db_default=0, default=0, verbose_name='left out')),
                ('error', models.TextField(blank=True, db_default='', default='', verbose_name='error')),
            ],
            options={
                'verbose_name': 'schedule of a rule',
                'verbose_name_plural': 'schedules of rules',
                'indexes': [models.Index(fields=['next_look_at'], name='rules_schedule_next_look')],
                'constraints': [models.UniqueConstraint(fields=('rule_slug', 'surroundings'), name='rules_engine_schedule_of_place')],
            },
        ),
        migrations.RunPython(move, move_back),
        migrations.DeleteModel('Schedule'),
        migrations.RenameModel('PlacedSchedule', 'Schedule'),
        migrations.AddField(
            model_name='firing',
            name='surroundings',
            field=models.CharField(blank=True, db_default='', default='', editable=False, max_length=100),
        ),
        migrations.AddConstraint(
            model_name='firing',
            constraint=models.UniqueConstraint(fields=('rule_slug', 'object_key', 'due_at', 'surroundings'), name='rules_engine_fired_once_a_place'),
        ),
        migrations.RemoveConstraint(
            model_name='firing',
            name='rules_engine_fired_once',
        ),
    ]
