"""OpenTelemetry's own SDK and instrumentations as a site sets them up; ``python -m tests.interop.traced FILE`` is a
Celery worker that has them, writes its spans into the file, and logs as the how-to's example for JSON says."""

from __future__ import annotations

import json
import logging.config
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult

from tests.interop.examples import logging_examples


class FileExporter(SpanExporter):
    """Writes each span as a line of JSON."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        with self.path.open("a") as lines:
            lines.writelines(f"{json.dumps(told(span))}\n" for span in spans)
        return SpanExportResult.SUCCESS


def told(span: ReadableSpan) -> dict[str, Any]:
    """What tests ask of a span."""
    return {
        "name": span.name,
        "kind": span.kind.name,
        "trace": f"{span.context.trace_id:032x}",
        "span": f"{span.context.span_id:016x}",
        "parent": f"{span.parent.span_id:016x}" if span.parent else None,
        "links": [f"{link.context.span_id:016x}" for link in span.links],
        "attributes": dict(span.attributes or {}),
        "status": span.status.status_code.name,
        "events": [event.name for event in span.events],
    }


def main(path: str) -> None:
    """Begin as a worker's process of a site does."""
    import django

    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(FileExporter(Path(path))))
    trace.set_tracer_provider(provider)
    from opentelemetry.instrumentation.celery import CeleryInstrumentor
    from opentelemetry.instrumentation.psycopg import PsycopgInstrumentor

    CeleryInstrumentor().instrument()
    PsycopgInstrumentor().instrument(skip_dep_check=True)
    django.setup()
    logging.config.dictConfig(logging_examples()["json"])
    from project.celery import app

    app.worker_main(["worker", "--pool=solo", "--queues=rules,webhooks", "--loglevel=INFO"])


if __name__ == "__main__":
    main(sys.argv[1])
