"""`dashboard` from its command line: what is refused before wandb is imported, and how it ends without a server."""

import json
import os
import subprocess
import sys

import pytest

from sr_lightning import __main__
from sr_lightning.cli import dashboard
from tests.tracking.dashboard_server import Project
from tests.tracking.wandb_server import ENTITY, WandbServer


@pytest.fixture
def program(repository, tmp_path):
    """Run `python dashboard.py` in an empty folder, with an account on a server or without one; it may not hang."""

    def run(*arguments, **environment):
        kept = {key: value for key, value in os.environ.items() if not key.startswith("WANDB")}
        return subprocess.run(
            [sys.executable, str(repository / "dashboard.py"), *arguments],
            cwd=tmp_path,
            env={**kept, "NETRC": str(tmp_path / "netrc"), **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=90,
        )

    return run


def refused(ended):
    """The one line of a refusal."""
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert ended.stderr.startswith("error: ")
    assert ended.stderr.count("\n") == 1, ended.stderr
    return ended.stderr.removeprefix("error: ").strip()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], "project: expected a value, got nothing; say project=..."),
        (["project=us/sr"], "project: expected a name, got us/sr; say entity=us project=sr."),
        (["project=''"], "project: expected a name, got an empty text."),
        (["project=sr", "what=reports"], "what: expected one of workspace, report, both, got 'reports'; did you mean"),
        (["project=sr", "scales=[2,four]"], "scales: expected whole numbers from 1 on, got 'four'."),
        (["project=sr", "scales=0"], "scales: expected whole numbers from 1 on, got 0."),
        (
            ["project=sr", "protocols=rgb_to_x"],
            "protocols: expected some of rgb_to_y, y_chain, y_float, rgb, rgb_div2k",
        ),
        (["project=sr", "group='a=b'"], "group: W&B's filters cannot name a group with '=' in it, got 'a=b'."),
        (["project=sr", 'group="a\\nb"'], "group: W&B's filters cannot name a group with '\\\\' in it"),
        (["project=sr", "name=Week 3 + 4"], "name: W&B takes letters, digits and punctuation in a title, not '+'."),
        (["project=sr", "dry_run=x.txt"], "dry_run: expected a name that ends in .json, got x.txt."),
        (["project=sr", "dry_run=no/x.json"], "dry_run: expected a folder that exists, got no, which does not."),
        (["project=sr", "dry_run=old.json"], "dry_run: expected a file, got old.json, which is a folder."),
        (
            ["project=sr", "dry_run=mine.json"],
            "dry_run: mine.json is there and was not written by dashboard; give another name.",
        ),
        (["project=sr", "entitty=us"], "unknown key 'entitty'"),
        (["-m", "project=sr"], "dashboard runs once: -m is for train."),
    ],
)
def test_refusals(command, tmp_path, arguments, expected):
    (tmp_path / "old.json").mkdir()
    (tmp_path / "mine.json").write_text('{"report": "mine"}')
    assert command("dashboard", *arguments).error.startswith(expected)


def test_without_the_package_one_line_says_how_to_get_it(command, monkeypatch):
    monkeypatch.setattr(dashboard, "find_spec", lambda name: None)
    answer = command("dashboard", "project=sr")
    assert answer.error == (
        "dashboard needs the package wandb-workspaces, which is not there; say `pip install '.[dashboard]'`."
    )


def test_the_arguments_of_the_examples_are_taken(command):
    for line, _ in dashboard.EXAMPLES:
        arguments = [word.strip("'") for word in line.replace("'Week 3'", "Week_3").split()[2:]]
        assert command("dashboard", *arguments).tree["project"] == "sr_lightning"


def test_titles_of_groups():
    assert dashboard.default_title(None) == "Comparison"
    assert dashboard.default_title("srcnn,edsr x4") == "Comparison srcnn,edsr x4"
    # W&B counts these among the emojis.
    assert dashboard.default_title("a+b|c") == "Comparison a-b-c"


def test_help_and_refusals_do_not_wait_for_wandb(program, repository):
    ended = program("--help")
    assert ended.returncode == 0
    assert "python dashboard.py project=sr_lightning" in ended.stdout
    assert "dashboard" in __main__.COMMANDS
    code = (
        "import sys; sys.argv = ['dashboard.py', 'project=sr', 'what=x']\n"
        "from sr_lightning.cli.dashboard import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(sorted({'wandb', 'wandb_workspaces', 'torch', 'numpy', 'lightning'} & set(sys.modules)))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=repository, timeout=60)
    assert loaded.stdout == "[]\n"


def test_a_dry_run_needs_neither_account_nor_server(program, tmp_path):
    with WandbServer() as server:
        given = ("project=sr", "entity=us", "scales=[2,3]", "sets=Urban100", "group=first sweep", "dry_run=a b.json")
        for environment in ({}, server.environment):
            ended = program(*given, **environment)
            assert (ended.returncode, ended.stdout, ended.stderr) == (0, "written    a b.json\n", "")
            written = json.loads((tmp_path / "a b.json").read_text())
            titles = [workspace["displayName"] for workspace in written["workspaces"]]
            assert titles == ["Comparison first sweep x2", "Comparison first sweep x3"]
            assert written["report"]["displayName"] == "Comparison first sweep"
            assert "Urban100/psnr_rgb_to_y" in json.dumps(written)
        assert server.requests == []


def test_addresses_are_printed(program):
    with WandbServer() as server:
        Project(server).add_run("val/psnr_rgb_to_y", scale=3)
        ended = program("project=sr", **server.environment)
        again = program("project=sr", "what=report", **server.environment)
    assert ended.stderr == ""
    workspace, report = ended.stdout.splitlines()
    assert workspace.startswith(f"workspace  {server.url}/{ENTITY}/sr?nw=")
    assert workspace.endswith("(Comparison x3, new)")
    assert report.startswith(f"report     {server.url}/{ENTITY}/sr/reports/Comparison--")
    assert again.stdout.splitlines() == [report.replace("new", "updated")]


def test_no_account(program):
    ended = program("project=sr")
    assert refused(ended).startswith("W&B: expected an account, found no API key; say `wandb login`")


def test_a_server_that_is_not_there(program):
    environment = {"WANDB_BASE_URL": "http://127.0.0.1:9", "WANDB_API_KEY": "0" * 40, "WANDB_HTTP_TIMEOUT": "2"}
    ended = program("project=sr", **environment)
    assert refused(ended).startswith("W&B: no answer from http://127.0.0.1:9; is it up")


def test_a_server_that_says_nothing_any_more(program):
    with WandbServer() as server:
        Project(server)
        viewer = {"viewer": {"id": "1", "entity": ENTITY}}
        server.respond("GetDefaultEntity", lambda asked: server.stop_answering() or viewer)
        ended = program("project=sr", WANDB_HTTP_TIMEOUT="2", **server.environment)
        assert [name for name, _ in server.requests] == ["Viewer", "GetDefaultEntity"]
    assert refused(ended).startswith(f"W&B: no answer from {server.url}; is it up")
