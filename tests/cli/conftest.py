"""Commands run in this process up to the point where Hydra would start their work."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sr_lightning.cli import app, start_sweep
from sr_lightning.cli.compose import Composed, Composer
from sr_lightning.cli.search import Search
from sr_lightning.cli.sweep import Sweep


@dataclass
class Answer:
    """What a command did: the line it refused with, or the checked configuration of each of its runs."""

    error: str
    out: str
    runs: list[Composed]

    @property
    def tree(self) -> dict:
        assert not self.error
        assert len(self.runs) == 1
        return self.runs[0].tree


@cache
def project_composer(name: str) -> Composer:
    """Composing takes a tenth of a second; the project's own yamls stay the same during the tests."""
    return Composer(name)


def quick_composer(name: str, *, config_dirs: list[Path], base_dir: Path | None) -> Composer:
    own = config_dirs or base_dir
    return Composer(name, config_dirs=config_dirs, base_dir=base_dir) if own else project_composer(name)


def cells_of(sweep: Sweep) -> list[Composed]:
    return [cell.composed for cell, _ in sweep.cells]


def corners_of(search: Search, whole: Composed) -> list[Composed]:
    return [corner.composed for corner in search.corners]


@pytest.fixture
def command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Callable[..., Answer]:
    """`command("train", "model=srgan")` checks as the real command does and stops where its work begins."""
    monkeypatch.chdir(tmp_path)
    for name in ("DATA", "RUNS", "CACHE"):
        monkeypatch.delenv(f"SR_LIGHTNING_{name}", raising=False)

    def run(name: str, *arguments: str) -> Answer:
        checked, handed_over = [], []
        genuine = app.compose_checked

        def remember(*given: object) -> Composed:
            checked.append(genuine(*given))
            return checked[-1]

        with monkeypatch.context() as patch:
            patch.setattr("sys.argv", [f"{name}.py", *arguments])
            patch.setattr(app, "compose_checked", remember)
            patch.setattr(app, "Composer", quick_composer)
            patch.setattr(app, "_hand_over", lambda *given: handed_over.append(given))
            for name_of_it, runs_of in (("show_cells", cells_of), ("show_search", corners_of)):
                patch.setattr(start_sweep, name_of_it, lambda *given, of=runs_of: checked.extend(of(*given)))
            patch.setattr(start_sweep, "write_list", lambda sweep: None)
            code = 0
            try:
                import_module(f"sr_lightning.cli.{name}").main()
            except SystemExit as end:
                code = end.code
        assert code == 0 or (code == 1 and not handed_over)
        captured = capsys.readouterr()
        error = captured.err.strip()
        if error:
            assert error.startswith("error: ")
            assert "\n" not in error, "a refusal is one line"
        return Answer(error.removeprefix("error: "), captured.out, checked)

    return run


@pytest.fixture
def refusal(command: Callable[..., Answer]) -> Callable[..., str]:
    """The line with which `train` refuses its arguments."""

    def run(*arguments: str) -> str:
        answer = command("train", *arguments)
        assert answer.error, f"not refused: {arguments}"
        return answer.error

    return run


@pytest.fixture
def photos(tmp_path: Path) -> Callable[..., Path]:
    """Make a folder with images of random pixels."""

    def make(name: str, *files: str, side: int = 200) -> Path:
        folder = tmp_path / name
        for file in files or ("a.png", "b.png"):
            pixels = np.random.default_rng(len(file)).integers(0, 256, (side, side, 3), np.uint8)
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(folder / file)
        return folder

    return make
