import pytest
import torch

from sr_lightning.functional.quantize import from_uint8, round_to_uint8_grid, to_uint8

LEVELS = torch.arange(256, dtype=torch.uint8)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_level_survives_a_round_trip(dtype: torch.dtype) -> None:
    assert torch.equal(to_uint8(from_uint8(LEVELS).to(dtype)), LEVELS)


def test_halves_go_up_and_the_rest_to_the_nearest() -> None:
    # 127.5 / 255 is 0.5 exactly; banker's rounding would go wrong at 126.5 already.
    values = torch.tensor([0.5, 126.5 / 255, 127.4999 / 255, 0.4 / 255], dtype=torch.float64)
    assert to_uint8(values).tolist() == [128, 127, 127, 0]


def test_values_outside_are_clamped() -> None:
    assert to_uint8(torch.tensor([-3.0, -0.001, 1.001, 7.0])).tolist() == [0, 0, 255, 255]
    assert round_to_uint8_grid(torch.tensor([-3.0, 7.0])).tolist() == [0.0, 1.0]


def test_the_grid_is_what_a_file_gives_back() -> None:
    image = torch.rand(2, 3, 4, 5) * 1.5 - 0.25
    assert torch.equal(round_to_uint8_grid(image), from_uint8(to_uint8(image)))
    assert round_to_uint8_grid(image.double()).dtype == torch.float64


def test_bfloat16_is_rounded_in_float32() -> None:
    image = torch.tensor([0.3, 0.7], dtype=torch.bfloat16)
    assert torch.equal(to_uint8(image), to_uint8(image.float()))
    assert round_to_uint8_grid(image).dtype == torch.float32


def test_from_uint8_refuses_floats() -> None:
    with pytest.raises(ValueError, match=r"expected a uint8 image, got torch\.float32"):
        from_uint8(torch.rand(1, 3, 2, 2))
