"""Whom a mail goes to: plain addresses alone, each once, and only where the site lets rules write."""

from __future__ import annotations

from typing import Any

import pytest

from rules_engine.actions.mail.recipients import (
    LONGEST_ADDRESS,
    address_problems,
    find,
    is_constant,
    permitted,
    plain,
    problems,
    reads,
)
from rules_engine.errors import PermanentError, Refused
from rules_engine.types import RuleSpec

RULE = RuleSpec(slug="r", model="zoo.animal", signals=("post_save",))
DATA = {
    "instance": {"name": "Rex", "email": "rex@example.com", "others": ["a@example.com", None, " ", "b@example.com"]}
}


def found(*to: Any) -> list[str]:
    addresses, unusable = find({"to": list(to)}, DATA)
    assert unusable == []
    return addresses


def test_a_recipient_is_an_address_a_text_or_an_expression() -> None:
    assert found("ada@example.com", "{{ instance.email }}", {"var": "instance.others"}) == [
        "ada@example.com",
        "rex@example.com",
        "a@example.com",
        "b@example.com",
    ]


def test_each_address_is_mailed_once_however_it_is_written() -> None:
    assert found("Ada@example.com", "ada@EXAMPLE.com", " ada@example.com ") == ["Ada@example.com"]


@pytest.mark.parametrize("nobody", ["", None, "{{ instance.nick|default:'' }}", {"var": "instance.nick"}, [], "  "])
def test_an_empty_recipient_is_nobody(nobody: Any) -> None:
    assert find({"to": [nobody]}, DATA)[0] == []


@pytest.mark.parametrize("to", ["ada@example.com", ["ada@example.com"]])
def test_one_recipient_outside_of_a_list_is_a_list_of_one(to: Any) -> None:
    assert find({"to": to}, DATA) == (["ada@example.com"], [])


def test_an_unusable_address_takes_no_other_along() -> None:
    addresses, unusable = find({"to": ["{{ instance.name }}", "ada@example.com"]}, DATA)
    assert addresses == ["ada@example.com"]
    assert [type(error) for error in unusable] == [PermanentError]
    assert "Rex" not in str(unusable[0])


@pytest.mark.parametrize("people", [["ops@example.com"], [("Ops", "ops@example.com")], ["Ops <ops@example.com>"]])
def test_the_sites_people_are_found_as_each_django_writes_them(people: Any, settings: Any) -> None:
    settings.ADMINS = people
    assert found("admins") == ["ops@example.com"]
    assert found(" admins ") == ["ops@example.com"]


def test_the_sites_people_may_be_anywhere(settings: Any) -> None:
    settings.RULES_ENGINE = {"EMAIL_DOMAINS": ["example.com"]}
    settings.MANAGERS = ["boss@elsewhere.example"]
    assert found("managers") == ["boss@elsewhere.example"]
    addresses, [refusal] = find({"to": ["boss@elsewhere.example"]}, DATA)
    assert addresses == []
    assert isinstance(refusal, Refused)


def test_a_site_without_people_mails_nobody(settings: Any) -> None:
    settings.ADMINS = []
    assert found("admins") == []


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("ada@example.com", "ada@example.com"),
        (" ada@example.com\n", "ada@example.com"),
        ("Ada.L+x@Example.COM", "Ada.L+x@example.com"),
        ("ada@bücher.example", "ada@xn--bcher-kva.example"),
    ],
)
def test_an_address_is_taken_as_it_is_sent(written: str, address: str) -> None:
    assert plain(written) == address


@pytest.mark.parametrize(
    "written",
    [
        "",
        "ada",
        "@example.com",
        "ada@",
        "Ada <ada@example.com>",
        "ada@example.com, bob@example.com",
        "ada@example.com\nBcc: bob@example.com",
        "ada@example.com\r\nX: y",
        "ada\x00@example.com",
        '"ada lovelace"@example.com',
        "ädä@example.com",
        "ada@exa mple.com",
        "ada@" + "x" * 64 + ".com",
        "a" * 64 + "@" + "x." * 100 + "example",
        5,
        None,
        True,
        ["ada@example.com"],
        {"email": "ada@example.com"},
    ],
)
def test_what_is_not_one_plain_address_is_refused_without_being_told(written: Any) -> None:
    with pytest.raises(PermanentError) as caught:
        plain(written)
    assert "example.com" not in str(caught.value)


