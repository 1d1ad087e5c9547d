"""Real-ESRGAN's degradation: a batch at once in torch against one image after the other in Pillow, numpy and scipy.

    python benchmarks/degrade.py [batch=16] [size=256] [rounds=20] [threads=2] [output=FILE.json]

(a) ours: `degradation=second_order` on the CPU, drawing its parameters and building its kernels;
(b) the same pipeline image by image: scipy's convolution (ndimage or FFT, whichever is faster for a kernel's size),
    Pillow's resize and JPEG, numpy's kernels and noise; the same drawn parameters, which it is given for nothing;
(c) as (b), its images spread over as many Python threads.

Each round degrades one batch with each in turn, every round another, so that a busy machine hurts all alike. Printed:
the median over rounds, the ratios of the medians, and where our time goes.
"""

import functools
import io
import json
import platform
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast
from unittest import mock

import numpy as np
import scipy.ndimage  # type: ignore[import-untyped]
import scipy.signal  # type: ignore[import-untyped]
import scipy.special  # type: ignore[import-untyped]
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from sr_lightning.cli.compose import Composer
from sr_lightning.data.image import read_rgb
from sr_lightning.data.sample import sample_images
from sr_lightning.degradations import jpeg, noise, second_order
from sr_lightning.degradations.blur import Blurs
from sr_lightning.degradations.noise import Noises
from sr_lightning.degradations.second_order import Drawn, Round, SecondOrder
from sr_lightning.engine.build import build_degradation

SCALE = 4
SEED = 0
# Batches before the clock starts: torch builds its kernels for each shape, and noise its tables.
WARM = 3

Photo = NDArray[np.float32]
MODES = {
    "area": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
}


def main() -> None:
    options = dict(argument.split("=", 1) for argument in sys.argv[1:])
    batch, size, rounds, threads = (
        int(options.get(name, default))
        for name, default in (("batch", "16"), ("size", "256"), ("rounds", "20"), ("threads", "2"))
    )
    torch.set_num_threads(threads)
    tree = Composer("train").compose([f"scale={SCALE}", "degradation=second_order"]).tree
    ours = cast(SecondOrder, build_degradation(tree["degradation"]))
    hr = photographs(batch, size)
    photos = [np.ascontiguousarray(image.permute(1, 2, 0).numpy()) for image in hr]
    seconds: dict[str, list[float]] = {"a": [], "b": [], "c": []}
    stages: dict[str, float] = defaultdict(float)
    with ThreadPoolExecutor(threads) as pool:
        for number in range(-WARM, rounds):
            samples = [(number + WARM) * batch + n for n in range(batch)]
            recipes = [Recipe(ours, sample) for sample in samples]
            peers = list(zip(photos, recipes, samples, strict=True))
            took = {
                "a": clock(lambda samples=samples: ours(hr, samples=samples, seed=SEED)),  # type: ignore[misc]
                "b": clock(lambda peers=peers: [by_image(*one) for one in peers]),  # type: ignore[misc]
                "c": clock(lambda peers=peers: list(pool.map(lambda one: by_image(*one), peers))),  # type: ignore[misc]
            }
            if number < 0:
                continue
            for key, value in took.items():
                seconds[key].append(value)
    # On one thread, where the parts add up.
    torch.set_num_threads(1)
    for number in range(rounds):
        with stage_clocks(stages):
            ours(hr, samples=[(number + WARM) * batch + n for n in range(batch)], seed=SEED)
    torch.set_num_threads(threads)
    report(seconds, {name: value / rounds for name, value in stages.items()}, batch=batch, size=size, options=options)


