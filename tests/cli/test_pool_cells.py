"""What the launcher makes of Hydra's cells, and Hydra of what became of them; nothing is trained."""

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobStatus
from hydra.errors import CompactHydraException
from hydra.types import HydraContext, RunMode
from omegaconf import OmegaConf

from sr_lightning.cli import pool as module
from sr_lightning.cli.compose import Composer
from sr_lightning.cli.pool import Settings, launch_on_pool
from sr_lightning.report.identity import config_hash
from sr_lightning.sweeps.jobs import Cell
from sr_lightning.sweeps.launching import Launch
from sr_lightning.sweeps.slots import Need
from sr_lightning.sweeps.standing import Standing

RESULTS = {"validation": {"psnr": 30.5}}
SETTINGS = Settings(jobs=None, gpus=None, retries=0, poll=0.1)


class Launched:
    """Launches cells; `states` says what becomes of them in order, `cells` what was to be trained."""

    def __init__(self, overrides: Sequence[str]) -> None:
        loader = ConfigLoaderImpl(Composer("train")._loader.config_search_path)
        config = loader.load_configuration("train", list(overrides), RunMode.MULTIRUN)
        # What only starts once Hydra does.
        config.hydra.runtime.output_dir = "."
        self.launch = Launch(HydraContext(config_loader=loader, callbacks=None), task=None, config=config)  # type: ignore[arg-type]
        self.cells: Sequence[Cell] = ()
        self.compare: Path | None = None
        self.states: list[str] = []

    def train(self, cells: Sequence[Cell], settings: Settings, *, gpus: Any, compare: Path | None) -> list[Standing]:
        self.cells, self.compare = cells, compare
        failed = {"state": "failed", "reason": "RuntimeError: no"}
        states = self.states or ["done"] * len(cells)
        return [
            Standing(cell, **({"state": "done", "results": RESULTS} if state == "done" else failed))  # type: ignore[arg-type]
            for cell, state in zip(cells, states, strict=True)
        ]

    def __call__(self, *cells: Sequence[str], settings: Settings = SETTINGS) -> list[Any]:
        return launch_on_pool(self.launch, settings, cells, 0)


@pytest.fixture
def launched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Launched]]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")

    def make(*overrides: str) -> Launched:
        found = Launched(overrides)
        monkeypatch.setattr(module, "_train", found.train)
        return found

    yield make
    HydraConfig.instance().cfg = None


SEARCH = "hydra/sweeper=optuna"


def test_each_cell_is_resolved_on_its_own(launched: Callable[..., Launched], tmp_path: Path) -> None:
    pool = launched("+hydra.job.env_set.MINE=sure", "sweep.name=s")
    lists = ["trainer.devices=[1,0]", "data.root=here"]
    answers = pool(["sweep.name=s", "model=espcn", "scale=3"], ["sweep.name=s", "model=srcnn", *lists])
    assert [(answer.status, answer.return_value) for answer in answers] == [(JobStatus.COMPLETED, 30.5)] * 2
    assert answers[1].overrides == ["sweep.name=s", "model=srcnn", *lists]
    espcn, srcnn = pool.cells
    assert espcn.name.startswith("espcn_x3_sample_mse_")
    assert espcn.folder == tmp_path / "runs" / "sweep" / "s" / espcn.name == Path(answers[0].working_dir)
    assert (espcn.need, srcnn.need) == (Need("gpu", 1), Need("gpu", 2, (1, 0), translated=True))
    # CUDA_VISIBLE_DEVICES was given, so its numbers are counted as they were.
    assert espcn.environment == {"MINE": "sure"}
    config = OmegaConf.to_container(OmegaConf.create(srcnn.config))
    assert isinstance(config, dict)
    assert "${" not in srcnn.config
    assert config["data"]["root"] == str(tmp_path / "here")
    assert srcnn.name.endswith(config_hash(config)[:8])  # type: ignore[arg-type]
    assert pool.compare == tmp_path / "runs" / "sweep" / "s"


def test_gpus_are_hidden_from_jobs_on_the_cpu(
    launched: Callable[..., Launched], monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = launched("model=espcn")
    pool(["trainer.accelerator=cpu"])
    assert pool.cells[0].environment == {"CUDA_VISIBLE_DEVICES": ""}
    pool(["seed=1"], settings=Settings(jobs=None, gpus=[], retries=0, poll=0.1))
    assert pool.cells[0].environment == {"CUDA_VISIBLE_DEVICES": ""}
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    monkeypatch.setattr(module, "visible_gpus", lambda _: ["0"])
    pool(["seed=1"])
    assert pool.cells[0].environment == {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
    monkeypatch.setattr(module, "visible_gpus", lambda _: [])
    pool(["seed=1"])
    assert pool.cells[0].environment == {}


def test_a_search_hears_of_failures(launched: Callable[..., Launched]) -> None:
    pool = launched(SEARCH, "model=espcn")
    pool.states = ["failed", "done"]
    failed, good, again = pool(["seed=1"], ["seed=2"], ["seed=2"])
    # The same twice is trained once.
    assert len(pool.cells) == 2
    assert pool.compare is None
    assert (good.return_value, again.return_value) == (30.5, 30.5)
    assert failed.status == JobStatus.FAILED
    with pytest.raises(CompactHydraException, match=r"^RuntimeError: no$"):
        _ = failed.return_value


def test_a_result_without_what_is_searched_for_is_a_failure(launched: Callable[..., Launched]) -> None:
    pool = launched(SEARCH, "model=espcn", "sweep.objectives=[validation.psnr,multiply_adds]")
    (answer,) = pool(["seed=1"])
    with pytest.raises(CompactHydraException, match=r"sweep\.objectives: .*multiply_adds, which is None"):
        _ = answer.return_value


def test_a_plain_sweep_ends_with_1(launched: Callable[..., Launched], capsys: pytest.CaptureFixture[str]) -> None:
    pool = launched("model=espcn")
    pool.states = ["failed", "done"]
    with pytest.raises(SystemExit) as end:
        pool(["seed=1"], ["seed=2"])
    assert end.value.code == 1
    first, second, *rest = capsys.readouterr().err.splitlines()
    assert first == "error: 1 of 2 cells failed; the same command tries them again:"
    assert second.endswith(f"{pool.cells[0].name}: RuntimeError: no; log runs/sweep/{pool.cells[0].name}/job.log")
    assert rest == []


def test_a_trial_in_the_folder_of_another_run_is_refused(
    launched: Callable[..., Launched], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    pool = launched(SEARCH, "model=espcn", "hydra.sweep.subdir=x")
    (tmp_path / "runs" / "sweep" / "x").mkdir(parents=True)
    (tmp_path / "runs" / "sweep" / "x" / "results.json").write_text('{"config_hash": "0123456789ab"}')
    with pytest.raises(SystemExit):
        pool(["seed=1"])
    assert not pool.cells
    assert "runs/sweep/x holds a run of another configuration" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ([["seed=1"], ["seed=2"]], "gives one folder, .*/x, to two cells, which differ in seed=2; leave it out"),
        ([["trainer.devices=3"]], r"the sweep has 2 GPUs \(4, 7\), a job asks for 3"),
    ],
)
def test_refused_before_anything_starts(
    launched: Callable[..., Launched], capsys: pytest.CaptureFixture[str], cells: list[list[str]], message: str
) -> None:
    pool = launched("model=espcn", "hydra.sweep.subdir=x")
    with pytest.raises(SystemExit):
        pool(*cells)
    assert not pool.cells
    assert re.search(message, capsys.readouterr().err)
