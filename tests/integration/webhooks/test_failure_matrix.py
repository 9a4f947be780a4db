"""The failure matrix of webhooks, row by row, through the sender that workers run: docs/explanation/failures.md.

What needs real workers that die is in tests/faults; rows 18 to 21 are about a save, and nothing is sent there.
"""

from __future__ import annotations

import gzip
import re
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import F
from django.utils import timezone
from standardwebhooks import Webhook as Verifier

from project.shop.models import Product
from rules_engine.models import Attempt, Execution
from rules_engine.sending import Selection, replay
from rules_engine.testing import create_rule
from rules_engine.testing.faults.servers import closed_port
from rules_engine.work.queues import drain as drain_queue
from tests import http_server as behave
from tests.certificates import Authority
from tests.factories import make_endpoint
from tests.http_server import MisbehavingServer
from tests.integration.webhooks.waiting import make_due
from webhooks.models import Endpoint, EndpointState, lanes
from webhooks.sending.sender import drain

pytestmark = pytest.mark.django_db(transaction=True)

ROOT = Path(__file__).resolve().parents[3]
ROWS = set(range(1, 42))


def endpoint(url: str, slug: str = "crm", **fields: Any) -> Endpoint:
    """An endpoint, and a rule that calls it at every save of a product."""
    made = make_endpoint(slug, url=url, **fields)
    actions = [("webhook", {"endpoint": slug, "payload": '{"id": "{{ instance.id }}"}'})]
    create_rule(model="shop.product", signals=["post_save"], actions=actions)
    return made


def save(count: int = 1) -> None:
    for _ in range(count):
        number = Product.objects.count()
        Product.objects.create(name=f"p{number}", slug=f"p{number}", price="1")


def send() -> Execution:
    """Save a product, drain, and give what became of the delivery."""
    save()
    drain(10)
    return Execution.objects.latest("created_at")


def detail() -> dict[str, Any]:
    """What the last attempt recorded."""
    detail: dict[str, Any] = Attempt.objects.latest("id").detail
    return detail


def states() -> Counter[str]:
    return Counter(Execution.objects.filter(kind="webhook").values_list("state", flat=True))


def is_charged(slug: str = "crm") -> bool:
    return EndpointState.objects.filter(endpoint__slug=slug, failures__gt=0).exists()


def assert_timed_out(execution: Execution) -> None:
    assert execution.state == "retryable"
    assert detail()["error_kind"] == "timeout"
    assert is_charged()


@pytest.fixture
def impatient(server: MisbehavingServer, settings: Any) -> MisbehavingServer:
    """The server, which has less than a second."""
    settings.WEBHOOKS = {**settings.WEBHOOKS, "DEADLINE_SECONDS": 0.5}
    return server


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """``names("10.0.0.1", …)`` has the system's resolver answer so for receiver.example; gives the names asked for."""

    def answer(*lookups: list[str]) -> list[str]:
        asked: list[str] = []

        def getaddrinfo(host: str, port: Any, *rest: Any, **options: Any) -> Any:
            if host != "receiver.example":
                return right(host, port, *rest, **options)
            addresses = lookups[min(len(asked), len(lookups) - 1)]
            asked.append(host)
            families = [(socket.AF_INET6 if ":" in address else socket.AF_INET, address) for address in addresses]
            return [(family, socket.SOCK_STREAM, 6, "", (address, port)) for family, address in families]

        right = socket.getaddrinfo
        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        return asked

    return answer


def test_row_01_dripping_headers_are_cut_off_at_the_deadline(impatient: MisbehavingServer) -> None:
    endpoint(impatient.url("/crm"))
    impatient.script(behave.drip_headers(every=0.02))
    assert_timed_out(send())


def test_row_02_a_dripping_body_is_cut_off_at_the_deadline(impatient: MisbehavingServer) -> None:
    endpoint(impatient.url("/crm"))
    impatient.script(behave.drip_body(every=0.02))
    assert_timed_out(send())


def test_row_03_a_body_that_stops_half_way_is_cut_off_at_the_deadline(impatient: MisbehavingServer) -> None:
    endpoint(impatient.url("/crm"))
    impatient.script(behave.hang_mid_body())
    assert_timed_out(send())


def test_row_04_endless_informational_answers_are_cut_off_at_the_deadline(impatient: MisbehavingServer) -> None:
    endpoint(impatient.url("/crm"))
    impatient.script(behave.endless_informational())
    assert_timed_out(send())


