"""Which runs may be laid beside each other, found from the names of their scores."""

import pytest

from sr_lightning.refusal import Refusal
from sr_lightning.tracking.dashboard_boards import Board, Held, Wanted

EVERYTHING = Wanted(scales=None, protocols=None, sets=None)


def held(scale, *keys):
    return Held(scale=scale, keys=frozenset(keys))


def test_each_scale_and_each_protocol_is_a_board_of_its_own():
    runs = [
        held(4, "val/psnr_rgb_to_y", "validation/psnr_rgb_to_y", "Set5/psnr_rgb_to_y", "Set5/lsd_rgb_to_y"),
        held(4, "Set14/psnr_rgb_to_y", "Set14/ssim_rgb_to_y", "DIV2K_val/psnr_rgb_div2k"),
        held(2, "Set5/psnr_rgb_to_y_on_noise_down_x2_10"),
    ]
    assert EVERYTHING.boards_among(runs, place="us/sr") == [
        Board(2, "rgb_to_y_on_noise_down_x2_10", ("Set5",), scores=("psnr",), curves=()),
        Board(4, "rgb_div2k", ("DIV2K_val",), scores=("psnr",), curves=()),
        Board(4, "rgb_to_y", ("Set14", "Set5"), scores=("psnr", "ssim", "lsd"), curves=("psnr",)),
    ]


def test_without_a_benchmark_the_validation_set_is_compared():
    runs = [held(3, "val/psnr_y_chain", "train/loss", "parameters", "_step")]
    (board,) = EVERYTHING.boards_among(runs, place="us/sr")
    assert board == Board(3, "y_chain", ("validation",), scores=("psnr",), curves=("psnr",))
    assert board.key("validation", "psnr") == "validation/psnr_y_chain"


def test_only_scores_that_the_shown_sets_have_are_shown():
    """A GAN's validation has LPIPS on the way; its images of one band have none in the end."""
    runs = [held(4, "val/psnr_rgb", "val/lpips_rgb", "validation/ssim_rgb", "Set5/psnr_rgb", "Set5/lsd_rgb")]
    (board,) = EVERYTHING.boards_among(runs, place="us/sr")
    assert board == Board(4, "rgb", ("Set5",), scores=("psnr", "lsd"), curves=("psnr", "lpips"))
    (board,) = Wanted(scales=None, protocols=None, sets=["validation"]).boards_among(runs, place="us/sr")
    assert (board.sets, board.scores) == (("validation",), ("ssim",))


def test_neither_bicubic_nor_training_makes_a_board():
    runs = [held(4, "Set5/bicubic_psnr_rgb", "train/psnr_loss", "train/share/l1", "samples")]
    with pytest.raises(Refusal, match="us/sr: expected runs with scores, found none"):
        EVERYTHING.boards_among(runs, place="us/sr")


def test_what_is_asked_for_narrows():
    runs = [
        held(2, "Set5/psnr_rgb_to_y", "Set14/psnr_rgb_to_y", "Set5/psnr_rgb_to_y_on_blur_down"),
        held(4, "Set5/psnr_rgb_to_y", "Set5/psnr_y_chain"),
    ]
    wanted = Wanted(scales=[2], protocols=["rgb_to_y"], sets=["Set5"])
    assert [(board.title, board.sets) for board in wanted.boards_among(runs, place="us/sr")] == [
        ("x2, rgb_to_y", ("Set5",)),
        ("x2, rgb_to_y_on_blur_down", ("Set5",)),
    ]


def test_a_board_without_the_sets_that_were_asked_for_is_left_out():
    runs = [held(4, "Set5/psnr_rgb_to_y", "DIV2K_val/psnr_rgb_div2k")]
    wanted = Wanted(scales=None, protocols=None, sets=["DIV2K_val"])
    assert [board.rules for board in wanted.boards_among(runs, place="us/sr")] == ["rgb_div2k"]
    none = Wanted(scales=None, protocols=["rgb_to_y"], sets=["DIV2K_val"])
    with pytest.raises(Refusal, match="no run has scores of that scale, protocol and set together"):
        none.boards_among(runs, place="us/sr")


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (Wanted(scales=[8], protocols=None, sets=None), "scales: us/sr has 2, 4, got 8"),
        (Wanted(scales=None, protocols=["rgb"], sets=None), "protocols: us/sr has rgb_to_y, got rgb"),
        (Wanted(scales=None, protocols=None, sets=["set5"]), "sets: us/sr has Set5, got set5; did you mean 'Set5'?"),
    ],
)
def test_what_is_not_there_is_refused(asked, expected):
    runs = [held(2, "Set5/psnr_rgb_to_y"), held(4, "Set5/psnr_rgb_to_y")]
    with pytest.raises(Refusal) as refusal:
        asked.boards_among(runs, place="us/sr")
    assert str(refusal.value).startswith(expected)


def test_a_dry_run_takes_what_was_asked_for():
    assert [board.title for board in EVERYTHING.boards()] == ["x4, rgb_to_y"]
    wanted = Wanted(scales=[3, 2, 3], protocols=["y_chain", "rgb", "rgb"], sets=["Urban100"])
    assert [board.title for board in wanted.boards()] == ["x2, y_chain", "x2, rgb", "x3, y_chain", "x3, rgb"]
    assert {board.sets for board in wanted.boards()} == {("Urban100",)}
