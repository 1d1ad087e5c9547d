"""What `train` refuses, each with one line: what was expected, what came, what to do.

Reads the composed configuration only (a network's facts stand in its yaml under `spec:`), so that a refusal
answers in about a second, before torch is imported.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from fractions import Fraction
from pathlib import Path
from typing import Any

from sr_lightning.cli.check import LOSSES, get
from sr_lightning.cli.compose import Tree
from sr_lightning.cli.prepare_line import prepare_line
from sr_lightning.data.benchmarks import SSIM_WINDOW, EvaluationSet, find_sets, reportable
from sr_lightning.data.catalogue import Entry, catalogue
from sr_lightning.data.pairs import check_sizes, match_lr
from sr_lightning.data.patch_fit import Patch, PatchError, check_patch
from sr_lightning.data.scan import DataError, check_folder
from sr_lightning.data.sets import Images, MissingImages, image_channels, locate
from sr_lightning.engine.named_degradations import degradation_nodes
from sr_lightning.extras import KNOWN_CODE, check_extra
from sr_lightning.metric_names import AUTO, COLOUR_PROTOCOLS, wanted_metrics
from sr_lightning.refusal import Refusal
from sr_lightning.sweeps.trainer_devices import read_devices
from sr_lightning.weights.files import check_file
from sr_lightning.yamls import check_scale

# The degradation whose LR images lie in the store.
BICUBIC = "sr_lightning.degradations.bicubic.Bicubic"
PYRAMID = "sr_lightning.modules.pyramid.PyramidModule"
LDL = "sr_lightning.losses.ldl.LDLLoss"
LR_CONSISTENCY = "sr_lightning.losses.lr_consistency.LRConsistencyLoss"
# Losses that compare features of networks for photographs.
PERCEPTUAL = tuple(
    f"sr_lightning.losses.{name}"
    for name in ("perceptual.PerceptualLoss", "style.StyleLoss", "lpips.LPIPSLoss", "dists.DISTSLoss")
)
# A layer of VGG; each of its blocks but the first begins with half the side of the one before.
_LAYER = re.compile(r"(conv|relu|pool)([1-5])(_\d)?")
# What a continued run may do otherwise. The rest stands in its checkpoint, or would make it another run.
RESUMABLE = (
    "resume", "compile", "eval", "trainer", "callbacks", "logger", "paths", "data.root", "data.num_workers",
    "data.train_dir", "data.val_dir", "data.test_dir", "data.lr_dir", "data.val_lr_dir", "data.mirrors",
    "data.download", "data.store", "data.device_cache", "data.allow_overlap", "eval_exclude", "preflight",
    "names.group", "sweep", "metrics", "regions", "degradations",
)  # fmt: skip


# Settings for which the images have passed, while `looking_once` lasts.
_PASSED: ContextVar[set[str]] = ContextVar("passed")


class Impossible(Refusal):
    """Settings that do not go together: network, scale, patch, batch, module. Other cells of a sweep may be trained."""


def refuse_training(tree: Tree, choices: Mapping[str, Any]) -> None:
    """Refuse what cannot be trained: scale, patch, batch, module and data that do not fit together.

    Raises:
        Impossible: the settings do not go together.
        Refusal: images are missing or cannot be used, which other settings would not change.
    """
    try:
        hr_patch = _check_settings(tree, str(choices.get("model")))
    except Refusal as refusal:
        raise Impossible(str(refusal)) from refusal
    _check_weights(tree)
    # What `_check_data` goes by.
    parts = {key: tree.get(key) for key in ("data", "scale", "eval", "eval_exclude", "paths")}
    specs = {key: get(tree, key) for key in ("model.spec", "model.channels", "module.discriminator.spec")}
    settings = json.dumps([parts, specs, choices["data"], hr_patch], default=str)
    passed = _PASSED.get(set())
    if settings not in passed:
        _check_data(tree, choices, hr_patch)
        passed.add(settings)


@contextmanager
def looking_once() -> Iterator[None]:
    """While it lasts, images that have passed are not looked at again for the same settings of another cell."""
    token = _PASSED.set(set())
    try:
        yield
    finally:
        _PASSED.reset(token)


def _check_settings(tree: Tree, model: str) -> int:
    """Refuse settings that do not go together; returns the patch's side in HR pixels."""
    spec = get(tree, "model.spec") or {}
    if spec.get("trainable") is False:
        raise Refusal(f"model={model} has no parameters, so there is nothing to train; evaluate.py model={model}.")
    check_scale(model, spec, tree["scale"])
    check_network(model, tree["model"], scale=tree["scale"])
    if get(tree, "module._target_") == PYRAMID and not spec.get("pyramid"):
        raise Refusal(
            f"module=pyramid trains networks that give an image at each level, which model={model} does not; "
            "use module=pixel."
        )
    hr_patch = _check_patch(tree, model, spec)
    _check_batch(tree, model)
    if get(tree, "protocol") == "y_chain" and get(tree, "model.channels") == 3:
        raise Refusal(
            f"protocol=y_chain scores networks of one channel, model={model} has model.channels=3; "
            "use protocol=rgb_to_y."
        )
    if _channels(tree) != 3:
        _check_bands(tree)
    if get(tree, "module.discriminator"):
        _check_gan(tree, hr_patch)
    elif get(tree, "trainer.gradient_clip_val") and get(tree, "module.gradient_clip"):
        raise Refusal("module.gradient_clip and trainer.gradient_clip_val are the same here; give one of them.")
    _check_kept(tree)
    _check_average(tree)
    _check_terms(tree, model)
    check_scoring(tree)
    return hr_patch


