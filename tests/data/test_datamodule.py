import importlib
import logging
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from lightning import LightningModule, Trainer
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from sr_lightning.data import device_cache
from sr_lightning.data.augment import Augment
from sr_lightning.data.datamodule import SRDataModule, TrainingSet
from sr_lightning.data.scan import DataError, list_images
from sr_lightning.degradations.base import Fixed
from sr_lightning.degradations.bicubic import Bicubic
from sr_lightning.degradations.blur_down import BlurDown
from sr_lightning.functional.draws import Draws
from sr_lightning.functional.geometry import dihedral
from sr_lightning.functional.quantize import from_uint8, to_uint8


class Nth(Fixed):
    """Stored LR that is each n-th pixel of HR: the place of a patch can be read off its values."""

    stored = True
    margin = 0

    def __init__(self, scale: int) -> None:
        self.scale = scale
        self.name = f"each {scale}th"

    def downscale(self, image: Tensor) -> Tensor:
        return image[..., :: self.scale, :: self.scale].contiguous()

    def __call__(self, hr: Tensor, *, samples: Sequence[int], seed: int) -> Tensor:
        raise AssertionError("the LR of this one is stored")


class Hazy:
    """Blur that reaches as far as its margin, a brightness of each sample's own, noise; the target is sharper."""

    stored = False

    def __init__(self, scale: int, *, blur: bool = True, draw: bool = True, sharpen: bool = False) -> None:
        self.scale = scale
        self.margin = 2 * scale
        self.name = f"hazy {scale}"
        self.blur, self.draw, self.sharpen = blur, draw, sharpen

    def __call__(self, hr: Tensor, *, samples: Sequence[int], seed: int) -> Tensor:
        lr = self._blurred(hr)[..., :: self.scale, :: self.scale]
        if self.draw:
            draws = Draws(samples, seed=seed, purpose="hazy")
            gain = torch.from_numpy(draws.uniform(0.5, 1.0)).float()[:, None, None, None]
            lr = lr * gain.to(lr.device)
            noise = [torch.rand(lr.shape[1:], generator=draws.generator(n)) for n in range(len(lr))]
            lr = (lr + 0.05 * torch.stack(noise)).clamp(0, 1)
        return lr

    def target(self, hr: Tensor) -> Tensor:
        return (2 * hr - self._blurred(hr)).clamp(0, 1) if self.sharpen else hr

    def parameters(self, *, samples: Sequence[int], seed: int) -> list[dict[str, float | str]]:
        return [{} for _ in samples]

    def _blurred(self, image: Tensor) -> Tensor:
        if not self.blur:
            return image
        reach = self.margin
        rows, columns = (
            torch.tensor(np.pad(np.arange(side), reach, "symmetric"), device=image.device) for side in image.shape[-2:]
        )
        return F.avg_pool2d(image.contiguous()[..., rows[:, None], columns], 2 * reach + 1, stride=1)


OFF = Augment(flip=False, rotate=False)
EVERYTHING = Augment(mixup=0.5, cutmix=0.5, cutblur=0.5, channel_shuffle=0.5, colour_jitter=0.5)


@pytest.fixture
def make(folder: Path, tmp_path: Path) -> Callable[..., SRDataModule]:
    images = list_images(folder)

    def datamodule(**changes: Any) -> SRDataModule:
        arguments: dict[str, Any] = {
            "train": [TrainingSet("photographs", images[:2])],
            "val_files": images[2:],
            "scale": 2,
            "degradation": Nth(2),
            "augment": Augment(),
            "crop": "random",
            "hr_patch": 16,
            "lr_patch": None,
            "batch_size": 8,
            "num_workers": 0,
            "seed": 1,
            "cache_dir": tmp_path / "cache",
        }
        return SRDataModule(**(arguments | changes))

    return datamodule


