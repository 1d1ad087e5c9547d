"""Files that are not at hand: tensors under the published names, written down here from the programs that wrote them.

The names stand here once more, independently of the tables in networks/, so that an error there shows.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from sr_lightning.engine.pretrained import pretrained_network
from sr_lightning.functional.resize import imresize
from tests.test_contracts import compose

Tensors = dict[str, Tensor]


class Keys(dict[str, Tensor]):
    """Random tensors by name."""

    def conv(self, name: str, inputs: int, outputs: int, kernel: int = 3, *, bias: bool = True) -> None:
        """A convolution's weight and bias."""
        self[f"{name}.weight"] = torch.randn(outputs, inputs, kernel, kernel) / 10
        if bias:
            self[f"{name}.bias"] = torch.randn(outputs) / 10

    def linear(self, name: str, inputs: int, outputs: int) -> None:
        """A linear layer's."""
        self[f"{name}.weight"], self[f"{name}.bias"] = torch.randn(outputs, inputs) / 10, torch.randn(outputs) / 10

    def norm(self, name: str, width: int) -> None:
        """A normalisation's."""
        self[f"{name}.weight"], self[f"{name}.bias"] = torch.rand(width) + 0.5, torch.randn(width) / 10

    def upsampler(self, name: str, width: int, scale: int) -> None:
        """EDSR's `Upsampler`: x4 has its convolutions at 0 and 2, around the shuffles."""
        factors = {2: [2], 3: [3], 4: [2, 2], 8: [2, 2, 2]}[scale]
        for number, factor in enumerate(factors):
            self.conv(f"{name}.{2 * number}", width, width * factor**2)

    def mean_shifts(self) -> None:
        """EDSR-PyTorch's, on 0..255."""
        for name, sign in (("sub_mean", -1), ("add_mean", 1)):
            self[f"{name}.weight"] = torch.eye(3).view(3, 3, 1, 1)
            self[f"{name}.bias"] = sign * 255 * torch.tensor([0.4488, 0.4371, 0.4040])


def edsr_pytorch(scale: int, width: int, depth: int) -> Keys:
    keys = Keys()
    keys.mean_shifts()
    keys.conv("head.0", 3, width)
    for block in range(depth):
        keys.conv(f"body.{block}.body.0", width, width)
        keys.conv(f"body.{block}.body.2", width, width)
    keys.conv(f"body.{depth}", width, width)
    keys.upsampler("tail.0", width, scale)
    keys.conv("tail.1", width, 3)
    return keys


def edsr_basicsr(scale: int, width: int, depth: int) -> Keys:
    keys = Keys()
    keys.conv("conv_first", 3, width)
    for block in range(depth):
        keys.conv(f"body.{block}.conv1", width, width)
        keys.conv(f"body.{block}.conv2", width, width)
    keys.conv("conv_after_body", width, width)
    keys.upsampler("upsample", width, scale)
    keys.conv("conv_last", width, 3)
    return keys


def mdsr_pytorch(width: int, depth: int, scales: tuple[int, ...] = (2, 3, 4)) -> Keys:
    keys = Keys()
    keys.mean_shifts()
    keys.conv("head.0", 3, width)
    for number, scale in enumerate(scales):
        for block in (0, 1):
            keys.conv(f"pre_process.{number}.{block}.body.0", width, width, 5)
            keys.conv(f"pre_process.{number}.{block}.body.2", width, width, 5)
        keys.upsampler(f"upsample.{number}", width, scale)
    for block in range(depth):
        keys.conv(f"body.{block}.body.0", width, width)
        keys.conv(f"body.{block}.body.2", width, width)
    keys.conv(f"body.{depth}", width, width)
    keys.conv("tail.0", width, 3)
    return keys


