"""Folders of runs that never ran, with all that real ones hold: for tests of what many runs are compared by.

As a program: `python tests/comparison/synthetic_runs.py FOLDER [COUNT]`.
"""

import json
import math
import os
import shutil
import sys
from functools import cache
from pathlib import Path

import numpy as np
import yaml
from PIL import Image, ImageFilter

from sr_lightning.metrics.protocol import PROTOCOLS
from sr_lightning.report.samples import Facts, write_samples

# How much better than bicubic each network is at x4, its weights, and its multiply-adds at 1280x720 in millions.
MODELS = {
    "srcnn": (1.6, 57_281, 52_700),
    "espcn": (1.9, 24_336, 1_390),
    "edsr_baseline": (3.3, 1_517_571, 114_000),
    "srresnet": (3.1, 1_549_462, 127_000),
    "edsr": (3.7, 43_089_923, 2_895_000),
}
LOSSES = {"l1": 0.05, "charbonnier": 0.04, "mse": 0.0}
# Images and bicubic's PSNR at x2, x3, x4.
SETS = {
    "Set5": (("baby", "bird", "butterfly", "head", "woman"), {2: 33.7, 3: 30.4, 4: 28.4}),
    "Set14": (
        ("baboon", "barbara", "bridge", "coastguard", "comic", "face", "flowers", "foreman", "lenna", "man", "monarch",
         "pepper", "ppt3", "zebra"),
        {2: 30.2, 3: 27.5, 4: 26.0},
    ),
    "BSD100": (tuple(f"{3096 + 1007 * number}" for number in range(100)), {2: 29.6, 3: 27.2, 4: 25.96}),
}  # fmt: skip
PUBLISHED = {
    "srcnn": {"y_chain": {"x4": {"Set5": [30.48, 0.8628], "Set14": [27.49, 0.7503], "BSD100": [26.90, 0.7101]}}},
    "espcn": {},
    "edsr_baseline": {"rgb_to_y": {"x2": {"Set5": [37.99, 0.9604], "Set14": [33.57, 0.9175]}}},
    "srresnet": {"rgb_to_y": {"x4": {"Set5": [32.05, 0.8910], "Set14": [28.53, 0.7804], "BSD100": [27.57, 0.7354]}}},
    "edsr": {"rgb_to_y": {"x4": {"Set5": [32.46, 0.8968], "Set14": [28.80, 0.7876], "BSD100": [27.71, 0.7420]}}},
}
# The photographs of scikit-image that stand for images of the sets.
PHOTOGRAPHS = {"Set5": ("astronaut", "coffee", "chelsea"), "Set14": ("rocket", "immunohistochemistry")}
SIDE, STEPS = 144, 20_000


