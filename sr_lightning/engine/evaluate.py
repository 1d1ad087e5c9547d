"""Scoring a network, or anybody's images, under a named protocol."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any, cast

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from sr_lightning.data.benchmarks import EvaluationSet, match_images
from sr_lightning.data.image import read_header, read_image
from sr_lightning.data.scan import DataError
from sr_lightning.degradations.base import Degradation
from sr_lightning.degradations.bicubic import Bicubic
from sr_lightning.functional.geometry import modcrop
from sr_lightning.functional.quantize import from_uint8, to_8_bits, to_uint8
from sr_lightning.functional.resize import imresize
from sr_lightning.metric_names import CHEAP, METRICS
from sr_lightning.metrics.mean import ScoreMean
from sr_lightning.metrics.protocol import Pair, Protocol, Score, compared, own_protocol, prepare, score
from sr_lightning.metrics.regions import REGIONS, RegionError, region_errors, region_masks
from sr_lightning.metrics.suite import Suite, available
from sr_lightning.networks.luma import Network, forward_rgb
from sr_lightning.networks.self_ensemble import self_ensembled
from sr_lightning.refusal import Refusal

Progress = Callable[[str], None]
# Pillow's names of grey modes.
_GREY = ("1", "L", "LA", "I;16", "I;16B", "I;16L")


@dataclass(frozen=True)
class Scored:
    """An image that has just been scored, with all that was made of it.

    Attributes:
        set: the name of its set.
        image: its name.
        index: its place among the images of the set.
        hr: as its file holds it, (1, C, H, W) uint8 or uint16.
        pair: what the protocol compares, made of it.
        sr: the network's, (1, C, H, W), neither clamped nor rounded.
        bicubic: MATLAB's bicubic upscaling of the same LR.
        protocol: the rules that it was scored under.
    """

    set: str
    image: str
    index: int
    hr: Tensor
    pair: Pair
    sr: Tensor
    bicubic: Tensor
    protocol: Protocol


Look = Callable[[Scored], None]
# The errors of one SR image by region.
Parts = Mapping[str, RegionError]


@dataclass(frozen=True)
class Source:
    """Where SR images come from.

    Attributes:
        make: `sr` of one image, from its prepared pair and the index of the image in its set.
        channels: of the images that are read: 3 for pictures, of which grey ones stay grey.
    """

    make: Callable[[Pair, int], Tensor]
    channels: int = 3


def network_source(network: nn.Module, *, device: torch.device, self_ensemble: bool = False) -> Source:
    """Return the SR of a network, in float32; Y in, Y out where the protocol says so.

    A network of one channel is scored on pictures, one of another number than three on images of as many bands. With
    `self_ensemble`, SR is the mean over the eight flips and rotations: eight times the work.
    """
    network = network.eval().to(device).to(memory_format=torch.channels_last)

    def forward(lr: Tensor) -> Tensor:
        return forward_rgb(cast(Network, network), lr.contiguous(memory_format=torch.channels_last))

    @torch.inference_mode()
    def super_resolve(pair: Pair, index: int) -> Tensor:
        check_channels(network, pair.lr.shape[1])
        lr = pair.lr.to(device, torch.float32)
        # PyTorch's default for convolutions on a GPU, TF32, has 10 bits: it shows in the second decimal of a PSNR.
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            return (self_ensembled(forward, lr) if self_ensemble else forward(lr)).cpu()

    channels = cast(Network, network).channels
    return Source(super_resolve, channels=3 if channels == 1 else channels)


def check_channels(network: nn.Module, channels: int) -> None:
    """Refuse to put Y into a network for RGB."""
    if channels == 1 and network.channels != 1:
        raise Refusal("protocol=y_chain scores networks of one channel, this one takes RGB; use protocol=rgb_to_y.")


def image_source(folder: Path, evaluation_set: EvaluationSet, *, protocol: Protocol) -> Source:
    """Return the SR images of a folder, matched to the HR images by name."""
    files = match_images(folder, evaluation_set)

    def read(pair: Pair, index: int) -> Tensor:
        image = _read(files[index], channels=3)
        # The same rule as for HR: what is no Y yet becomes it, cut like the HR image.
        sr = prepare(image, None, protocol=protocol, scale=1).hr
        if sr.shape != pair.hr.shape:
            raise Refusal(
                f"images: {files[index]} has {sr.shape[3]}x{sr.shape[2]} pixels, the HR image cut to the scale has "
                f"{pair.hr.shape[3]}x{pair.hr.shape[2]}."
            )
        return sr

    return Source(read)


def rules_of(evaluation_set: EvaluationSet, *, otherwise: Protocol) -> Protocol:
    """Return the protocol that a set is scored under: its own where it has one.

    Raises:
        Refusal: the rules in the set's yaml are those of no protocol.
    """
    try:
        return own_protocol(evaluation_set.protocol, otherwise=otherwise)
    except ValueError as error:
        raise Refusal(f"{evaluation_set.name}: protocol in its yaml: {error}") from error


def evaluate_set(
    evaluation_set: EvaluationSet,
    *,
    source: Source,
    protocol: Protocol,
    scale: int,
    degradation: Degradation | None = None,
    seed: int = 0,
    suite: Suite | None = None,
    regions: bool = False,
    save: Path | None = None,
    progress: Progress | None = None,
    look: Look | None = None,
) -> dict[str, Any]:
    """Score a set under its own protocol or else the given one; bicubic is scored beside, on the same LR.

    Args:
        evaluation_set: the images.
        source: makes SR of a pair.
        protocol: for sets that have none of their own.
        scale: the upscaling factor.
        degradation: makes LR from HR; None takes the set's LR, or MATLAB's bicubic where it has none.
        seed: what the degradation draws by, together with an image's number in the whole set.
        suite: the metrics; None takes those that need neither files nor seconds.
        regions: whether to score edges, texture and flat parts too.
        save: folder for the SR images, in a folder of the set's name.
        progress: told each image's name.
        look: shown each image with what was made of it.

    Returns:
        `psnr`, `ssim` and the other metrics (means over the images, of those that all images have), `images`, `bicubic`
        (its means) and `per_image` {name: the same for one}; where they apply `missing` {metric: why it could not be
        computed, or is infinite, which JSON has no number for; `bicubic.psnr`, `regions.edges.psnr`: where it stands},
        `regions` (see `_regions`), `protocol` (other than the given), `excluded` (names of images left out) and `whole`
        (how many images the set has in papers, other than those here and left out).

    Raises:
        Refusal: an image cannot be used, or there is no LR of Y by a degradation.
    """
    rules = rules_of(evaluation_set, otherwise=protocol)
    if degradation is not None and rules.grey == "y":
        raise Refusal(f"protocol={rules.name} makes LR of Y by itself, which no degradation can; use rgb_to_y.")
    rules = replace(rules, degradation=degradation.name if degradation is not None else None)
    if save is not None and source.channels not in (1, 3):
        raise Refusal(
            f"save: expected images of 1 or 3 bands, which a PNG holds, got {source.channels}; leave save out."
        )
    depth = _depth(evaluation_set, channels=source.channels)
    names = [path.stem for path in evaluation_set.hr]
    suite = suite or available(CHEAP)
    scores: dict[str, dict[str, float]] = {}
    lacking: dict[str, dict[str, str]] = {}
    baseline: list[dict[str, float]] = []
    parts: dict[str, tuple[Parts, Parts]] = {}
    for index, hr_file in enumerate(evaluation_set.hr):
        with _refused_by_name(hr_file):
            hr = _read(hr_file, channels=source.channels, depth=depth)
            lr = None
            if degradation is not None:
                lr = degraded(hr, degradation=degradation, number=evaluation_set.number(index), seed=seed)
            elif evaluation_set.lr:
                lr = _read(evaluation_set.lr[index], channels=source.channels)
            pair = prepare(hr, lr, protocol=rules, scale=scale)
            sr, bicubic = source.make(pair, index), imresize(pair.lr, scale)
            scores[names[index]], lacking[names[index]] = suite.score(sr, pair.hr, protocol=rules, scale=scale)
            baseline.append(suite.score(bicubic, pair.hr, protocol=rules, scale=scale).values)
            if regions:
                parts[names[index]] = _parts(sr, bicubic, pair.hr, protocol=rules, scale=scale)
        if look is not None:
            look(Scored(evaluation_set.name, names[index], index, hr, pair, sr, bicubic, rules))
        if save is not None:
            _save(sr, save / evaluation_set.name / f"{names[index]}.png")
        if progress is not None:
            progress(f"{evaluation_set.name} {names[index]}")
    missing = {
        **suite.missing,
        **_missing(lacking),
        **_infinite("psnr", [each["psnr"] for each in scores.values()]),
        **_infinite("bicubic.psnr", [each["psnr"] for each in baseline], of="bicubic"),
        **_infinite_regions(parts),
    }
    return {
        **_means(list(scores.values())),
        "images": len(scores),
        "bicubic": _means(baseline),
        **({"missing": missing} if missing else {}),
        **({"regions": _regions(parts)} if regions else {}),
        **({"protocol": rules.as_dict(scale)} if rules != protocol else {}),
        **_incomplete(evaluation_set),
        "per_image": scores,
    }


def missing_of(metrics: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return the metrics that a set has no mean of, with the reason and, where it is not every set's, the set's name.

    Args:
        metrics: {set: what `evaluate_set` returns}.
    """
    found: dict[str, dict[str, str]] = {}
    for name, scores in metrics.items():
        for metric, reason in scores.get("missing", {}).items():
            found.setdefault(metric, {})[name] = reason
    return {metric: _one_reason(sets, of=len(metrics)) for metric, sets in found.items()}


