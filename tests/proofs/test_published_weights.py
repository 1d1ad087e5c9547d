"""Other people's trained weights give their published PSNR in our networks, or what others have measured with them.

Each file is read as `evaluate model=... model.pretrained=...` reads it: names and shapes in it tell the network's
arguments.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from sr_lightning.cli.compose import Composer
from sr_lightning.engine.pretrained import Pretrained, pretrained_network
from sr_lightning.metrics.protocol import get_protocol, prepare, score
from sr_lightning.networks.luma import Network, forward_rgb


@dataclass(frozen=True)
class Proof:
    """What a file of weights must give.

    Attributes:
        file: Below the shared weights.
        model: The yaml that it is loaded by.
        scale: Upscaling factor.
        layout: By whose names the file holds its tensors.
        protocol: How the number was made.
        set: The images.
        psnr: In dB.
        source: Whether the number was printed with the weights, or measured by an independent program.
        quick: Whether it takes less than 20 seconds on one thread.
    """

    file: str
    model: str
    scale: int
    layout: str
    protocol: str
    set: str
    psnr: float
    source: Literal["published", "measured"]
    quick: bool = True


PROOFS = [
    Proof("vdsr_official.pth", "vdsr", 2, "pytorch-vdsr", "y_chain", "Set5", 37.53, "published"),
    Proof("vdsr_official.pth", "vdsr", 3, "pytorch-vdsr", "y_chain", "Set5", 33.66, "published"),
    Proof("vdsr_official.pth", "vdsr", 4, "pytorch-vdsr", "y_chain", "Set5", 31.35, "published"),
    # Print has 33.03, 29.77 and 28.01.
    Proof("vdsr_official.pth", "vdsr", 2, "pytorch-vdsr", "y_chain", "Set14", 33.064, "measured", quick=False),
    Proof("vdsr_official.pth", "vdsr", 3, "pytorch-vdsr", "y_chain", "Set14", 29.804, "measured", quick=False),
    Proof("vdsr_official.pth", "vdsr", 4, "pytorch-vdsr", "y_chain", "Set14", 28.016, "measured", quick=False),
    Proof("imdn_x4.pth", "imdn", 4, "IMDN", "rgb_to_y", "Set5", 32.21, "published"),
    Proof("imdn_x4.pth", "imdn", 4, "IMDN", "rgb_to_y", "Set14", 28.58, "published"),
    Proof("imdn_x4.pth", "imdn", 4, "IMDN", "rgb", "Set5", 30.3005, "measured"),
    Proof("rlfn_x4.pth", "rlfn", 4, "RLFN", "rgb_to_y", "Set5", 32.24, "published"),
    Proof("srgan_netG_x4_leftthomas.pth", "srgan", 4, "leftthomas SRGAN, x4", "rgb_to_y", "Set5", 30.654, "measured"),
    Proof("fsrcnn_x2_asadbe.pth", "fsrcnn", 2, "FSRCNN-pytorch", "y_float", "Set5", 37.138, "measured"),
    Proof("fsrcnn_x4_asadbe.pth", "fsrcnn", 4, "FSRCNN-pytorch", "y_float", "Set5", 30.513, "measured"),
    # By the yaml of 9-1-5: the file says that it is 9-5-5.
    Proof("srcnn_x3_fuyongxu.pth", "srcnn_915", 3, "SRCNN-pytorch", "y_float", "Set5", 32.675, "measured"),
    Proof("espcn_x3_warkeeper.pth", "espcn", 3, "ESPCN-pytorch", "y_float", "Set5", 32.267, "measured"),
]  # fmt: skip


def case(proof: Proof) -> Any:
    name = f"{proof.file.removesuffix('.pth')}-x{proof.scale}-{proof.set}-{proof.protocol}"
    return pytest.param(proof, marks=() if proof.quick else pytest.mark.slow, id=name)


@pytest.mark.parametrize("proof", [case(proof) for proof in PROOFS])
def test_psnr(shared: Path, proof: Proof) -> None:
    loaded = load(shared / "data/weights" / proof.file, model=proof.model, scale=proof.scale)

    assert loaded.found.complete
    assert loaded.found.layout.name == proof.layout
    scores = psnr_of_images(loaded.network, proof, root=shared / "data/benchmarks" / proof.set)
    assert len(scores) == {"Set5": 5, "Set14": 14}[proof.set]
    assert np.mean(scores) == pytest.approx(proof.psnr, abs=0.01)


@pytest.mark.parametrize("size", ["16x16", "32x32", "64x64"])
def test_real_esrgan_within_one_grey_level_of_spandrels_images(shared: Path, size: str) -> None:
    network = load(shared / "data/weights/realesr-general-x4v3_fp16.pth", model="srvgg", scale=4).network
    folder = shared / "data/oracles/realesr-general-x4v3"

    with torch.no_grad():
        sr = network(read(folder / f"{size}_in.png").float() / 255)

    # Theirs came from the weights in float32; these were rounded to 16 bits.
    difference = (sr * 255).round().clamp(0, 255) - read(folder / f"{size}_out.png").float()
    assert difference.abs().max() <= 1
    assert (difference == 0).float().mean() > 0.95


@pytest.mark.parametrize(("file", "depth"), [("realesr-general-x4v3_fp16.pth", 32), ("realesr-animevideov3.pth", 16)])
def test_real_esrgan_equals_spandrels_network(shared: Path, file: str, depth: int) -> None:
    spandrel = pytest.importorskip("spandrel")
    path = shared / "data/weights" / file
    loaded = load(path, model="srvgg", scale=4)
    theirs = spandrel.ModelLoader(device="cpu").load_from_file(path).model.double().eval()
    lr = read(shared / "data/benchmarks/Set5/LR_bicubic/x4/babyx4.png")[..., :40, :50].double() / 255

    with torch.no_grad():
        sr, expected = loaded.network.double()(lr), theirs(lr)

    assert loaded.model["depth"] == depth
    assert (sr - expected).abs().max() <= 1e-9 * expected.abs().max()


def load(path: Path, *, model: str, scale: int) -> Pretrained:
    """The network of a yaml with the weights of a file."""
    tree = Composer("train").compose([f"model={model}", f"scale={scale}", f"model.pretrained={path}"]).tree
    loaded = pretrained_network(tree["model"], name=model)
    loaded.network.eval()
    return loaded


def psnr_of_images(network: nn.Module, proof: Proof, *, root: Path) -> list[float]:
    """PSNR in dB of each image of a set."""
    protocol, scale = get_protocol(proof.protocol), proof.scale
    scores = []
    for path in sorted((root / "HR").glob("*.png")):
        lr = read(root / "LR_bicubic" / f"x{scale}" / f"{path.stem}x{scale}.png")
        pair = prepare(read(path), lr, protocol=protocol, scale=scale)
        with torch.inference_mode():
            sr = forward_rgb(cast(Network, network), pair.lr.float())
        scores.append(score(sr, pair.hr, protocol=protocol, scale=scale).psnr)
    return scores


def read(path: Path) -> Tensor:
    """`(1, C, H, W)` uint8; of a grey file C is 1."""
    with Image.open(path) as image:
        pixels = np.array(image if image.mode == "L" else image.convert("RGB"))
    return torch.from_numpy(pixels.reshape(*pixels.shape[:2], -1)).permute(2, 0, 1)[None]