def _check_weights(tree: Tree) -> None:
    """Refuse a file that the network cannot begin with; a run that goes on has its own weights."""
    path = get(tree, "model.pretrained")
    resume = tree.get("resume")
    if path and not (resume and (Path(resume) / "checkpoints" / "last.ckpt").is_file()):
        check_file(Path(path).expanduser(), key="model.pretrained")


def check_network(model: str, node: Tree, *, scale: int) -> None:
    """Refuse a network of a package that is not installed, channels that it does not take, and another scale.

    Args:
        model: its name.
        node: the content of its yaml.
        scale: of the run.
    """
    if node.get("scale", scale) != scale:
        raise Refusal(f"model.scale follows scale, got {node['scale']} at scale={scale}; say scale={node['scale']}.")
    check_extra(str(node.get("_target_")), key=f"model={model}")
    spec = node.get("spec") or {}
    for fact in ("min_size", "multiple"):
        if spec.get(fact, 1) < 1:
            raise Refusal(f"model={model}: these arguments make windows of {spec[fact]} pixels, expected 1 or more.")
    known = spec.get("channels")
    if known and node["channels"] not in known:
        raise Refusal(
            f"model={model} takes images of {' or '.join(map(str, known))} channels, got model.channels="
            f"{node['channels']}."
        )


def check_given_network(tree: Tree) -> None:
    """Refuse a `model=NAME` that has not the scale, the package or the weights to be used as it is."""
    model, node = tree["names"]["model"], tree["model"]
    spec = node.get("spec") or {}
    if tree["scale"] is None:
        raise Refusal("scale: expected a number, got nothing; say scale=4 (only a checkpoint knows its own).")
    check_scale(model, spec, tree["scale"])
    check_network(model, node, scale=tree["scale"])
    trainable = spec.get("trainable") is not False
    if node["pretrained"]:
        if not trainable:
            raise Refusal(f"model.pretrained: model={model} has no weights; leave it out.")
        check_file(Path(node["pretrained"]).expanduser(), key="model.pretrained")
    elif trainable:
        raise Refusal(
            f"model={model} without weights would be a random network; say model.pretrained=PATH, or "
            "checkpoint=PATH (model=bicubic needs no weights)."
        )


def refuse_other_run(kept: Tree, tree: Tree, prefix: str = "") -> None:
    """Refuse a continued run that would not be the one in its folder.

    Args:
        kept: the configuration in the run's folder.
        tree: what was composed from it and the command line.
        prefix: where in the whole configuration both stand.
    """
    for key, value in kept.items():
        path = f"{prefix}{key}"
        if path in RESUMABLE or tree.get(key) == value:
            continue
        if isinstance(value, dict) and isinstance(tree.get(key), dict):
            refuse_other_run(value, tree[key], f"{path}.")
        else:
            raise Refusal(
                f"resume goes on with {path}={value}, got {tree.get(key)}; another {path} is another run "
                f"(what may change: {', '.join(RESUMABLE[1:])})."
            )


