from typing import Any

import pytest
import torch
import yaml
from torch import Tensor

from sr_lightning.data.augment import Augment
from sr_lightning.functional.geometry import dihedral

KINDS = ("mixup", "cutmix", "cutblur", "channel_shuffle", "colour_jitter")
SCALES = (2, 3, 4)
SAMPLES = list(range(40, 48))


def enlarged(lr: Tensor, scale: int) -> Tensor:
    """Nearest neighbour: LR of it, by whatever pixel is taken, is the image that went in."""
    return lr.repeat_interleave(scale, -1).repeat_interleave(scale, -2)


def pairs(scale: int, *, channels: int = 3, count: int = 8, side: int = 12) -> dict[str, Tensor]:
    """Random LR whose HR is LR enlarged: whatever keeps the two aligned keeps that."""
    lr = torch.rand(count, channels, side, side, generator=torch.Generator().manual_seed(1))
    return {"lr": lr, "hr": enlarged(lr, scale)}


def only(kind: str, chance: float = 1.0, **settings: Any) -> Augment:
    return Augment(flip=False, rotate=False, **{kind: chance}, **settings)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("channels", [1, 3, 5])
@pytest.mark.parametrize("kind", KINDS)
def test_lr_and_hr_stay_aligned(kind: str, channels: int, scale: int) -> None:
    batch = pairs(scale, channels=channels)
    changed = only(kind)(batch, samples=SAMPLES, seed=0)
    # CutBlur takes LR's pixels from HR: here they are the same, and so is everything.
    tolerance = 1e-6 if kind == "cutblur" else 0
    torch.testing.assert_close(enlarged(changed["lr"], scale), changed["hr"], rtol=0, atol=tolerance)
    untouched = kind == "cutblur" or (kind == "channel_shuffle" and channels == 1)
    assert torch.allclose(changed["hr"], batch["hr"]) == untouched
    for image in changed.values():
        assert image.dtype == torch.float32
        assert image.min() >= 0
        assert image.max() <= 1


def test_flips_and_rotations_have_the_codes_of_their_names() -> None:
    square = torch.arange(9.0).reshape(1, 1, 3, 3)

    def results(**settings: bool) -> set[tuple[float, ...]]:
        return {tuple(dihedral(square, code).flatten().tolist()) for code in Augment(**settings).codes}

    def expected(*images: Tensor) -> set[tuple[float, ...]]:
        return {tuple(image.flatten().tolist()) for image in images}

    rotations = [torch.rot90(square, turns, (-2, -1)) for turns in range(4)]
    flips = [square, square.flip(-1), square.flip(-2), square.flip(-1, -2)]
    assert results(flip=False, rotate=False) == expected(square)
    assert results(flip=True, rotate=False) == expected(*flips)
    assert results(flip=False, rotate=True) == expected(*rotations)
    assert results(flip=True, rotate=True) == expected(*rotations, *(each.flip(-1) for each in rotations))
    assert len(Augment().codes) == 8


@pytest.mark.parametrize("kind", KINDS)
def test_draws_depend_on_seed_and_sample_alone(kind: str) -> None:
    augment, batch = only(kind, 0.5), pairs(2)
    batch["hr"] = torch.rand(batch["hr"].shape, generator=torch.Generator().manual_seed(2))
    whole = augment(batch, samples=SAMPLES, seed=3)
    assert not torch.equal(whole["lr"], batch["lr"])
    for begin, end in ((0, 2), (2, 8)):
        part = augment({key: image[begin:end] for key, image in batch.items()}, samples=SAMPLES[begin:end], seed=3)
        for key, image in part.items():
            assert torch.equal(image, whole[key][begin:end])
    # Other samples, another seed: something else.
    for samples, seed in (([k + 100 for k in SAMPLES], 3), (SAMPLES, 4)):
        assert not torch.equal(augment(batch, samples=samples, seed=seed)["lr"], whole["lr"])


@pytest.mark.parametrize("kind", KINDS)
def test_chance_is_that_of_each_sample(kind: str) -> None:
    batch = pairs(2, count=2000, side=4)
    batch["hr"] = 1 - batch["hr"]  # so that CutBlur shows
    changed = only(kind, 0.3)(batch, samples=range(2000), seed=0)
    share = (changed["lr"] != batch["lr"]).flatten(1).any(1).float().mean()
    # One order of three channels in six is the one they had.
    assert share == pytest.approx(0.3 * (5 / 6 if kind == "channel_shuffle" else 1), abs=0.03)
    assert torch.equal(only(kind, 0.0)(batch, samples=range(2000), seed=0)["lr"], batch["lr"])


