import json
import os

import pytest

from sr_lightning.report.files import write_atomically, write_json


def test_text_lands_in_a_new_folder(tmp_path):
    write_atomically(tmp_path / "a" / "b.txt", "content")
    assert (tmp_path / "a" / "b.txt").read_text() == "content"
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b.txt"]


def test_a_failure_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "b.txt"
    write_atomically(path, "old")
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError("killed")))
    with pytest.raises(OSError, match="killed"):
        write_atomically(path, "new")
    assert {each.name: each.read_text() for each in tmp_path.iterdir()} == {"b.txt": "old"}


def test_what_the_disk_has_for_sure(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_ino))
    write_json(tmp_path / "a.json", {})
    assert not synced
    write_json(tmp_path / "a.json", {"b": 1}, durable=True)
    assert synced == [(tmp_path / "a.json").stat().st_ino, tmp_path.stat().st_ino]
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_a_folder_that_cannot_be_synced_is_no_failure(tmp_path, monkeypatch):
    """As those of Windows and of some network file systems."""
    genuine = os.open

    def refuse(path, flags, *more, **named):
        if path == tmp_path:
            raise PermissionError
        return genuine(path, flags, *more, **named)

    monkeypatch.setattr(os, "open", refuse)
    write_atomically(tmp_path / "a", "text", durable=True)
    assert (tmp_path / "a").read_text() == "text"


def test_json_has_no_infinities(tmp_path):
    write_json(tmp_path / "a.json", {"psnr": float("inf"), "list": [float("nan"), 1.5], "none": None, "text": "é"})
    text = (tmp_path / "a.json").read_text()
    assert json.loads(text, parse_constant=pytest.fail) == {
        "psnr": None,
        "list": [None, 1.5],
        "none": None,
        "text": "é",
    }
    assert text.endswith("}\n")
