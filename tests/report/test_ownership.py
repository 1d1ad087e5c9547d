"""A file of other origin is never replaced, whatever kind it is."""

from pathlib import Path

import pytest

from sr_lightning.refusal import Refusal
from sr_lightning.report.ownership import COMPARE, check_target, is_ours


def test_the_mark_stands_at_the_beginning(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"\xff\x00" + COMPARE.encode())
    assert is_ours(path, mark=COMPARE)
    path.write_bytes(bytes(5000) + COMPARE.encode())
    assert not is_ours(path, mark=COMPARE)


def test_what_may_be_written(tmp_path: Path) -> None:
    path = tmp_path / "a.md"

    def check() -> None:
        check_target("output", path, mark=COMPARE, command="compare")

    check()
    path.write_text(COMPARE)
    check()
    path.write_text("mine")
    with pytest.raises(Refusal, match=r"output: .*a.md is there and was not written by compare; give another name."):
        check()
    path.unlink()
    path.mkdir()
    with pytest.raises(Refusal, match=r"output: expected a file, got .*a.md, which is a folder."):
        check()
    with pytest.raises(Refusal, match="output: expected a folder that exists"):
        check_target("output", tmp_path / "no" / "a.md", mark=COMPARE, command="compare")
