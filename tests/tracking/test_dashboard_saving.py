"""A dashboard in W&B: found by its title the second time, refused in one line where W&B is not as expected."""

import json
import os
import tempfile
from dataclasses import replace

import pytest
import wandb

from sr_lightning.metric_names import METRICS
from sr_lightning.refusal import Refusal
from sr_lightning.tracking.dashboard import Comparison, report, specification, workspaces
from sr_lightning.tracking.dashboard_boards import Wanted
from sr_lightning.tracking.dashboard_saving import Server, publish, write_specifications
from tests.tracking.dashboard_server import Project
from tests.tracking.wandb_server import ENTITY

WANTED = Wanted(scales=None, protocols=None, sets=None)
COMPARISON = Comparison(entity="", project="sr", group=None, title="Week 3", boards=())
SCORES = ("val/psnr_rgb_to_y", "Set5/psnr_rgb_to_y", "Set5/lsd_rgb_to_y")


@pytest.fixture
def project(server):
    return Project(server)


def test_workspaces_and_report_are_made_of_what_the_runs_hold(server, project):
    project.add_run(*SCORES, scale=4)
    project.add_run(*SCORES, scale=2)
    # Another program's run, in the same project.
    project.add_run("Set5/psnr_rgb", scale="large")
    saved = publish(COMPARISON, WANTED, "both")
    assert [(entry.kind, entry.title, entry.updated) for entry in saved] == [
        ("workspace", "Week 3 x2", False), ("workspace", "Week 3 x4", False), ("report", "Week 3", False),
    ]  # fmt: skip
    assert list(project.saved("project-view")) == ["Week 3 x2", "Week 3 x4"]
    x4 = next(iter(view for view in project.views.values() if view["displayName"] == "Week 3 x4"))
    assert saved[1].url == f"{server.url}/{ENTITY}/sr?nw={x4['name'].split('-')[1]}"
    assert saved[2].url.startswith(f"{server.url}/{ENTITY}/sr/reports/Week-3--")
    assert server.unanswered == []


def test_what_is_sent_is_what_a_dry_run_writes(server, project, tmp_path):
    further = [f"Set5/{name}_rgb_to_y" for name in METRICS]
    project.add_run(*SCORES, "val/ssim_rgb_to_y", *further)
    publish(COMPARISON, WANTED, "both")
    dry = replace(COMPARISON, entity=ENTITY, boards=WANTED.boards())
    write_specifications(dry, "both", tmp_path / "dry.json")
    written = json.loads((tmp_path / "dry.json").read_text())
    (workspace,) = written["workspaces"]
    assert _comparable(project.saved("project-view")["Week 3 x4"]) == _comparable(workspace["spec"])
    sent = project.saved("runs")["Week 3"]
    named = [_take_project(runset) for runset in _runsets(sent)]
    assert named == [{"name": "sr", "entityName": ENTITY, "id": "77"}] * 5
    assert _comparable(sent) == _comparable(written["report"]["spec"])
    assert (written["report"]["displayName"], written["report"]["project"]["name"]) == ("Week 3", "sr")


@pytest.mark.parametrize(
    ("what", "keys"), [("workspace", ["generator", "workspaces"]), ("report", ["generator", "report"])]
)
def test_one_of_them_can_be_written_or_made_alone(what, keys, server, project, tmp_path):
    write_specifications(replace(COMPARISON, boards=WANTED.boards()), what, tmp_path / "dry.json")
    assert list(json.loads((tmp_path / "dry.json").read_text())) == keys
    assert server.requests == []
    project.add_run(*SCORES)
    assert [entry.kind for entry in publish(COMPARISON, WANTED, what)] == [what]
    assert {view["type"] for view in project.views.values()} == {"project-view" if what == "workspace" else "runs"}


