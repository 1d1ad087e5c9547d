from pathlib import Path

import pytest
import torch
import torchvision
from torch import Tensor

from sr_lightning.metrics.lpips import Lpips, available_lpips, lpips_backbone_path

BACKBONE = "alexnet-owt-7be5be79.pth"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty torch hub cache."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    return tmp_path


@pytest.fixture
def backbone(hub: Path) -> dict[str, Tensor]:
    """AlexNet's features at random, where torch hub would have put the real ones."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        with torch.device("meta"):
            shapes = torchvision.models.alexnet(weights=None).state_dict()
        # The classifier's 220 MB are not used: one stored zero each.
        state = {
            key: torch.randn(value.shape) * 0.05 if key.startswith("features") else torch.zeros(1).expand(value.shape)
            for key, value in shapes.items()
        }
    (hub / "checkpoints").mkdir()
    torch.save(state, hub / "checkpoints" / BACKBONE)
    return state


def lpips_by_hand(sr: Tensor, hr: Tensor, features: dict[str, Tensor], heads: dict[str, Tensor]) -> Tensor:
    """Zhang et al. (2018), equation 1, on [-1, 1] and with the constants of their ScalingLayer."""
    shift = torch.tensor([-0.030, -0.088, -0.188]).reshape(1, 3, 1, 1)
    spread = torch.tensor([0.458, 0.448, 0.450]).reshape(1, 3, 1, 1)
    network = torchvision.models.alexnet(weights=None).features.eval()
    network.load_state_dict({key.removeprefix("features."): features[key] for key in features if "feat" in key})
    distance = torch.zeros(len(sr))
    first, second = ((image * 2 - 1 - shift) / spread for image in (sr, hr))
    stage = 0
    for layer in network[:12]:  # the last pooling is not part of it
        first, second = layer(first), layer(second)
        if isinstance(layer, torch.nn.ReLU):
            unit_first, unit_second = (x / torch.sqrt((x**2).sum(1, keepdim=True) + 1e-10) for x in (first, second))
            weighted = (unit_first - unit_second) ** 2 * heads[f"lin{stage}.model.1.weight"]
            distance = distance + weighted.sum(1).mean((-2, -1))
            stage += 1
    return distance.mean()


def test_the_file_is_the_one_that_torchvision_looks_for() -> None:
    assert torchvision.models.AlexNet_Weights.DEFAULT.url.endswith(f"/{BACKBONE}")


def test_without_the_file_it_says_where_to_put_it_and_downloads_nothing(
    hub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def download(*_: object, **__: object) -> None:
        raise AssertionError("a download was tried")

    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    assert lpips_backbone_path() is None
    with pytest.raises(FileNotFoundError, match=rf"put {BACKBONE} into {hub / 'checkpoints'}"):
        Lpips()


def test_it_is_there_only_with_the_file(hub: Path, request: pytest.FixtureRequest) -> None:
    assert available_lpips() is None
    request.getfixturevalue("backbone")
    assert isinstance(available_lpips(), Lpips)


@pytest.mark.usefixtures("backbone")
def test_images_go_to_the_device_that_it_is_given() -> None:
    lpips = Lpips(device=torch.device("meta"))
    with pytest.raises((NotImplementedError, RuntimeError), match="meta"):
        lpips(torch.rand(1, 3, 40, 40), torch.rand(1, 3, 40, 40))


@pytest.mark.usefixtures("backbone")
def test_is_a_distance_of_clamped_rgb(hub: Path) -> None:
    assert lpips_backbone_path() == hub / "checkpoints" / BACKBONE
    lpips = Lpips()
    hr = torch.rand(2, 3, 31, 40)
    sr = hr + 0.3 * torch.randn_like(hr)
    assert lpips(hr, hr) == 0.0
    assert lpips(sr, hr) > 0.0
    assert lpips(sr, hr) == lpips(sr.clamp(0, 1), hr)
    # Nothing is carried over from call to call.
    single = [lpips(sr[i : i + 1], hr[i : i + 1]) for i in range(2)]
    assert lpips(sr, hr) == pytest.approx(sum(single) / 2, rel=1e-5)


def test_equals_the_paper_with_the_authors_heads(shared: Path, backbone: dict[str, Tensor]) -> None:
    heads = torch.load(shared / "data" / "weights" / "lpips_v0.1_alex.pth", map_location="cpu", weights_only=True)
    hr = torch.rand(1, 3, 64, 48)
    sr = (hr + 0.2 * torch.randn_like(hr)).clamp(0, 1)
    with torch.no_grad():
        expected = lpips_by_hand(sr, hr, backbone, heads).item()
    assert Lpips()(sr, hr) == pytest.approx(expected, rel=1e-4)


@pytest.mark.usefixtures("backbone")
@pytest.mark.parametrize("shape", [(1, 1, 40, 40), (3, 40, 40), (1, 3, 30, 40)])
def test_refuses_grey_and_tiny_images(shape: tuple[int, ...]) -> None:
    image = torch.rand(shape)
    with pytest.raises(ValueError, match="sides of at least 31 pixels"):
        Lpips()(image, image)
