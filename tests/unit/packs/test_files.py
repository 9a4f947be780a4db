"""A pack's file, which nobody vouches for, becomes a value or a sentence with its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rules_engine.packs import files
from rules_engine.packs.files import MAX_PACK_BYTES, MAX_PACK_DEPTH, PackError, find, locate, parse, read

RULES = '[{"model": "rules_engine.rule"}]'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The one folder of packs that there is."""
    monkeypatch.setattr(files, "folders", lambda: iter([tmp_path]))
    return tmp_path


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("[]", []),
        ('{"a": {"b": 1}}', {"a": {"b": 1}}),
        ("1", 1),
        ("-9223372036854775808", -(2**63)),
        ("1.5", 1.5),
        ("0.0", 0),
        ("-0.0", 0),
        ("1e16", 10**16),
        ("1e15", 1e15),
        ('"[[[[ { // NaN"', "[[[[ { // NaN"),
        ('"a \\" [ b"', 'a " [ b'),
        (" \n null \n", None),
    ],
)
def test_strict_json_is_read_as_it_stands(text: str, value: Any) -> None:
    result = parse(text.encode())
    assert result == value
    assert type(result) is type(value)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "This is not JSON (line 1, column 1)"),
        (b"[1,\n 2,\n oops]", "This is not JSON (line 3, column 2)"),
        (b'["a" "b"]', "This is not JSON (line 1, column 6)"),
        (b"[1] [2]", "This is not JSON (line 1, column 5): Extra data."),
        (b"\xff\xfe", "not UTF-8 text (at byte 1); save it as UTF-8"),
        ('["ä"]'.encode("latin-1"), "not UTF-8 text (at byte 3)"),
        (b"\xef\xbb\xbf[]", "begins with a byte order mark (line 1, column 1)"),
        (b"[NaN]", "JSON has no number NaN; write a finite number, or null"),
        (b"[-Infinity]", "JSON has no number -Infinity"),
        (b"[1e999]", "The number 1e999 is too large to be a number"),
        (b"[" + b"9" * 21 + b"]", "does not fit 64 bits; write it as text"),
        (b'[{"a": 1, "b": 2, "a": 3}]', "The key 'a' stands twice in one object"),
        (b'{"' + b"k" * 80 + b'": 1, "' + b"k" * 80 + b'": 2}', "The key '" + "k" * 50 + "' stands twice"),
    ],
)
def test_what_is_not_strict_json_is_refused_with_its_place(raw: bytes, said: str) -> None:
    with pytest.raises(PackError) as caught:
        parse(raw)
    assert said in str(caught.value)


def test_depth_is_bounded_before_the_parser_sees_it() -> None:
    assert parse(b"[" * MAX_PACK_DEPTH + b"]" * MAX_PACK_DEPTH)
    with pytest.raises(PackError, match=r"deeper than 72 levels \(line 2, column 72\)"):
        parse(b"[\n" + b"[" * MAX_PACK_DEPTH + b"]" * MAX_PACK_DEPTH + b"]")


def test_brackets_that_open_a_million_times_end_in_a_sentence() -> None:
    with pytest.raises(PackError, match="nested deeper"):
        parse(b"[" * 1_000_000)


def test_brackets_in_a_text_that_is_not_closed_are_no_depth() -> None:
    with pytest.raises(PackError, match="not JSON"):
        parse(b'"' + b"[" * 200)


def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "pack.json"
    path.write_text(RULES, encoding="utf-8")
    assert read(path) == [{"model": "rules_engine.rule"}]


def test_a_file_that_is_not_there_is_an_error_of_packs(tmp_path: Path) -> None:
    with pytest.raises(PackError, match="The file cannot be read: No such file or directory"):
        read(tmp_path / "none.json")
    with pytest.raises(PackError, match="cannot be read"):
        read(tmp_path)


def test_a_file_of_any_size_is_not_read_into_memory(tmp_path: Path) -> None:
    path = tmp_path / "large.json"
    with path.open("wb") as file:
        file.truncate(MAX_PACK_BYTES + 1)
    with pytest.raises(PackError, match="larger than 2,000,000 bytes; split the pack"):
        read(path)


def test_packs_are_the_files_that_hold_rules(folder: Path) -> None:
    (folder / "shop.json").write_text(RULES, encoding="utf-8")
    (folder / "users.json").write_text('[{"model": "auth.user"}]', encoding="utf-8")
    (folder / "notes.txt").write_text(RULES, encoding="utf-8")
    (folder / "folder.json").mkdir()
    assert find() == {"shop": [folder / "shop.json"]}


def test_a_folder_that_two_settings_name_is_looked_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shop.json").write_text(RULES, encoding="utf-8")
    monkeypatch.setattr(files, "folders", lambda: iter([tmp_path, tmp_path]))
    assert find() == {"shop": [tmp_path / "shop.json"]}


def test_a_pack_is_found_by_its_name_and_by_its_path(folder: Path) -> None:
    path = folder / "shop.json"
    path.write_text(RULES, encoding="utf-8")
    assert locate("shop") == path
    assert locate(str(path)) == path


def test_a_name_that_is_no_pack_is_answered_with_those_there_are(folder: Path) -> None:
    with pytest.raises(PackError, match=r'There is no rule pack "shop"\. There is no pack here at all\.'):
        locate("shop")
    (folder / "shop.json").write_text(RULES, encoding="utf-8")
    with pytest.raises(PackError, match=r'"shpo"\. Did you mean "shop"\? The packs here are: shop\.'):
        locate("shpo")


def test_a_path_that_is_no_file_is_answered_with_the_pack_that_was_meant(folder: Path) -> None:
    (folder / "shop.json").write_text(RULES, encoding="utf-8")
    with pytest.raises(PackError, match=r'There is no file "here/shopp\.json"\. Did you mean "shop"'):
        locate("here/shopp.json")


def test_a_name_that_two_apps_chose_wants_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()
        (folder / "shop.json").write_text(RULES, encoding="utf-8")
    monkeypatch.setattr(files, "folders", lambda: iter(folders))
    with pytest.raises(PackError) as caught:
        locate("shop")
    assert all(str(folder / "shop.json") in str(caught.value) for folder in folders)


def test_packs_are_looked_for_where_loaddata_does(settings: Any, tmp_path: Path) -> None:
    settings.FIXTURE_DIRS = [str(tmp_path)]
    looked_at = list(files.folders())
    assert looked_at[-1] == tmp_path
    assert all(path.name == "fixtures" for path in looked_at[:-1])
