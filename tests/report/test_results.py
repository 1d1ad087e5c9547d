import json
import subprocess

from sr_lightning.report.results import Results, git_state, versions


def test_results_are_written_at_once_and_at_each_change(tmp_path):
    path = tmp_path / "run" / "results.json"
    results = Results(path, enabled=True, content={"status": "running", "metrics": {}})
    assert json.loads(path.read_text()) == {"status": "running", "metrics": {}}
    results.update(status="finished", metrics={"Set5": {"psnr": 30.0}})
    assert json.loads(path.read_text()) == results.content
    assert results.content["status"] == "finished"


def test_other_ranks_write_nothing(tmp_path):
    results = Results(tmp_path / "results.json", enabled=False, content={"status": "running"})
    results.update(status="finished")
    assert results.content["status"] == "finished"
    assert not any(tmp_path.iterdir())


def test_versions_name_what_the_numbers_depend_on():
    found = versions()
    assert {"python", "torch", "lightning", "hydra-core", "numpy", "pillow"} <= set(found)
    assert all(found.values())


def test_git_state(tmp_path, monkeypatch):
    assert git_state(tmp_path) is None
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    subprocess.run(["git", *identity, "commit", "-q", "--allow-empty", "-m", "a"], cwd=tmp_path, check=True)
    state = git_state(tmp_path)
    assert state is not None
    assert (len(state["commit"]), state["dirty"]) == (40, False)
    (tmp_path / "new").write_text("")
    assert git_state(tmp_path) == {**state, "dirty": True}


def test_no_git_program_is_no_failure(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_state(tmp_path) is None
