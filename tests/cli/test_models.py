"""`models` from its command line to the table, and what it refuses before torch is imported."""

import sys

import pytest

from sr_lightning import __main__
from sr_lightning.cli import models
from sr_lightning.cli.compose import Composer


def run(monkeypatch, *arguments):
    monkeypatch.setattr("sys.argv", ["models", *arguments])
    monkeypatch.setenv("COLUMNS", "200")
    try:
        models.main()
    except SystemExit as end:
        return end.code
    return 0


def test_a_table_of_some(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, "models=[espcn,bicubic]", "times=false") == 0
    out = capsys.readouterr().out
    assert out.index("espcn") < out.index("bicubic")
    assert "24.8K" in out
    assert not list(tmp_path.iterdir())


def test_names_stand_alone_and_a_pipe_gets_whole_lines(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["models", "espcn", "edsr_baseline", "times=false"])
    monkeypatch.setenv("COLUMNS", "60")
    models.main()
    [row] = [line for line in capsys.readouterr().out.splitlines() if "1.37M" in line]
    assert "edsr_baseline" in row
    assert "37.99" in row


def test_a_page(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, "models=espcn", "format=md", "output=page.md") == 0
    assert capsys.readouterr().out == "written    page.md\n"
    assert (tmp_path / "page.md").read_text().startswith("# Networks\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["models=[imd]"], "models: expected some of atd, bicubic, "),
        (["models=[imd]"], "got 'imd'; did you mean 'imdn'?"),
        (["models=null"], "models: expected a list or a text, got null."),
        (["format=html"], "format: expected one of table, md, got 'html'"),
        (["format=md", "output=page.html"], "output: expected a file that ends in .md, got page.html."),
        (["format=md", "output=no/page.md"], "output: expected a folder that exists, got no, which does not."),
        (["times=1"], "times: expected true or false, got 1."),
    ],
)
def test_refused_in_one_line(monkeypatch, capsys, tmp_path, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, *arguments) == 1
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1


def test_a_package_that_is_not_there_is_said(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "spandrel", None)
    assert run(monkeypatch, "models=[hat]") == 1
    assert capsys.readouterr().err == (
        "error: model=hat: spandrel.architectures.HAT.HAT needs the package spandrel, which is not there; "
        "say `pip install '.[spandrel]'`.\n"
    )


def test_it_is_a_command():
    assert "models" in __main__.COMMANDS


def test_all_are_composed_at_a_scale_of_theirs():
    nodes = models.networks(["srvgg", "lapsrn", "edsr"])
    assert list(nodes) == ["srvgg", "lapsrn", "edsr"]
    assert all(node["scale"] in node["spec"]["scales"] for node in nodes.values())
    assert set(models.networks([])) == set(Composer("train").groups["model"])