def rcan_pytorch(scale: int, width: int, groups: int, depth: int, reduction: int) -> Keys:
    keys = Keys()
    keys.mean_shifts()
    keys.conv("head.0", 3, width)
    for group in range(groups):
        for block in range(depth):
            name = f"body.{group}.body.{block}.body"
            keys.conv(f"{name}.0", width, width)
            keys.conv(f"{name}.2", width, width)
            keys.conv(f"{name}.3.conv_du.0", width, width // reduction, 1)
            keys.conv(f"{name}.3.conv_du.2", width // reduction, width, 1)
        keys.conv(f"body.{group}.body.{depth}", width, width)
    keys.conv(f"body.{groups}", width, width)
    keys.upsampler("tail.0", width, scale)
    keys.conv("tail.1", width, 3)
    return keys


def rcan_basicsr(scale: int, width: int, groups: int, depth: int, reduction: int) -> Keys:
    keys = Keys()
    keys.conv("conv_first", 3, width)
    for group in range(groups):
        for block in range(depth):
            name = f"body.{group}.residual_group.{block}.rcab"
            keys.conv(f"{name}.0", width, width)
            keys.conv(f"{name}.2", width, width)
            keys.conv(f"{name}.3.attention.1", width, width // reduction, 1)
            keys.conv(f"{name}.3.attention.3", width // reduction, width, 1)
        keys.conv(f"body.{group}.conv", width, width)
    keys.conv("conv_after_body", width, width)
    keys.upsampler("upsample", width, scale)
    keys.conv("conv_last", width, 3)
    return keys


def dense_block(keys: Keys, name: str, width: int, growth: int, suffix: str = "") -> None:
    for number in range(1, 6):
        outputs = growth if number < 5 else width
        keys.conv(f"{name}.conv{number}{suffix}", width + (number - 1) * growth, outputs)


def rrdb_basicsr(width: int, depth: int, growth: int, inputs: int = 3) -> Keys:
    keys = Keys()
    keys.conv("conv_first", inputs, width)
    for block in range(depth):
        for dense in (1, 2, 3):
            dense_block(keys, f"body.{block}.rdb{dense}", width, growth)
    for name in ("conv_body", "conv_up1", "conv_up2", "conv_hr"):
        keys.conv(name, width, width)
    keys.conv("conv_last", width, 3)
    return keys


def rrdb_2019(width: int, depth: int, growth: int) -> Keys:
    keys = Keys()
    keys.conv("conv_first", 3, width)
    for block in range(depth):
        for dense in (1, 2, 3):
            dense_block(keys, f"RRDB_trunk.{block}.RDB{dense}", width, growth)
    for name in ("trunk_conv", "upconv1", "upconv2", "HRconv"):
        keys.conv(name, width, width)
    keys.conv("conv_last", width, 3)
    return keys


def rrdb_2018(width: int, depth: int, growth: int) -> Keys:
    keys = Keys()
    keys.conv("model.0", 3, width)
    for block in range(depth):
        for dense in (1, 2, 3):
            dense_block(keys, f"model.1.sub.{block}.RDB{dense}", width, growth, suffix=".0")
    keys.conv(f"model.1.sub.{depth}", width, width)
    for number in (3, 6, 8):
        keys.conv(f"model.{number}", width, width)
    keys.conv("model.10", width, 3)
    return keys


def srvgg(scale: int, width: int, convolutions: int) -> Keys:
    keys = Keys()
    keys.conv("body.0", 3, width)
    for number in range(convolutions):
        keys[f"body.{2 * number + 1}.weight"] = torch.rand(width)
        keys.conv(f"body.{2 * number + 2}", width, width)
    keys[f"body.{2 * convolutions + 1}.weight"] = torch.rand(width)
    keys.conv(f"body.{2 * convolutions + 2}", width, 3 * scale**2)
    return keys


def swinir(width: int, groups: int, depth: int, heads: int, window: int, upsampler: str, scale: int) -> Keys:
    keys = Keys()
    # From each pixel of a window to each: how far down, how far right, as one number.
    places = [(row, column) for row in range(window) for column in range(window)]
    side = 2 * window - 1
    index = torch.tensor(
        [[(a[0] - b[0] + window - 1) * side + a[1] - b[1] + window - 1 for b in places] for a in places]
    )
    keys.conv("conv_first", 3, width)
    keys.norm("patch_embed.norm", width)
    for group in range(groups):
        for block in range(depth):
            name = f"layers.{group}.residual_group.blocks.{block}"
            keys.norm(f"{name}.norm1", width)
            keys[f"{name}.attn.relative_position_bias_table"] = torch.randn((2 * window - 1) ** 2, heads)
            keys[f"{name}.attn.relative_position_index"] = index
            keys.linear(f"{name}.attn.qkv", width, 3 * width)
            keys.linear(f"{name}.attn.proj", width, width)
            keys.norm(f"{name}.norm2", width)
            keys.linear(f"{name}.mlp.fc1", width, 2 * width)
            keys.linear(f"{name}.mlp.fc2", 2 * width, width)
            if block % 2:
                # Of images of another size than the usual one.
                keys[f"{name}.attn_mask"] = torch.zeros(16, window**2, window**2)
        keys.conv(f"layers.{group}.conv", width, width)
    keys.norm("norm", width)
    keys.conv("conv_after_body", width, width)
    if upsampler == "pixelshuffledirect":
        keys.conv("upsample.0", width, 3 * scale**2)
        return keys
    keys.conv("conv_before_upsample.0", width, 64)
    if upsampler == "pixelshuffle":
        keys.upsampler("upsample", 64, scale)
    else:
        for name in ("conv_up1", "conv_up2", "conv_hr"):
            keys.conv(name, 64, 64)
    keys.conv("conv_last", 64, 3)
    return keys


def vdsr(depth: int, *, bias: bool) -> Keys:
    keys = Keys()
    keys.conv("input", 1, 64, bias=bias)
    for number in range(depth - 2):
        keys.conv(f"residual_layer.{number}.conv", 64, 64, bias=bias)
    keys.conv("output", 64, 1, bias=bias)
    return keys


def srgan_leftthomas(scale: int) -> Keys:
    keys = Keys()
    keys.conv("block1.0", 3, 64, 9)
    keys["block1.1.weight"] = torch.rand(1)
    for number in range(2, 7):
        for layer in (1, 2):
            keys.conv(f"block{number}.conv{layer}", 64, 64)
            keys.norm(f"block{number}.bn{layer}", 64)
            keys[f"block{number}.bn{layer}.running_mean"] = torch.randn(64)
            keys[f"block{number}.bn{layer}.running_var"] = torch.rand(64) + 0.5
        keys[f"block{number}.prelu.weight"] = torch.rand(1)
    keys.conv("block7.0", 64, 64)
    keys["block7.1.weight"] = torch.rand(1)
    stages = {2: 1, 4: 2, 8: 3}[scale]
    for stage in range(stages):
        keys.conv(f"block8.{stage}.conv", 64, 256)
        keys[f"block8.{stage}.prelu.weight"] = torch.rand(1)
    keys.conv(f"block8.{stages}", 64, 3, 9)
    return keys


def srcnn() -> Keys:
    keys = Keys()
    keys.conv("conv1", 1, 64, 9)
    keys.conv("conv2", 64, 32, 5)
    keys.conv("conv3", 32, 1, 5)
    return keys


def fsrcnn() -> Keys:
    keys = Keys()
    keys.conv("first_part.0", 1, 56, 5)
    keys["first_part.1.weight"] = torch.rand(56)
    layers = [(56, 12, 1), *[(12, 12, 3)] * 4, (12, 56, 1)]
    for number, (inputs, outputs, kernel) in enumerate(layers):
        keys.conv(f"mid_part.{2 * number}", inputs, outputs, kernel)
        keys[f"mid_part.{2 * number + 1}.weight"] = torch.rand(outputs)
    keys["last_part.weight"], keys["last_part.bias"] = torch.randn(56, 1, 9, 9), torch.randn(1)
    return keys


def espcn(scale: int) -> Keys:
    keys = Keys()
    keys.conv("first_part.0", 1, 64, 5)
    keys.conv("first_part.2", 64, 32, 3)
    keys.conv("last_part.0", 32, scale**2, 3)
    return keys


def imdn(scale: int, blocks: int) -> Keys:
    keys = Keys()
    keys.conv("fea_conv", 3, 64)
    for number in range(1, blocks + 1):
        name = f"IMDB{number}"
        for layer, (inputs, outputs) in enumerate([(64, 64), (48, 64), (48, 64), (48, 16)], start=1):
            keys.conv(f"{name}.c{layer}", inputs, outputs)
        keys.conv(f"{name}.c5", 64, 64, 1)
        keys.conv(f"{name}.cca.conv_du.0", 64, 4, 1)
        keys.conv(f"{name}.cca.conv_du.2", 4, 64, 1)
    keys.conv("c.0", 64 * blocks, 64, 1)
    keys.conv("LR_conv", 64, 64)
    keys.conv("upsampler.0", 64, 3 * scale**2)
    return keys


def carn_one_scale(scale: int) -> Keys:
    keys = Keys()
    for name, sign in (("sub_mean", -1), ("add_mean", 1)):
        keys[f"{name}.shifter.weight"] = torch.eye(3).view(3, 3, 1, 1)
        keys[f"{name}.shifter.bias"] = sign * torch.tensor([0.4488, 0.4371, 0.4040])
    keys.conv("entry", 3, 64)
    for outer in (1, 2, 3):
        for inner in (1, 2, 3):
            keys.conv(f"b{outer}.b{inner}.body.0", 64, 64)
            keys.conv(f"b{outer}.b{inner}.body.2", 64, 64)
            keys.conv(f"b{outer}.c{inner}.body.0", 64 * (inner + 1), 64, 1)
        keys.conv(f"c{outer}.body.0", 64 * (outer + 1), 64, 1)
    # A convolution, its activation, a shuffle.
    for number, factor in enumerate({2: [2], 3: [3], 4: [2, 2]}[scale]):
        keys.conv(f"upsample.up.body.{3 * number}", 64, 64 * factor**2)
    keys.conv("exit", 64, 3)
    return keys


def rlfn(width: int, inner: int, blocks: int) -> Keys:
    keys = Keys()
    keys.conv("conv_1", 3, width)
    for number in range(1, blocks + 1):
        for step, (inputs, outputs) in enumerate([(width, inner), (inner, inner), (inner, width)], start=1):
            keys.conv(f"block_{number}.c{step}_r", inputs, outputs)
        keys.conv(f"block_{number}.c5", width, width, 1)
        for name, inputs, outputs, kernel in (
            ("conv1", width, 16, 1), ("conv_f", 16, 16, 1), ("conv2", 16, 16, 3), ("conv3", 16, 16, 3),
            ("conv4", 16, width, 1),
        ):  # fmt: skip
            keys.conv(f"block_{number}.esa.{name}", inputs, outputs, kernel)
    keys.conv("conv_2", width, width)
    keys.conv("upsampler.0", width, 3 * 16)
    return keys


def data_parallel(keys: Tensors) -> Tensors:
    return {f"module.{name}": tensor for name, tensor in keys.items()}


# What is saved, the yaml it is loaded by, the scale, whose names and wrapper are told, arguments that the file tells.
Case = tuple[Callable[[], Any], str, int, str, str, dict[str, Any]]
CASES: dict[str, Case] = {
    "edsr_x2-0edfb8a3.pt": (
        lambda: edsr_pytorch(2, 16, 3), "edsr", 2, "EDSR-PyTorch", "", {"width": 16, "depth": 3},
    ),
    "edsr_baseline_x4-6b446fab.pt": (
        lambda: edsr_pytorch(4, 64, 16), "edsr_baseline", 4, "EDSR-PyTorch", "", {"residual_scale": 1.0},
    ),
    "edsr_baseline through edsr": (
        lambda: edsr_pytorch(3, 64, 16), "edsr", 3, "EDSR-PyTorch", "",
        {"width": 64, "depth": 16, "residual_scale": 1.0},
    ),
    "EDSR_Mx4_f64b16_DIV2K_official.pth": (
        lambda: {"params": edsr_basicsr(4, 64, 16)}, "edsr_baseline", 4, "BasicSR", "params", {},
    ),
    "mdsr_baseline.pt": (
        lambda: mdsr_pytorch(64, 16), "mdsr", 3, "EDSR-PyTorch", "", {"depth": 16, "scales": [2, 3, 4]},
    ),
    "MDSR of one scale": (
        lambda: mdsr_pytorch(16, 2, (4,)), "mdsr", 4, "EDSR-PyTorch", "", {"depth": 2, "scales": [4]},
    ),
    "MDSR of other scales": (
        lambda: mdsr_pytorch(16, 2, (3, 8, 2)), "mdsr", 3, "EDSR-PyTorch", "", {"scales": [3, 8, 2]},
    ),
    "CARN of one scale": (
        lambda: carn_one_scale(4), "carn_m", 4, "CARN-pytorch, one scale", "",
        {"groups": 1, "recursive": False, "scales": [4]},
    ),
    "RCAN_BIX4.pt": (
        lambda: rcan_pytorch(4, 64, 2, 3, 16), "rcan", 4, "EDSR-PyTorch", "", {"groups": 2, "depth": 3},
    ),
    "RCAN of another reduction, in parallel": (
        lambda: data_parallel(rcan_pytorch(2, 32, 2, 2, 8)), "rcan", 2, "EDSR-PyTorch", "module.", {"reduction": 8},
    ),
    "RCAN_DIV2K800_x3.pth": (
        lambda: {"params": rcan_basicsr(3, 64, 2, 2, 16)}, "rcan", 3, "BasicSR", "params", {"groups": 2, "depth": 2},
    ),
    "RealESRGAN_x4plus_anime_6B.pth": (
        lambda: {"params_ema": rrdb_basicsr(64, 6, 32)}, "rrdb", 4, "BasicSR", "params_ema", {"depth": 6},
    ),
    "RealESRGAN_x2plus.pth": (
        lambda: {"params": rrdb_basicsr(16, 1, 8), "params_ema": rrdb_basicsr(16, 1, 8, inputs=12)},
        "rrdb", 2, "BasicSR", "params_ema", {"width": 16, "growth": 8},
    ),
    "RRDB of 2019": (lambda: rrdb_2019(16, 2, 8), "rrdb", 4, "ESRGAN 2019", "", {"depth": 2}),
    "RRDB_ESRGAN_x4_old_arch.pth": (lambda: rrdb_2018(16, 2, 8), "rrdb", 4, "ESRGAN 2018, x4", "", {"depth": 2}),
    "realesr-animevideov3.pth": (lambda: {"params": srvgg(4, 64, 16)}, "srvgg", 4, "BasicSR", "params", {"depth": 16}),
    "001_classicalSR_DIV2K_s48w8_SwinIR-M_x2.pth": (
        lambda: {"params": swinir(36, 2, 2, 6, 8, "pixelshuffle", 2)}, "swinir", 2, "SwinIR", "params",
        {"width": 36, "groups": 2, "depth": 2},
    ),
    "002_lightweightSR_DIV2K_s64w8_SwinIR-S_x3.pth": (
        lambda: {"params": swinir(60, 4, 6, 6, 8, "pixelshuffledirect", 3)}, "swinir_light", 3, "SwinIR", "params", {},
    ),
    "003_realSR_BSRGAN_DFO_s64w8_SwinIR-M_x4_GAN.pth": (
        lambda: {"params_ema": swinir(36, 2, 2, 6, 8, "nearest+conv", 4)}, "swinir", 4, "SwinIR", "params_ema",
        {"upsampler": "nearest+conv"},
    ),
    "VDSR of pytorch-vdsr, as a state dict": (
        lambda: vdsr(20, bias=False), "vdsr", 3, "pytorch-vdsr", "", {"bias": False},
    ),
    "VDSR of caffe": (lambda: vdsr(20, bias=True), "vdsr", 2, "pytorch-vdsr", "", {}),
    "netG_epoch_2_100.pth": (
        lambda: srgan_leftthomas(2), "srresnet", 2, "leftthomas SRGAN, x2", "",
        {"depth": 5, "after_trunk": "prelu", "output": "tanh"},
    ),
    "netG_epoch_8_100.pth": (lambda: srgan_leftthomas(8), "srgan", 8, "leftthomas SRGAN, x8", "", {"depth": 5}),
    "srcnn_x3.pth": (srcnn, "srcnn_915", 3, "SRCNN-pytorch", "", {"mapping_kernel": 5}),
    "fsrcnn_x3.pth": (fsrcnn, "fsrcnn", 3, "FSRCNN-pytorch", "", {}),
    "espcn_x4.pth": (lambda: espcn(4), "espcn", 4, "ESPCN-pytorch", "", {}),
    "rlfn_ntire_x4.pth": (
        lambda: rlfn(46, 48, 4), "rlfn", 4, "RLFN", "", {"width": 46, "inner_width": 48, "depth": 4},
    ),
    "IMDN_x2.pth": (lambda: data_parallel(imdn(2, 6)), "imdn", 2, "IMDN", "module.", {}),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_published_names_are_recognised(saved: Callable[..., Any], case: Case) -> None:
    content, model, scale, layout, wrapper, told = case
    torch.manual_seed(0)
    found = load(saved(plain(content())), model=model, scale=scale)

    assert found.found.complete
    assert (found.found.layout.name, found.found.view.wrapper) == (layout, wrapper)
    assert {key: found.model[key] for key in told} == told
    lr = torch.rand(1, found.network.channels, 16, 17)
    with torch.no_grad():
        assert found.network.eval()(lr).shape == (1, found.network.channels, 16 * scale, 17 * scale)


def plain(content: Any) -> Any:
    """As the programs save it: in ordered dictionaries."""
    return OrderedDict({key: plain(value) for key, value in content.items()}) if isinstance(content, dict) else content


def load(path: Any, *, model: str, scale: int) -> Any:
    node = compose(f"model={model}", f"scale={scale}").tree["model"]
    return pretrained_network({**node, "pretrained": str(path)}, name=model)


# What the names mean, where no other implementation is at hand: the same network as plain functions of the tensors.


def conv(keys: Tensors, name: str, x: Tensor) -> Tensor:
    weight = keys[f"{name}.weight"]
    return F.conv2d(x, weight, keys.get(f"{name}.bias"), padding=weight.shape[-1] // 2)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_edsr_of_edsr_pytorch_computes_what_its_names_say(saved: Callable[..., Any], scale: int) -> None:
    torch.manual_seed(0)
    keys = {name: tensor.double() for name, tensor in edsr_pytorch(scale, 64, 3).items()}
    lr = torch.rand(1, 3, 9, 8).double()

    x = conv(keys, "sub_mean", 255 * lr)
    x = head = conv(keys, "head.0", x)
    for block in range(3):
        x = x + conv(keys, f"body.{block}.body.2", conv(keys, f"body.{block}.body.0", x).relu())
    x = head + conv(keys, "body.3", x)
    for number in range(2 if scale == 4 else 1):
        x = F.pixel_shuffle(conv(keys, f"tail.0.{2 * number}", x), 3 if scale == 3 else 2)
    expected = conv(keys, "add_mean", conv(keys, "tail.1", x)) / 255

    network = load(saved(plain(keys)), model="edsr_baseline", scale=scale).network.double()
    # What a file holds is put into float32.
    with torch.no_grad():
        torch.testing.assert_close(network(lr), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_edsr_of_mmagic_computes_what_its_names_say(saved: Callable[..., Any], scale: int) -> None:
    # On 0..1 minus the mean, and every stage of its upsampling inside a module of its own.
    torch.manual_seed(0)
    keys = Keys()
    keys.conv("conv_first", 3, 64)
    for layer in [f"body.{block}.conv{number}" for block in range(3) for number in (1, 2)] + ["conv_after_body"]:
        keys.conv(layer, 64, 64)
    stages = 2 if scale == 4 else 1
    for stage in range(stages):
        keys.conv(f"upsample.{stage}.upsample_conv", 64, 64 * (9 if scale == 3 else 4))
    keys.conv("conv_last", 64, 3)
    lr = torch.rand(1, 3, 9, 8).double()
    theirs = {name: tensor.double() for name, tensor in keys.items()}
    mean = torch.tensor([0.4488, 0.4371, 0.4040]).double().view(1, 3, 1, 1)

    x = head = conv(theirs, "conv_first", lr - mean)
    for block in range(3):
        x = x + conv(theirs, f"body.{block}.conv2", conv(theirs, f"body.{block}.conv1", x).relu())
    x = head + conv(theirs, "conv_after_body", x)
    for stage in range(stages):
        x = F.pixel_shuffle(conv(theirs, f"upsample.{stage}.upsample_conv", x), 3 if scale == 3 else 2)
    expected = conv(theirs, "conv_last", x) + mean

    file = {"meta": {"epoch": 1}, "state_dict": {f"generator.{name}": tensor for name, tensor in keys.items()}}
    found = load(saved(file), model="edsr_baseline", scale=scale)
    assert found.found.layout.name == "mmagic"
    with torch.no_grad():
        difference = (found.network.double()(lr) - expected).abs().max()
    # Scaled weights are rounded to float32.
    assert difference <= 1e-6 * expected.abs().max()


def test_vdsr_without_biases_computes_what_its_names_say(saved: Callable[..., Any]) -> None:
    torch.manual_seed(0)
    keys = {name: tensor.double() for name, tensor in vdsr(6, bias=False).items()}
    found = load(saved(plain(keys)), model="vdsr", scale=2)
    network = found.network.double()
    lr = torch.rand(1, 1, 9, 8).double()

    assert (found.model["depth"], found.model["bias"]) == (6, False)
    with torch.no_grad():
        base = x = imresize(lr, 2)
        x = conv(keys, "input", x).relu()
        for number in range(4):
            x = conv(keys, f"residual_layer.{number}.conv", x).relu()
        torch.testing.assert_close(network(lr), base + conv(keys, "output", x), rtol=1e-5, atol=1e-5)