def write_runs(folder: Path, count: int = 200, seed: int = 0, crops: bool = True) -> list[Path]:
    """Write `count` run folders below `folder`, and return them.

    Networks x losses x scales x three seeds, every seventh of them a GAN, some of those without LPIPS; every eleventh
    under another protocol, and some with averaged weights, other data, no benchmark, or an end before they finished.
    """
    random = np.random.default_rng(seed)
    cells = [
        (model, loss, scale, run_seed)
        for model in MODELS
        for scale in (2, 4)
        for loss in LOSSES
        for run_seed in (1, 2, 3)
    ]
    written = []
    for number in range(count):
        model, loss, scale, run_seed = cells[number % len(cells)]
        # Seeds of one experiment are alike in all else.
        group = number // 3
        facts = {
            "model": "srgan" if group % 7 == 6 else model,
            "loss": loss,
            "scale": scale,
            "seed": run_seed,
            "gan": group % 7 == 6,
            "lpips": group % 14 != 13,
            "protocol": "y_chain" if group % 11 == 10 and group % 7 != 6 else "rgb_to_y",
            "ema": 0.999 if group % 13 == 12 else None,
            "data": "df2k" if group % 5 == 4 else "div2k",
            "benchmark": group % 17 != 16,
            "status": {41: "failed", 83: "running", 127: "interrupted"}.get(number, "finished"),
            "rate": 1e-4 * 2 ** (number // len(cells)),
        }
        name = f"{facts['model']}_x{scale}_{facts['data']}_{loss}_{number:012x}"
        written.append(write_run(folder / name, random=random, crops=crops, **facts))
    return written


def write_run(
    folder: Path, *, random: np.random.Generator, crops: bool = False, model: str = "edsr_baseline", loss: str = "l1",
    scale: int = 4, seed: int = 1, gan: bool = False, lpips: bool = True, protocol: str = "rgb_to_y",
    ema: float | None = None, data: str = "div2k", benchmark: bool = True, status: str = "finished",
    rate: float = 1e-4, gain: float | None = None, images: tuple[str, ...] | None = None, **content: object,
) -> Path:  # fmt: skip
    """Write one run.

    Args:
        folder: the run's.
        random: draws what differs from run to run.
        crops: whether `samples/` is written.
        gain: PSNR above bicubic in dB; by the network where it is not given.
        images: the images of its only set, Set5.
        content: other content of `results.json`.
    """
    better, parameters, multiply_adds = MODELS.get(model, MODELS["srresnet"])
    gain = better * (0.8 if scale == 2 else 1.0) + LOSSES[loss] + 300 * (rate - 1e-4) if gain is None else gain
    # What a seed changes, in dB.
    gain += float(random.normal(0, 0.03)) - 2.2 * gan
    finished = status == "finished"
    steps = STEPS if finished else STEPS * 2 // 5
    rules = PROTOCOLS[protocol].as_dict(scale) | {"ema": ema is not None and finished}
    sets = {"Set5": images} if images else {name: known for name, (known, _) in SETS.items()}
    scored = {name: _scores(name, stems, scale, gain, gan, lpips, random) for name, stems in sets.items()}
    results = {
        "status": status,
        "error": "RuntimeError: CUDA out of memory" if status == "failed" else None,
        "exit_code": {"finished": 0, "failed": 1, "interrupted": 130}.get(status),
        "model": model,
        "module": "gan" if gan else "pixel",
        "loss": loss,
        "data": data,
        "experiment": None,
        "scale": scale,
        "parameters": parameters,
        "multiply_adds": multiply_adds * 1_000_000 // (4 if scale == 4 else 1),
        "max_steps": STEPS,
        "config_hash": folder.name[-12:],
        "steps": steps,
        "hr_pixels": steps * 16 * 96 * 96,
        "seconds": 3600.0 * better * steps / STEPS,
        "samples_per_second": round(90 / better, 1),
        "seed": seed,
        "git": {"commit": "103a4c7a264ea036de7200746e0b9f3a25cc3317", "dirty": False},
        "versions": {"python": "3.12.3", "sr-lightning": "0.1.0", "torch": "2.11.0"},
        "device": "NVIDIA H100",
        "threads": 8,
        "precision": "bf16-mixed",
        "ema": ema,
        "warm_start": None,
        "protocol": rules,
        "metrics": scored if finished and benchmark else {},
        "missing": {},
        "validation": _scores("Set14", SETS["Set14"][0][:10], scale, gain, gan, lpips, random) if finished else None,
        "features": {},
        "best_step": steps if finished else None,
        "degradation": f"bicubic_x{scale}_symmetric_uint8_each",
        "overlap": [],
        "images": {data: {"found": 800, "expected": 800}},
        **content,
    }
    folder.mkdir(parents=True)
    (folder / "results.json").write_text(json.dumps(results, indent=2))
    (folder / "config.yaml").write_text(yaml.safe_dump(_config(results, rate), sort_keys=False))
    _write_curves(folder / "metrics.csv", results, gain, random)
    if crops and finished and benchmark:
        _write_samples(folder, scale, gain, gan, random)
    return folder


def _scores(
    name: str, stems: tuple[str, ...], scale: int, gain: float, gan: bool, lpips: bool, random: np.random.Generator
) -> dict:
    """Scores of a set: images differ by decibels, as real ones do, and the gain on them with their detail."""
    level = SETS[name][1][scale]
    # The same images for every run.
    own = np.random.default_rng([len(stems), scale])
    spread, response = own.normal(0, 2.5, len(stems)), own.uniform(0.5, 1.5, len(stems))
    bicubic = level + spread - spread.mean()
    response = response / response.mean()
    psnr = bicubic + gain * response + random.normal(0, 0.02, len(stems))
    per_image = {
        stem: _metrics(value, gan=gan, lpips=lpips, scale=scale) for stem, value in zip(stems, psnr, strict=True)
    }
    means = {key: float(np.mean([each[key] for each in per_image.values()])) for key in per_image[stems[0]]}
    baseline = [_metrics(value, gan=False, lpips=lpips, scale=scale) for value in bicubic]
    return {
        **means,
        "images": len(stems),
        "bicubic": {key: float(np.mean([each[key] for each in baseline])) for key in baseline[0]},
        "per_image": per_image,
    }


def _metrics(psnr: float, *, gan: bool, lpips: bool, scale: int) -> dict[str, float]:
    ssim = 1 / (1 + math.exp(-(psnr - 20) / 5))
    found = {"psnr": float(psnr), "ssim": ssim, "lsd": (9.0 if gan else 16.0) + 0.5 * (30 - psnr) + scale / 4}
    if lpips:
        found["lpips"] = (0.09 if gan else 0.2) + 0.02 * scale + 0.008 * (30 - psnr)
    return found


def _config(results: dict, rate: float) -> dict:
    model, data = results["model"], results["data"]
    return {
        "seed": results["seed"],
        "scale": results["scale"],
        "resume": None,
        "protocol": results["protocol"]["name"],
        "names": {key: results[key] for key in ("model", "module", "loss", "data", "experiment")} | {"group": None},
        "paths": {"runs": "runs", "cache": "cache"},
        "module": {"_target_": f"sr_lightning.modules.{results['module']}", "accumulate": 1},
        "loss": {results["loss"]: {"_target_": "sr_lightning.losses.pixel", "weight": 1.0}},
        "data": {
            "val": None,
            "hr_patch": 96,
            "batch_size": 16,
            "num_workers": results["seed"],
            "spec": {"title": data},
        },
        "optimizer": {"_target_": "torch.optim.Adam", "lr": rate, "betas": [0.9, 0.999]},
        "trainer": {"max_steps": results["max_steps"], "devices": 1},
        "callbacks": {"ema": {"decay": results["ema"]}} if results["ema"] else {},
        "model": {
            "_target_": f"sr_lightning.networks.{model}",
            "scale": results["scale"],
            "spec": {"published": PUBLISHED.get(model, {})},
        },
    }


def _write_curves(path: Path, results: dict, gain: float, random: np.random.Generator) -> None:
    """Loss every 50 steps, a validation every 500."""
    level = SETS["Set14"][1][results["scale"]]
    loss = f"train/share/{results['loss']}"
    lines = [f"step,train/gradient_norm,train/hr_pixels,train/learning_rate,train/loss,{loss},val/psnr,val/ssim"]
    for step in range(50, results["steps"] + 1, 50):
        done = step / STEPS
        value = 0.02 + 0.1 * math.exp(-20 * done) + float(random.normal(0, 0.002))
        psnr = level + gain * (1 - math.exp(-6 * done)) - 4 * math.exp(-40 * done) + float(random.normal(0, 0.01))
        scores = f"{psnr:.8g},{1 / (1 + math.exp(-(psnr - 20) / 5)):.8g}" if step % 500 == 0 else ","
        lines.append(f"{step},{10 * value:.8g},{step * 16 * 96 * 96},0.0001,{value:.8g},1,{scores}")
    path.write_text("\n".join(lines) + "\n")


@cache
def _photograph(name: str) -> Image.Image:
    from skimage import data

    return Image.fromarray(getattr(data, name)()[..., :3])


@cache
def _places(name: str, scale: int) -> tuple[tuple[int, int, int, int], Image.Image, Image.Image, Image.Image]:
    """The crop's box, and HR, LR and bicubic in it."""
    photograph = _photograph(name)
    left, top = (24 * ((side - SIDE) // 48) for side in photograph.size)
    hr = photograph.crop((left, top, left + SIDE, top + SIDE))
    lr = hr.resize((SIDE // scale, SIDE // scale), Image.Resampling.BICUBIC)
    return (left, top, SIDE, SIDE), hr, lr, lr.resize((SIDE, SIDE), Image.Resampling.BICUBIC)


def _write_samples(folder: Path, scale: int, gain: float, gan: bool, random: np.random.Generator) -> None:
    samples = []
    for name, photographs in PHOTOGRAPHS.items():
        for place, photograph in enumerate(photographs):
            box, hr, lr, bicubic = _places(photograph, scale)
            # The better the network, the sharper; a GAN adds detail that is not there.
            blur = hr.filter(ImageFilter.GaussianBlur(max(0.2, scale / 3 - gain / 5)))
            sr = np.asarray(blur, dtype=float) + random.normal(0, 9 if gan else 0.6, (SIDE, SIDE, 1))
            sr = np.clip(sr.round(), 0, 255).astype(np.uint8)
            facts = Facts(
                set=name,
                image=SETS[name][0][place],
                box=box,
                size=_photograph(photograph).size,
                psnr=_psnr(sr, hr),
                ssim=0.8 + 0.02 * gain,
                bicubic_psnr=_psnr(np.asarray(bicubic), hr),
                bicubic_ssim=0.8,
            )
            whole = _photograph(photograph).copy()
            whole.thumbnail((480, 480))
            pictures = {"lr": lr, "bicubic": bicubic, "sr": sr, "hr": hr, "whole": whole}
            samples.append((facts, {key: np.asarray(picture) for key, picture in pictures.items()}))
    # What all runs share is encoded once and linked: a thousand pictures take half a minute otherwise.
    first = folder.parent / f".x{scale}"
    if not first.exists():
        write_samples(first, samples, side=SIDE)
    shutil.copytree(first / "samples", folder / "samples", copy_function=os.link)
    index = folder / "samples" / "samples.json"
    content = json.loads(index.read_text())
    index.unlink()
    for entry, (facts, pictures) in zip(content["samples"], samples, strict=True):
        entry |= {"psnr": facts.psnr, "ssim": facts.ssim}
        path = folder / "samples" / entry["files"]["sr"]
        path.unlink()
        Image.fromarray(pictures["sr"]).save(path, compress_level=1)
    index.write_text(json.dumps(content))


def _psnr(sr: np.ndarray, hr: Image.Image) -> float:
    error = np.mean((sr.astype(float) - np.asarray(hr, dtype=float)) ** 2)
    return float(10 * np.log10(255**2 / error))


if __name__ == "__main__":
    write_runs(Path(sys.argv[1]), *map(int, sys.argv[2:3]))