def check_scoring(tree: Tree) -> None:
    """Refuse metrics that there are not, and named degradations that cannot make LR."""
    try:
        # The configuration of an older run, which goes on, has no such keys.
        wanted_metrics(tree.get("metrics", AUTO))
    except ValueError as error:
        raise Refusal(str(error)) from error
    named = degradation_nodes(tree.get("degradations"), scale=tree["scale"])
    if named and tree["protocol"] == "y_chain":
        raise Refusal(
            f"degradations: {', '.join(named)} would make LR in colour, protocol=y_chain makes it of Y; "
            "use protocol=rgb_to_y."
        )


def check_folder_key(tree: Tree, key: str, *, min_side: int) -> None:
    """Refuse a data folder that is not given, missing, empty, unreadable or of too small images."""
    folder = get(tree, key)
    if not folder:
        raise Refusal(f"{key}: expected a folder of images, got nothing; say {key}=PATH.")
    try:
        check_folder(Path(folder).expanduser(), key=key, min_side=min_side, channels=_channels(tree))
    except DataError as error:
        raise Refusal(str(error)) from error


def check_patches(tree: Tree, data: str) -> None:
    """Refuse a patch that too many images of a set are too small for; reads their headers.

    Args:
        tree: the configuration.
        data: what `data` was chosen as.
    """
    try:
        _check_patches(tree, _locate(tree, data))
    except DataError as error:
        raise Refusal(str(error)) from error


def find_sets_checked(tree: Tree, *, scale: int) -> list[EvaluationSet]:
    """Find the evaluation sets that `eval` and `data.root` name; sets that do not fit are refused."""
    names = [tree["eval"]] if isinstance(tree["eval"], str) else tree["eval"]
    try:
        return find_sets(
            Path(tree["data"]["root"]).expanduser(),
            scale=scale,
            names=names,
            exclude=tree["eval_exclude"],
            entries=_catalogue(tree),
        )
    except DataError as error:
        raise Refusal(str(error)) from error


def _check_data(tree: Tree, choices: Mapping[str, Any], hr_patch: int) -> None:
    data, whole_image = tree["data"], SSIM_WINDOW + 2 * tree["scale"]
    for key, side in (("data.train_dir", hr_patch), ("data.val_dir", whole_image), ("data.test_dir", whole_image)):
        if get(tree, key) or (key == "data.train_dir" and "train_dir" in data):
            check_folder_key(tree, key, min_side=side)
    if get(tree, "data.val_dir") and get(tree, "data.test_dir"):
        _check_apart(tree)
    try:
        images = _locate(tree, str(choices["data"]))
        train = [path for part in images.train for path in part.files]
        for key, files in (("data.lr_dir", train), ("data.val_lr_dir", images.val)):
            if get(tree, key):
                _check_pairs(tree, key, files)
        _check_patches(tree, images)
    except PatchError as error:
        raise Impossible(str(error)) from error
    except MissingImages as missing:
        if not data["download"]:
            raise Refusal(missing.message(prepare_line(tree, choices) or missing.command or "")) from missing
        # They are fetched before the run; what is evaluated can only be looked at then.
        return
    except DataError as error:
        raise Refusal(str(error)) from error
    if _channels(tree) != 3:
        # The benchmarks are RGB: none of them is reported.
        return
    if not tree["eval"]:
        # Of the sets that nobody named, those that chose the weights are left out of the report.
        if Path(data["root"]).expanduser().is_dir():
            find_sets_checked(tree, scale=tree["scale"])
        return
    sets = find_sets_checked(tree, scale=tree["scale"])
    left = reportable(sets, chosen_on=images.val)
    for evaluation_set in sets:
        if evaluation_set not in left:
            raise Refusal(
                f"eval: {evaluation_set.name} would be reported though its images choose best.ckpt "
                f"({images.val_name}); validate on other images, or leave it out of eval."
            )


def _locate(tree: Tree, name: str) -> Images:
    return locate(tree["data"], name=name, scale=tree["scale"], entries=_catalogue(tree), channels=_channels(tree))


