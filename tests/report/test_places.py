from pathlib import Path

from sr_lightning.report.places import from_here


def test_paths_below_the_current_folder_are_told_from_there(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert from_here(tmp_path / "here" / "runs" / "a") == Path("runs/a")
    assert from_here(tmp_path / "elsewhere") == tmp_path / "elsewhere"
    assert from_here(Path("runs/a")) == Path("runs/a")
