"""Timing a step and the scoring of a pixel on random images."""

import json
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from sr_lightning.cli.compose import Composer
from sr_lightning.cli.resolve import on_its_own
from sr_lightning.engine import estimate as module
from sr_lightning.engine.estimate import _Stopwatch, impossible_kinds, main, measure, measure_kinds
from sr_lightning.engine.pace import RepeatedBatch

TINY = (
    "model=edsr_baseline", "model.width=4", "model.depth=1", "scale=2", "data.hr_patch=32", "data.lr_patch=null",
    "data.batch_size=4", "trainer.accelerator=cpu", "trainer.precision=32-true",
)  # fmt: skip


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(module, "SECONDS", 0.05)
    monkeypatch.setattr(module, "SIDES", {"cpu": 48})


@pytest.fixture(scope="module")
def config():
    composer = Composer("train")

    def make(*overrides: str) -> dict:
        return on_its_own(composer.compose([*TINY, *overrides]).tree)

    return make


KINDS = {
    "accumulated": ("module.accumulate=2",),
    "perceptual": ("loss=perceptual", "loss.perceptual.weights=nowhere.pth"),
    "late": ("loss=[l1,ldl]", "loss.ldl.start=1000", "callbacks=ema"),
    "made on the device": ("degradation=second_order",),
    "compiled": ("compile=true",),
    "gan": ("module=gan", "module.discriminator.width=4", "module.discriminator.hidden=8", "trainer.max_steps=10"),
}


@pytest.mark.parametrize("name", list(KINDS))
def test_every_kind_of_run_can_be_timed(config, name):
    settings = config(*KINDS[name])
    given = json.dumps(settings)
    found = measure(settings)
    assert 0 < found["step"] < 5
    assert 0 < found["pixel"] < 1e-3
    assert json.dumps(settings) == given


def test_a_larger_batch_takes_longer(config):
    small, large = (measure(config(f"data.batch_size={size}", "data.hr_patch=96"))["step"] for size in (2, 64))
    assert large > 4 * small


@pytest.mark.parametrize(
    ("of_two", "of_eight", "expected", "batches"),
    # Three small batches are fetched before the first whole one; the first of each size warms up.
    [(0.25, 0.75, 0.75, [2, 2, 2, 8, 8]), (0.5, 99.0, 2.0, [2, 2, 2, 2])],
)
def test_of_whole_batches_that_take_too_long_a_few_samples_tell(monkeypatch, of_two, of_eight, expected, batches):
    monkeypatch.setattr(module, "SECONDS", 1.5)
    now = 0.0
    monkeypatch.setattr(module.time, "perf_counter", lambda: now)
    whole = {"hr": torch.zeros(8, 3, 1, 1)}
    source = RepeatedBatch({"hr": whole["hr"][:2]})
    stopwatch, trainer = _Stopwatch(source, whole), SimpleNamespace(should_stop=False)
    fetched, fed = source.batch, []
    while not trainer.should_stop:
        # As Lightning does, one ahead.
        batch, fetched = fetched, source.batch
        fed.append(len(batch["hr"]))
        stopwatch.on_train_batch_start(trainer, SimpleNamespace(device=torch.device("cpu")))
        now += of_two if fed[-1] == 2 else of_eight
        stopwatch.on_train_batch_end(trainer, SimpleNamespace(device=torch.device("cpu")), None, batch)
    assert (stopwatch.seconds, fed) == (expected, batches)


def test_the_phases_of_a_gan_count_by_their_steps(config, monkeypatch):
    monkeypatch.setattr(module, "_time_step", lambda each: 1.0 if each["module"]["pretrain_steps"] else 3.0)
    gan = "module=gan", "trainer.max_steps=100"
    assert measure(config(*gan, "module.pretrain_steps=25"))["step"] == 0.25 * 1 + 0.75 * 3
    assert measure(config(*gan, "module.pretrain_steps=0"))["step"] == 3


