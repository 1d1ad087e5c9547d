"""Which images train, choose and are reported."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sr_lightning.cli.compose import Composer
from sr_lightning.data.scan import DataError
from sr_lightning.engine.images import build_datamodule, own_degradation, reported_sets, validation_set


@pytest.fixture
def save() -> Callable[..., Path]:
    def make(path: Path, side: int, seed: int = 0) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8)).save(path)
        return path

    return make


@pytest.fixture
def config(tmp_path: Path, save: Callable[..., Path]) -> Callable[..., dict[str, Any]]:
    """A resolved configuration on a folder with three training and two validation images."""
    for part, count in (("train", 3), ("val", 2)):
        for number in range(count):
            save(tmp_path / part / f"{part}{number}.png", 50, number)
    folders = [f"data.{part}_dir={tmp_path / part}" for part in ("train", "val")]

    def compose(*arguments: str) -> dict[str, Any]:
        given = ["data=folder", *folders, "scale=2", "data.lr_patch=8", f"data.root={tmp_path}"]
        return Composer("train").compose([*given, f"paths.cache={tmp_path / 'cache'}", *arguments]).tree

    return compose


def test_what_chose_the_weights_is_not_reported(config: Any, save: Any, tmp_path: Path) -> None:
    for name, side in (("Set5", 24), ("Set14", 28)):
        save(tmp_path / name / "HR" / "a.png", side)
    names = [each.name for each in reported_sets(config(f"data.val_dir={tmp_path / 'Set5' / 'HR'}"))]
    assert names == ["Set14"]
    assert [each.name for each in reported_sets(config())] == ["Set5", "Set14"]
    # The same photograph under another roof and in another format.
    save(tmp_path / "elsewhere" / "a.jpg", 28)
    elsewhere = f"data.val_dir={tmp_path / 'elsewhere'}"
    assert [each.name for each in reported_sets(config(elsewhere))] == ["Set5"]
    assert [each.name for each in reported_sets(config("eval=[set14]"))] == ["Set14"]
    assert reported_sets(config("data.val=set5", "data.val_dir=null"))[0].name == "Set14"


def test_images_are_left_out_of_a_reported_set(config: Any, save: Any, tmp_path: Path) -> None:
    for name in ("a", "b"):
        save(tmp_path / "Set5" / "HR" / f"{name}.png", 24)
    (only,) = reported_sets(config("eval_exclude=[Set5/a]"))
    assert [path.stem for path in only.hr] == ["b"]


def test_the_data_sets_own_test_images_are_reported(config: Any, save: Any, tmp_path: Path) -> None:
    save(tmp_path / "more" / "a.png", 24)
    nothing = f"data.root={tmp_path / 'nothing'}"
    (own,) = reported_sets(config(nothing, f"data.test_dir={tmp_path / 'more'}"))
    assert (own.name, [path.name for path in own.hr]) == ("test", ["a.png"])
    (sample,) = reported_sets(Composer("train").compose([nothing]).tree)
    assert (sample.name, len(sample.hr)) == ("sample", 2)


def test_training_images_can_be_held_out_and_left_out(config: Any) -> None:
    held = build_datamodule(config("data.val_dir=null", "data.holdout=1"))
    (part,) = held.train
    names = {path.stem for path in part.files}
    assert len(names) == 2
    assert {path.stem for path in held.val_files} == {"train0", "train1", "train2"} - names
    (part,) = build_datamodule(config("data.exclude=[train1]")).train
    assert [path.stem for path in part.files] == ["train0", "train2"]
    with pytest.raises(DataError, match=r"data\.exclude: no training image is called 'trian1'.*'train1'"):
        build_datamodule(config("data.exclude=[trian1]"))


def test_lr_of_ones_own(config: Any, save: Any, tmp_path: Path) -> None:
    for part, count in (("train", 3), ("val", 2)):
        for number in range(count):
            save(tmp_path / f"{part}_lr" / f"{part}{number}x2.png", 25, 7)
    folders = f"data.lr_dir={tmp_path / 'train_lr'}", f"data.val_lr_dir={tmp_path / 'val_lr'}"
    datamodule = build_datamodule(config(*folders))
    datamodule.prepare_data()
    datamodule.setup("fit")
    given = np.asarray(Image.open(tmp_path / "val_lr" / "val1x2.png"))
    lr, _ = datamodule.val_pair(1)
    assert np.array_equal(lr[0].permute(1, 2, 0).numpy(), given)
    assert [path.name for path in validation_set(datamodule).lr or ()] == ["val0x2.png", "val1x2.png"]
    (store,) = datamodule.train_stores
    assert np.array_equal(store.lr(0, 2), given)
    (tmp_path / "train_lr" / "train1x2.png").unlink()
    with pytest.raises(DataError, match=r"expected one LR image for .*train1\.png"):
        build_datamodule(config(*folders))


def test_only_another_rule_than_the_published_one_makes_the_lr_of_own_images(config: Any) -> None:
    assert own_degradation(config()) is None
    other = own_degradation(config("degradation.border=replicate"))
    assert other is not None
    assert "replicate" in other.name
    assert own_degradation(config("degradation=blur_down")) is not None
