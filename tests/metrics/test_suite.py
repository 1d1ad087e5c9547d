"""The metrics of one image together: what can be had, and what is missing with the reason."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from sr_lightning.functional.color import rgb_to_y
from sr_lightning.functional.quantize import round_to_uint8_grid
from sr_lightning.metric_names import CHEAP, METRICS
from sr_lightning.metrics.dists import Dists
from sr_lightning.metrics.lpips import Lpips
from sr_lightning.metrics.ms_ssim import ms_ssim
from sr_lightning.metrics.niqe import PARAMETERS, Niqe
from sr_lightning.metrics.protocol import PROTOCOLS, compared, score
from sr_lightning.metrics.spectrum import log_spectral_distance
from sr_lightning.metrics.suite import Suite, available


@pytest.fixture
def pair() -> tuple[Tensor, Tensor]:
    """SR that leaves [0, 1], and HR on the levels of a file."""
    generator = torch.Generator().manual_seed(0)
    hr = torch.rand(1, 3, 216, 220, generator=generator)
    return hr + 0.2 * torch.randn(hr.shape, generator=generator), (hr * 255).round() / 255


@pytest.fixture
def everything(planted_backbones: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All files that metrics need, with numbers that nobody learnt."""
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    for path in (planted_backbones / "checkpoints").iterdir():
        (folder / path.name).symlink_to(path)
    random = np.random.default_rng(0)
    window = np.ones((7, 7)) / 49
    np.savez(
        folder / PARAMETERS.name,
        mu_pris_param=random.uniform(size=(1, 36)),
        cov_pris_param=np.eye(36),
        gaussian_window=window,
    )
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))


@pytest.fixture
def nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty torch hub cache."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))


@pytest.mark.usefixtures("everything")
@pytest.mark.parametrize("protocol", ["rgb_to_y", "rgb", "y_float"])
def test_each_metric_sees_what_it_is_meant_to(pair: tuple[Tensor, Tensor], protocol: str) -> None:
    rules, (sr, hr) = PROTOCOLS[protocol], pair
    suite = available(tuple(METRICS))
    assert suite.missing == {}
    found = suite.score(sr, hr, protocol=rules, scale=4)
    assert found.missing == {}
    planes = compared(sr, hr, protocol=rules, scale=4)
    # As a file would hold it where the protocol rounds; colours and all of the image for networks.
    shown = sr.clamp(0, 1) if protocol == "y_float" else round_to_uint8_grid(sr.double())
    assert found.values == pytest.approx(
        {
            **score(sr, hr, protocol=rules, scale=4)._asdict(),
            "ms_ssim": ms_ssim(*planes).item(),
            "lpips": Lpips()(shown, hr),
            "dists": Dists()(shown, hr),
            # Luma whatever the protocol compares, without its border.
            "niqe": Niqe()(rgb_to_y(shown.double())[..., 4:-4, 4:-4]),
            "lsd": log_spectral_distance(*planes).item(),
        },
        rel=1e-6,
    )
    assert list(found.values) == list(METRICS)


@pytest.mark.usefixtures("nothing")
def test_what_cannot_be_had_is_missing_with_the_reason(pair: tuple[Tensor, Tensor]) -> None:
    suite = available(tuple(METRICS))
    assert set(suite.measures) == set(CHEAP)
    assert {name: reason.split(" needs ")[0] for name, reason in suite.missing.items()} == {
        "lpips": "LPIPS", "dists": "DISTS", "niqe": "NIQE",
    }  # fmt: skip
    assert all("put " in reason and "https://" in reason for reason in suite.missing.values())
    assert set(suite.score(*pair, protocol=PROTOCOLS["rgb"], scale=4).values) == set(CHEAP)


@pytest.mark.usefixtures("everything")
def test_what_does_not_apply_to_an_image_is_missing_of_it(pair: tuple[Tensor, Tensor]) -> None:
    suite = available(tuple(METRICS))

    def missing(sr: Tensor, hr: Tensor, protocol: str) -> dict[str, str]:
        found = suite.score(sr, hr, protocol=PROTOCOLS[protocol], scale=4)
        assert not set(found.values) & set(found.missing)
        return found.missing

    sr, hr = pair
    luma = missing(sr[:, :1], hr[:, :1], "y_chain")
    assert set(luma) == {"lpips", "dists"}
    assert luma["dists"].startswith("DISTS compares RGB images")
    small = missing(sr[..., :30, :60], hr[..., :30, :60], "rgb")
    assert set(small) == {"ms_ssim", "lpips", "dists", "niqe"}
    assert "two blocks of 96x96 pixels inside the border, got 22x52" in small["niqe"]
    bands = missing(torch.cat([sr, sr], 1), torch.cat([hr, hr], 1), "rgb")
    assert bands["niqe"] == "NIQE knows photographs of 1 or 3 channels, got 6."
    # Without PSNR and SSIM there is no score at all.
    with pytest.raises(ValueError, match="at least 11 pixels"):
        suite.score(sr[..., :16, :16], hr[..., :16, :16], protocol=PROTOCOLS["rgb"], scale=4)


def test_no_number_is_missing_too(pair: tuple[Tensor, Tensor]) -> None:
    suite = Suite({"niqe": lambda views: float("nan")})
    found = suite.score(*pair, protocol=PROTOCOLS["rgb"], scale=4)
    assert (found.values, found.missing) == ({}, {"niqe": "NIQE is no number for this image."})
