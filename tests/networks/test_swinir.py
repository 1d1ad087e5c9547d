"""SwinIR against spandrel's, its windows and masks by hand, and its published names."""

import pytest
import torch

from sr_lightning.networks.swinir import (
    HIDDEN,
    SwinIR,
    from_windows,
    into_windows,
    relative_positions,
    shift_mask,
)

SIZES = {"width": 12, "groups": 2, "depth": 2, "heads": 3}


def total(**arguments):
    with torch.device("meta"):
        return sum(each.numel() for each in SwinIR(**arguments).parameters())


def test_has_the_parameters_of_the_networks_for_real_photographs():
    # papers.md, from the authors' class; those of the other two stand in their yamls.
    assert total(scale=4, upsampler="nearest+conv") == 11_715_559
    large = {"width": 240, "groups": 9, "heads": 8, "convolutions": 3}
    assert total(scale=4, upsampler="nearest+conv", **large) == 28_013_059


@pytest.mark.parametrize(
    ("scale", "channels", "upsampler", "convolutions"),
    [
        (2, 3, "pixelshuffle", 1),
        (3, 1, "pixelshuffle", 3),
        (4, 3, "pixelshuffledirect", 1),
        (3, 1, "pixelshuffledirect", 1),
        (4, 3, "nearest+conv", 1),
        (2, 3, "nearest+conv", 3),
        (8, 3, "nearest+conv", 1),
    ],
)
# Whole windows; sides that none divides; one window; a mask of another size than the file's.
@pytest.mark.parametrize("size", [(16, 24), (19, 10), (8, 8)])
def test_equals_spandrels(equals_spandrels, scale, channels, upsampler, convolutions, size):
    network = SwinIR(scale=scale, channels=channels, upsampler=upsampler, convolutions=convolutions, **SIZES)

    equals_spandrels("SwinIR", network, network.layouts[0], torch.rand(2, channels, *size))


def test_equals_spandrels_at_the_size_of_the_stored_mask(equals_spandrels):
    network = SwinIR(scale=2, **SIZES)

    equals_spandrels("SwinIR", network, network.layouts[0], torch.rand(1, 3, 64, 64))


def test_windows_are_squares_of_pixels_side_by_side():
    tokens = torch.arange(2 * 4 * 6).view(2, 4, 6, 1)

    windows = into_windows(tokens, 2)

    assert windows.shape == (2, 6, 4, 1)
    assert windows[0, 0].flatten().tolist() == [0, 1, 6, 7]
    assert windows[0, 4].flatten().tolist() == [14, 15, 20, 21]
    assert torch.equal(from_windows(windows, tokens), tokens)


def test_each_relative_position_has_its_own_row():
    positions = relative_positions(2)

    # Pixels 0 1 / 2 3: to itself, one to the left or right, one above or below, and the diagonals.
    assert positions.tolist() == [[4, 3, 1, 0], [5, 4, 2, 1], [7, 6, 4, 3], [8, 7, 5, 4]]


def test_the_mask_hides_what_came_around_the_edge():
    # Of a line of four pixels, rolled by one to the left, the last window holds 3 and 0.
    mask = shift_mask(torch.empty(1, 1, 2, 4), 2)

    assert mask.shape == (2, 1, 4, 4)
    hidden = mask == HIDDEN
    # The last row of the image wraps too: its pixels (1 and 3 of a window's left half) do not see the first's.
    assert hidden[0, 0].tolist() == [
        [False, False, True, True], [False, False, True, True], [True, True, False, False], [True, True, False, False],
    ]  # fmt: skip
    assert hidden[1, 0].sum() == 4 * 3, "in the corner each pixel sees itself alone"


def test_pixels_across_the_edge_do_not_meet():
    torch.manual_seed(0)
    network = SwinIR(scale=2, channels=1, width=12, groups=1, depth=2, heads=2).eval()
    lr = torch.zeros(1, 1, 32, 8)
    marked = lr.clone()
    marked[..., 0, :] = 1

    with torch.no_grad():
        change = (network(marked) - network(lr)).abs().amax((0, 1, 3))

    # Rolled by 4, the first rows lie in the window of rows 28..31. Of what is left, that is what convolutions pass on.
    assert change[:8].min() > 1e-4
    assert change[-8:].max() == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"upsampler": "pixel_shuffle"}, "must be one of pixelshuffle, pixelshuffledirect, nearest.conv; got 'pixel_s"),
        ({"convolutions": 2}, "end with 1 or 3 convolutions, got 2"),
        ({"heads": 7}, "heads must divide its width, got 7 heads and width 180"),
        ({"scale": 5}, "supports scale 3 or a power of two .* got 5"),
    ],
)
def test_other_designs_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        SwinIR(**{"scale": 2, "groups": 1, "depth": 1, **arguments})


def test_an_exported_graph_mirrors_the_smallest_images_further():
    # What the docstring of SwinIR says: from the ninth pixel on it is the network.
    network = SwinIR(scale=2, channels=1, width=12, groups=1, depth=2, heads=2).eval()
    sides = {2: torch.export.Dim("height", min=2), 3: torch.export.Dim("width", min=2)}
    graph = torch.export.export(network, (torch.rand(1, 1, 20, 24),), dynamic_shapes=(sides,)).module()

    for size in ((9, 9), (17, 40)):
        lr = torch.rand(1, 1, *size)
        torch.testing.assert_close(graph(lr), network(lr))
    assert graph(torch.rand(1, 1, 2, 5)).shape == (1, 1, 4, 10)


@pytest.mark.parametrize(
    ("upsampler", "convolutions", "ends"),
    [
        ("pixelshuffle", 1, ("conv_before_upsample.0", "upsample.0", "upsample.2", "conv_last")),
        ("pixelshuffledirect", 1, ("upsample.0",)),
        ("nearest+conv", 3, ("conv_before_upsample.0", "conv_up1", "conv_up2", "conv_hr", "conv_last")),
    ],
)
def test_names_in_published_files(check_layouts, upsampler, convolutions, ends):
    arguments = {
        **SIZES, "channels": 3, "window": 8, "expansion": 2.0, "convolutions": convolutions, "upsampler": upsampler,
    }  # fmt: skip
    network = SwinIR(scale=4, **arguments)

    [names] = check_layouts(network, arguments)

    blocks = [f"layers.{group}.residual_group.blocks.{block}" for group in (0, 1) for block in (0, 1)]
    parts = ("norm1", "attn.qkv", "attn.proj", "norm2", "mlp.fc1", "mlp.fc2")
    stacks = ["layers.0.conv", "layers.1.conv", "conv_after_body"]
    layers = [
        "conv_first",
        "patch_embed.norm",
        "norm",
        *ends,
        *(f"{block}.{part}" for block in blocks for part in parts),
    ]
    layers += stacks if convolutions == 1 else [f"{stack}.{number}" for stack in stacks for number in (0, 2, 4)]
    expected = {f"{layer}.{kind}" for layer in layers for kind in ("weight", "bias")}
    expected |= {f"{block}.attn.relative_position_bias_table" for block in blocks}
    assert names == expected
    constants = set(network.layouts[0].to_file(network.state_dict())) - names
    indices = {f"{block}.attn.relative_position_index" for block in blocks}
    assert constants == indices | {f"{block}.attn_mask" for block in blocks if block.endswith("1")}
