"""The notebooks run, tell what they promise, and their kept outputs are small pictures without a trace of a machine."""

import io
import json
import os
import re
from base64 import b64decode
from collections.abc import Callable, Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from PIL import Image

jupytext = pytest.importorskip("jupytext", reason="notebooks need jupytext, nbclient and ipykernel (the extra `dev`)")
NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
NAMES = sorted(path.stem for path in NOTEBOOKS.glob("[0-9]*.py"))
# What one cell may take on a machine on which others work, too.
SECONDS = 900
LARGEST_FILE, LARGEST_PICTURE = 700_000, 150_000


def load_execute() -> ModuleType:
    spec = spec_from_file_location("execute", NOTEBOOKS / "execute.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def kept(name: str) -> Any:
    return jupytext.read(NOTEBOOKS / f"{name}.ipynb")


def outputs(notebook: Any) -> Iterator[Any]:
    for cell in notebook.cells:
        yield from cell.get("outputs", ())


def pictures(notebook: Any) -> list[bytes]:
    shown = [output["data"] for output in outputs(notebook) if "image/png" in output.get("data", {})]
    return [b64decode(data["image/png"]) for data in shown]


@pytest.fixture
def execute() -> ModuleType:
    """`notebooks/execute.py`, anew for each test."""
    return load_execute()


@pytest.fixture
def run(execute: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """Run a notebook's text half in a folder of its own: `run("01_quickstart")` returns it with its outputs."""
    for name in ("SR_LIGHTNING_RUNS", "SR_LIGHTNING_DATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SR_LIGHTNING_CACHE", str(tmp_path / "cache"))
    for name in ("JUPYTER_RUNTIME_DIR", "IPYTHONDIR", "MPLCONFIGDIR"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    folder = tmp_path / "notebooks"
    folder.mkdir()

    def executed(name: str) -> Any:
        return execute.executed(execute.read(NOTEBOOKS / f"{name}.py"), folder=folder, seconds=SECONDS)

    return executed


def results(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted(folder.rglob("results.json"))]


def test_quickstart_beats_bicubic(run: Callable[[str], Any], tmp_path: Path) -> None:
    run("01_quickstart")
    (result,) = results(tmp_path / "notebooks")
    assert (result["status"], result["steps"]) == ("finished", 300)
    for scores in (result["metrics"]["sample"], result["validation"]):
        assert scores["psnr"] > scores["bicubic"]["psnr"] + 0.2


def test_every_cell_of_the_sweep_is_trained_once_and_compared(run: Callable[[str], Any], tmp_path: Path) -> None:
    notebook = run("02_compare_models_and_losses")
    found = {(each["model"], each["loss"], each["seed"]): each for each in results(tmp_path / "notebooks")}
    losses = ("l1", "charbonnier")
    six = {(model, loss, 42) for model in ("srcnn", "espcn", "edsr_baseline") for loss in losses}
    assert set(found) == six | {("espcn", loss, 43) for loss in losses}
    assert {each["status"] for each in found.values()} == {"finished"}
    assert {each["steps"] for each in found.values()} == {300}
    best = max(each["metrics"]["sample"]["psnr"] for each in found.values())
    assert best > found["espcn", "l1", 42]["metrics"]["sample"]["bicubic"]["psnr"]
    page = tmp_path / "notebooks" / "runs" / "page.html"
    assert all(model in page.read_text() for model in ("srcnn", "espcn", "edsr_baseline"))
    tables = [
        output["data"]["text/markdown"] for output in outputs(notebook) if "text/markdown" in output.get("data", {})
    ]
    assert "Cannot tell: fewer than 5 images" in "".join(tables)


def test_a_gan_is_further_from_the_photograph_and_nearer_to_its_spectrum(
    run: Callable[[str], Any], tmp_path: Path
) -> None:
    run("03_perception_distortion")
    found = {each["model"]: each for each in results(tmp_path / "notebooks")}
    assert {name: each["status"] for name, each in found.items()} == {"srresnet": "finished", "srgan": "finished"}
    srresnet, srgan = (found[name]["metrics"]["sample"] for name in ("srresnet", "srgan"))
    assert srgan["psnr"] < srresnet["psnr"] - 0.2
    assert srgan["lsd"] < srresnet["lsd"] - 1
    assert srresnet["psnr"] > srresnet["bicubic"]["psnr"]


@pytest.mark.parametrize("name", NAMES)
def test_both_halves_of_a_pair_hold_the_same(name: str) -> None:
    halves = [jupytext.read(NOTEBOOKS / f"{name}{suffix}") for suffix in (".py", ".ipynb")]
    text, notebook = ([(cell.cell_type, cell.source) for cell in half.cells] for half in halves)
    assert text == notebook, "run `make notebooks`"


@pytest.mark.parametrize("name", NAMES)
def test_kept_outputs_are_small_pictures_and_no_errors(name: str) -> None:
    assert (NOTEBOOKS / f"{name}.ipynb").stat().st_size < LARGEST_FILE
    shown = pictures(kept(name))
    assert len(shown) >= 2
    assert max(map(len, shown)) <= LARGEST_PICTURE
    kinds = {(output["output_type"], output.get("name")) for output in outputs(kept(name))}
    assert kinds <= {("stream", "stdout"), ("display_data", None), ("execute_result", None)}


@pytest.mark.parametrize("name", NAMES)
def test_nothing_kept_tells_of_the_machine(name: str) -> None:
    notebook = kept(name)
    assert set(notebook.metadata) == {"jupytext", "kernelspec"}
    assert all(not cell.metadata for cell in notebook.cells)
    text = "\n".join(
        output.get("text", "") + "".join(value for kind, value in output.get("data", {}).items() if kind != "image/png")
        for output in outputs(notebook)
    )
    assert text
    # Absolute paths, control characters of terminals, and addresses in memory.
    assert not re.findall(r"(?:^|[\s'\"(=])/\w[\w.-]*/\S*|\x1b|0x[0-9a-fA-F]{6,}", text)
    assert os.uname().nodename not in text


@pytest.fixture
def pair(execute: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The text half of a notebook of one line, and `executed` without a kernel."""
    monkeypatch.setattr(execute, "FOLDER", tmp_path)
    monkeypatch.setattr(execute, "executed", lambda notebook, *, folder, seconds: notebook)
    script = tmp_path / "09_short.py"
    script.write_text("# %%\n1 + 1\n")
    return script


def test_the_half_that_was_changed_last_is_run(execute: ModuleType, pair: Path) -> None:
    execute.main([])
    other = pair.with_suffix(".ipynb")
    other.write_text(other.read_text().replace("1 + 1", "2 + 2"))
    os.utime(pair, (0, 0))
    execute.main(["09_short"])
    assert "2 + 2" in pair.read_text()
    assert sorted(path.name for path in pair.parent.iterdir()) == ["09_short.ipynb", "09_short.py"]


def test_what_is_written_while_it_runs_is_not_lost(
    execute: ModuleType, pair: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def edited(notebook: Any, *, folder: Path, seconds: int) -> Any:
        pair.write_text("# %%\n3 + 3\n")
        return notebook

    monkeypatch.setattr(execute, "executed", edited)
    with pytest.raises(SystemExit, match="changed while it ran"):
        execute.main(["09_short"])
    assert "3 + 3" in pair.read_text()
    assert not pair.with_suffix(".ipynb").exists()


def test_pictures_are_kept_small(execute: ModuleType) -> None:
    noise = Image.effect_noise((1600, 900), 80)
    buffer = io.BytesIO()
    noise.save(buffer, "PNG")
    small = Image.open(io.BytesIO(execute.small_png(buffer.getvalue())))
    assert small.size == (800, 450)
    assert small.mode == "P"