def _one_reason(sets: Mapping[str, str], *, of: int) -> str:
    if len(sets) == of and len(set(sets.values())) == 1:
        return next(iter(sets.values()))
    return "; ".join(f"{name}: {reason}" for name, reason in sets.items())


def _means(scores: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the mean of each score that all images have."""
    return {name: fmean(each[name] for each in scores) for name in METRICS if all(name in each for each in scores)}


def _missing(lacking: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Return why metrics have no mean, from the reasons of single images: the first image's, and how many there are."""
    found: dict[str, list[str]] = {}
    for image, reasons in lacking.items():
        for metric, reason in reasons.items():
            found.setdefault(metric, []).append(f"{image}: {reason.rstrip('.')}")
    return {
        metric: lines[0] + (f" ({len(lines)} of {len(lacking)} images)" if len(lines) > 1 else "")
        for metric, lines in found.items()
    }


def _infinite(key: str, values: Sequence[float], *, of: str = "SR") -> dict[str, str]:
    """Return, under its key, why a PSNR has no mean: a mean over the other images would be another set's."""
    perfect = sum(map(math.isinf, values))
    return {key: f"infinite: {of} equals HR in {perfect} of {len(values)} images"} if perfect else {}


def _infinite_regions(parts: Mapping[str, tuple[Parts, Parts]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for region in REGIONS:
        images = [(own[region].psnr, bicubic[region].psnr) for own, bicubic in parts.values() if own[region].pixels]
        found |= _infinite(f"regions.{region}.psnr", [own for own, _ in images])
        found |= _infinite(f"regions.{region}.bicubic.psnr", [bicubic for _, bicubic in images], of="bicubic")
    return found


def _parts(sr: Tensor, bicubic: Tensor, hr: Tensor, *, protocol: Protocol, scale: int) -> tuple[Parts, Parts]:
    """Return the errors of the network and of bicubic in each region of one image."""
    masks, border = region_masks(hr), protocol.border_pixels(scale)
    network, baseline = (
        region_errors(compared(each, hr, protocol=protocol, scale=scale), masks, border=border)
        for each in (sr, bicubic)
    )
    return network, baseline


def _regions(parts: Mapping[str, tuple[Parts, Parts]]) -> dict[str, Any]:
    """Return {region: `psnr` (mean over the images that have the region), `pixels`, `bicubic`, `per_image`}.

    A region that no image has is left out.
    """
    found: dict[str, Any] = {}
    for region in REGIONS:
        images = {name: (own[region], bicubic[region]) for name, (own, bicubic) in parts.items() if own[region].pixels}
        if images:
            found[region] = {
                "psnr": fmean(own.psnr for own, _ in images.values()),
                "pixels": sum(own.pixels for own, _ in images.values()),
                "bicubic": {"psnr": fmean(bicubic.psnr for _, bicubic in images.values())},
                "per_image": {name: {"psnr": own.psnr, "pixels": own.pixels} for name, (own, _) in images.items()},
            }
    return found


def degraded(hr: Tensor, *, degradation: Degradation, number: int, seed: int) -> Tensor:
    """Make the LR of a whole image, as a file would hold it.

    Args:
        hr: (1, C, H, W) uint8 or uint16; a grey image is degraded as RGB with three equal channels, as in training.
        degradation: makes LR from HR.
        number: the image's number, which a random degradation draws by.
        seed: of the draws.

    Returns:
        (1, C, H // scale, W // scale) uint8, C at least 3 of a grey image.
    """
    hr = modcrop(hr, degradation.scale)
    if hr.shape[1] == 1:
        hr = hr.expand(-1, 3, -1, -1)
    if isinstance(degradation, Bicubic):
        # As the store does: in the depth of the files, rounded to 8 bits afterwards.
        return to_8_bits(degradation.downscale(hr))
    return to_uint8(degradation(from_uint8(to_8_bits(hr)).contiguous(), samples=[number], seed=seed))


def bicubic_score(pair: Pair, *, protocol: Protocol, scale: int) -> Score:
    """Score MATLAB's bicubic upscaling of a pair's LR image."""
    return score(imresize(pair.lr, scale), pair.hr, protocol=protocol, scale=scale)


def bicubic_means(pairs: Sequence[tuple[Tensor, Tensor]], *, protocol: Protocol, scale: int) -> dict[str, float]:
    """Return bicubic's mean PSNR and SSIM over uint8 (lr, hr) images (1, C, H, W)."""
    baseline = ScoreMean()
    for lr, hr in pairs:
        baseline.update(bicubic_score(prepare(hr, lr, protocol=protocol, scale=scale), protocol=protocol, scale=scale))
    means = baseline.compute()
    return {key: float(means[key]) for key in ("psnr", "ssim")}


def _incomplete(evaluation_set: EvaluationSet) -> dict[str, Any]:
    """Return what keeps a set from being compared with papers: images left out on request, and those not here."""
    found: dict[str, Any] = {}
    if evaluation_set.excluded:
        found["excluded"] = list(evaluation_set.excluded)
    if evaluation_set.whole not in (None, len(evaluation_set.hr) + len(evaluation_set.excluded)):
        found["whole"] = evaluation_set.whole
    return found


@contextmanager
def _refused_by_name(path: Path) -> Iterator[None]:
    """Turn what is wrong with an image into a refusal that names it."""
    try:
        yield
    except DataError as error:  # names the file
        raise Refusal(str(error)) from error
    except ValueError as error:
        raise Refusal(f"{path}: {error}") from error


def _depth(evaluation_set: EvaluationSet, *, channels: int) -> int:
    """Return the bits per channel that LR is made in: 16 where one HR file has them, since a store holds one type."""
    depth = 8
    for path in evaluation_set.hr:
        with _refused_by_name(path):
            depth = max(depth, read_header(path, channels=channels).bits)
    return depth


def _read(path: Path, *, channels: int, depth: int = 8) -> Tensor:
    """Read an image as (1, C, H, W), uint16 if it or what it is compared among has 16 bits; grey stays grey."""
    header = read_header(path, channels=channels)
    bands = 1 if channels == 3 and header.mode in _GREY else channels
    dtype = np.dtype(np.uint16 if max(depth, header.bits) == 16 else np.uint8)
    return torch.from_numpy(read_image(path, channels=bands, dtype=dtype)).permute(2, 0, 1)[None]


def _save(sr: Tensor, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = to_uint8(sr)[0].permute(1, 2, 0).numpy()
    Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(path)