@pytest.fixture
def variant(folder: Path, tmp_path: Path) -> Callable[[str], dict[str, Any]]:
    """Settings of data modules that go different ways to a batch."""
    images = list_images(folder)
    equal = []
    for n in range(3):
        equal.append(tmp_path / f"equal/{n}.png")
        equal[0].parent.mkdir(exist_ok=True)
        Image.open(images[n]).crop((0, 0, 35, 31)).save(equal[n])
    deep = tmp_path / "deep.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 65536, (33, 40), np.uint16)).save(deep)

    def changes(name: str) -> dict[str, Any]:
        return {
            "stored": {},
            "bicubic": {"degradation": Bicubic(scale=2), "augment": EVERYTHING},
            "device": {"degradation": Hazy(2)},
            "target": {"degradation": Hazy(2, sharpen=True), "augment": EVERYTHING},
            "blur_down": {"degradation": BlurDown(scale=2)},
            "scales": {"degradation": {2: Nth(2), 3: Nth(3)}, "scales": [2, 3], "lr_patch": 8, "hr_patch": None},
            "device scales": {"degradation": {2: Hazy(2), 3: Hazy(3)}, "scales": [2, 3]},
            "mixture": {"train": [TrainingSet("few", images[:1], weight=3.0), TrainingSet("more", images[1:])]},
            "whole": {"train": [TrainingSet("equal", equal)], "crop": "whole"},
            "resize": {"train": [TrainingSet("equal", equal)], "crop": "resize", "degradation": Bicubic(scale=2)},
            "centre": {"crop": "centre", "degradation": Hazy(2)},
            "deep": {"train": [TrainingSet("deep", [deep]), TrainingSet("grey", images)], "channels": 1},
            "deep device": {"train": [TrainingSet("deep", [deep])], "channels": 1, "degradation": Hazy(2)},
        }[name]

    return changes


VARIANTS = (
    "stored", "bicubic", "device", "target", "blur_down", "scales", "device scales", "mixture", "whole", "resize",
    "centre", "deep", "deep device",
)  # fmt: skip


def with_trainer(datamodule: SRDataModule, *, rank: int = 0, world_size: int = 1, step: int = 0) -> SRDataModule:
    datamodule.trainer = SimpleNamespace(  # type: ignore[assignment]
        global_rank=rank,
        world_size=world_size,
        strategy=SimpleNamespace(root_device=torch.device("cpu")),
        lightning_module=SimpleNamespace(step=step),
    )
    datamodule.setup("fit")
    return datamodule


def take(datamodule: SRDataModule, batches: int) -> list[dict[str, Any]]:
    loader = datamodule.train_dataloader()
    return [datamodule.on_after_batch_transfer(batch, 0) for batch in islice(loader, batches)]


