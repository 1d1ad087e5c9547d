from pathlib import Path

import numpy as np
from PIL import Image

from sr_lightning.engine.images import reported_sets


def _config(root: Path, **data: object) -> dict[str, object]:
    settings = {"root": str(root), "demonstration": False, "train_dir": None, "val_dir": None, "test_dir": None}
    return {"scale": 2, "eval": None, "data": settings | data}


def test_what_chose_the_weights_is_not_reported(tmp_path: Path) -> None:
    for name, side in (("Set5", 24), ("Set14", 28)):
        folder = tmp_path / name / "HR"
        folder.mkdir(parents=True)
        Image.fromarray(np.zeros((side, side, 3), np.uint8)).save(folder / "a.png")
    names = [each.name for each in reported_sets(_config(tmp_path, val_dir=str(tmp_path / "Set5" / "HR")))]
    assert names == ["Set14"]
    assert [each.name for each in reported_sets(_config(tmp_path))] == ["Set5", "Set14"]
    # The same photograph under another roof and in another format.
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    Image.fromarray(np.zeros((28, 28, 3), np.uint8)).save(elsewhere / "a.jpg")
    assert [each.name for each in reported_sets(_config(tmp_path, val_dir=str(elsewhere)))] == ["Set5"]
    assert [each.name for each in reported_sets(_config(tmp_path) | {"eval": ["set14"]})] == ["Set14"]


def test_the_data_sets_own_test_images_are_reported(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((24, 24, 3), np.uint8)).save(tmp_path / "a.png")
    nothing = tmp_path / "nothing"
    (own,) = reported_sets(_config(nothing, test_dir=str(tmp_path)))
    assert (own.name, [path.name for path in own.hr]) == ("test", ["a.png"])
    (sample,) = reported_sets(_config(nothing, demonstration=True))
    assert (sample.name, len(sample.hr)) == ("sample", 2)
