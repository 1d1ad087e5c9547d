from collections.abc import Callable
from pathlib import Path

import pytest

from sr_lightning.data.pairs import check_sizes, match_lr
from sr_lightning.data.scan import DataError

Save = Callable[..., Path]


@pytest.mark.parametrize("name", ["a.png", "ax2.png", "a_x2.png", "a-LR.png", "a_x2_LR.jpg", "A/../a.bmp"])
def test_names_that_people_give_to_lr_images(tmp_path: Path, save_image: Save, name: str) -> None:
    hr = save_image(tmp_path / "hr" / "a.png", 40, 32)
    (tmp_path / "lr" / "A").mkdir(parents=True)
    lr = save_image(tmp_path / "lr" / name, 20, 16)
    found = match_lr([hr], tmp_path / "lr", key="data.lr_dir", scale=2)
    assert [path.resolve() for path in found] == [lr.resolve()]


def test_paths_tell_apart_what_names_do_not(tmp_path: Path, save_image: Save) -> None:
    hr = [save_image(tmp_path / "hr" / folder / "1.png", 40, 32) for folder in ("a", "b")]
    lr = [save_image(tmp_path / "lr" / folder / "1x2.png", 20, 16) for folder in ("a", "b")]
    assert match_lr(hr, tmp_path / "lr", key="data.lr_dir", scale=2) == lr
    with pytest.raises(DataError, match=r"expected one LR image for .*1\.png .* got 2: "):
        match_lr([save_image(tmp_path / "flat" / "1.png")], tmp_path / "lr", key="data.lr_dir", scale=2)


def test_a_name_that_is_just_it_wins(tmp_path: Path, save_image: Save) -> None:
    hr = save_image(tmp_path / "hr" / "a.png", 40, 32)
    lr = [save_image(tmp_path / "lr" / name, 20, 16) for name in ("a.png", "ax2.png")]
    assert match_lr([hr], tmp_path / "lr", key="data.lr_dir", scale=2) == lr[:1]


def test_what_has_no_partner_is_named_with_the_nearest(tmp_path: Path, save_image: Save) -> None:
    hr = save_image(tmp_path / "hr" / "butterfly.png")
    save_image(tmp_path / "lr" / "buterflyx2.png")
    with pytest.raises(DataError, match=r"data\.lr_dir: expected one LR image for .*butterfly\.png.*mean 'buterfly'"):
        match_lr([hr], tmp_path / "lr", key="data.lr_dir", scale=2)
    with pytest.raises(DataError, match="expected a folder of LR images"):
        match_lr([hr], tmp_path / "nowhere", key="data.lr_dir", scale=2)


@pytest.mark.parametrize(("size", "fits"), [((20, 16), True), ((20, 17), False), ((10, 8), False)])
def test_sizes_belong_together(tmp_path: Path, save_image: Save, size: tuple[int, int], fits: bool) -> None:
    hr, lr = save_image(tmp_path / "hr.png", 41, 33), save_image(tmp_path / "lr.png", *size)
    if fits:
        check_sizes([hr], [lr], key="data.lr_dir", scale=2)
        return
    wrong = f"has 20 x 16 pixels, but .*lr.png has {size[0]} x {size[1]}"
    with pytest.raises(DataError, match=wrong):
        check_sizes([hr], [lr], key="data.lr_dir", scale=2)


def test_what_cannot_be_read_is_left_to_the_store(tmp_path: Path, save_image: Save) -> None:
    (tmp_path / "lr.png").write_text("no image")
    check_sizes([save_image(tmp_path / "hr.png")], [tmp_path / "lr.png"], key="data.lr_dir", scale=2)