def test_row_05_of_a_huge_answer_16_kib_are_read(server: MisbehavingServer) -> None:
    endpoint(server.url("/crm"))
    server.script(behave.huge_body())
    assert send().state == "succeeded"
    assert 0 < len(detail()["excerpt"]) <= 16_384


def test_row_06_a_gzip_bomb_is_not_unpacked(server: MisbehavingServer) -> None:
    endpoint(server.url("/crm"))
    packed = gzip.compress(b"unpacked " * 1000)
    server.script(behave.gzip_bomb(), behave.answer(200, packed, {"Content-Encoding": "gzip"}))
    assert send().state == "succeeded"
    assert len(detail()["excerpt"]) <= 16_384
    assert send().state == "succeeded"
    assert "unpacked unpacked" not in detail()["excerpt"]
    assert {request.header("accept-encoding") for request in server.requests} == {"identity"}


def test_row_07_a_header_bomb_is_no_answer(server: MisbehavingServer) -> None:
    endpoint(server.url("/crm"))
    for bomb in (behave.header_bomb(), behave.long_header()):
        server.script(bomb)
        assert send().state == "retryable"
        assert detail()["error_kind"] == "protocol"


def test_row_08_a_2xx_whose_body_breaks_off_is_sent_again(server: MisbehavingServer) -> None:
    endpoint(server.url("/crm"))
    server.script(behave.truncated_body(200))
    assert send().state == "retryable"
    make_due()
    drain(5)
    assert states() == {"succeeded": 1}
    assert len({request.header("webhook-id") for request in server.requests}) == 1


def test_row_09_a_redirect_to_a_metadata_address_makes_no_second_request(server: MisbehavingServer) -> None:
    endpoint(server.url("/crm"))
    server.script(behave.redirect("http://169.254.169.254/latest/meta-data"))
    execution = send()
    assert execution.state == "retryable"
    assert "redirect" in execution.error
    assert len(server.requests) == server.connections == 1


def test_row_10_only_the_checked_address_of_a_changing_name_is_dialled(
    server: MisbehavingServer, names: Callable[..., list[str]]
) -> None:
    asked = names(["127.0.0.1"], ["169.254.169.254"])
    endpoint(server.url("/crm", host="receiver.example"))
    assert send().state == "succeeded"
    assert asked == ["receiver.example"]


def test_row_11_among_mixed_answers_the_public_one_is_taken(
    server: MisbehavingServer, names: Callable[..., list[str]]
) -> None:
    names(["10.0.0.1", "fe80::1", "127.0.0.1"])
    endpoint(server.url("/crm", host="receiver.example"))
    assert send().state == "succeeded"


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "127.1", "0", "①②⑦.⓪.⓪.①"])
def test_row_12_an_address_in_disguise_is_refused_on_save_and_not_dialled(server: MisbehavingServer, host: str) -> None:
    refused_twice(server, server.url("/crm", host=host))


@pytest.mark.parametrize(
    "host", ["[::127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[fec0::1]", "[::ffff:10.0.0.1]"]
)
def test_row_13_an_address_within_an_ipv6_address_is_not_dialled(server: MisbehavingServer, host: str) -> None:
    refused_twice(server, server.url("/crm", host=host))


def test_row_13_a_mapped_address_is_what_it_maps(server: MisbehavingServer, settings: Any) -> None:
    settings.WEBHOOKS = {**settings.WEBHOOKS, "ALLOWED_NETWORKS": []}
    refused_twice(server, server.url("/crm", host="[::ffff:127.0.0.1]"), good="https://example.com/")


def refused_twice(server: MisbehavingServer, url: str, good: str = "") -> None:
    """On save; and by the sender, where it came into the database by another way."""
    with pytest.raises(ValidationError) as raised:
        make_endpoint("bad", url=url)
    assert set(raised.value.message_dict) == {"url"}
    endpoint(good or server.url("/crm"))
    Endpoint.objects.update(url=url)
    assert send().state == "discarded"
    assert server.connections == 0
    assert not is_charged()


def test_row_14_a_name_with_private_addresses_is_refused_unsaid_which(
    server: MisbehavingServer, names: Callable[..., list[str]]
) -> None:
    names(["10.0.0.1", "::ffff:192.168.0.1"])
    endpoint(server.url("/crm", host="receiver.example"))
    execution = send()
    assert execution.state == "discarded"
    assert "10.0.0.1" not in execution.error
    assert "192.168" not in execution.error
    assert server.connections == 0
    assert not is_charged()