def report(
    seconds: dict[str, list[float]], stages: dict[str, float], *, batch: int, size: int, options: dict[str, str]
) -> None:
    medians = {key: statistics.median(values) for key, values in seconds.items()}
    best = {key: min(values) for key, values in seconds.items()}
    ratios = {f"a/{key}": medians["a"] / medians[key] for key in ("b", "c")}
    print(f"second order x{SCALE}, {batch} x 3 x {size} x {size}, {torch.get_num_threads()} threads")
    labels = {"a": "ours, batched", "b": "Pillow, numpy, scipy", "c": "as (b), in threads"}
    for key, label in labels.items():
        print(f"  ({key}) {label:<24} {medians[key] * 1000:8.1f} ms a batch, at best {best[key] * 1000:8.1f}")
    print("  " + "   ".join(f"{name} = {value:.3f}" for name, value in ratios.items()))
    total = stages["all"]
    print("where our time goes, on one thread")
    for name, value in sorted(stages.items(), key=lambda item: -item[1]):
        print(f"  {name:<12} {value * 1000:8.1f} ms  {value / total:5.0%}")
    if "output" in options:
        result: dict[str, Any] = {
            "machine": platform.processor() or platform.machine(),
            "torch": torch.__version__,
            "seconds": seconds,
            "medians": medians,
            "ratios": ratios,
            "stages": stages,
        }
        Path(options["output"]).write_text(json.dumps(result, indent=2) + "\n")