def joined(batches: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {
        key: torch.cat([batch[key] for batch in batches]) if isinstance(value, Tensor) else value
        for key, value in batches[0].items()
    }


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    if one.keys() != other.keys():
        return False
    return all(torch.equal(v, other[k]) if isinstance(v, Tensor) else v == other[k] for k, v in one.items())


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


@pytest.mark.parametrize("name", VARIANTS)
def test_batches_are_those_of_seed_and_step_however_they_are_made(
    make: Callable[..., SRDataModule], variant: Callable[[str], dict[str, Any]], name: str
) -> None:
    changes = variant(name)
    whole = take(with_trainer(make(**changes)), 5)
    assert not same(whole[0], whole[1])
    for image in (whole[0]["lr"], whole[0]["hr"]):
        assert image.dtype == torch.float32
        assert 0 <= image.min() < image.max() <= 1
    # Resumed.
    for expected, batch in zip(whole[3:], take(with_trainer(make(**changes), step=3), 2), strict=True):
        assert same(batch, expected)
    for world_size, accumulate in ((2, 1), (1, 2), (2, 2)):
        ranks = [
            take(with_trainer(make(**changes, accumulate=accumulate), rank=rank, world_size=world_size), 5 * accumulate)
            for rank in range(world_size)
        ]
        parts = [batch for together in zip(*ranks, strict=True) for batch in together]
        of_step = world_size * accumulate
        for step, expected in enumerate(whole):
            assert same(joined(parts[step * of_step : (step + 1) * of_step]), expected)


@pytest.mark.parametrize("name", ["bicubic", "resize", "blur_down", "noise_down", "classical", "second_order"])
def test_every_degradation_gives_each_sample_its_own(
    make: Callable[..., SRDataModule], repository: Path, name: str
) -> None:
    settings = yaml.safe_load((repository / "conf/degradation" / f"{name}.yaml").read_text()) | {"scale": 2}
    module, kind = settings.pop("_target_").rsplit(".", 1)
    changes = {"degradation": getattr(importlib.import_module(module), kind)(**settings)}
    whole = take(with_trainer(make(**changes)), 3)
    assert whole[0]["lr"].shape == (8, 3, 8, 8)
    ranks = [take(with_trainer(make(**changes), rank=rank, world_size=2, step=1), 2) for rank in (0, 1)]
    for expected, *parts in zip(whole[1:], *ranks, strict=True):
        batch = joined(parts)
        assert torch.equal(batch["hr"], expected["hr"])
        # Sums over other batches may be rounded otherwise, and then now and then to the next of the 256 levels.
        torch.testing.assert_close(batch["lr"], expected["lr"], rtol=0, atol=1.01 / 255)
        assert (batch["lr"] == expected["lr"]).float().mean() > 0.99
    datamodule = with_trainer(make(**changes))
    assert torch.equal(datamodule.val_pair(0)[0], with_trainer(make(**changes)).val_pair(0)[0])


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
@pytest.mark.parametrize(("name", "workers"), [("bicubic", 4), ("target", 2), ("device scales", 2)])
def test_workers_change_nothing(
    make: Callable[..., SRDataModule], variant: Callable[[str], dict[str, Any]], name: str, workers: int
) -> None:
    changes = variant(name)
    alone, parallel = (take(with_trainer(make(**changes, num_workers=n), step=2), 6) for n in (0, workers))
    for expected, batch in zip(alone, parallel, strict=True):
        assert same(batch, expected)


@pytest.mark.parametrize("store", ["ram", "off"])
def test_images_elsewhere_give_the_same_batches(
    make: Callable[..., SRDataModule], variant: Callable[[str], dict[str, Any]], store: str
) -> None:
    for name in ("bicubic", "deep", "device"):
        disk, other = (with_trainer(make(**variant(name), store=each)) for each in ("disk", store))
        for expected, batch in zip(take(disk, 2), take(other, 2), strict=True):
            assert same(batch, expected)
        assert all(torch.equal(*pair) for pair in zip(disk.val_pair(0), other.val_pair(0), strict=True))


@pytest.mark.parametrize("name", VARIANTS)
def test_device_cache_gives_the_same_batches(
    make: Callable[..., SRDataModule], variant: Callable[[str], dict[str, Any]], name: str
) -> None:
    changes = variant(name)
    # It needs no workers, and starts none.
    cached = with_trainer(make(**changes, device_cache=True, num_workers=2))
    assert cached.train_dataloader().num_workers == 0
    assert "hr" not in next(iter(cached.train_dataloader()))
    for expected, batch in zip(take(with_trainer(make(**changes)), 4), take(cached, 4), strict=True):
        assert same(batch, expected)
        assert batch["hr"].is_contiguous(memory_format=torch.channels_last)


def test_device_cache_that_does_not_fit_is_refused(
    make: Callable[..., SRDataModule], monkeypatch: pytest.MonkeyPatch
) -> None:
    # 41x33 and 50x39 pixels with the LR of each, in three channels.
    needed = 3 * (41 * 33 + 50 * 39 + 20 * 16 + 25 * 19)
    datamodule = with_trainer(make(device_cache=True))
    monkeypatch.setattr(device_cache, "_free_bytes", lambda device: needed - 1)
    with pytest.raises(DataError, match=rf"take {needed:,} bytes, but cpu has {needed - 1:,} free; .*device_cache=fal"):
        take(datamodule, 1)
    monkeypatch.setattr(device_cache, "_free_bytes", lambda device: needed)
    take(datamodule, 1)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("name", VARIANTS)
def test_gpu_makes_the_batches_of_the_cpu(
    make: Callable[..., SRDataModule], variant: Callable[[str], dict[str, Any]], name: str
) -> None:
    expected = take(with_trainer(make(**variant(name))), 2)
    for cached in (False, True):
        datamodule = with_trainer(make(**variant(name), device_cache=cached))
        for raw, cpu in zip(islice(datamodule.train_dataloader(), 2), expected, strict=True):
            moved = datamodule.transfer_batch_to_device(raw, torch.device("cuda", 0), 0)
            batch = datamodule.on_after_batch_transfer(moved, 0)
            assert batch["hr"].device.type == "cuda"
            torch.testing.assert_close(batch["lr"].cpu(), cpu["lr"], rtol=0, atol=1.01 / 255)
            torch.testing.assert_close(batch["hr"].cpu(), cpu["hr"], rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "degradation", [Hazy(2, draw=False), Hazy(3, draw=False), BlurDown(scale=2), BlurDown(scale=3)]
)
def test_lr_of_a_patch_is_the_patch_of_lr(make: Callable[..., SRDataModule], degradation: Any) -> None:
    scale = degradation.scale
    datamodule = with_trainer(
        make(degradation=degradation, scale=scale, augment=OFF, hr_patch=None, lr_patch=6, batch_size=60)
    )
    (raw,) = islice(datamodule.train_dataloader(), 1)
    batch = datamodule.on_after_batch_transfer(raw, 0)
    (store,) = datamodule.train_stores
    places = datamodule.train_dataloader().dataset.plan(range(60), scale)  # type: ignore[attr-defined]
    at_border = 0
    for n, (image, top, left) in enumerate(zip(places.image, places.top, places.left, strict=True)):
        height, width = store.sizes[image] // scale * scale
        hr = from_uint8(torch.from_numpy(store.hr(image)[:height, :width])).permute(2, 0, 1)[None]
        lr = degradation(hr, samples=[0], seed=0)[0, :, top : top + 6, left : left + 6]
        torch.testing.assert_close(batch["lr"][n], lr, rtol=0, atol=1e-6)
        at_border += top == 0 or left == 0
    assert at_border


def test_target_is_what_the_whole_image_has_there(make: Callable[..., SRDataModule]) -> None:
    degradation = Hazy(2, sharpen=True)
    datamodule = with_trainer(make(degradation=degradation, augment=OFF))
    plain = take(with_trainer(make(degradation=Hazy(2), augment=OFF)), 1)[0]
    batch = take(datamodule, 1)[0]
    assert set(batch) == {"lr", "hr", "real"}
    assert set(plain) == {"lr", "hr"}
    assert torch.equal(batch["real"], plain["hr"])
    assert torch.equal(batch["lr"], plain["lr"])
    places = datamodule.train_dataloader().dataset.plan(range(8), 2)  # type: ignore[attr-defined]
    for n, (image, top, left) in enumerate(zip(places.image, 2 * places.top, 2 * places.left, strict=True)):
        height, width = datamodule.train_stores[0].sizes[image] // 2 * 2
        whole = from_uint8(torch.from_numpy(datamodule.train_stores[0].hr(image)[:height, :width])).permute(2, 0, 1)
        target = degradation.target(whole[None])[0, :, top : top + 16, left : left + 16]
        torch.testing.assert_close(batch["hr"][n], target, rtol=0, atol=1e-5)


def test_a_run_of_several_scales_says_which(make: Callable[..., SRDataModule], variant: Callable[..., Any]) -> None:
    datamodule = with_trainer(make(**variant("scales")))
    batches = take(datamodule, 12)
    assert {batch["scale"] for batch in batches} == {2, 3}
    for batch in batches:
        assert batch["lr"].shape == (8, 3, 8, 8)
        assert batch["hr"].shape == (8, 3, 8 * batch["scale"], 8 * batch["scale"])
    # Validation is at the scale of the run.
    assert [item["lr"].shape[-1] * 2 == item["hr"].shape[-1] for item in datamodule.val_dataloader()] == [True, True]
    assert datamodule.hr_pixels == (16**2 + 24**2) / 2


def test_sets_are_chosen_by_weight(make: Callable[..., SRDataModule], variant: Callable[..., Any]) -> None:
    datamodule = with_trainer(make(**variant("mixture")))
    assert datamodule.train_weights == [3.0, 3.0]
    assert [len(store) for store in datamodule.train_stores] == [1, 3]
    dataset: Any = datamodule.train_dataloader().dataset
    assert np.bincount(dataset.plan(range(1000), 2).store) == pytest.approx(500, rel=0.1)


def test_own_lr_files_are_used_as_they_are(make: Callable[..., SRDataModule], folder: Path, tmp_path: Path) -> None:
    lr_files = []
    for path in list_images(folder):
        image = Image.open(path)
        width, height = image.width // 2, image.height // 2
        small = image.crop((0, 0, 2 * width, 2 * height)).resize((width, height), Image.Resampling.BOX)
        lr_files.append(tmp_path / "lr" / path.name)
        lr_files[-1].parent.mkdir(exist_ok=True)
        small.save(lr_files[-1])
    images = list_images(folder)
    datamodule = with_trainer(
        make(
            train=[TrainingSet("own", images[:2], lr_files=lr_files[:2])],
            val_lr_files=lr_files[2:],
            degradation=Hazy(2, sharpen=True),  # has nothing to do
        )
    )
    batch = take(datamodule, 1)[0]
    assert set(batch) == {"lr", "hr"}
    torch.testing.assert_close(batch["lr"], F.avg_pool2d(batch["hr"], 2), rtol=0, atol=1.01 / 255)
    lr, _ = datamodule.val_pair(1)
    np.testing.assert_array_equal(lr[0].permute(1, 2, 0), np.asarray(Image.open(lr_files[3])))


def test_lr_patch_and_hr_patch_mean_the_same(make: Callable[..., SRDataModule]) -> None:
    one, other = with_trainer(make()), with_trainer(make(hr_patch=None, lr_patch=8))
    assert (one.lr_patch, one.hr_patch) == (other.lr_patch, other.hr_patch) == (8, 16)
    for first, second in zip(take(one, 2), take(other, 2), strict=True):
        assert torch.equal(first["hr"], second["hr"])


SOME = [Path("a.png")]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"lr_patch": 8}, "exactly one of hr_patch and lr_patch, got 16 and 8"),
        ({"hr_patch": None}, "exactly one of hr_patch and lr_patch, got None and None"),
        ({"hr_patch": 15}, "hr_patch to be a multiple of scale 2, got 15"),
        ({"crop": "center"}, "crop to be one of random, centre, whole, resize, got 'center'"),
        ({"store": "memory"}, "store to be one of disk, ram, off, got 'memory'"),
        ({"degradation": Nth(3)}, r"a degradation of scale 2 under this number, got \{3: each 3th of scale 3\}"),
        ({"scales": [2, 3]}, r"a degradation of scale 3 under this number, got \{2: each 2th of scale 2\}"),
        (
            {"crop": "resize", "scales": [2, 3], "degradation": {2: Nth(2), 3: Nth(3)}},
            "crop=resize .* neither several scales nor own LR files",
        ),
        (
            {"crop": "resize", "train": [TrainingSet("own", SOME, lr_files=SOME)]},
            "crop=resize .* neither several scales nor own LR files",
        ),
        (
            {
                "train": [TrainingSet("own", SOME, lr_files=SOME)],
                "scales": [2, 3],
                "degradation": {2: Nth(2), 3: Nth(3)},
            },
            r"own LR files are of one scale, got \['own'\] with scales \[2, 3\]",
        ),
        (
            {"train": [TrainingSet("own", SOME, lr_files=SOME), TrainingSet("not", SOME)], "degradation": Hazy(2)},
            r"cannot stand beside LR that hazy 2 makes .* all of the sets \['own', 'not'\] or for none, .* \['own'\]",
        ),
    ],
)
def test_wrong_settings_are_refused(make: Callable[..., SRDataModule], changes: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        make(**changes)


def test_indivisible_batch_is_refused(make: Callable[..., SRDataModule]) -> None:
    datamodule = with_trainer(make(batch_size=6, accumulate=2), world_size=2)
    with pytest.raises(ValueError, match=r"multiple of devices x accumulated batches = 2 x 2, got 6"):
        datamodule.train_dataloader()


def test_odd_batch_of_mixed_samples_is_refused(make: Callable[..., SRDataModule]) -> None:
    datamodule = with_trainer(make(batch_size=6, augment=EVERYTHING), world_size=2)
    with pytest.raises(DataError, match=r"an even number for each device .* got 3 of data\.batch_size=6"):
        datamodule.train_dataloader()
    with_trainer(make(batch_size=6), world_size=2).train_dataloader()


def test_whole_images_of_different_sizes_come_one_by_one(make: Callable[..., SRDataModule]) -> None:
    with pytest.raises(DataError, match=r"different sizes .* a\.png \(41x33\) and bb\.png \(50x39\)"):
        with_trainer(make(crop="whole", batch_size=2)).train_dataloader()
    datamodule = with_trainer(make(crop="whole", batch_size=2, accumulate=2))
    sizes = {tuple(batch["hr"].shape) for batch in take(datamodule, 12)}
    assert sizes == {(1, 3, 32, 40), (1, 3, 38, 50)}
    assert datamodule.hr_pixels == (32 * 40 + 38 * 50) / 2


def test_seed_decides(make: Callable[..., SRDataModule]) -> None:
    (one,), (again,), (other,) = (take(with_trainer(make(seed=seed)), 1) for seed in (1, 1, 2))
    assert torch.equal(one["hr"], again["hr"])
    assert not torch.equal(one["hr"], other["hr"])


def test_loader_works_without_a_trainer(make: Callable[..., SRDataModule]) -> None:
    datamodule = make()
    datamodule.prepare_data()
    datamodule.setup("fit")
    assert take(datamodule, 1)[0]["hr"].shape == (8, 3, 16, 16)
    assert [batch["name"] for batch in datamodule.val_dataloader()] == ["ccc.png", "dddd.png"]


def test_validation_images_are_whole_and_stay_uint8(make: Callable[..., SRDataModule]) -> None:
    datamodule = with_trainer(make())
    store = datamodule.val_store
    assert store is not None
    for i, raw in enumerate(datamodule.val_dataloader()):
        batch = datamodule.on_after_batch_transfer(raw, 0)
        assert set(batch) == {"lr", "hr", "name"}
        assert batch["name"] == store.names[i]
        height, width = store.sizes[i] // 2 * 2
        for key, image in (("lr", store.lr(i, 2)), ("hr", store.hr(i)[:height, :width])):
            assert batch[key].dtype == torch.uint8
            np.testing.assert_array_equal(batch[key], image.transpose(2, 0, 1)[None])
        assert all(torch.equal(*pair) for pair in zip(datamodule.val_pair(i), (batch["lr"], batch["hr"]), strict=True))


def test_validation_lr_is_made_by_the_degradation_and_always_the_same(make: Callable[..., SRDataModule]) -> None:
    degradation = Hazy(2)
    datamodule = with_trainer(make(degradation=degradation, seed=7))
    for i, raw in enumerate(datamodule.val_dataloader()):
        assert set(raw) == {"hr", "name", "index"}
        batch = datamodule.on_after_batch_transfer(raw, 0)
        expected = to_uint8(degradation(from_uint8(raw["hr"]), samples=[i], seed=7))
        assert batch["lr"].dtype == torch.uint8
        assert torch.equal(batch["lr"], expected)
        assert torch.equal(datamodule.val_pair(i)[0], expected)
        assert not torch.equal(with_trainer(make(degradation=degradation, seed=8)).val_pair(i)[0], expected)


def test_validation_rounds_16_bits_to_8(make: Callable[..., SRDataModule], tmp_path: Path) -> None:
    # 128 * 257 is level 128; half a level is 128.5.
    levels = np.array([0, 128, 129, 128 * 257, 128 * 257 + 128, 128 * 257 + 129, 65535 - 128, 65535], np.uint16)
    Image.fromarray(np.tile(levels, (4, 1))).save(tmp_path / "deep.png")
    datamodule = with_trainer(make(val_files=[tmp_path / "deep.png"], channels=1))
    lr, hr = datamodule.val_pair(0)
    assert hr.dtype == lr.dtype == torch.uint8
    assert hr[0, 0, 0].tolist() == [0, 0, 1, 128, 128, 129, 255, 255]
    assert lr[0, 0, 0].tolist() == [0, 1, 128, 255]
    # Training keeps them.
    deep = with_trainer(make(train=[TrainingSet("deep", [tmp_path / "deep.png"])], channels=1, hr_patch=4, augment=OFF))
    values = {round(value * 65535) for value in take(deep, 4)[0]["hr"].unique().tolist()}
    assert values == set(levels.tolist())


@pytest.mark.parametrize("world_size", [1, 2, 3, 4])
def test_each_image_comes_once_on_one_rank(make: Callable[..., SRDataModule], folder: Path, world_size: int) -> None:
    images = list_images(folder)
    for loader in ("val_dataloader", "test_dataloader"):
        names = []
        for rank in range(world_size):
            datamodule = with_trainer(make(val_files=images, test_files=images), rank=rank, world_size=world_size)
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
    train = [TrainingSet("photographs", [small, folder / "bb.png"])]
    datamodule = make(train=train, val_files=[small], min_side=8, max_skipped=0.5)
    with caplog.at_level(logging.WARNING):
        datamodule.prepare_data()
        datamodule.setup("fit")
        datamodule.prepare_data()
    assert [record.getMessage() for record in caplog.records if "datamodule" in record.name] == [
        f"left out {small}: 15x40 pixels is too small, expected at least 16x16"
    ]
    assert list(datamodule.train_stores[0].names) == ["bb.png"]
    with pytest.raises(DataError, match="15x40"):
        make(val_files=[small], min_side=16).setup("fit")
    with pytest.raises(DataError, match="max_skipped"):
        make(train=train, val_files=[small], min_side=8).setup("fit")
    # Whole and resized images have no patch to be smaller than.
    whole = make(train=train, crop="whole", batch_size=1)
    whole.setup("fit")
    assert len(whole.train_stores[0]) == 2


def test_progress_is_told_while_a_store_is_built(make: Callable[..., SRDataModule]) -> None:
    calls: list[tuple[str, int, int]] = []
    datamodule = make(progress=lambda what, done, total: calls.append((what, done, total)))
    datamodule.prepare_data()
    datamodule.setup("fit")
    for what in ("training images photographs", "validation images"):
        counts = [(done, total) for name, done, total in calls if name == what]
        assert counts == sorted(counts)
        assert counts[-1] == (4, 4)  # HR and LR of two images


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
@pytest.mark.parametrize("changes", [{}, {"num_workers": 1}, {"device_cache": True}])
def test_fit_and_resume_see_the_samples_of_an_uninterrupted_run(
    make: Callable[..., SRDataModule], tmp_path: Path, changes: dict[str, Any]
) -> None:
    changes = {**changes, "batch_size": 4}
    ((whole, _),) = fit(make(**changes), steps=6, folder=tmp_path)
    ((first, _),) = fit(make(**changes), steps=4, folder=tmp_path)
    ((second, _),) = fit(make(**changes), steps=6, folder=tmp_path, checkpoint=tmp_path / "last.ckpt")
    assert (len(first), len(second)) == (4, 2)
    assert torch.equal(whole, torch.cat([first, second]))


@pytest.mark.filterwarnings("ignore")
def test_two_processes_share_the_samples_of_one(make: Callable[..., SRDataModule], tmp_path: Path) -> None:
    ((alone, names),) = fit(make(batch_size=4), steps=3, folder=tmp_path)
    (first, first_names), (second, second_names) = fit(make(batch_size=4), steps=3, folder=tmp_path, devices=2)
    assert torch.equal(alone, torch.cat([first, second], dim=1))
    assert (first_names, second_names) == (names[:1], names[1:])
