"""SwinIR (Liang et al. 2021, "SwinIR: Image Restoration Using Swin Transformer", arXiv 2108.10257)."""

import math
from collections import OrderedDict
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sr_lightning.functional.geometry import crop_to
from sr_lightning.functional.resize import extend_to
from sr_lightning.networks.blocks import NearestUpsampler, SubpixelUpsampler, div2k_mean, in_full_precision
from sr_lightning.networks.layout import Layout, Tensors, count

UPSAMPLERS = ("pixelshuffle", "pixelshuffledirect", "nearest+conv")
# Channels of the features behind the body, where they are enlarged.
UPSAMPLING_WIDTH = 64
# What the authors add between pixels that must not see each other: as good as minus infinity behind the softmax.
HIDDEN = -100.0
# Side of the images whose mask stands in published files; nobody reads more of it than its size.
_PUBLISHED_SIDE = 64
_BLOCK = r"layers\.(\d+)\.residual_group\.blocks\.(\d+)\."
_TABLE = "layers.0.residual_group.blocks.0.attn.relative_position_bias_table"
# The authors enlarge by nearest pixels twofold or fourfold: a stage by three has a name that no file of theirs has.
_BY_THREE = "conv_up_by_3"


def _settings(tensors: Tensors) -> dict[str, Any]:
    width, channels = tensors["conv_first.weight"].shape[:2]
    names = _BLOCK + r"norm1\.weight"
    groups = count(tensors, names)
    return {
        "channels": channels,
        "width": width,
        "groups": groups,
        "depth": count(tensors, names.replace(r"(\d+)", "0", 1)),
        "heads": tensors[_TABLE].shape[1],
        "window": _window(tensors),
        "expansion": tensors["layers.0.residual_group.blocks.0.mlp.fc1.weight"].shape[0] / width,
        "convolutions": 1 if "conv_after_body.weight" in tensors else 3,
        "upsampler": _upsampler(tensors),
    }


def _upsampler(tensors: Tensors) -> str:
    if "conv_up1.weight" in tensors or f"{_BY_THREE}.weight" in tensors:
        return "nearest+conv"
    return "pixelshuffle" if "conv_before_upsample.0.weight" in tensors else "pixelshuffledirect"


def _window(tensors: Tensors) -> int:
    return (math.isqrt(tensors[_TABLE].shape[0]) + 1) // 2


def _make_constants(tensors: Tensors) -> dict[str, Tensor]:
    """The index table of every block, and the mask of every shifted one, for images of the usual training size."""
    window = _window(tensors)
    side = _PUBLISHED_SIDE // window * window
    mask = shift_mask(torch.empty(1, 1, side, side), window).squeeze(1)
    prefixes = sorted({name.removesuffix("norm1.weight") for name in tensors if name.endswith(".norm1.weight")})
    made = {f"{prefix}attn.relative_position_index": relative_positions(window) for prefix in prefixes}
    shifted = [prefix for prefix in prefixes if int(prefix.split(".")[-2]) % 2]
    return made | {f"{prefix}attn_mask": mask.clone() for prefix in shifted}


