"""Scrapes: what Prometheus is told, parsed by the library that writes it."""

from __future__ import annotations

from django.test import Client
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

TOKEN = "a-token-of-the-tests"
ADDRESS = "/monitoring/metrics"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
#: A sample's name with the values of its labels, in the order of their names, and its value.
Scraped = dict[tuple[str, tuple[str, ...]], float]


def text() -> str:
    """Ask for the metrics as Prometheus does."""
    response = Client().get(ADDRESS, headers=BEARER)
    assert response.status_code == 200, response.content
    return response.content.decode()


def samples(told: str) -> list[Sample]:
    """Return all samples of a text."""
    return [sample for family in text_string_to_metric_families(told) for sample in family.samples]


def scrape() -> Scraped:
    """Return what there is to be scraped now."""
    found = samples(text())
    return {(one.name, tuple(value for _, value in sorted(one.labels.items()))): one.value for one in found}
