"""Validation, and what every training method keeps."""

from collections.abc import Callable
from typing import Any

import lightning.pytorch as pl
import pytest
import torch

from sr_lightning.functional.color import rgb_to_y
from sr_lightning.functional.quantize import from_uint8
from sr_lightning.metrics.protocol import get_protocol, score
from sr_lightning.modules.base import channels_last, marked_channels_last, shares


@pytest.fixture
def images() -> list[dict[str, Any]]:
    """Two validation images of different sizes."""
    generator = torch.Generator().manual_seed(5)
    return [
        {
            "lr": torch.randint(0, 256, (1, 3, h, w), generator=generator, dtype=torch.uint8),
            "hr": torch.randint(0, 256, (1, 3, 2 * h, 2 * w), generator=generator, dtype=torch.uint8),
            "name": f"{h}x{w}",
        }
        for h, w in ((12, 14), (16, 13))
    ]


def validate(module: Any, images: list[dict[str, Any]], **arguments: Any) -> dict[str, float]:
    trainer = pl.Trainer(
        accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False, **arguments
    )
    trainer.validate(module, torch.utils.data.DataLoader(images, batch_size=None), verbose=False)
    return {name: float(value) for name, value in trainer.callback_metrics.items()}


def test_a_network_of_one_channel_computes_in_channels_last() -> None:
    images = torch.rand(2, 1, 4, 6)
    marked = marked_channels_last(images)
    assert marked.stride() == (24, 1, 6, 1)
    assert torch.equal(marked, images)
    network = channels_last(torch.nn.Sequential(torch.nn.Conv2d(1, 8, 3), torch.nn.Conv2d(8, 8, 3)))
    assert network[0](marked).stride()[1] == 1
    colour = torch.rand(2, 3, 4, 6)
    assert marked_channels_last(colour) is colour


def test_validation_is_the_mean_over_images(pixel: Callable[..., Any], images: list[dict[str, Any]]) -> None:
    module = pixel()
    metrics = validate(module, images)
    with torch.no_grad():
        scores = [
            score(module.network(from_uint8(i["lr"])), from_uint8(i["hr"]), protocol=get_protocol("rgb_to_y"), scale=2)
            for i in images
        ]
    assert metrics["val/psnr"] == pytest.approx(sum(s.psnr for s in scores) / 2, abs=1e-4)
    assert metrics["val/ssim"] == pytest.approx(sum(s.ssim for s in scores) / 2, abs=1e-6)
    # A second one starts anew.
    assert validate(module, images[:1])["val/psnr"] == pytest.approx(scores[0].psnr, abs=1e-4)


def test_validation_is_float32_whatever_training_is(pixel: Callable[..., Any], images: list[dict[str, Any]]) -> None:
    module = pixel()
    assert validate(module, images, precision="bf16-mixed") == validate(module, images)


def test_a_network_for_luma_under_the_luma_protocol(
    pixel: Callable[..., Any], tiny_net: Callable[..., Any], images: list[dict[str, Any]]
) -> None:
    module = pixel(network=tiny_net(channels=1), protocol=get_protocol("y_chain"), lpips=lambda sr, hr: 1.0)
    seen: list[torch.Size] = []
    module.network.register_forward_hook(lambda _m, inputs, _o: seen.append(inputs[0].shape))
    metrics = validate(module, images)
    assert seen == [(1, 1, 12, 14), (1, 1, 16, 13)]
    # LPIPS compares colours: it has none here.
    assert set(metrics) == {"val/psnr", "val/ssim"}


def test_lpips_is_validated_where_it_can_be(pixel: Callable[..., Any], images: list[dict[str, Any]]) -> None:
    distances = iter([0.25, 0.75])
    assert validate(pixel(lpips=lambda sr, hr: next(distances)), images)["val/lpips"] == 0.5


def test_a_network_for_five_bands(pixel: Callable[..., Any], tiny_net: Callable[..., Any]) -> None:
    module = pixel(network=tiny_net(channels=5), protocol=get_protocol("rgb"), lpips=lambda sr, hr: 1.0)
    generator = torch.Generator().manual_seed(5)
    lr, hr = (torch.randint(0, 256, (1, 5, side, side), generator=generator, dtype=torch.uint8) for side in (12, 24))
    # LPIPS compares colours: it has none here.
    metrics = validate(module, [{"lr": lr, "hr": hr, "name": "a"}])
    assert set(metrics) == {"val/psnr", "val/ssim"}
    with torch.no_grad():
        sr = module(from_uint8(lr))
    assert torch.equal(sr, module.network(from_uint8(lr)))
    expected = score(sr, from_uint8(hr), protocol=get_protocol("rgb"), scale=2)
    assert metrics["val/psnr"] == pytest.approx(expected.psnr, abs=1e-4)


def test_forward_takes_and_gives_rgb(pixel: Callable[..., Any], tiny_net: Callable[..., Any]) -> None:
    lr = torch.rand(1, 3, 8, 8)
    module = pixel(network=tiny_net(channels=1)).eval()
    with torch.no_grad():
        sr, luma = module(lr), module.network(rgb_to_y(lr))
    assert sr.shape == (1, 3, 16, 16)
    torch.testing.assert_close(rgb_to_y(sr), luma, atol=1e-5, rtol=0)


def test_a_checkpoint_holds_the_network_and_what_rebuilds_it(pixel: Callable[..., Any]) -> None:
    module = pixel(lpips=torch.nn.Linear(1, 1))
    assert {name.split(".")[0] for name in module.state_dict()} == {"network"}
    content: dict[str, Any] = {}
    module.on_save_checkpoint(content)
    assert content["sr_lightning"] == {"name": "tiny", "step": 0, "protocol": "rgb_to_y"}


def test_the_network_is_channels_last_with_strides_that_can_be_broadcast(pixel: Callable[..., Any]) -> None:
    assert pixel().network.head.weight.stride() == (27, 1, 9, 3)
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.Conv2d(4, 4, 1))
    assert channels_last(network)[0].weight.stride() == (9, 9, 3, 1)
    assert network[1].weight.stride() == (4, 1, 1, 1)
    assert network[1].weight.is_contiguous(memory_format=torch.channels_last)


def test_shares_are_of_absolute_weighted_values() -> None:
    assert shares({"a": 2.0, "b": -0.5, "loss": 9.0}, {"a": 0.25, "b": 3.0, "absent": 1.0}) == {"a": 0.25, "b": 0.75}
    assert shares({"a": 0.0}, {"a": 1.0}) == {}
