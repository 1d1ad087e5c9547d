import pytest
import torch

from sr_lightning.functional.geometry import crop_to, dihedral, dihedral_batch, modcrop, shave, undo_dihedral


def test_modcrop_keeps_the_top_left() -> None:
    image = torch.arange(7 * 9).reshape(1, 1, 7, 9)
    assert torch.equal(modcrop(image, 4), image[..., :4, :8])
    assert torch.equal(modcrop(image, 1), image)
    assert modcrop(image[0, 0], 7).shape == (7, 7)


@pytest.mark.parametrize("multiple", [0, -3, 8])
def test_modcrop_refuses_to_leave_nothing(multiple: int) -> None:
    with pytest.raises(ValueError, match=f"got {multiple} for 7x9 pixels"):
        modcrop(torch.rand(1, 1, 7, 9), multiple)


def test_shave_cuts_all_sides() -> None:
    image = torch.arange(7 * 9).reshape(1, 1, 7, 9)
    assert torch.equal(shave(image, 2), image[..., 2:5, 2:7])
    assert torch.equal(shave(image, 0), image)


@pytest.mark.parametrize("border", [-1, 4])
def test_shave_refuses_to_leave_nothing(border: int) -> None:
    with pytest.raises(ValueError, match=f"cannot shave {border} pixels off each side of 7x9"):
        shave(torch.rand(1, 1, 7, 9), border)


def test_crop_to_keeps_the_top_left() -> None:
    image = torch.rand(2, 3, 7, 9)
    assert torch.equal(crop_to(image, 4, 9), image[..., :4, :])


def test_dihedral_by_hand() -> None:
    image = torch.tensor([[1, 2], [3, 4]])[None, None]
    expected = [
        [[1, 2], [3, 4]],
        [[2, 1], [4, 3]],
        [[3, 4], [1, 2]],
        [[4, 3], [2, 1]],
        [[1, 3], [2, 4]],
        [[2, 4], [1, 3]],
        [[3, 1], [4, 2]],
        [[4, 2], [3, 1]],
    ]
    assert [dihedral(image, code)[0, 0].tolist() for code in range(8)] == expected


def test_dihedral_turns_oblong_images_too() -> None:
    image = torch.rand(2, 3, 4, 6)
    assert [tuple(dihedral(image, code).shape[-2:]) for code in range(8)] == [(4, 6)] * 4 + [(6, 4)] * 4


@pytest.mark.parametrize("code", [-1, 8])
def test_dihedral_refuses_other_codes(code: int) -> None:
    with pytest.raises(ValueError, match=f"one of 0..7, got {code}"):
        dihedral(torch.rand(1, 1, 2, 2), code)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_dihedral_batch_is_dihedral_image_by_image(dtype: torch.dtype) -> None:
    codes = torch.tensor([0, 1, 2, 3, 4, 5, 6, 7, 3, 0])
    images = (torch.rand(10, 3, 5, 5) * 255).to(dtype)
    expected = torch.cat([dihedral(images[i : i + 1], int(code)) for i, code in enumerate(codes)])
    assert torch.equal(dihedral_batch(images, codes), expected)
    channels_last = images.contiguous(memory_format=torch.channels_last)
    assert torch.equal(dihedral_batch(channels_last, codes), expected)


def test_dihedral_batch_refuses_oblong_images_and_a_wrong_number_of_codes() -> None:
    with pytest.raises(ValueError, match="only square images"):
        dihedral_batch(torch.rand(2, 3, 4, 5), torch.zeros(2, dtype=torch.int64))
    with pytest.raises(ValueError, match=r"one code per image, \(2,\), got shape \(3,\)"):
        dihedral_batch(torch.rand(2, 3, 4, 4), torch.zeros(3, dtype=torch.int64))


@pytest.mark.parametrize("code", range(8))
def test_undo_dihedral_takes_it_back(code: int) -> None:
    image = torch.rand(2, 3, 4, 6)
    assert torch.equal(undo_dihedral(dihedral(image, code), code), image)


@pytest.mark.parametrize("code", [-1, 8, 12])
def test_undo_dihedral_refuses_other_codes(code: int) -> None:
    with pytest.raises(ValueError, match=f"one of 0..7, got {code}"):
        undo_dihedral(torch.rand(1, 1, 2, 2), code)