def test_kinds_are_drawn_apart() -> None:
    batch = pairs(2, count=1000, side=4)
    shuffled, mixed = (
        (only(kind, 0.5)(batch, samples=range(1000), seed=0)["lr"] != batch["lr"]).flatten(1).any(1)
        for kind in ("channel_shuffle", "mixup")
    )
    assert (shuffled & mixed).float().mean() == pytest.approx(0.5 * 0.5 * 5 / 6, abs=0.04)


def test_nothing_is_changed_in_place() -> None:
    batch = pairs(2)
    kept = {key: image.clone() for key, image in batch.items()}
    Augment(**dict.fromkeys(KINDS, 1.0))(batch, samples=SAMPLES, seed=0)
    assert all(torch.equal(image, kept[key]) for key, image in batch.items())


def test_mixup_blends_with_the_neighbour_in_shares_of_the_paper() -> None:
    count = 4000
    own = torch.zeros(count, 1, 2, 2)
    own[1::2] = 1.0
    blend = only("mixup")({"lr": own, "hr": enlarged(own, 2)}, samples=range(count), seed=0)["lr"]
    assert (blend == blend[:, :, :1, :1]).all()
    share = torch.where(own == 0, 1 - blend, blend)[:, 0, 0, 0].double()
    # Beta(a, a) has the mean 1/2 and the variance 1 / (4 (2 a + 1)).
    assert share.mean() == pytest.approx(0.5, abs=0.02)
    assert share.var() == pytest.approx(1 / (4 * 3.4), rel=0.05)
    # Quarters of Beta(1.2, 1.2), from scipy.stats.beta.ppf.
    quartiles = torch.quantile(share, torch.tensor([0.25, 0.75], dtype=torch.float64))
    assert quartiles.tolist() == pytest.approx([0.27282, 0.72718], abs=0.015)


@pytest.mark.parametrize("kind", ["cutmix", "cutblur"])
def test_box_is_one_rectangle_of_the_papers_size_anywhere(kind: str) -> None:
    count, side = 2000, 40
    lr = torch.zeros(count, 1, side, side)
    lr[1::2] = 1.0
    hr = enlarged(lr, 2) if kind == "cutmix" else 1 - enlarged(lr, 2)
    inside = (only(kind)({"lr": lr, "hr": hr}, samples=range(count), seed=0)["lr"] != lr)[:, 0]
    if kind == "cutblur":
        # For half of the samples it is sharp around the box, which reaches one corner at most.
        around = inside[:, [0, 0, -1, -1], [0, -1, 0, -1]].sum(1) > 1
        assert around.float().mean() == pytest.approx(0.5, abs=0.05)
        inside = inside ^ around[:, None, None]
    rows, columns = inside.any(2), inside.any(1)
    assert torch.equal(inside, rows[:, :, None] & columns[:, None, :])
    for places in (rows, columns):
        lengths = places.sum(1).double()
        assert lengths.mean() == pytest.approx(0.7 * side - 0.5, abs=0.1)  # rounded down
        assert lengths.std() < 1
        first = places.int().argmax(1)
        assert set(range(12)) <= set(first.tolist())
        # No gap: the last place is the first one and the length.
        assert torch.equal(first + lengths.long(), side - places.flip(1).int().argmax(1))


@pytest.mark.parametrize(("scale", "shift"), [(2, 0.5), (3, 1.0), (4, 1.5)])
def test_cutblur_takes_hr_at_the_middle_of_each_lr_pixel(scale: int, shift: float) -> None:
    side = 10
    ramp = torch.arange(side * scale, dtype=torch.float32) / 100
    hr = (ramp + 2 * ramp[:, None])[None, None]
    lr = torch.zeros(1, 1, side, side)
    sharp = only("cutblur")({"lr": lr, "hr": hr}, samples=[5], seed=0)["lr"]
    middle = torch.arange(side) * scale + shift
    expected = ((middle[None] + 2 * middle[:, None]) / 100)[None, None]
    taken = sharp != 0
    assert 0 < taken.sum() < taken.numel()
    torch.testing.assert_close(sharp[taken], expected[taken])


def test_cutblur_shows_the_photograph_where_the_target_is_another() -> None:
    lr, hr = torch.zeros(2, 3, 8, 8), torch.full((2, 3, 16, 16), 0.9)
    batch = {"lr": lr, "hr": hr, "real": torch.full_like(hr, 0.5)}
    changed = only("cutblur")(batch, samples=[0, 1], seed=0)
    assert set(changed["lr"].unique().tolist()) == {0.0, 0.5}