class SwinIR(nn.Module):
    """Self-attention within windows, shifted in every other block; groups of blocks with a convolution and a skip each.

    Inside it works on [0, 1] minus DIV2K's mean (minus nothing where there are not three channels). Any size is taken:
    the image is mirrored at the right and at the bottom, without doubling the edge, up to a multiple of the window, and
    `sr` is cropped, as the authors' network does by itself. (Their test script adds up to a whole window before,
    mirrored with the edge doubled, so that their printed numbers see other pixels beyond these two borders.) Their
    stochastic depth in training, which changes nothing of a trained network, is left out: a resumed run stays the same.

    The authors start scales 3, 4 and 8 from the trained x2 network.

    Args:
        scale: Upscaling factor: 2, 3, 4 or 8.
        channels: 3 for RGB (as in the paper), 1 for Y, or the number of bands.
        width: Channels of the features: 180 for classical and real-world images, 240 for the large one, 60 for the
            lightweight network.
        groups: Groups of blocks: 6, 9 and 4.
        depth: Blocks in each group: 6.
        heads: Of the attention: 6, 8 and 6; they divide `width`.
        window: Side of the windows in pixels.
        expansion: Channels inside a block's perceptron over `width`.
        convolutions: At the end of each group and of the body: 1, or a narrow stack of 3 (the large network).
        upsampler: "pixelshuffle" (classical), "pixelshuffledirect" (lightweight: one shuffle to the image) or
            "nearest+conv" (for real photographs).

    Raises:
        ValueError: Another upsampler or number of convolutions, or heads that do not divide the width.
    """

    mean: Tensor

    def __init__(
        self,
        *,
        scale: int,
        channels: int = 3,
        width: int = 180,
        groups: int = 6,
        depth: int = 6,
        heads: int = 6,
        window: int = 8,
        expansion: float = 2.0,
        convolutions: int = 1,
        upsampler: str = "pixelshuffle",
    ) -> None:
        super().__init__()
        if upsampler not in UPSAMPLERS:
            raise ValueError(f"SwinIR's upsampler must be one of {', '.join(UPSAMPLERS)}; got {upsampler!r}.")
        self.scale = scale
        self.channels = channels
        self.window = window
        self.register_buffer("mean", div2k_mean(3) if channels == 3 else torch.zeros(1, 1, 1, 1), persistent=False)
        self.head = nn.Conv2d(channels, width, 3, padding=1)
        self.embedding_norm = nn.LayerNorm(width)
        self.body = nn.ModuleList(
            SwinGroup(
                width=width, depth=depth, heads=heads, window=window, expansion=expansion, convolutions=convolutions
            )
            for _ in range(groups)
        )
        self.norm = nn.LayerNorm(width)
        self.after_body = _convolutions(width, convolutions)
        if upsampler == "pixelshuffledirect":
            self.shuffled_tail = nn.Conv2d(width, channels * scale**2, 3, padding=1)
        else:
            self.upsample = _enlargement(width, scale=scale, nearest=upsampler == "nearest+conv")
            self.tail = nn.Conv2d(UPSAMPLING_WIDTH, channels, 3, padding=1)
        self.apply(_initialise)

    @property
    def layouts(self) -> tuple[Layout, ...]:
        """The authors' names."""
        stages = [_BY_THREE] if self.scale == 3 else ["conv_up1", "conv_up2", "conv_up3"]
        return (
            Layout(
                "SwinIR",
                rename=(
                    (r"head\.(\w+)", r"conv_first.\1"),
                    (r"embedding_norm\.(\w+)", r"patch_embed.norm.\1"),
                    (r"body\.(\d+)\.conv\.(.+)", r"layers.\1.conv.\2"),
                    *(
                        (rf"body\.(\d+)\.blocks\.(\d+)\.{ours}", rf"layers.\1.residual_group.blocks.\2.{theirs}")
                        for ours, theirs in (
                            (r"attention\.bias_table", "attn.relative_position_bias_table"),
                            (r"attention\.qkv\.(\w+)", r"attn.qkv.\3"),
                            (r"attention\.merge\.(\w+)", r"attn.proj.\3"),
                            (r"perceptron\.0\.(\w+)", r"mlp.fc1.\3"),
                            (r"perceptron\.2\.(\w+)", r"mlp.fc2.\3"),
                            (r"(norm[12])\.(\w+)", r"\3.\4"),
                        )
                    ),
                    (r"after_body\.(.+)", r"conv_after_body.\1"),
                    (r"upsample\.narrow\.(\w+)", r"conv_before_upsample.0.\1"),
                    (r"upsample\.subpixel\.(.+)", r"upsample.\1"),
                    *((rf"upsample\.nearest\.{stage}\.(\w+)", rf"{name}.\1") for stage, name in enumerate(stages)),
                    (r"upsample\.refine\.(\w+)", r"conv_hr.\1"),
                    (r"tail\.(\w+)", r"conv_last.\1"),
                    (r"shuffled_tail\.(\w+)", r"upsample.0.\1"),
                ),
                constants=(_BLOCK + r"attn_mask", _BLOCK + r"attn\.relative_position_index"),
                settings=_settings,
                make_constants=_make_constants,
                spandrel=True,
            ),
        )

    def forward(self, lr: Tensor) -> Tensor:
        """Maps `lr` `(N, C, H, W)` in [0, 1] to `sr` `(N, C, scale*H, scale*W)`, not clamped."""
        height, width = lr.shape[-2:]
        # torch.export makes a graph of its own for a side of one window: an exported graph has two at least, so that
        # images of up to one window see more mirrored pixels there than here.
        smallest = 2 * self.window if torch.compiler.is_exporting() else 1
        whole = extend_to(lr, border="reflect", multiple=self.window, smallest=smallest)
        # As the tokens lie: one copy here, where there would be one in every group.
        shallow = self.head(whole - self.mean).contiguous(memory_format=torch.channels_last)
        deep = self.after_body(self._transform(shallow)) + shallow
        if hasattr(self, "shuffled_tail"):
            sr = F.pixel_shuffle(in_full_precision(self.shuffled_tail, deep), self.scale)
        else:
            sr = in_full_precision(self.tail, self.upsample(deep))
        return crop_to(sr, self.scale * height, self.scale * width) + self.mean

    def _transform(self, features: Tensor) -> Tensor:
        # One mask for all blocks, made anew for each image: a thousandth of the work, and nothing to keep.
        mask = shift_mask(features, self.window)
        tokens = self.embedding_norm(features.permute(0, 2, 3, 1))  # (N, H, W, width)
        for group in self.body:
            tokens = group(tokens, mask)
        normalised: Tensor = self.norm(tokens)
        return normalised.permute(0, 3, 1, 2)  # (N, width, H, W)


