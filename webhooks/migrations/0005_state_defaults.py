from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('webhooks', '0004_endpoint_defaults'),
    ]

    operations = [
        migrations.AlterField(
            model_name='endpointstate',
            name='failures',
            field=models.PositiveIntegerField(db_default=0, default=0, verbose_name='failures in a row'),
        ),
        migrations.AlterField(
            model_name='endpointstate',
            name='last_error',
            field=models.TextField(blank=True, db_default='', default='', verbose_name='last error'),
        ),
        migrations.AlterField(
            model_name='endpointstate',
            name='pauses',
            field=models.PositiveIntegerField(db_default=0, default=0, verbose_name='pauses in a row'),
        ),
    ]
