from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from torch import Tensor

from sr_lightning.degradations.second_order import RandomResize
from sr_lightning.degradations.usm import sharpen
from sr_lightning.functional.draws import Draws

Configured = Callable[..., Any]


def quiet() -> dict[str, Any]:
    """Changes that switch blur, noise and JPEG off."""
    return {
        f"{part}__{key}": value
        for part in ("first", "second")
        for key, value in {
            "blur__probability": 0.0,
            "noise__gaussian": 1.0,
            "noise__sigma": [0.0, 0.0],
            "jpeg__probability": 0.0,
        }.items()
    } | {"sinc__probability": 0.0}


def test_the_yaml_has_the_published_values(repository: Path) -> None:
    """Those of Real-ESRGAN's options/train_realesrgan_x4plus.yml."""
    tree = yaml.safe_load((repository / "conf" / "degradation" / "second_order.yaml").read_text())
    kinds = {
        "iso": 0.45,
        "aniso": 0.25,
        "generalised_iso": 0.12,
        "generalised_aniso": 0.03,
        "plateau_iso": 0.12,
        "plateau_aniso": 0.03,
    }
    modes = ["area", "bilinear", "bicubic"]
    shared = {"sinc": 0.1, "kinds": kinds, "sizes": [7, 21]}
    shared |= {"beta_generalised": [0.5, 4.0], "beta_plateau": [1.0, 2.0]}
    assert tree["first"] == {
        "blur": {"probability": 1.0, "sigma": [0.2, 3.0], **shared},
        "resize": {"up": 0.2, "down": 0.7, "keep": 0.1, "factor": [0.15, 1.5], "modes": modes},
        "noise": {"gaussian": 0.5, "sigma": [1.0, 30.0], "poisson": [0.05, 3.0], "grey": 0.4},
        "jpeg": {"probability": 1.0, "quality": [30, 95]},
    }
    assert tree["second"] == {
        "blur": {"probability": 0.8, "sigma": [0.2, 1.5], **shared},
        "resize": {"up": 0.3, "down": 0.4, "keep": 0.3, "factor": [0.3, 1.2], "modes": modes},
        "noise": {"gaussian": 0.5, "sigma": [1.0, 25.0], "poisson": [0.05, 2.5], "grey": 0.4},
        "jpeg": {"probability": 1.0, "quality": [30, 95]},
    }
    assert tree["sinc"] == {"probability": 0.8, "sizes": [7, 21]}
    assert (tree["jpeg_last"], tree["final_modes"]) == (0.5, modes)


def test_what_is_drawn_is_distributed_as_published(configured: Configured) -> None:
    drawn = configured("second_order", group=1).parameters(samples=range(8000), seed=0)

    def share(condition: Callable[[dict[str, Any]], bool]) -> float:
        return sum(map(condition, drawn)) / len(drawn)

    assert share(lambda one: one["blur"] == "none") == 0
    assert share(lambda one: one["blur"].startswith("sinc")) == pytest.approx(0.1, abs=0.015)
    assert share(lambda one: one["blur 2"] == "none") == pytest.approx(0.2, abs=0.015)
    assert share(lambda one: one["final sinc"].startswith("sinc")) == pytest.approx(0.8, abs=0.015)
    assert share(lambda one: one["order"] == "resize, sinc, jpeg") == pytest.approx(0.5, abs=0.02)
    assert share(lambda one: one["noise"].startswith("gaussian")) == pytest.approx(0.5, abs=0.02)
    assert share(lambda one: one["noise 2"].endswith("grey")) == pytest.approx(0.4, abs=0.02)
    for key in ("resize", "resize 2", "final resize"):
        modes = Counter(one[key].split()[-1] for one in drawn)
        assert all(modes[mode] / 8000 == pytest.approx(1 / 3, abs=0.02) for mode in ("area", "bilinear", "bicubic"))
    assert min(one["jpeg"] for one in drawn) == 30
    assert max(one["jpeg 2"] for one in drawn) == 95
    # Parts that have nothing to do with each other are drawn apart.
    first = np.array([one["jpeg"] for one in drawn])
    assert abs(np.corrcoef(first, [one["jpeg 2"] for one in drawn])[0, 1]) < 0.04


def test_resizes_are_drawn_as_published() -> None:
    resize = RandomResize(up=0.2, down=0.7, keep=0.1, factor=[0.15, 1.5], modes=["area", "bicubic"])
    factor, mode = resize.draw(Draws(range(20_000), seed=0, purpose="test"))
    assert (factor == 1).mean() == pytest.approx(0.1, abs=0.01)
    assert (factor > 1).mean() == pytest.approx(0.2, abs=0.01)
    assert [factor.min(), factor.max()] == pytest.approx([0.15, 1.5], abs=0.005)
    assert factor[factor < 1].mean() == pytest.approx((0.15 + 1) / 2, abs=0.01)
    assert factor[factor > 1].mean() == pytest.approx(1.25, abs=0.01)
    assert (mode == "area").mean() == pytest.approx(0.5, abs=0.01)


def test_consecutive_samples_share_their_resizes_and_nothing_else(configured: Configured) -> None:
    drawn = configured("second_order", group=4).parameters(samples=range(400), seed=0)
    for key in ("resize", "resize 2", "final resize"):
        groups = [{one[key] for one in drawn[first : first + 4]} for first in range(0, 400, 4)]
        assert all(len(group) == 1 for group in groups)
        assert len(set.union(*groups)) > 2
    assert len({one["noise"] for one in drawn[:4]}) == 4
    resizes = [{one["resize"] for one in drawn[first : first + 4]}.pop() for first in range(0, 400, 4)]
    assert len(set(resizes)) > 60