class SwinGroup(nn.Module):
    """`x + conv(block(...block(x)))` (RSTB, figure 2a); every other block is shifted by half a window."""

    def __init__(self, *, width: int, depth: int, heads: int, window: int, expansion: float, convolutions: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            SwinBlock(
                width=width, heads=heads, window=window, expansion=expansion, shift=window // 2 if number % 2 else 0
            )
            for number in range(depth)
        )
        self.conv = _convolutions(width, convolutions)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Keeps the shape `(N, H, W, width)`; the mask is `shift_mask`'s."""
        features = tokens
        for block in self.blocks:
            features = block(features, mask)
        residual: Tensor = self.conv(features.permute(0, 3, 1, 2))
        return tokens + residual.permute(0, 2, 3, 1)


class SwinBlock(nn.Module):
    """`y = x + attention(norm(x))`, `y + perceptron(norm(y))` (STL, figure 2b, equation 6)."""

    def __init__(self, *, width: int, heads: int, window: int, expansion: float, shift: int) -> None:
        super().__init__()
        self.window = window
        self.shift = shift
        self.norm1 = nn.LayerNorm(width)
        self.attention = WindowAttention(width=width, heads=heads, window=window)
        self.norm2 = nn.LayerNorm(width)
        inner = int(width * expansion)
        self.perceptron = nn.Sequential(nn.Linear(width, inner), nn.GELU(), nn.Linear(inner, width))

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Keeps the shape `(N, H, W, width)`, whose H and W are multiples of the window."""
        tokens = tokens + self._attend(self.norm1(tokens), mask)
        perceived: Tensor = self.perceptron(self.norm2(tokens))
        return tokens + perceived

    def _attend(self, tokens: Tensor, mask: Tensor) -> Tensor:
        if self.shift:
            tokens = tokens.roll((-self.shift, -self.shift), (1, 2))
        windows = self.attention(into_windows(tokens, self.window), mask if self.shift else None)
        tokens = from_windows(windows, tokens)
        return tokens.roll((self.shift, self.shift), (1, 2)) if self.shift else tokens


class WindowAttention(nn.Module):
    """Self-attention of a window's pixels, with a learned bias for each head and relative position (equation 4)."""

    positions: Tensor

    def __init__(self, *, width: int, heads: int, window: int) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"SwinIR's heads must divide its width, got {heads} heads and width {width}.")
        self.heads = heads
        self.bias_table = nn.Parameter(torch.empty((2 * window - 1) ** 2, heads))
        nn.init.trunc_normal_(self.bias_table, std=0.02)
        self.register_buffer("positions", relative_positions(window), persistent=False)
        self.qkv = nn.Linear(width, 3 * width)
        self.merge = nn.Linear(width, width)

    def forward(self, windows: Tensor, mask: Tensor | None) -> Tensor:
        """Keeps the shape.

        Written out: PyTorch's fused attention, with the bias as its mask, takes as long on a CPU in float32 and three
        times as long in bf16, and on a GPU it wants heads of a multiple of eight channels: SwinIR's have 30 or 10.

        Args:
            windows: `(N, L, T, width)`, L windows of T pixels each.
            mask: What is added to the scores between the pixels of each window, `(L, 1, T, T)`; None for nothing.
        """
        split = torch.unflatten(self.qkv(windows), -1, (3, self.heads, -1))  # (N, L, T, 3, heads, d)
        q, k, v = split.permute(3, 0, 1, 4, 2, 5)  # (N, L, heads, T, d) each
        scores = q * q.shape[-1] ** -0.5 @ k.transpose(-2, -1)  # (N, L, heads, T, T)
        scores = scores + self.bias_table[self.positions].permute(2, 0, 1)
        if mask is not None:
            scores = scores + mask
        mixed = (scores.softmax(-1) @ v).transpose(2, 3).flatten(-2)  # (N, L, T, width)
        merged: Tensor = self.merge(mixed)
        return merged