def _check_patches(tree: Tree, images: Images) -> None:
    data, scale = tree["data"], tree["scale"]
    # Whole images need not be larger than a patch; Pillow knows the headers of pictures alone.
    if data["crop"] not in ("random", "centre") or _channels(tree) != 3:
        return
    network, critic = get(tree, "model.spec") or {}, get(tree, "module.discriminator.spec") or {}
    smallest, multiple = network.get("min_size", 1), network.get("multiple", 1)
    hr_smallest, hr_multiple = critic.get("min_size", 1), critic.get("multiple", 1)
    if data["hr_patch"]:
        patch = Patch(
            "data.hr_patch",
            data["hr_patch"],
            multiple=math.lcm(multiple * scale, hr_multiple),
            smallest=max(smallest * scale, hr_smallest),
        )
    else:
        patch = Patch(
            "data.lr_patch",
            data["lr_patch"],
            hr_pixels=max(data["scales"] or [scale]),
            multiple=math.lcm(multiple, hr_multiple // math.gcd(hr_multiple, scale)),
            smallest=max(smallest, math.ceil(hr_smallest / scale)),
        )
    check_patch(images.train, patch, max_skipped=data["max_skipped"])


def _catalogue(tree: Tree) -> dict[str, Entry]:
    return catalogue([Path(folder).expanduser() for folder in tree["paths"]["catalogue"]])


def _channels(tree: Tree) -> int:
    return image_channels(tree["model"])


def _check_bands(tree: Tree) -> None:
    """Refuse what needs pictures, for a network that takes images of other bands."""
    given = f"model.channels={_channels(tree)}"
    if _channels(tree) < 1:
        raise Refusal(f"model.channels: expected 3 for RGB, 1 for Y, or the number of bands, got {given}.")
    if tree["protocol"] not in COLOUR_PROTOCOLS:
        raise Refusal(f"protocol={tree['protocol']} scores luma, which images of {given} have not; use protocol=rgb.")
    for key in LOSSES:
        for name, term in (get(tree, key) or {}).items():
            if term["_target_"] in PERCEPTUAL:
                raise Refusal(f"{key}.{name} compares features of RGB images or Y, got {given}; use loss=l1.")
    if tree["eval"]:
        raise Refusal(f"eval: evaluation sets are RGB, got {given}; leave eval out, and say data.test_dir=DIR.")


def _check_average(tree: Tree) -> None:
    """Refuse a loss that compares with the averaged generator where no average is kept."""
    for key in LOSSES:
        for name, term in (get(tree, key) or {}).items():
            if term.get("_target_") == LDL and term.get("refine", True) and "ema" not in tree["callbacks"]:
                raise Refusal(
                    f"{key}.{name} compares with what the averaged network makes, and no average is kept: "
                    f"add callbacks=ema, or take the form without it, {key}.{name}.refine=false."
                )


def _check_terms(tree: Tree, model: str) -> None:
    """Refuse a loss of which nothing ever counts, and terms that the patches are too small or too grey for."""
    whole, first = tree["trainer"]["max_steps"], get(tree, "module.pretrain_steps") or 0
    for key, steps in (("loss", whole - first), ("module.pretrain_loss", first)):
        terms = {name: term for name, term in (get(tree, key) or {}).items() if _counts(term, steps)}
        adversarial = get(tree, "module.adversarial") if key == "loss" else None
        if get(tree, key) and steps and not terms and not (adversarial and _counts(adversarial, steps)):
            found = ", ".join(f"{name} {_absence(term)}" for name, term in get(tree, key).items())
            raise Refusal(
                f"{key}: expected a term that counts within its {steps} steps, got {found}; raise a weight, or let it "
                "start earlier."
            )
        blind = [name for name, term in terms.items() if (term.get("spec") or {}).get("floor", 0.0) is None]
        if len(blind) == len(terms) > 0 and not (adversarial and _counts(adversarial, steps)):
            raise Refusal(
                f"{key}: expected a term that compares SR with HR, got {' and '.join(blind)} alone; "
                f"{key}=[l1,{','.join(blind)}] has one."
            )
        for name, term in terms.items():
            _check_term_side(tree, f"{key}.{name}", term, model)
            channels = get(tree, "model.channels")
            compare = term["compare"] if term.get("_target_") == LR_CONSISTENCY else "all"
            if compare != "all" and channels not in (None, 3):
                path = f"{key}.{name}.compare"
                raise Refusal(
                    f"{path}={compare} is of RGB images, got model.channels={channels}; {path}=all takes any."
                )


def _counts(term: Mapping[str, Any], steps: int) -> bool:
    return bool(term.get("weight", 1.0) > 0 and term.get("start", 0) < steps)


def _absence(term: Mapping[str, Any]) -> str:
    return f"with start={term['start']}" if term.get("weight", 1.0) else "with weight=0"


def _check_term_side(tree: Tree, path: str, term: Mapping[str, Any], model: str) -> None:
    """Refuse patches that are smaller than a term can compare, by what its yaml says."""
    data, scale, smallest = tree["data"], tree["scale"], _smallest_side(term)
    if data["crop"] == "whole":
        return
    # HR pixels for each pixel of the patch's key, where the term sees fewest: the first level of a pyramid has x2.
    pixels = Fraction(1) if data["hr_patch"] else Fraction(min(data["scales"] or [scale]))
    if get(tree, "module._target_") == PYRAMID:
        pixels *= Fraction(2, scale)
    patch_key = "data.hr_patch" if data["hr_patch"] else "data.lr_patch"
    side = get(tree, patch_key)
    if side * pixels >= smallest:
        return
    spec = get(tree, "model.spec") or {}
    multiple = spec.get("multiple", 1) * (scale if data["hr_patch"] else 1)
    fits = math.ceil(smallest / pixels / multiple) * multiple
    raise Refusal(
        f"{path} compares images of {smallest}x{smallest} pixels or more, got {patch_key}={side} (model={model} at "
        f"scale={scale}); {patch_key}={fits} fits."
    )


def _smallest_side(term: Mapping[str, Any]) -> int:
    """Return what a term needs in HR pixels: of its yaml, or of the scales or layers that are chosen instead."""
    exponents, layers = term.get("exponents"), [_LAYER.fullmatch(str(name)) for name in term.get("layers") or {}]
    if exponents:
        return int(SSIM_WINDOW * 2 ** (len(exponents) - 1))
    if layers and all(layers):
        return max(1 << (int(layer[2]) - (layer[1] != "pool")) for layer in layers if layer)
    return int((term.get("spec") or {}).get("min_size", 1))


def _check_kept(tree: Tree) -> None:
    """Refuse ways of keeping and cutting images that do not go together."""
    data, scale = tree["data"], tree["scale"]
    if tree["protocol"] == "y_chain" and get(tree, "degradation._target_") != BICUBIC:
        raise Refusal("protocol=y_chain makes LR of Y by itself, which no other degradation can; use rgb_to_y.")
    if data["lr_dir"] and get(tree, "degradation._target_") != BICUBIC:
        raise Refusal(
            "data.lr_dir gives the LR images, so that degradation has nothing to do; leave one of the two out."
        )
    if data["scales"]:
        if not get(tree, "model.spec.multi_scale"):
            raise Refusal(
                f"data.scales trains one network for several scales, which {tree['names']['model']} is not; "
                f"sweep over them instead: -m scale={','.join(map(str, data['scales']))}"
            )
        if scale not in data["scales"]:
            raise Refusal(
                f"data.scales: expected scale={scale}, which validation scores, among them, got {data['scales']}."
            )
        if data["lr_patch"] is None:
            raise Refusal("data.scales: expected data.lr_patch, which all scales share, got data.hr_patch.")
        if data["lr_dir"]:
            raise Refusal("data.lr_dir holds LR images of one scale; leave data.scales out, or data.lr_dir.")
    if data["store"] == "off" and data["device_cache"]:
        raise Refusal("data.device_cache keeps decoded images on the device, data.store=off keeps none; choose one.")
    if not 0 <= data["max_skipped"] <= 1:
        raise Refusal(f"data.max_skipped: expected a share between 0 and 1, got {data['max_skipped']}.")


def _check_pairs(tree: Tree, key: str, hr_files: Sequence[Path]) -> None:
    folder = Path(get(tree, key)).expanduser()
    lr_files = match_lr(hr_files, folder, key=key, scale=tree["scale"], channels=_channels(tree))
    check_sizes(hr_files, lr_files, key=key, scale=tree["scale"])


def _check_apart(tree: Tree) -> None:
    val, test = (Path(get(tree, f"data.{part}_dir")).expanduser().resolve() for part in ("val", "test"))
    if val.is_relative_to(test) or test.is_relative_to(val):
        raise Refusal(
            f"data.test_dir: expected images that did not choose best.ckpt, got {test}, which shares files with "
            f"data.val_dir={val}."
        )


def _check_patch(tree: Tree, model: str, spec: Mapping[str, Any]) -> int:
    """Return the patch's side in HR pixels."""
    scale = tree["scale"]
    hr_patch, lr_patch = get(tree, "data.hr_patch"), get(tree, "data.lr_patch")
    if (hr_patch is None) == (lr_patch is None):
        raise Refusal(
            f"expected exactly one of data.hr_patch and data.lr_patch, got {hr_patch} and {lr_patch}; "
            "set the other to null."
        )
    smallest, multiple = spec.get("min_size", 1), spec.get("multiple", 1)
    if hr_patch is not None:
        _check_side("data.hr_patch", hr_patch, smallest * scale, multiple * scale, f"model={model} at scale={scale}")
        return int(hr_patch)
    _check_side("data.lr_patch", lr_patch, smallest, multiple, f"model={model}")
    return int(lr_patch * scale)


def _check_side(key: str, side: int, smallest: int, multiple: int, who: str) -> None:
    """Refuse a patch that is too small or no multiple, and name the nearest that fits."""
    if side >= smallest and side % multiple == 0:
        return
    fits = max(round(side / multiple), math.ceil(smallest / multiple), 1) * multiple
    wanted = f"a multiple of {multiple}" if multiple > 1 else "a side"
    raise Refusal(f"{key}: {who} takes {wanted} from {max(smallest, multiple)} on, got {side}; {key}={fits} fits.")


def _check_batch(tree: Tree, model: str) -> None:
    devices = read_devices(get(tree, "trainer.devices")).count or 1
    batch, accumulate = get(tree, "data.batch_size"), get(tree, "module.accumulate") or 1
    parts = accumulate * devices * (get(tree, "trainer.num_nodes") or 1)
    if batch % parts:
        raise Refusal(
            f"data.batch_size is what one optimiser step sees, over all devices and module.accumulate: expected a "
            f"multiple of {parts}, got {batch}."
        )
    smallest = get(tree, "model.spec.min_batch") or 1
    if batch // parts < smallest:
        raise Refusal(
            f"data.batch_size: model={model} trains on {smallest} images at once or more, got {batch // parts} on each "
            f"device; data.batch_size={smallest * parts} fits."
        )


def _check_gan(tree: Tree, hr_patch: int) -> None:
    if get(tree, "trainer.gradient_clip_val") is not None:
        raise Refusal(
            "trainer.gradient_clip_val cannot clip two optimisers (module=gan); use module.gradient_clip instead."
        )
    if get(tree, "trainer.precision") == "16-mixed":
        raise Refusal(
            "trainer.precision=16-mixed shares one loss scale between two networks (module=gan); "
            "use bf16-mixed or 32-true."
        )
    discriminator = get(tree, "module.discriminator")
    patch = discriminator.get("patch") if str(discriminator.get("_target_")).startswith(KNOWN_CODE) else None
    if patch is not None and patch != hr_patch:
        raise Refusal(
            f"module.discriminator.patch: this discriminator judges whole patches, which have {hr_patch} HR pixels, "
            f"got {patch}; leave it out."
        )
    spec = get(tree, "module.discriminator.spec") or {}
    smallest, multiple = spec.get("min_size", 1), spec.get("multiple", 1)
    if get(tree, "data.hr_patch"):
        # What fits must suit the scale too.
        multiple = math.lcm(multiple, tree["scale"])
        _check_side("data.hr_patch", hr_patch, smallest, multiple, "the discriminator")
    else:
        scale = tree["scale"]
        multiple //= math.gcd(multiple, scale)
        _check_side(
            "data.lr_patch", hr_patch // scale, math.ceil(smallest / scale), multiple, f"the discriminator at x{scale}"
        )
    pretrain, steps = get(tree, "module.pretrain_steps"), get(tree, "trainer.max_steps")
    if pretrain >= steps:
        raise Refusal(
            f"module.pretrain_steps={pretrain} leaves no adversarial step of trainer.max_steps={steps}; "
            "raise max_steps, or train the generator alone with module=pixel."
        )