def test_an_address_is_as_long_as_mail_servers_take() -> None:
    domain = ".".join(["x" * 60] * 3) + ".example"
    local = "a" * 60
    assert len(plain(f"{local}@{domain}")) <= LONGEST_ADDRESS
    with pytest.raises(PermanentError):
        plain(f"{'a' * 64}@{'.'.join(['x' * 60] * 4)}.example")


@pytest.mark.parametrize("domain", ["example.com", "EXAMPLE.com"])
def test_a_domain_that_the_site_names_is_permitted(domain: str, settings: Any) -> None:
    settings.RULES_ENGINE = {"EMAIL_DOMAINS": [domain]}
    assert permitted("ada@Example.com") == "ada@example.com"


@pytest.mark.parametrize("address", ["ada@sub.example.com", "ada@example.com.evil.example", "ada@notexample.com"])
def test_no_other_domain_is_permitted(address: str, settings: Any) -> None:
    settings.RULES_ENGINE = {"EMAIL_DOMAINS": ["example.com"]}
    with pytest.raises(Refused, match="EMAIL_DOMAINS"):
        permitted(address)


def test_a_permitted_domain_may_be_written_in_its_own_letters(settings: Any) -> None:
    settings.RULES_ENGINE = {"EMAIL_DOMAINS": ["bücher.example"]}
    assert permitted("ada@bücher.example") == permitted("ada@xn--bcher-kva.example")


def test_no_domain_at_all_permits_nobody(settings: Any) -> None:
    settings.RULES_ENGINE = {"EMAIL_DOMAINS": []}
    with pytest.raises(Refused):
        permitted("ada@example.com")


@pytest.mark.parametrize(
    ("to", "said"),
    [
        ([], "Name at least one recipient"),
        (None, "Name at least one recipient"),
        (["", None], "Name at least one recipient"),
        ([5], "Expected text, and got 5."),
        (["ada"], '"ada" is no address. Write one such as ada@example.com'),
        (["admin"], '"admin" is no address. Did you mean "admins"?'),
        (["Ada <ada@example.com>"], 'Write the address alone, without a name and brackets: "ada@example.com".'),
        (["a@example.com, b@example.com"], "several addresses in one text; write each as an item of its own"),
        (["a@example.com;b@example.com"], "several addresses in one text"),
        (["{{ instance.nme }}"], 'Did you mean "name"?'),
        ([{"var": "instance.nme"}], 'Did you mean "name"?'),
        (["{% if %}"], "Line 1"),
    ],
)
def test_what_is_wrong_with_a_recipient_is_said_before_the_rule_runs(to: Any, said: str) -> None:
    messages = [problem.message for problem in problems({"to": to}, RULE)]
    assert any(said in message for message in messages), messages


@pytest.mark.parametrize(
    "to", [["ada@example.com"], "admins", ["managers", "{{ instance.name }}"], [{"var": "instance.name"}]]
)
def test_a_recipient_that_may_be_one_has_no_problem(to: Any) -> None:
    assert list(problems({"to": to}, RULE)) == []


def test_a_problem_stands_at_its_recipient() -> None:
    pointers = [problem.pointer for problem in problems({"to": ["ada@example.com", "nobody", 5]}, RULE)]
    assert pointers == ["/to/1", "/to/2"]


def test_where_one_address_fits_several_are_told_so() -> None:
    [problem] = address_problems("a@example.com,b@example.com", "/from")
    assert problem.message == "These are several addresses, and only one fits here."


def test_what_recipients_read_is_known_beforehand() -> None:
    to = ["{{ instance.email }}", {"var": "instance.keeper.name"}, "ada@example.com", "admins"]
    assert reads({"to": to}) == {("instance", "email"), ("instance", "keeper", "name")}


@pytest.mark.parametrize(
    ("text", "constant"), [("a@b.c", True), ("{{ x }}", False), ("{% x %}", False), ("{# x #}", False)]
)
def test_a_text_without_tags_is_constant(text: str, constant: bool) -> None:
    assert is_constant(text) is constant
