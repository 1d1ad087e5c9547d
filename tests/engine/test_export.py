"""Exported files: spandrel, which others build on, loads them and computes the same; so do we."""

import sys

import pytest
import torch

from sr_lightning.engine.build import build_network, describe
from sr_lightning.engine.checkpoint import load_network
from sr_lightning.engine.export import export_weights
from sr_lightning.engine.pretrained import pretrained_network
from sr_lightning.refusal import Refusal
from tests.test_contracts import MODELS, compose, small, spec

spandrel = pytest.importorskip("spandrel", reason="spandrel, an optional package, is not installed")


def known_to_spandrel(model):
    """The layouts of a network that spandrel knows."""
    with torch.device("meta"):
        network = build_network(compose(f"model={model}").tree["model"])
    return [layout.name for layout in getattr(network, "layouts", ()) if layout.spandrel]


KNOWN = {model: layouts for model in MODELS if (layouts := known_to_spandrel(model))}
# Of spandrel's own networks one scale, since it is their code on either side.
CELLS = [
    (model, scale)
    for model in KNOWN
    for scale in spec(model)["scales"]
    if "arguments" not in spec(model) or scale == spec(model)["scales"][-1]
]


@pytest.fixture
def checkpoint(saved):
    """The checkpoint of a small network with weights far from where they began, so that nothing is hidden in zeros."""

    def save(model, scale, *overrides):
        # Of dense blocks, spandrel takes the paper's growth for granted.
        sizes = [text for text in small(model) if not text.startswith("model.growth=")]
        tree = compose(f"model={model}", f"scale={scale}", *sizes, *overrides).tree
        torch.manual_seed(1)
        state = build_network(tree["model"]).state_dict()
        for tensor in state.values():
            if tensor.is_floating_point():
                tensor.add_(0.02 * torch.randn_like(tensor))
        tensors = {f"network.{name}": tensor for name, tensor in state.items()}
        return saved({"state_dict": tensors, "sr_lightning": {**describe(tree), "step": 7}}, "best.ckpt")

    return save


def images():
    """Noise, and a red image, by which colours that have changed places show; of whole windows."""
    torch.manual_seed(2)
    red = torch.tensor([0.9, 0.1, 0.05]).view(1, 3, 1, 1).expand(1, 3, 16, 32)
    return {"noise": torch.rand(1, 3, 16, 32), "red": red.contiguous()}


def test_something_was_found():
    assert {"rcan", "rrdb", "srvgg", "swinir", "swinir_light"} <= set(KNOWN)


@pytest.mark.parametrize(("model", "scale", "kind"), [*((*cell, "safetensors") for cell in CELLS), ("rcan", 2, "pth")])
def test_spandrel_computes_the_same(checkpoint, tmp_path, model, scale, kind):
    path = checkpoint(model, scale)
    exported = export_weights(path, tmp_path / f"exported.{kind}", kind=kind, layout="auto")
    assert (exported.spandrel, exported.checked, exported.otherwise) == (True, True, "")

    theirs = spandrel.ModelLoader(device="cpu").load_from_file(exported.path).eval()
    ours = load_network(path).network

    assert (theirs.scale, theirs.input_channels, theirs.output_channels) == (scale, 3, 3)
    for name, lr in images().items():
        with torch.no_grad():
            expected = ours(lr)
            # RCAN of spandrel scales its input in place.
            sr = theirs.model(lr.clone())
        assert (sr - expected).abs().max() <= 2e-5 * expected.abs().max(), name


@pytest.mark.parametrize("model", [model for model in KNOWN if "arguments" in spec(model) and model != "drct"])
@pytest.mark.parametrize("size", [(57, 86), (40, 52)])
def test_borders_are_the_librarys(checkpoint, tmp_path, model, size):
    """DRCT alone leaves them to its callers."""
    path = checkpoint(model, 2)
    exported = export_weights(path, tmp_path / "exported.safetensors", kind="safetensors", layout="auto")
    theirs = spandrel.ModelLoader(device="cpu").load_from_file(exported.path).model.eval()
    lr = torch.rand(1, 3, *size)
    with torch.no_grad():
        assert torch.equal(load_network(path).network(lr), theirs(lr.clone()))