def test_row_15_proxy_netrc_and_authorities_around_are_ignored(
    server: MisbehavingServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login mallory password hunter2\n")
    netrc.chmod(0o600)
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{closed_port()}")
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "SSLKEYLOGFILE"):
        monkeypatch.setenv(name, str(tmp_path / "elsewhere"))
    monkeypatch.setenv("NETRC", str(netrc))
    endpoint(server.url("/crm"))
    assert send().state == "succeeded"
    assert server.requests[0].header("authorization") == ""


def test_row_16_a_proxy_that_is_down_is_not_charged_to_the_endpoint(server: MisbehavingServer, settings: Any) -> None:
    settings.WEBHOOKS = {**settings.WEBHOOKS, "PROXY": f"http://127.0.0.1:{closed_port()}"}
    endpoint(server.url("/crm"))
    execution = send()
    assert execution.state == "retryable"
    assert Attempt.objects.get().detail["error_kind"] == "proxy"
    assert not is_charged()
    assert server.requests == []
    settings.WEBHOOKS = {**settings.WEBHOOKS, "PROXY": None}
    Execution.objects.all().retry()
    drain(5)
    assert Execution.objects.get().state == "succeeded"


def test_row_16_deliveries_go_through_the_proxy_of_the_settings(server: MisbehavingServer, settings: Any) -> None:
    allowed = ["203.0.113.0/24"]
    settings.WEBHOOKS = {**settings.WEBHOOKS, "ALLOWED_NETWORKS": allowed, "PROXY": server.url("").rstrip("/")}
    endpoint("http://203.0.113.7/crm")
    assert send().state == "succeeded"
    assert [request.target for request in server.requests] == ["http://203.0.113.7/crm"]


def test_row_16_what_is_refused_without_a_proxy_is_refused_with_one(server: MisbehavingServer, settings: Any) -> None:
    made = endpoint(server.url("/crm"))
    settings.WEBHOOKS = {
        **settings.WEBHOOKS,
        "PROXY": server.url("").rstrip("/"),
        "ALLOWED_NETWORKS": [],
        "ALLOWED_PORTS": [80],
    }
    Endpoint.objects.filter(pk=made.pk).update(url="http://localhost/crm")
    assert send().state == "discarded"
    assert server.requests == []


def test_row_16_a_proxy_that_says_no_is_not_charged_to_the_endpoint(server: MisbehavingServer, settings: Any) -> None:
    server.script(behave.answer(407))
    allowed = ["203.0.113.0/24", "127.0.0.0/8"]
    settings.WEBHOOKS = {**settings.WEBHOOKS, "ALLOWED_NETWORKS": allowed, "PROXY": server.url("").rstrip("/")}
    endpoint("https://203.0.113.7/crm")
    execution = send()
    assert (execution.state, "407" in execution.error) == ("retryable", True)
    assert not is_charged()


def test_row_17_a_unicode_host_is_stored_as_idna_or_refused(settings: Any) -> None:
    made = make_endpoint("idna", url="https://bücher.example/hook")
    assert made.url == "https://xn--bcher-kva.example/hook"
    with pytest.raises(ValidationError) as raised:
        make_endpoint("bad", url="https://bü\u2024cher..example/")
    assert set(raised.value.message_dict) == {"url"}


@pytest.mark.parametrize(
    "url", ["https://user:pass@example.com/", "https://example.com\\@127.0.0.1/", "file:///etc/passwd", "//example.com"]
)
def test_row_18_a_url_that_could_be_misread_is_refused_on_save(url: str) -> None:
    with pytest.raises(ValidationError) as raised:
        make_endpoint("bad", url=url)
    assert set(raised.value.message_dict) == {"url"}


def assert_header_refused(headers: dict[str, str]) -> None:
    with pytest.raises(ValidationError) as raised:
        make_endpoint("bad", url="https://example.com/", headers=headers)
    assert set(raised.value.message_dict) == {"headers"}
    assert not Endpoint.objects.exists()


@pytest.mark.parametrize("text", ["a\r\nwebhook-id: forged", "a\nb", "a\rb", "a\x00b"])
def test_row_19_a_line_break_in_a_header_is_refused_on_save(text: str) -> None:
    assert_header_refused({"X-Team": text})
    assert_header_refused({text: "x"})


def test_row_20_a_header_beyond_latin_1_is_refused_on_save() -> None:
    assert_header_refused({"X-Team": "Łódź"})


@pytest.mark.parametrize("name", ["Transfer-Encoding", "transfer-encoding", "Content-Length", "Host", "webhook-id"])
def test_row_21_a_header_that_frames_the_message_is_refused_on_save(name: str) -> None:
    assert_header_refused({name: "chunked"})


