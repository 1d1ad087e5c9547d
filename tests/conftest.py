"""Fixtures that every room's tests share."""

import shutil
from collections.abc import Callable, Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import rich
import torch

# Tests run in several processes on few cores: one thread each is faster than many that fight.
torch.set_num_threads(1)

REPOSITORY = Path(__file__).resolve().parents[1]
# Runs of a few steps on tiny images, in float32.
TINY = (
    "data=folder", "data.root=no/benchmarks", "data.batch_size=2", "data.hr_patch=32", "data.lr_patch=null", "scale=2",
    "trainer.accelerator=cpu", "trainer.precision=32-true", "trainer.max_steps=4", "trainer.val_every_steps=2",
    "trainer.log_every_steps=1", "model.width=8", "sweep.estimate=false",
)  # fmt: skip
TINY_MODELS = {
    # Without batch normalisation, with it, and two networks.
    "edsr_baseline": ("model=edsr_baseline", "model.depth=1"),
    "srresnet": ("model=srresnet", "model.depth=1"),
    # Another scale for each batch: of its parts for the other scales none takes part.
    "mdsr": ("model=mdsr", "model.depth=1", "data.scales=[2,3]", "data.lr_patch=12", "data.hr_patch=null"),
    "srgan": (
        "model=srgan", "model.depth=1", "loss=l1", "module.discriminator.width=4", "module.discriminator.hidden=8",
        "module.pretrain_steps=2",
    ),
}  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begins with the notebooks, each of which takes minutes: at the end, all processes but one would wait for it."""
    items.sort(key=lambda item: item.path.name != "test_notebooks.py")


@pytest.fixture(autouse=True)
def own_console(monkeypatch: pytest.MonkeyPatch) -> None:
    """A console for each test: a command may configure the shared one, which then keeps the width of its moment."""
    monkeypatch.setattr(rich, "_console", None)


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the working tree."""
    return REPOSITORY


@pytest.fixture(scope="session")
def synthetic_runs() -> ModuleType:
    """`write_run` and `write_runs`: folders of runs that never ran."""
    spec = spec_from_file_location("synthetic_runs", REPOSITORY / "tests" / "comparison" / "synthetic_runs.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real benchmark images, oracles and published weights that lie beside the checkout on some machines."""
    folder = REPOSITORY.parent / "shared"
    if not (folder / "data").is_dir():
        pytest.skip("the folder with benchmark images and oracles (../shared) is not on this machine")
    return folder


@pytest.fixture(scope="session")
def random_backbones(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A torch hub folder with AlexNet and VGG16 at random, where torchvision would have put the real ones."""
    import torchvision

    folder = tmp_path_factory.mktemp("torch") / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    generator = torch.Generator().manual_seed(0)
    for file, make in (
        ("alexnet-owt-7be5be79.pth", torchvision.models.alexnet),
        ("vgg16-397923af.pth", torchvision.models.vgg16),
    ):
        with torch.device("meta"):
            shapes = {key: value.shape for key, value in make(weights=None).state_dict().items()}
        # He's initialisation, which neither fades nor explodes. The classifier's 500 MB are not used: one stored zero.
        state = {
            key: torch.randn(shape, generator=generator) * (2 / max(1, shape[1:].numel())) ** 0.5
            if key.startswith("features") and key.endswith("weight")
            else torch.zeros(1).expand(shape)
            for key, shape in shapes.items()
        }
        torch.save(state, folder / file)
    return folder.parent


@pytest.fixture
def planted_backbones(random_backbones: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Torch hub's folder with random backbones of LPIPS and DISTS in it; nothing can be downloaded."""

    def download(*_: object, **__: object) -> None:
        raise AssertionError("a download was tried")

    monkeypatch.setenv("TORCH_HOME", str(random_backbones.parent))
    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    return random_backbones


@pytest.fixture(scope="session")
def tiny_images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `train` and `val`: small pieces of the sample photographs."""
    from PIL import Image

    from sr_lightning.data.sample import sample_images

    root = tmp_path_factory.mktemp("images")
    for part, count, size in (("train", 3, (72, 64)), ("val", 3, (48, 40))):
        (root / part).mkdir()
        for index in range(count):
            photographs = sample_images()[part]
            image = Image.open(photographs[index % len(photographs)]).convert("RGB").resize((300, 300))
            left = 60 * index
            image.crop((left, left, left + size[0], left + size[1] + 2 * index)).save(root / part / f"{index}.png")
    return root


@pytest.fixture(scope="session")
def tiny_arguments(tiny_images: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., list[str]]:
    """Arguments of `train` for a run of seconds: `tiny_arguments("edsr_baseline", "trainer.max_steps=6")`."""
    cache = tmp_path_factory.mktemp("cache")

    def arguments(model: str, *overrides: str) -> list[str]:
        # Another data set has images of its own.
        own = not any(text.startswith("data=") for text in overrides)
        folders = [f"data.{part}_dir={tiny_images / part}" for part in ("train", "val") if own]
        return [*TINY, *folders, f"paths.cache={cache}", *TINY_MODELS[model], *overrides]

    return arguments


@pytest.fixture(scope="session")
def run_tiny(tiny_arguments: Callable[..., list[str]]) -> Callable[..., dict[str, Any]]:
    """Train in this process: `run_tiny("srgan", folder, "trainer.max_steps=6")` returns `results.json`'s content."""
    from omegaconf import OmegaConf

    from sr_lightning.cli.compose import Composer
    from sr_lightning.engine.train import train

    def run(model: str, folder: Path, *overrides: str) -> dict[str, Any]:
        tree = Composer("train").compose(tiny_arguments(model, *overrides)).tree
        return train(OmegaConf.create(tree), folder)

    return run


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium, driven by Playwright, or a reason to skip; there may be one in a process."""
    playwright = pytest.importorskip("playwright.sync_api")
    names = ("chromium", "chromium-browser", "google-chrome")
    program = next((found for name in names if (found := shutil.which(name))), None)
    if program is None:
        pytest.skip(f"no browser on this machine: none of {', '.join(names)} is on the PATH")
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield started
        started.close()