def test_a_look_counts_the_phases_by_their_steps(config, monkeypatch):
    from sr_lightning.engine import pace

    built = config("module=gan", "trainer.max_steps=100", "module.pretrain_steps=25", "data.batch_size=4")
    rates = []

    def rate(each, **_):
        # Four batches a second of the generator alone, one with the discriminator.
        rates.append(4.0 if each["module"]["pretrain_steps"] else 1.0)
        return rates[-1]

    monkeypatch.setattr(pace, "_rate", rate)
    monkeypatch.setattr(pace, "_time", lambda work, device: (None, 10.0))
    datamodule = SimpleNamespace(train_dataloader=list)
    phases = pace.phases_of(built)
    found = pace.measure_pace(built, phases=phases, datamodule=datamodule, accelerator="cpu", precision="32-true")
    assert rates == [4.0, 1.0]
    # A mean step of 0.25 / 4 + 0.75 / 1 seconds.
    assert found.step == pytest.approx(4 / 0.8125)
    assert (found.loader, found.preparing) == (40.0, 40.0)


def test_what_there_is_no_time_for_is_reckoned_by_multiply_adds(config, monkeypatch):
    monkeypatch.setattr(module, "measure", lambda each: {"step": 2.0, "pixel": 1.0})
    clock = iter([0.0, 1.0, 11.0, 11.0])
    monkeypatch.setattr(module.time, "monotonic", lambda: next(clock))
    kinds = {
        "timed": config(),
        "twice the batch": config("data.batch_size=8"),
        "another method": config("module=gan", "data.hr_patch=96"),
    }
    found = measure_kinds(kinds, budget=10.0)
    assert found == {"timed": {"step": 2.0, "pixel": 1.0}, "twice the batch": {"step": 4.0, "pixel": 1.0}}


def test_what_cannot_be_built_is_left_out(config):
    assert measure_kinds({"a": config() | {"model": {"_target_": "nowhere.Net"}}}, budget=10.0) == {}


class NeedsValues(nn.Module):
    """Whose forward reads a value, which a tensor without any does not have."""

    def __init__(self, *, scale: int, channels: int) -> None:
        super().__init__()
        self.scale, self.channels = scale, channels
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, lr: torch.Tensor) -> torch.Tensor:
        return lr.repeat_interleave(self.scale, 2).repeat_interleave(self.scale, 3) * self.weight.item()


def test_networks_that_cannot_be_built_or_run_are_told(config):
    espcn = Composer("train").compose(["model=espcn", "model.channels=1"]).tree["model"]
    own = {"_target_": f"{__name__}.NeedsValues", "scale": 2, "channels": 3}
    kinds = {
        "sound": config(),
        "one channel": config() | {"model": espcn},
        "by values": config() | {"model": own},
        "no width": config("model.width=0"),
        "no channels": config("model.channels=0"),
        "negative": config("model.width=-3"),
        "misspelt": config() | {"model": {**config()["model"], "widht": 3}},
        "nowhere": config() | {"model": {"_target_": "nowhere.Net"}},
    }
    found = impossible_kinds(kinds)
    assert list(found) == ["no width", "no channels", "negative", "misspelt", "nowhere"]
    assert all(reason.startswith("model=edsr_baseline cannot be built: ") for reason in found.values())
    assert found["no channels"].endswith("got 0 channels instead")
    assert "did you mean 'width'" in found["misspelt"]


def test_the_answer_names_what_cannot_be_built(config, tmp_path, monkeypatch):
    timed = []
    monkeypatch.setattr(module, "measure", lambda each: timed.append(each["model"]["width"]) or {"step": 1, "pixel": 1})
    asked, answer = tmp_path / "asked.json", tmp_path / "answer.json"
    kinds = {"sound": config(), "no width": config("model.width=0")}
    asked.write_text(json.dumps({"begun": 0.0, "budget": 10.0, "kinds": kinds}))
    monkeypatch.setattr(module.sys, "argv", ["estimate", str(asked), str(answer)])
    main()
    found = json.loads(answer.read_text())
    assert (list(found["kinds"]), list(found["impossible"]), timed) == (["sound"], ["no width"], [4])