@pytest.fixture
def start_tls(settings: Any) -> Iterator[Callable[..., MisbehavingServer]]:
    """Starts a server over TLS, and lets webhooks reach it."""
    with ExitStack() as running:

        def start(tls: Any, **webhooks: Any) -> MisbehavingServer:
            server = running.enter_context(MisbehavingServer(tls=tls))
            allowed = {"ALLOWED_NETWORKS": ["127.0.0.0/8"], "ALLOWED_PORTS": [server.port], "DEADLINE_SECONDS": 5}
            settings.WEBHOOKS = {**allowed, **webhooks}
            return server

        yield start


@pytest.mark.parametrize("case", ["expired", "wrong name", "self-signed"])
def test_row_22_a_certificate_that_proves_nothing_is_not_talked_to(
    start_tls: Callable[..., MisbehavingServer], tmp_path: Path, case: str
) -> None:
    authority = Authority(tmp_path)
    trusted = {} if case == "self-signed" else {"CA_FILE": str(authority.file)}
    host = "elsewhere.example" if case == "wrong name" else "127.0.0.1"
    server = start_tls(authority.server(host, days=-1 if case == "expired" else 10), **trusted)
    endpoint(server.url("/crm"))
    assert send().state == "retryable"
    assert detail()["error_kind"] == "tls"
    assert server.requests == []
    assert is_charged()


def test_row_22_a_certificate_that_is_in_order_is(start_tls: Callable[..., MisbehavingServer], tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    server = start_tls(authority.server("127.0.0.1"), CA_FILE=str(authority.file))
    endpoint(server.url("/crm"))
    assert send().state == "succeeded"


def test_row_24_a_410_disables_the_endpoint_and_cancels_what_waits(server: MisbehavingServer) -> None:
    endpoint(server.url("/crm"), concurrency=1)
    save(3)
    server.script(behave.answer(410))
    drain(5)
    gone = Endpoint.objects.get()
    assert not gone.enabled
    assert "410" in gone.disabled_reason
    assert states() == {"discarded": 1, "cancelled": 2}
    assert len(server.requests) == 1


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_row_25_a_429_says_when_the_endpoint_is_asked_again(server: MisbehavingServer, form: str) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=600), usegmt=True)
    server.script(behave.too_many_requests("600" if form == "seconds" else date))
    endpoint(server.url("/crm"), concurrency=1)
    save(3)
    drain(5)
    make_due()
    drain(5)
    assert len(server.requests) == 1, "the others were to wait too"
    asked = EndpointState.objects.get().asked_until
    assert asked is not None
    assert (asked - timezone.now()).total_seconds() == pytest.approx(600, abs=60)


