import logging
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from lightning import LightningModule, Trainer
from torch import Tensor, nn

from sr_lightning.data.datamodule import SRDataModule
from sr_lightning.data.scan import DataError, list_images
from sr_lightning.functional.geometry import dihedral


@pytest.fixture
def make(folder: Path, tmp_path: Path, every_nth: type[Any]) -> Callable[..., SRDataModule]:
    images = list_images(folder)

    def datamodule(**changes: Any) -> SRDataModule:
        arguments: dict[str, Any] = {
            "train_images": images[:2],
            "val_images": images[2:],
            "test_images": [],
            "scale": 2,
            "degradation": every_nth(2),
            "hr_patch": 16,
            "lr_patch": None,
            "batch_size": 4,
            "num_workers": 0,
            "seed": 1,
            "cache_dir": tmp_path / "cache",
        }
        return SRDataModule(**(arguments | changes))

    return datamodule


def with_trainer(datamodule: SRDataModule, *, rank: int = 0, world_size: int = 1, step: int = 0) -> SRDataModule:
    datamodule.trainer = SimpleNamespace(  # type: ignore[assignment]
        global_rank=rank,
        world_size=world_size,
        strategy=SimpleNamespace(root_device=torch.device("cpu")),
        lightning_module=SimpleNamespace(step=step),
    )
    datamodule.setup("fit")
    return datamodule


def take(datamodule: SRDataModule, batches: int) -> list[dict[str, Tensor]]:
    loader = datamodule.train_dataloader()
    return [datamodule.on_after_batch_transfer(batch, 0) for batch in islice(loader, batches)]


def test_training_batch_is_float_channels_last_and_turned_alike(make: Callable[..., SRDataModule]) -> None:
    datamodule = with_trainer(make(batch_size=32))
    (raw,) = islice(datamodule.train_dataloader(), 1)
    batch = datamodule.on_after_batch_transfer(raw, 0)
    assert set(batch) == {"lr", "hr"}
    assert set(raw["dihedral"].tolist()) == set(range(8))
    for key, side in (("lr", 8), ("hr", 16)):
        assert batch[key].shape == (32, 3, side, side)
        assert batch[key].dtype == torch.float32
        assert batch[key].is_contiguous(memory_format=torch.channels_last)
        for n, code in enumerate(raw["dihedral"].tolist()):
            expected = dihedral(raw[key][n : n + 1], code)[0].to(torch.float32) / 255
            torch.testing.assert_close(batch[key][n], expected, rtol=0, atol=1e-7)
    # LR shows what HR shows: every 2x2 square of HR, turned, still holds the LR pixel.
    squares = torch.stack([batch["hr"][..., i::2, j::2] for i in (0, 1) for j in (0, 1)])
    assert (squares == batch["lr"]).any(dim=0).all()