def clock(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def photographs(batch: int, size: int) -> Tensor:
    """Patches of the sample photographs, `(N, 3, size, size)` in [0, 1]."""
    images = [read_rgb(path) for path in sample_images()["train"]]
    images = [image for image in images if min(image.shape[:2]) >= size]
    random = np.random.default_rng(0)
    patches = []
    for n in range(batch):
        image = images[n % len(images)]
        top, left = (int(random.integers(0, side - size + 1)) for side in image.shape[:2])
        patches.append(torch.from_numpy(image[top : top + size, left : left + size].copy()))
    return torch.stack(patches).permute(0, 3, 1, 2).contiguous().float() / 255


@contextmanager
def stage_clocks(stages: dict[str, float]) -> Iterator[None]:
    """Adds up the seconds in the parts of our pipeline; what no part explains is `the rest`."""

    def timed(owner: Any, function: str, stage: str) -> Any:
        original = getattr(owner, function)

        @functools.wraps(original)
        def wrapper(*arguments: Any, **keywords: Any) -> Any:
            started = time.perf_counter()
            try:
                return original(*arguments, **keywords)
            finally:
                stages[stage] += time.perf_counter() - started

        return mock.patch.object(owner, function, wrapper)

    started, before = time.perf_counter(), sum(stages[part] for part in PARTS)
    with (
        timed(Round, "draw", "draws"),
        timed(Blurs, "kernels", "kernels"),
        timed(second_order, "filter_each", "blur, sinc"),
        timed(second_order, "_resize", "resize"),
        timed(noise, "gaussian", "gaussian"),
        timed(noise, "poisson", "poisson"),
        timed(jpeg, "_compress", "jpeg"),
    ):
        yield
    total = time.perf_counter() - started
    stages["all"] += total
    stages["the rest"] += total - (sum(stages[part] for part in PARTS) - before)


PARTS = ("draws", "kernels", "blur, sinc", "resize", "gaussian", "poisson", "jpeg")


class Recipe:
    """What is drawn for one sample."""

    def __init__(self, degradation: SecondOrder, sample: int) -> None:
        draws = functools.partial(degradation._draws, [sample], SEED)
        self.first = degradation.first.draw(draws("first"), degradation.group)
        self.second = degradation.second.draw(draws("second"), degradation.group)
        modes, sinc, jpeg_last = degradation._draw_end(draws("end"))
        self.mode, self.jpeg_last = str(modes[0]), bool(jpeg_last[0])
        self.sinc = sinc


def make_kernel(blurs: Blurs) -> Photo:
    """The kernel of one image, without zeros around it."""
    kind, sigma = str(blurs.kind[0]), blurs.sigma[0]
    offsets = np.arange(blurs.size[0]) - blurs.size[0] // 2
    x, y = offsets[None, :], offsets[:, None]
    if kind == "sinc":
        radius, cutoff = np.hypot(x, y), blurs.cutoff[0]
        radius[len(offsets) // 2, len(offsets) // 2] = 1
        kernel = cutoff * scipy.special.j1(cutoff * radius) / (2 * np.pi * radius)
        kernel[len(offsets) // 2, len(offsets) // 2] = cutoff**2 / (4 * np.pi)
    else:
        cos, sin = np.cos(blurs.angle[0]), np.sin(blurs.angle[0])
        distance = ((cos * x + sin * y) / sigma[0]) ** 2 + ((cos * y - sin * x) / sigma[1]) ** 2
        if kind.startswith("plateau"):
            kernel = 1 / (1 + distance ** blurs.beta[0])
        else:
            kernel = np.exp(-(distance ** blurs.beta[0] if kind.startswith("generalised") else distance) / 2)
    normalised: Photo = (kernel / kernel.sum()).astype(np.float32)
    return normalised


def by_image(image: Photo, recipe: Recipe, sample: int) -> NDArray[np.uint8]:
    """The whole pipeline for one image `(H, W, 3)` in [0, 1]."""
    random = np.random.default_rng(sample)
    height, width = image.shape[0] // SCALE, image.shape[1] // SCALE
    image = one_round(image, recipe.first, image.shape[:2], random)
    image = compress(image, int(recipe.first.quality[0]))
    image = one_round(image, recipe.second, (height, width), random)
    if not recipe.jpeg_last:
        image = compress(image, int(recipe.second.quality[0]))
    image = convolve(resize(image, (height, width), recipe.mode), recipe.sinc)
    if recipe.jpeg_last:
        image = compress(image, int(recipe.second.quality[0]))
    return levels(image)


def one_round(image: Photo, drawn: Drawn, shape: tuple[int, ...], random: np.random.Generator) -> Photo:
    image = convolve(image, drawn.blur)
    factor = float(drawn.factor[0])
    sides = max(int(shape[0] * factor), 1), max(int(shape[1] * factor), 1)
    return add_noise(resize(image, sides, str(drawn.mode[0])), drawn.noise, random)


def convolve(image: Photo, blurs: Blurs) -> Photo:
    if blurs.kind[0] == "none":
        return image
    kernel = make_kernel(blurs)
    function = faster_convolution(len(kernel))
    return np.stack([function(image[..., channel], kernel) for channel in range(3)], axis=-1)


def by_ndimage(plane: Photo, kernel: Photo) -> Photo:
    return cast(Photo, scipy.ndimage.correlate(plane, kernel, mode="mirror"))


def by_fft(plane: Photo, kernel: Photo) -> Photo:
    padded = np.pad(plane, len(kernel) // 2, mode="reflect")
    return cast(Photo, scipy.signal.fftconvolve(padded, kernel[::-1, ::-1], mode="valid"))


@functools.cache
def faster_convolution(size: int) -> Callable[[Photo, Photo], Photo]:
    plane, kernel = np.random.default_rng(0).random((200, 200), np.float32), np.ones((size, size), np.float32)
    for function in (by_ndimage, by_fft):
        function(plane, kernel)
    times = {function: clock(functools.partial(function, plane, kernel)) for function in (by_ndimage, by_fft)}
    return min(times, key=lambda function: times[function])


def resize(image: Photo, shape: tuple[int, ...], mode: str) -> Photo:
    if image.shape[:2] == shape:
        return image
    resized = Image.fromarray(levels(image)).resize((shape[1], shape[0]), MODES[mode])
    return np.asarray(resized, np.float32) / np.float32(255)


def add_noise(image: Photo, noises: Noises, random: np.random.Generator) -> Photo:
    strength = np.float32(noises.strength[0])
    seen = image
    if noises.grey[0]:
        seen = image @ np.array([[0.299], [0.587], [0.114]], np.float32)
    if noises.gaussian[0]:
        drawn = random.standard_normal(seen.shape, np.float32) * (strength / np.float32(255))
    else:
        counted = levels(seen)
        photons = 2.0 ** np.ceil(np.log2(np.count_nonzero(np.bincount(counted.ravel(), minlength=256))))
        expected = counted * (photons / 255)
        drawn = ((random.poisson(expected) - expected) * (strength / photons)).astype(np.float32)
    return np.clip(image + drawn, 0, 1)


def compress(image: Photo, quality: int) -> Photo:
    if not quality:
        return image
    file = io.BytesIO()
    Image.fromarray(levels(image)).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file), np.float32) / np.float32(255)


def levels(image: Photo) -> NDArray[np.uint8]:
    whole: NDArray[np.uint8] = np.clip(image * np.float32(255) + np.float32(0.5), 0, 255).astype(np.uint8)
    return whole


if __name__ == "__main__":
    main()
