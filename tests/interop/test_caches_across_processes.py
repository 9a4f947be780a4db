"""django-cachalot and django-cacheops: what another process changed is heard of, however the cache remembers."""

from __future__ import annotations

import json

import pytest

from rules_engine.models import Pause, Rule, RuleSetVersion
from rules_engine.testing import create_rule
from tests import services
from tests.faults.processes import python
from tests.integration.test_orm_caches import elsewhere

pytestmark = pytest.mark.django_db(transaction=True)


CACHES = {
    "cachalot": "settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, 'cachalot']",
    "cacheops": """settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, 'cacheops']
settings.CACHEOPS_REDIS = os.environ["CACHE_REDIS"]
settings.CACHEOPS = {"*.*": {"ops": "all", "timeout": 600}}""",
}
READ = """
from rules_engine.models import Execution, Pause, Rule, RuleSetVersion
def read():
    states = list(Execution.objects.values_list("state", flat=True))
    enabled, pauses = Rule.objects.get(slug="r").enabled, Pause.objects.count()
    number, paused = RuleSetVersion.current("default"), Pause.objects.exists()
    say(number=number, enabled=enabled, pauses=pauses, states=states, paused=paused)
read()
sys.stdin.readline()
read()
"""


@pytest.mark.parametrize("package", CACHES)
def test_beside_a_real_cache_another_process_is_heard_of(package: str, process_environment: dict[str, str]) -> None:
    environment = {**process_environment, "CACHE_REDIS": services.SERVICES["redis"].find() or ""}
    if package == "cacheops" and not environment["CACHE_REDIS"]:
        pytest.skip("There is no Redis.")
    create_rule(model="shop.product", slug="r", actions=[("log_message", {"message": "x"})])
    number = RuleSetVersion.current("default")
    first = f"import os\nfrom django.conf import settings\n{CACHES[package]}\n"
    process = python(READ, environment, first=first)
    assert process.stdout is not None
    before = json.loads(process.stdout.readline())
    assert before == {"number": number, "enabled": True, "pauses": 0, "states": [], "paused": False}

    elsewhere(Rule, enabled=False)
    elsewhere(RuleSetVersion, number=number + 10)
    Pause.objects.create()
    out, err = process.communicate("\n", timeout=60)
    after = json.loads(out)
    assert (after["enabled"], after["pauses"], after["paused"]) == (False, 1, True), err
    assert after["number"] > number + 9