def test_lr_patch_and_hr_patch_mean_the_same(make: Callable[..., SRDataModule]) -> None:
    one, other = with_trainer(make()), with_trainer(make(hr_patch=None, lr_patch=8))
    for first, second in zip(take(one, 2), take(other, 2), strict=True):
        assert torch.equal(first["hr"], second["hr"])


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"lr_patch": 8}, "exactly one of hr_patch and lr_patch, got 16 and 8"),
        ({"hr_patch": None}, "exactly one of hr_patch and lr_patch, got None and None"),
        ({"hr_patch": 15}, "hr_patch to be a multiple of scale 2, got 15"),
    ],
)
def test_wrong_patches_are_refused(make: Callable[..., SRDataModule], changes: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        make(**changes)


def test_indivisible_batch_is_refused(make: Callable[..., SRDataModule]) -> None:
    datamodule = with_trainer(make(batch_size=6, accumulate=2), world_size=2)
    with pytest.raises(ValueError, match=r"multiple of devices x accumulated batches = 2 x 2, got 6"):
        datamodule.train_dataloader()


@pytest.mark.parametrize(("world_size", "accumulate"), [(2, 1), (1, 2), (2, 2)])
def test_ranks_and_accumulation_share_the_samples(
    make: Callable[..., SRDataModule], world_size: int, accumulate: int
) -> None:
    whole = torch.cat([batch["hr"] for batch in take(with_trainer(make(batch_size=8)), 3)])
    ranks = [
        take(
            with_trainer(make(batch_size=8, accumulate=accumulate), rank=rank, world_size=world_size),
            3 * accumulate,
        )
        for rank in range(world_size)
    ]
    parts = [batch["hr"] for together in zip(*ranks, strict=True) for batch in together]
    assert torch.equal(torch.cat(parts), whole)


@pytest.mark.parametrize("workers", [0, 2])
def test_resumed_loader_goes_on_where_the_module_stopped(make: Callable[..., SRDataModule], workers: int) -> None:
    whole = take(with_trainer(make()), 6)
    resumed = take(with_trainer(make(num_workers=workers), step=4), 2)
    for expected, batch in zip(whole[4:], resumed, strict=True):
        assert torch.equal(batch["lr"], expected["lr"])
        assert torch.equal(batch["hr"], expected["hr"])


def test_seed_decides(make: Callable[..., SRDataModule]) -> None:
    (one,), (same,), (other,) = (take(with_trainer(make(seed=seed)), 1) for seed in (1, 1, 2))
    assert torch.equal(one["hr"], same["hr"])
    assert not torch.equal(one["hr"], other["hr"])


def test_loader_works_without_a_trainer(make: Callable[..., SRDataModule]) -> None:
    datamodule = make()
    datamodule.prepare_data()
    datamodule.setup("fit")
    assert take(datamodule, 1)[0]["hr"].shape == (4, 3, 16, 16)
    assert [batch["name"] for batch in datamodule.val_dataloader()] == ["ccc.png", "dddd.png"]


def test_validation_images_are_whole_and_stay_uint8(make: Callable[..., SRDataModule]) -> None:
    datamodule = with_trainer(make())
    assert datamodule.val_store is not None
    for i, raw in enumerate(datamodule.val_dataloader()):
        batch = datamodule.on_after_batch_transfer(raw, 0)
        assert batch["name"] == datamodule.val_store.names[i]
        for key, view in (("lr", datamodule.val_store.lr(i)), ("hr", datamodule.val_store.hr(i))):
            assert batch[key].dtype == torch.uint8
            np.testing.assert_array_equal(batch[key], view.transpose(2, 0, 1)[None])


@pytest.mark.parametrize("world_size", [1, 2, 3, 4])
def test_each_image_comes_once_on_one_rank(make: Callable[..., SRDataModule], folder: Path, world_size: int) -> None:
    images = list_images(folder)
    for loader in ("val_dataloader", "test_dataloader"):
        names = []
        for rank in range(world_size):
            datamodule = with_trainer(make(val_images=images, test_images=images), rank=rank, world_size=world_size)
            names += [batch["name"] for batch in getattr(datamodule, loader)()]
        assert sorted(names) == ["a.png", "bb.png", "sub/ccc.png", "sub/dddd.png"]


def test_rank_without_an_image_is_refused(make: Callable[..., SRDataModule]) -> None:
    datamodule = with_trainer(make(), world_size=3)
    with pytest.raises(ValueError, match=r"got 2 images for 3 devices: ccc\.png, dddd\.png; use fewer"):
        datamodule.val_dataloader()


def test_test_images_are_optional(make: Callable[..., SRDataModule]) -> None:
    datamodule = with_trainer(make())
    assert datamodule.test_store is None
    with pytest.raises(ValueError, match="no test images"):
        datamodule.test_dataloader()


def test_images_smaller_than_the_patch_are_left_out_and_logged_once(
    make: Callable[..., SRDataModule],
    folder: Path,
    save_image: Callable[..., Path],
    caplog: pytest.LogCaptureFixture,
) -> None:
    small = save_image(folder / "small.png", 15, 40)
    datamodule = make(train_images=[small, folder / "bb.png"], val_images=[small], min_side=8)
    with caplog.at_level(logging.WARNING):
        datamodule.prepare_data()
        datamodule.setup("fit")
    assert [record.getMessage() for record in caplog.records] == [
        f"left out {small}: 14x40 pixels is too small, expected at least 16x16"
    ]
    assert datamodule.train_store is not None
    assert datamodule.train_store.names == ["bb.png"]
    with pytest.raises(DataError, match="14x40"):
        make(val_images=[small], min_side=16).setup("fit")


def test_progress_is_told_while_a_store_is_built(make: Callable[..., SRDataModule]) -> None:
    calls: list[tuple[int, int]] = []
    datamodule = make(progress=lambda done, total: calls.append((done, total)))
    datamodule.prepare_data()
    datamodule.setup("fit")
    assert calls == [(1, 2), (2, 2)] * 2


class Recorder(LightningModule):
    """Counts steps, and writes down what it is trained and validated with."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))
        self.folder = folder
        self.seen: list[Tensor] = []
        self.names: list[str] = []

    @property
    def step(self) -> int:
        return self.trainer.global_step

    def training_step(self, batch: dict[str, Tensor], batch_index: int) -> Tensor:
        self.seen.append(batch["hr"])
        return self.weight * batch["lr"].mean()

    def validation_step(self, batch: dict[str, Any], batch_index: int) -> None:
        assert batch["hr"].dtype == torch.uint8
        self.names.append(batch["name"])

    def on_fit_end(self) -> None:
        torch.save((torch.stack(self.seen), self.names), self.folder / f"{self.global_rank}.pt")

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def fit(
    datamodule: SRDataModule,
    *,
    steps: int,
    folder: Path,
    devices: int = 1,
    checkpoint: Path | None = None,
) -> list[tuple[Tensor, list[str]]]:
    """Train and leave `last.ckpt`; what each rank saw: (steps, N, 3, H, W) and names of images."""
    trainer = Trainer(
        max_steps=steps,
        val_check_interval=steps,
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        accelerator="cpu",
        devices=devices,
        strategy="auto" if devices == 1 else "ddp_fork",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        default_root_dir=folder,
    )
    trainer.fit(Recorder(folder), datamodule=datamodule, ckpt_path=checkpoint)
    if devices == 1:
        trainer.save_checkpoint(folder / "last.ckpt")
    return [torch.load(folder / f"{rank}.pt") for rank in range(devices)]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("workers", [0, 1])
def test_fit_and_resume_see_the_samples_of_an_uninterrupted_run(
    make: Callable[..., SRDataModule], tmp_path: Path, workers: int
) -> None:
    ((whole, _),) = fit(make(num_workers=workers), steps=6, folder=tmp_path)
    ((first, _),) = fit(make(num_workers=workers), steps=4, folder=tmp_path)
    ((second, _),) = fit(make(num_workers=workers), steps=6, folder=tmp_path, checkpoint=tmp_path / "last.ckpt")
    assert (len(first), len(second)) == (4, 2)
    assert torch.equal(whole, torch.cat([first, second]))


@pytest.mark.filterwarnings("ignore")
def test_two_processes_share_the_samples_of_one(make: Callable[..., SRDataModule], tmp_path: Path) -> None:
    ((alone, names),) = fit(make(), steps=3, folder=tmp_path)
    (first, first_names), (second, second_names) = fit(make(), steps=3, folder=tmp_path, devices=2)
    assert torch.equal(alone, torch.cat([first, second], dim=1))
    assert (first_names, second_names) == (names[:1], names[1:])
