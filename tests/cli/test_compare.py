"""`compare` from its command line to its files, and what it refuses before anything is read."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sr_lightning.cli import compare
from sr_lightning.cli.check import CHOICES, CHOICES_IN
from sr_lightning.sweeps.manifest import ListedCell, write_manifest
from sr_lightning.weights.write import FORMATS


@pytest.fixture
def runs(synthetic_runs, tmp_path):
    """Six runs below `tmp_path/runs`, with crops."""
    synthetic_runs.write_runs(tmp_path / "runs", count=6)
    return tmp_path / "runs"


def run(monkeypatch, *arguments):
    """The whole command, in this process; returns its exit code."""
    monkeypatch.setattr("sys.argv", ["compare.py", *map(str, arguments)])
    monkeypatch.setenv("COLUMNS", "120")
    try:
        compare.main()
    except SystemExit as end:
        return end.code
    return 0


def test_a_page(monkeypatch, capsys, tmp_path, runs):
    monkeypatch.chdir(tmp_path)
    (runs / "broken").mkdir()
    (runs / "broken" / "results.json").write_text("{")
    assert run(monkeypatch, "runs", "title=Mine, all of it") == 0
    html = (tmp_path / "page.html").read_text()
    assert html.startswith("<!doctype html>")
    assert "Mine, all of it" in html
    out = capsys.readouterr().out
    assert "PSNR (dB) at x2" in out
    assert "edsr" in out or "srcnn" in out
    assert "runs/broken is left out: Expecting property name" in out
    assert "page     page.html\n" in out

    # A page that is there is replaced, and that is said.
    assert run(monkeypatch, "runs", "title=again") == 0
    assert "page     page.html (replaced)" in capsys.readouterr().out
    assert "Mine, all of it" not in (tmp_path / "page.html").read_text()


def test_the_cells_of_one_sweep_by_its_list(monkeypatch, capsys, tmp_path, runs):
    """Of the runs in the folder only those that the list names, and of those the ones that have begun."""
    monkeypatch.chdir(tmp_path)
    names = sorted(path.parent.name for path in runs.glob("*/results.json"))
    cells = [ListedCell(runs / name, []) for name in (*names[:2], "not_begun")]
    write_manifest(runs / "model+loss_1a2b3c.json", command=["train.py"], created="2026-01-31T12:00:00", cells=cells)
    assert run(monkeypatch, "runs/model+loss_1a2b3c.json", "format=csv", "output=scores.csv") == 0
    with (tmp_path / "scores.csv").open(newline="") as file:
        assert {Path(row["folder"]).name for row in csv.DictReader(file)} == set(names[:2])
    assert run(monkeypatch, "runs/model+loss_1a2b3c.json") == 0
    assert "<title>model+loss_1a2b3c" in (tmp_path / "page.html").read_text()
    (runs / "other.json").write_text("{}")
    assert run(monkeypatch, "runs/other.json") == 1
    assert "expected the list of a sweep's cells" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "name", "begins"),
    [
        (("format=csv",), "page.csv", "label,experiment,board,"),
        (("output=t.md",), "t.md", "<!-- written by sr_lightning compare -->"),
        (("output=t.tex", "format=latex"), "t.tex", "% written by sr_lightning compare"),
    ],
)
def test_other_formats(monkeypatch, capsys, tmp_path, runs, arguments, name, begins):
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        assert run(monkeypatch, runs, *arguments, "figure.images=1", "figure.runs=2") == 0
    text = (tmp_path / name).read_text()
    assert text.startswith(begins)
    out = capsys.readouterr().out
    assert f"table    {name} (replaced)" in out
    pictures = sorted(path.name for path in tmp_path.glob("*.png"))
    if name.endswith(".csv"):
        assert len({row["folder"] for row in csv.DictReader(text.splitlines())}) == 6
        assert pictures == []
    else:
        assert pictures
        for picture in pictures:
            assert picture.startswith("t_Set")
            assert picture in text
            assert f"figure   {picture}" in out


def test_no_figures(monkeypatch, capsys, tmp_path, synthetic_runs):
    monkeypatch.chdir(tmp_path)
    synthetic_runs.write_run(tmp_path / "one", random=np.random.default_rng(0), crops=True)
    assert run(monkeypatch, "one", "output=t.tex", "figure.images=0") == 0
    synthetic_runs.write_run(tmp_path / "two", random=np.random.default_rng(0), crops=False)
    assert run(monkeypatch, "two", "output=t.tex") == 0
    assert list(tmp_path.glob("*.png")) == []
    assert "No crop figures: none of the runs has kept crops" in capsys.readouterr().out


def test_images_of_figures_by_name(monkeypatch, capsys, tmp_path, runs):
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, runs, "output=t.md", "figure.images=[Set5/baby]") == 0
    scale = json.loads(next(runs.glob("*/results.json")).read_text())["scale"]
    assert {path.name for path in tmp_path.glob("*.png")} == {f"t_Set5_baby_x{scale}.png"}
    assert run(monkeypatch, runs, "output=u.md", "figure.images=[Set5/babi]") == 1
    error = capsys.readouterr().err
    assert "did you mean 'Set5/baby'?" in error
    assert error.count("\n") == 1
    assert not (tmp_path / "u.md").exists()


def test_a_figure_of_other_origin_is_not_replaced_and_nothing_is_written(monkeypatch, capsys, tmp_path, runs):
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, runs, "output=t.md", "figure.images=[Set5/baby]") == 0
    [figure] = tmp_path.glob("*.png")
    figure.write_bytes(b"mine")
    (tmp_path / "t.md").unlink()
    capsys.readouterr()
    assert run(monkeypatch, runs, "output=t.md", "figure.images=[Set5/baby]") == 1
    error = capsys.readouterr().err
    assert f"output: {figure.name} is there and was not written by compare; give another name." in error
    assert error.count("\n") == 1
    assert figure.read_bytes() == b"mine"
    assert not (tmp_path / "t.md").exists()


def test_damaged_files_cost_a_run_its_pictures_and_curves_but_not_its_row(monkeypatch, capsys, tmp_path, runs):
    monkeypatch.chdir(tmp_path)
    first, second, third = sorted(runs.glob("srcnn*"))[:3]
    index = first / "samples" / "samples.json"
    index.write_text(index.read_text()[:100])
    (second / "metrics.csv").write_text("<html>\n</html>\n")
    (third / "results.json").write_text((third / "results.json").read_text()[:500])
    told = (
        f"runs/{first.name} is shown without pictures: expected the list of a run's crops, got "
        f"runs/{first.name}/samples/samples.json, which is none (JSONDecodeError",
        f"runs/{second.name}/metrics.csv is left out: expected a column step, got '<html>'.",
        f"runs/{third.name} is left out: ",
    )
    for output in ("page.html", "t.md", "s.csv"):
        assert run(monkeypatch, "runs", f"output={output}") == 0
        out = capsys.readouterr().out
        # A table of values has no pictures.
        assert [line in out for line in told] == [output != "s.csv", True, True]
    with (tmp_path / "s.csv").open(newline="") as file:
        assert len({row["folder"] for row in csv.DictReader(file)}) == 5


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("a", "b c"), ["a", "b c"]),
        (("a", "runs=[b,c]", "title=x"), ["a", "b", "c"]),
        (("runs=a",), ["a"]),
        (("lr=1", "a, [1]"), ["lr=1", "a, [1]"]),
        (("it's", "output=b.html"), ["it's"]),
    ],
)
def test_folders_need_no_key(command, synthetic_runs, tmp_path, arguments, expected):
    for name in expected:
        synthetic_runs.write_run(tmp_path / name, random=np.random.default_rng(0))
    if arguments == ("runs=a",):
        assert "runs: expected a list" in command("compare", *arguments).error
    else:
        assert command("compare", *arguments).tree["runs"] == expected


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), "runs: expected folders of runs, got none; say python compare.py runs/"),
        (("nowhere",), "runs: expected the folder of a run or of many, got nowhere, which is not there"),
        (("runs", "empty"), "runs: expected runs (folders with a results.json) at or below empty, found none"),
        (("runs", "format=cvs"), "format: expected one of html, csv, md, latex, got 'cvs'; did you mean 'csv'?"),
        (("runs", "output=a.pdf"), "output: expected a name that ends in .html, .csv, .md, .tex, got a.pdf"),
        (("runs", "output=a.html", "format=latex"), "expected a name that ends in .tex (format=latex), got a.html"),
        (("runs", "output=no/a.html"), "output: expected a folder that exists, got no, which does not"),
        (("runs", "output=d.html"), "output: expected a file, got d.html, which is a folder"),
        (("runs", "output=thesis.tex"), "thesis.tex is there and was not written by compare; give another name"),
        (("runs", "output=data.csv"), "data.csv is there and was not written by compare"),
        (("runs", "images.megabytes=-1"), "images.megabytes: expected zero or more, got -1"),
        (("runs", "figure.runs=0"), "figure.runs: expected a positive number, got 0"),
        (("runs", "figure.images=-1"), "figure.images: expected a number from 0 on, or names of images, got -1"),
        (("runs", "figure.images=baby"), "figure.images: expected an integer or a list, got 'baby'"),
        (("runs", "outptu=a.html"), "did you mean 'output'?"),
        (("~figure",), "the key 'figure' cannot be taken away"),
        (("runs", "-m"), "compare runs once"),
        (("ab=[runs/a]",), "ab: expected the folders of two runs, as 'ab=[runs/A,runs/B]', got runs/a"),
        (("ab=[runs,empty]",), "ab: expected the folder of a run, got runs, which holds no results.json"),
        (("ab=[runs/a,runs/a]", "runs"), "ab=[A,B] compares two runs by eye; leave the folders beside it out"),
    ],
)
def test_refused_early(command, synthetic_runs, tmp_path, arguments, expected):
    synthetic_runs.write_run(tmp_path / "runs" / "a", random=np.random.default_rng(0))
    for name in ("empty", "d.html"):
        (tmp_path / name).mkdir()
    (tmp_path / "thesis.tex").write_text("\\documentclass{article}")
    (tmp_path / "data.csv").write_text("a,b\n")
    assert expected in command("compare", *arguments).error


def test_no_readable_run_is_refused(monkeypatch, capsys, tmp_path):
    (tmp_path / "results.json").write_text("[]")
    assert run(monkeypatch, tmp_path, f"output={tmp_path / 'a.html'}") == 1
    assert "runs: expected a run that can be read, got" in capsys.readouterr().err
    assert not (tmp_path / "a.html").exists()


def test_blind_test_is_handed_over(monkeypatch, tmp_path, synthetic_runs):
    served = []
    monkeypatch.setattr("sr_lightning.engine.blind_test.serve", lambda *runs, config: served.append((runs, config)))
    folders = [synthetic_runs.write_run(tmp_path / name, random=np.random.default_rng(0)) for name in "ab"]
    assert run(monkeypatch, f"ab=[{folders[0]},{folders[1]}]", "blind.port=0") == 0
    assert served == [(tuple(folders), {"output": "blind_test.json", "port": 0, "seed": 42})]


def test_formats_are_those_of_the_suffixes():
    assert set(CHOICES["format"]) == set(compare.SUFFIXES) == set(compare.MARKS)
    assert CHOICES_IN["export"]["format"] == FORMATS


def test_as_a_program_it_imports_no_torch(tmp_path, runs, repository):
    code = (
        "import sys; sys.argv = ['compare', *sys.argv[1:]]\n"
        "from sr_lightning.cli.compare import main\n"
        "main(); import json; print(json.dumps([name for name in ('torch', 'lightning') if name in sys.modules]))"
    )
    arguments = [sys.executable, "-c", code, str(runs), "output=page.html"]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True, timeout=120, cwd=tmp_path)
    assert json.loads(done.stdout.splitlines()[-1]) == []
    assert (tmp_path / "page.html").stat().st_size > 100_000
    named = [sys.executable, "-m", "sr_lightning", "compare", "--help"]
    done = subprocess.run(named, capture_output=True, text=True, check=True, timeout=60, cwd=tmp_path)
    assert "python compare.py runs/" in done.stdout