def test_the_second_time_replaces_the_first(server, project):
    project.add_run(*SCORES)
    other = replace(COMPARISON, title="Somebody else's")
    first = publish(COMPARISON, WANTED, "both")
    kept = publish(other, WANTED, "both")
    before = dict(project.views)
    project.add_run("Set14/psnr_rgb_to_y")
    again = publish(COMPARISON, WANTED, "both")
    assert [entry.url for entry in again] == [entry.url for entry in first]
    assert [entry.updated for entry in again] == [True, True]
    assert project.views.keys() == before.keys()
    changed = {key for key, view in project.views.items() if view["spec"] != before[key]["spec"]}
    assert {project.views[key]["displayName"] for key in changed} == {"Week 3 x4", "Week 3"}
    assert "Set14/psnr_rgb_to_y" in json.dumps(project.saved("runs")["Week 3"])
    assert not {entry.url for entry in kept} & {entry.url for entry in again}


@pytest.mark.parametrize("given", [None, "elsewhere"])
def test_the_client_leaves_no_folders(server, project, tmp_path, monkeypatch, given):
    """It makes one for each run that it hears of."""
    project.add_run(*SCORES)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    if given:
        monkeypatch.setenv("WANDB_DIR", str(tmp_path / given))
    publish(COMPARISON, WANTED, "workspace")
    assert list(tmp_path.iterdir()) == []
    assert os.environ.get("WANDB_DIR") == (str(tmp_path / given) if given else None)


def test_only_runs_of_the_group_decide(server, project):
    project.add_run(*SCORES, scale=2, group="first")
    project.add_run(*SCORES, scale=3, group="second")
    saved = publish(replace(COMPARISON, group="second"), WANTED, "workspace")
    assert [entry.title for entry in saved] == ["Week 3 x3"]
    with pytest.raises(Refusal, match=f"{ENTITY}/sr, group third: expected runs with scores, found none"):
        publish(replace(COMPARISON, group="third"), WANTED, "workspace")


def test_an_unknown_project_is_refused_and_not_made(server, project):
    project.add_run(*SCORES)
    with pytest.raises(Refusal, match=f"project: {ENTITY} has no W&B project 'srr'; did you mean 'sr'?"):
        publish(replace(COMPARISON, project="srr"), WANTED, "both")
    server.respond("GetDefaultEntity", {"viewer": {"id": "1", "entity": None}})
    with pytest.raises(Refusal, match="entity: expected the user or team that owns the project, got nothing"):
        publish(COMPARISON, WANTED, "both")
    assert {name for name, _ in server.requests} == {"Viewer", "GetDefaultEntity", "GetProjects"}


def test_what_the_server_does_not_take_is_one_line(server, project):
    project.add_run(*SCORES)
    server.respond("UpsertView2", {"upsertView": None})
    with pytest.raises(Refusal, match=r"^W&B: ") as refusal:
        publish(COMPARISON, WANTED, "both")
    assert "\n" not in str(refusal.value)


def test_without_an_account_or_with_a_wrong_one(server, monkeypatch, tmp_path):
    server.respond("Viewer", {"viewer": None})
    with pytest.raises(Refusal, match=r"^W&B: AuthenticationError: .*did not recognize an account"):
        Server()
    monkeypatch.delenv("WANDB_API_KEY")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    wandb.teardown()
    with pytest.raises(Refusal, match=r"W&B: expected an account, found no API key; say `wandb login` or set"):
        Server()


def test_runs_of_the_report_are_those_of_its_project():
    """Only then a saved report asks for the project's number; a dry run must not ask anybody."""
    made = report(replace(COMPARISON, entity="us", boards=WANTED.boards()))
    assert all("project" not in runset for runset in _runsets(specification(made)["spec"]))
    assert workspaces(replace(COMPARISON, boards=WANTED.boards()))[0].entity == ""


def _runsets(spec):
    return [
        runset for block in spec["blocks"] if block["type"] == "panel-grid" for runset in block["metadata"]["runSets"]
    ]


def _take_project(runset):
    return runset.pop("project")


def _comparable(spec):
    """A specification without the identifiers that are drawn anew each time."""
    if isinstance(spec, dict):
        return {key: _comparable(value) for key, value in spec.items() if key not in ("__id__", "id")}
    return [_comparable(value) for value in spec] if isinstance(spec, list) else spec