@pytest.mark.parametrize("kind", ["mixup", "cutmix", "channel_shuffle", "colour_jitter"])
def test_real_gets_what_hr_gets(kind: str) -> None:
    batch = pairs(2)
    batch["real"] = batch["hr"].clone()
    changed = only(kind)(batch, samples=SAMPLES, seed=0)
    assert torch.equal(changed["real"], changed["hr"])
    assert not torch.equal(changed["real"], batch["real"])


def test_channels_are_put_in_every_order() -> None:
    lr = torch.arange(3.0).reshape(1, 3, 1, 1).expand(600, 3, 4, 4)
    shuffled = only("channel_shuffle")({"lr": lr, "hr": enlarged(lr, 2)}, samples=range(600), seed=0)["lr"]
    orders, counts = shuffled[:, :, 0, 0].unique(dim=0, return_counts=True)
    assert len(orders) == 6
    assert counts.min() > 70


def test_jitter_of_grey_is_brightness_and_contrast() -> None:
    lr = torch.full((500, 1, 2, 2), 0.5)
    lr[..., 1] = 0.25
    changed = only("colour_jitter", jitter_strength=0.2)({"lr": lr, "hr": enlarged(lr, 2)}, samples=range(500), seed=0)
    left, right = changed["lr"][:, 0, 0].unbind(-1)
    contrast = (left - right) / 0.25
    brightness = left / contrast - 0.5
    for values, middle in ((contrast, 1.0), (brightness, 0.0)):
        assert values.min() == pytest.approx(middle - 0.2, abs=0.01)
        assert values.max() == pytest.approx(middle + 0.2, abs=0.01)
        assert values.mean() == pytest.approx(middle, abs=0.02)


def test_jitter_of_colour_changes_saturation_and_hue() -> None:
    red = torch.tensor([0.6, 0.2, 0.2]).reshape(1, 3, 1, 1).expand(300, 3, 2, 2)
    changed = only("colour_jitter")({"lr": red, "hr": enlarged(red, 2)}, samples=range(300), seed=0)["lr"][:, :, 0, 0]
    largest, smallest = changed.amax(1), changed.amin(1)
    saturation = (largest - smallest) / largest
    assert saturation.std() > 0.02  # brightness alone changes it as well
    # Red turns by up to 36 degrees: towards yellow for some, towards magenta for others, never to green or blue.
    assert (changed.argmax(1) == 0).all()
    green, blue = (changed[:, 1:] - smallest[:, None]).unbind(1)
    assert (green > 0.01).any()
    assert (blue > 0.01).any()
    assert ((green < 1e-6) | (blue < 1e-6)).all()


@pytest.mark.parametrize("samples", [[0, 1, 2], [1, 2, 3, 4], [0, 2]])
def test_samples_without_their_partner_are_refused(samples: list[int]) -> None:
    with pytest.raises(ValueError, match="2i and 2i \\+ 1 beside each other"):
        only("cutmix")(pairs(2, count=len(samples)), samples=samples, seed=0)
    assert only("cutmix").mixes
    assert only("mixup", 0.1).mixes
    # The others need no partner.
    assert not only("cutblur").mixes
    only("cutblur")(pairs(2, count=len(samples)), samples=samples, seed=0)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"mixup": 1.5}, r"augment.mixup is expected in \[0, 1\], got 1.5"),
        ({"cutblur": -0.1}, r"augment.cutblur is expected in \[0, 1\], got -0.1"),
        ({"jitter_strength": 0.6}, r"augment.jitter_strength is expected in \[0, 0.5\], got 0.6"),
    ],
)
def test_impossible_chances_are_refused(settings: dict[str, float], expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        Augment(**settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["default", "off", "strong"])
def test_each_yaml_names_all_settings(name: str, repository: Any) -> None:
    settings = yaml.safe_load((repository / "conf/augment" / f"{name}.yaml").read_text())
    augment = Augment(**settings)
    assert {key: getattr(augment, key) for key in settings} == settings
    assert set(settings) == {"flip", "rotate", *KINDS, "jitter_strength"}
    if name == "off":
        batch = pairs(2)
        assert augment.codes == (0,)
        assert all(torch.equal(image, batch[key]) for key, image in augment(batch, samples=SAMPLES, seed=0).items())