def test_without_blur_noise_and_jpeg_it_is_resizes_only(configured: Configured, photograph: Tensor) -> None:
    still = {"up": 0.0, "down": 0.0, "keep": 1.0, "factor": [1.0, 1.0], "modes": ["area"]}
    changes = quiet() | {"first__resize": still, "second__resize": still, "final_modes": ["area"]}
    lr = configured("second_order", **changes)(photograph, samples=[0], seed=0)
    expected = torch.nn.functional.avg_pool2d(photograph, 4)
    assert (lr - expected).abs().max() < 0.51 / 255


@pytest.mark.parametrize(
    "change",
    [
        {"first__blur__probability": 1.0},
        {"second__blur__probability": 1.0},
        {"first__noise__sigma": [20.0, 20.0]},
        {"second__noise__sigma": [20.0, 20.0]},
        {"first__noise__gaussian": 0.0},
        {"second__noise__gaussian": 0.0},
        {"first__jpeg__probability": 1.0},
        {"second__jpeg__probability": 1.0, "jpeg_last": 0.0},
        {"second__jpeg__probability": 1.0, "jpeg_last": 1.0},
        {"sinc__probability": 1.0},
        {"final_modes": ["bicubic"]},
        {"usm": True},
        {"group": 2},
    ],
)
def test_every_part_changes_the_result_and_the_name(
    change: dict[str, Any], configured: Configured, photograph: Tensor
) -> None:
    still = quiet() | {"final_modes": ["area"]}
    plain, other = configured("second_order", **still), configured("second_order", **still | change)
    assert plain.name != other.name
    samples = [3]
    assert not torch.equal(plain(photograph, samples=samples, seed=2), other(photograph, samples=samples, seed=2))


def test_a_batch_mixes_factors(configured: Configured, photograph: Tensor) -> None:
    """Some images lose more detail than others in one batch, as their factors say."""
    still = quiet() | {"first__resize": {"up": 0, "down": 1, "keep": 0, "factor": [0.15, 1.0], "modes": ["area"]}}
    degradation = configured("second_order", **still, group=2)
    samples = list(range(8))
    lr = degradation(photograph.expand(8, -1, -1, -1), samples=samples, seed=0)
    drawn = [one["resize"] for one in degradation.parameters(samples=samples, seed=0)]
    assert len(set(drawn)) == 4
    assert all(torch.equal(lr[n], lr[n + 1]) for n in range(0, 8, 2))
    assert not any(torch.equal(lr[n], lr[n + 2]) for n in range(0, 6, 2))


def test_the_sharpened_target_is_what_is_degraded(configured: Configured, photograph: Tensor) -> None:
    plain, sharpened = configured("second_order"), configured("second_order", usm=True)
    target = sharpened.target(photograph)
    assert torch.equal(target, sharpen(photograph))
    assert torch.equal(sharpened(photograph, samples=[1], seed=0), plain(target, samples=[1], seed=0))


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
def test_groups_in_threads_give_the_same(configured: Configured, photograph: Tensor) -> None:
    hr = torch.cat([photograph[..., n * 4 : n * 4 + 128, :128] for n in range(10)])
    degradation = configured("second_order")
    with torch.inference_mode():  # which is each thread's own
        threaded = degradation(hr.clone(), samples=range(10), seed=0)
    assert torch.get_num_threads() == 2
    torch.set_num_threads(1)
    assert torch.equal(threaded, degradation(hr, samples=range(10), seed=0))


@pytest.mark.usefixtures("two_threads")
def test_an_error_in_a_thread_arrives_and_leaves_the_threads_as_they_were(
    configured: Configured, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr("sr_lightning.degradations.second_order.filter_each", fail)
    with pytest.raises(RuntimeError, match="out of memory"):
        configured("second_order")(torch.rand(8, 3, 32, 32), samples=range(8), seed=0)
    assert torch.get_num_threads() == 2


def test_the_margin_is_a_multiple_of_the_scale(configured: Configured) -> None:
    assert [configured("second_order", scale).margin for scale in (2, 3, 4, 8)] == [32, 33, 32, 32]
    assert configured("second_order", margin=0).margin == 0


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"jpeg_last": 1.5}, ValueError, "jpeg_last must be a probability"),
        ({"group": 0}, ValueError, "group must be at least 1 and margin at least 0, got 0 and 32"),
        ({"margin": -4}, ValueError, "margin at least 0, got 4 and -4"),
        ({"final_modes": ["nearest"]}, ValueError, "modes must be some of area, bilinear, bicubic"),
        ({"final_modes": []}, ValueError, "modes must be some of"),
        ({"first__resize__factor": [1.2, 1.5]}, ValueError, r"factor must be \[lowest, highest\] around 1"),
        ({"first__resize__up": -1.0}, ValueError, "up, down and keep must be weights from 0 on"),
        ({"second__noise": {"sigma": [0, 1]}}, TypeError, "missing"),
        ({"second": {}}, TypeError, "missing"),
    ],
)
def test_refuses_what_cannot_be(
    changes: dict[str, Any], error: type[Exception], message: str, configured: Configured
) -> None:
    with pytest.raises(error, match=message):
        configured("second_order", **changes)