@pytest.mark.parametrize("value", ["-1", "soon", "0", "9" * 400, "315360000", "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_row_26_an_absurd_retry_after_is_ignored_or_bounded_by_a_day(server: MisbehavingServer, value: str) -> None:
    endpoint(server.url("/crm"), schedule=[60])
    server.script(behave.too_many_requests(value))
    execution = send()
    assert execution.state == "retryable"
    wait = (execution.next_attempt_at - timezone.now()).total_seconds()
    assert 0 < wait <= 86_400 * 1.01
    if not value.startswith(("315", "Fri")):
        assert wait <= 75


def test_row_27_a_burst_of_503_pauses_and_one_probe_ends_the_pause(server: MisbehavingServer) -> None:
    endpoint(server.url("/crm"))
    save(10)
    server.on("/crm", behave.answer(503))
    drain(5)
    make_due()
    drain(5)
    assert len(server.requests) == 10, "a paused endpoint was asked"
    EndpointState.objects.update(paused_until=F("failing_since"))
    drain(5)
    assert len(server.requests) == 11, "one probe"
    server.on("/crm", behave.answer(200))
    EndpointState.objects.update(paused_until=F("failing_since"))
    make_due()
    drain(5)
    assert states() == {"succeeded": 10}


def test_row_28_a_closed_connection_is_replaced_within_the_attempt(server: MisbehavingServer) -> None:
    endpoint(server.url("/crm"), concurrency=1)
    save(2)
    server.script(behave.answer(), behave.drop(), behave.answer())
    drain(5)
    assert states() == {"succeeded": 2}
    assert set(Execution.objects.values_list("attempts", flat=True)) == {1}
    first, dropped, again = server.requests
    assert (first.connection, dropped.connection, again.connection) == (1, 1, 2)
    assert dropped.header("webhook-id") == again.header("webhook-id")
    assert not is_charged()


def test_row_34_what_was_rolled_back_is_not_sent(server: MisbehavingServer) -> None:
    endpoint(server.url("/crm"))
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        save()
        raise ZeroDivisionError
    drain(5)
    assert not Execution.objects.exists()
    assert server.connections == 0


def test_row_36_a_rotation_between_attempts_signs_with_both_secrets(server: MisbehavingServer) -> None:
    made = endpoint(server.url("/crm"))
    old = made.secret
    server.script(behave.answer(500))
    assert send().state == "retryable"
    new = made.rotate_secret()
    made.save()
    make_due()
    drain(5)
    assert states() == {"succeeded": 1}
    before, after = server.requests
    for request, secrets in ((before, [old]), (after, [old, new])):
        headers = {name.lower(): value for name, value in request.headers}
        for secret in secrets:
            Verifier(secret).verify(request.body.decode(), headers)


def test_row_37_with_a_lost_key_nothing_is_sent_and_the_error_says_so(server: MisbehavingServer, settings: Any) -> None:
    endpoint(server.url("/crm"))
    settings.SECRET_KEY = "another"
    execution = send()
    assert execution.state == "retryable"
    assert "key" in execution.error
    assert server.connections == 0
    assert not is_charged()


def test_row_38_an_attempt_goes_where_the_endpoint_points_by_then(server: MisbehavingServer) -> None:
    made = endpoint(server.url("/crm"))
    server.script(behave.answer(404))
    assert send().state == "retryable"
    made.url = server.url("/moved")
    made.save()
    make_due()
    drain(5)
    assert [request.target for request in server.requests] == ["/crm", "/moved"]


def test_row_38_what_waits_for_an_endpoint_that_is_disabled_is_cancelled(server: MisbehavingServer) -> None:
    made = endpoint(server.url("/crm"))
    server.script(behave.answer(404))
    assert send().state == "retryable"
    made.enabled = False
    made.save()
    make_due()
    drain(5)
    assert states() == {"cancelled": 1}
    assert len(server.requests) == 1


def test_row_39_a_dead_and_a_slow_endpoint_hold_up_no_other(server: MisbehavingServer, settings: Any) -> None:
    """The benchmark healthy_endpoint measures by how little; here: that the other's all go out meanwhile."""
    settings.WEBHOOKS = {**settings.WEBHOOKS, "SLOTS": 12, "DEADLINE_SECONDS": 5}
    server.on("/dead", behave.hang())
    server.on("/slow", behave.drip_body(every=0.1, length=40))
    for slug in ("dead", "slow", "well"):
        endpoint(server.url(f"/{slug}"), slug)
    save(60)
    drain(2)
    assert Execution.objects.filter(lane="well", state="succeeded").count() == 60
    assert Execution.objects.filter(lane="dead", attempts=0).count() > 40
    assert Execution.objects.filter(lane="slow", attempts=0).count() > 40


def test_row_40_what_is_sent_again_during_an_outage_waits_for_its_end(server: MisbehavingServer) -> None:
    endpoint(server.url("/crm"), schedule=[])
    save(10)
    server.on("/crm", behave.answer(503))
    drain(5)
    assert states() == {"discarded": 10}
    replay(Selection("webhooks", ("crm",), states=("discarded",)), by={"id": "1"}, into=lanes.replayed("crm"))
    drain_queue("rules", seconds=30)
    drain(5)
    assert len(server.requests) == 10, "the endpoint is paused"
    assert states() == {"retryable": 10}, "and what waits for it is not charged"
    server.on("/crm", behave.answer(200))
    EndpointState.objects.update(paused_until=F("failing_since"))
    drain(5)
    assert states() == {"succeeded": 10}
    ids = Counter(request.header("webhook-id") for request in server.requests)
    assert set(ids.values()) == {2}, "the same ids"


def rows_in(text: str) -> set[int]:
    return {int(number) for number in re.findall(r"test_row_(\d+)_", text)}


def test_every_row_has_a_test_and_a_line_in_the_documentation() -> None:
    tests = (ROOT / "tests").rglob("test_*.py")
    defined = {name for path in tests for name in re.findall(r"def (test_row_\d+_\w+)", path.read_text("utf-8"))}
    assert {int(name.split("_")[2]) for name in defined} >= ROWS
    table = (ROOT / "docs" / "explanation" / "failures.md").read_text("utf-8")
    assert rows_in(table) == ROWS
    named = set(re.findall(r"test_row_\d+_\w+", table))
    assert named <= defined, "the table names tests that there are not"
    for line in table.splitlines():
        if (match := re.match(r"\| (\d+) \|", line)) and int(match[1]) in ROWS:
            assert rows_in(line) == {int(match[1])}
