"""The names of metrics, and which of them are asked for."""

import pytest

from sr_lightning.metric_names import CHEAP, METRICS, wanted_metrics, with_arrow


def test_auto_is_all_of_them() -> None:
    assert wanted_metrics("auto") == ("psnr", "ssim", "ms_ssim", "lpips", "dists", "niqe", "lsd")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("lpips", ("psnr", "ssim", "lpips")),
        (["lsd", "niqe"], ("psnr", "ssim", "niqe", "lsd")),
        (["ssim", "psnr"], ("psnr", "ssim")),
        ([], ("psnr", "ssim")),
    ],
)
def test_psnr_and_ssim_are_always_among_them(given: str | list[str], expected: tuple[str, ...]) -> None:
    assert wanted_metrics(given) == expected


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"some of psnr, ssim, .*, got 'niqu'; did you mean 'niqe'\?"):
        wanted_metrics(["psnr", "niqu"])


def test_an_arrow_points_down_where_less_is_better() -> None:
    assert [name for name in METRICS if with_arrow(name).endswith(" ↓")] == ["lpips", "dists", "niqe", "lsd"]
    assert with_arrow("ms_ssim") == "MS-SSIM"
    assert set(CHEAP) < set(METRICS)