def into_windows(tokens: Tensor, window: int) -> Tensor:
    """`(N, H, W, C)` to `(N, L, T, C)`: L windows, row by row, of T = window^2 pixels."""
    split = torch.unflatten(tokens, 2, (-1, window))
    split = torch.unflatten(split, 1, (-1, window))  # (N, H/window, window, W/window, window, C)
    return split.transpose(2, 3).flatten(3, 4).flatten(1, 2)


def from_windows(windows: Tensor, like: Tensor) -> Tensor:
    """Undoes `into_windows`: `(N, L, T, C)` to the shape `(N, H, W, C)` of `like`."""
    window = math.isqrt(windows.shape[2])
    rows, columns = like.shape[1] // window, like.shape[2] // window
    split = torch.unflatten(torch.unflatten(windows, 2, (window, window)), 1, (rows, columns))
    # By way of one dimension: of free H and W, torch.export cannot prove that rows of windows make up H.
    return split.transpose(2, 3).contiguous().view(-1).view(like.shape)


def relative_positions(window: int) -> Tensor:
    """For each two pixels of a window, `(T, T)`, the row of the bias table for where they stand to each other."""
    line = torch.arange(window)
    rows, columns = (each.flatten() for each in torch.meshgrid(line, line, indexing="ij"))
    down, right = (each[:, None] - each[None, :] + window - 1 for each in (rows, columns))
    return down * (2 * window - 1) + right


def shift_mask(features: Tensor, window: int) -> Tensor:
    """Hides pixels from each other that share a window only because the shifted image wraps around.

    Args:
        features: `(N, C, H, W)`, H and W multiples of the window; its values are not looked at.
        window: Side of the windows.

    Returns:
        `(L, 1, T, T)`: 0 between pixels that may see each other, else `HIDDEN`.
    """
    height, width = features.shape[-2:]
    rows, columns = (_part(side, window, features.device) for side in (height, width))
    parts = into_windows((3 * rows[:, None] + columns)[None, ..., None], window).squeeze(0)  # (L, T, 1)
    apart = parts != parts.transpose(1, 2)
    return (HIDDEN * apart.to(features.dtype)).unsqueeze(1)


def _part(side: int, window: int, device: torch.device) -> Tensor:
    """Which part of the shifted image each line belongs to: the body, the last window's start, or what wrapped."""
    line = torch.arange(side, device=device)
    return (line >= side - window).long() + (line >= side - window // 2).long()


def _convolutions(width: int, number: int) -> nn.Module:
    if number == 1:
        return nn.Conv2d(width, width, 3, padding=1)
    if number == 3:
        narrow = width // 4
        return nn.Sequential(
            nn.Conv2d(width, narrow, 3, padding=1),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(narrow, narrow, 1),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(narrow, width, 3, padding=1),
        )
    raise ValueError(f"SwinIR's groups end with 1 or 3 convolutions, got {number}.")


def _enlargement(width: int, *, scale: int, nearest: bool) -> nn.Sequential:
    layers: dict[str, nn.Module] = {
        "narrow": nn.Conv2d(width, UPSAMPLING_WIDTH, 3, padding=1),
        "activation": nn.LeakyReLU(inplace=True),
    }
    if nearest:
        layers["nearest"] = NearestUpsampler(width=UPSAMPLING_WIDTH, scale=scale)
        layers["refine"] = nn.Conv2d(UPSAMPLING_WIDTH, UPSAMPLING_WIDTH, 3, padding=1)
        layers["refine_activation"] = nn.LeakyReLU(0.2, inplace=True)
    else:
        layers["subpixel"] = SubpixelUpsampler(width=UPSAMPLING_WIDTH, scale=scale)
    return nn.Sequential(OrderedDict(layers))


def _initialise(layer: nn.Module) -> None:
    if isinstance(layer, nn.Linear):
        nn.init.trunc_normal_(layer.weight, std=0.02)
        nn.init.zeros_(layer.bias)