OTHERWISE = [
    (("rcan", 4, "model.channels=1"), "EDSR-PyTorch", "its RCAN x4 of 1 channels is off by"),
    (("swinir", 3, "model.upsampler=nearest+conv"), "SwinIR", "it cannot load it (RuntimeError);"),
    (("rrdb", 4, "model.growth=4"), "BasicSR", "it cannot load it (RuntimeError);"),
    # Its channels stand nowhere in spandrel; the commands refuse them.
    (("safmn", 2, "model.channels=1"), None, "it takes it for x2 of 3 channels;"),
    (("span", 3, "model.img_range=1.0"), None, "img_range is 255.0 there and 1.0 here;"),
    (("realplksr", 4, "model.norm_groups=2"), None, "norm_groups is 4 there and 2 here;"),
    (("hat", 2, "model.conv_scale=0.05"), None, "conv_scale is 0.01 there and 0.05 here;"),
    (("atd", 2, "model.category_size=64"), None, "category_size is 256 there and 64 here;"),
]


@pytest.mark.parametrize(("network", "other", "message"), OTHERWISE)
def test_what_spandrel_would_compute_otherwise_is_refused(checkpoint, tmp_path, network, other, message):
    path, output = checkpoint(*network), tmp_path / "exported" / "weights.safetensors"
    for layout in ("auto", *(["Spandrel"] if other is None else [])):
        with pytest.raises(Refusal) as refusal:
            export_weights(path, output, kind="safetensors", layout=layout)
        assert f"would compute something else with this file: {message}" in f"{refusal.value};"
    assert not output.parent.exists()

    # By our names, or by those of another program, which the file is then for.
    exported = export_weights(path, output, kind="safetensors", layout=other or "own")
    assert output.exists()
    if other:
        assert message.rstrip(";") in exported.lines()[1]
        assert " knows" not in exported.lines()[1]


def test_without_spandrel_a_file_is_written_and_it_says_so(checkpoint, tmp_path, monkeypatch):
    path = checkpoint("rcan", 2)
    monkeypatch.setitem(sys.modules, "spandrel", None)
    exported = export_weights(path, tmp_path / "exported.safetensors", kind="safetensors", layout="auto")
    assert exported.lines()[1].endswith(" knows; it is not installed, so that its output was not compared")


@pytest.mark.parametrize("model", KNOWN)
def test_reading_back_is_bit_equal(checkpoint, tmp_path, model):
    scale = spec(model)["scales"][-1]
    path = checkpoint(model, scale)
    original = load_network(path)
    exported = export_weights(path, tmp_path / "exported.safetensors", kind="safetensors", layout="auto")

    usual = compose(f"model={model}", f"scale={scale}").tree["model"]
    again = [
        load_network(exported.path).network,
        pretrained_network({**usual, "pretrained": str(exported.path)}, name=model).network,
    ]
    for network in again:
        for name, tensor in original.network.state_dict().items():
            assert torch.equal(network.state_dict()[name], tensor), name


def test_what_a_checkpoint_says_is_in_the_file_too(save_checkpoint, tmp_path):
    path = save_checkpoint("model=espcn", "scale=3", ema=True)
    exported = export_weights(path, tmp_path / "new folder" / "espcn.safetensors", kind="safetensors", layout="auto")
    assert (exported.layout, exported.spandrel, exported.ema, exported.tensors) == ("sr_lightning", False, True, 6)
    assert exported.lines() == [
        f"weights  {exported.path}",
        "espcn x3, 6 tensors, averaged weights, by sr_lightning names, which spandrel does not know",
    ]
    before, after = load_network(path), load_network(exported.path)
    assert (after.name, after.scale, after.ema, after.step) == (before.name, before.scale, True, before.step)
    assert (after.model, after.degradation) == (before.model, before.degradation)


def test_nothing_is_left_of_a_file_that_could_not_be_written(rgb_checkpoint, tmp_path, monkeypatch):
    def fail(*given, **named):
        given[1].write_bytes(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr("sr_lightning.engine.export.save_weights", fail)
    (tmp_path / "old.safetensors").write_bytes(b"old")
    with pytest.raises(OSError, match="No space left"):
        export_weights(rgb_checkpoint, tmp_path / "old.safetensors", kind="safetensors", layout="auto")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"old.safetensors": b"old"}


def test_an_unknown_layout_is_refused_before_anything_is_written(rgb_checkpoint, tmp_path):
    with pytest.raises(Refusal, match=r"layout: expected one of auto, own, EDSR-PyTorch, BasicSR, got 'RCAN'"):
        export_weights(rgb_checkpoint, tmp_path / "new.safetensors", kind="safetensors", layout="RCAN")
    assert not list(tmp_path.iterdir())
