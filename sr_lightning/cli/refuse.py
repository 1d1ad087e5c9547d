"""What a command refuses, each with one line: what was expected, what came, the nearest valid name.

Reads the composed configuration only (a network's facts stand in its yaml under `spec:`), so that a refusal
answers in about a second, before torch is imported.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import Override

from sr_lightning.cli.compose import Composed, Composer, Tree
from sr_lightning.data.scan import DataError, check_folder
from sr_lightning.refusal import Refusal, nearest

# A yaml's value shows the type of a key by example; these have no example (null) or take several types.
TYPES: dict[str, tuple[type, ...]] = {
    "scale": (int,),
    "resume": (str,),
    "eval": (list, str),
    "names.group": (str,),
    "names.experiment": (str,),
    "data.root": (str,),
    "data.train_dir": (str,),
    "data.val_dir": (str,),
    "data.test_dir": (str,),
    "data.hr_patch": (int,),
    "data.lr_patch": (int,),
    "module.gradient_clip": (int, float),
    "trainer.gradient_clip_val": (int, float),
    "trainer.devices": (int, str, list),
    "trainer.precision": (str, int),
    "logger.wandb.entity": (str,),
    "logger.wandb.group": (str,),
    "scheduler.length": (int,),
    "checkpoint": (str,),
    "images": (str,),
    "save": (str,),
    "output": (str,),
}
NOT_NULL = ("scale", "trainer.devices", "trainer.precision")

# Plain choices that are no configuration group. Tests hold them equal to what the code behind them accepts.
CHOICES: dict[str, tuple[str, ...]] = {
    "protocol": ("rgb_to_y", "y_chain", "y_float", "rgb"),
    "module.adversarial.kind": ("vanilla", "least_squares"),
    "scheduler.unit": ("steps", "epochs"),
    "trainer.precision": ("auto", "32-true", "32", "bf16-mixed", "16-mixed", "bf16-true", "64-true"),
    "device": ("auto", "cpu", "cuda", "mps"),
}

POSITIVE = (
    "scale", "trainer.max_steps", "trainer.val_every_steps", "trainer.epoch_steps", "trainer.log_every_steps",
    "trainer.num_nodes", "data.batch_size", "data.hr_patch", "data.lr_patch", "module.accumulate",
    "optimizer.lr", "module.gradient_clip", "trainer.gradient_clip_val", "callbacks.checkpoints.every_steps",
)  # fmt: skip
NOT_NEGATIVE = (
    "seed", "data.num_workers", "scheduler.warmup", "module.adversarial.weight", "module.adversarial.start",
    "module.adversarial.ramp", "module.pretrain_steps",
)  # fmt: skip

# Groups whose members are named objects, so that a user may add one with a `_target_` or take one away.
COLLECTIONS = ("loss", "logger", "callbacks", "module.pretrain_loss")

PATH_KEYS = (
    "checkpoint", "input", "output", "images", "save", "resume", "data.root", "data.train_dir", "data.val_dir",
    "data.test_dir", "paths.data", "paths.runs", "paths.cache",
)  # fmt: skip


def quote_path(argument: str) -> str:
    """Quote the value of an argument that is a path, so that blanks, brackets and commas reach us unread."""
    key, equals, value = argument.partition("=")
    if not equals or key.lstrip("+") not in PATH_KEYS or value in ("", "null") or value[0] in "'\"":
        return argument
    escaped = value.replace("\\", "\\\\") if value.endswith("\\") else value
    return f"{key}='" + escaped.replace("'", "\\'") + "'"


def compose_checked(composer: Composer, overrides: Sequence[Override], texts: Sequence[str]) -> Composed:
    """Compose one run and refuse unknown groups, choices and keys, wrong types and unknown plain choices."""
    groups = composer.groups()
    values: list[Override] = []
    chosen: list[str] = []
    for override, text in zip(overrides, texts, strict=True):
        key = override.key_or_group
        if key == "hydra" or key.startswith(("hydra.", "hydra/")):
            chosen.append(text)
        elif key in groups:
            _check_choice(override, groups)
            chosen.append(text)
        else:
            values.append(override)
    example = composer.compose(chosen)
    valid = set(_paths(example.tree))
    for override in values:
        _check_key(override, valid, groups)
    composed = composer.compose(texts)
    reference = _reference(composer, composed, groups, example, chosen)
    _drop_fragments(composed.tree, reference.tree, values)
    _check_against(composed.tree, reference.tree, composed.choices)
    for name, choices in CHOICES.items():
        value = get(composed.tree, name)
        if value is not None and str(value) not in choices:
            raise Refusal(f"{name}: expected one of {', '.join(choices)}, got '{value}'{nearest(str(value), choices)}")
    for name in POSITIVE + NOT_NEGATIVE:
        value = get(composed.tree, name)
        if value is not None and (value < 0 or (value == 0 and name in POSITIVE)):
            wanted = "a positive number" if name in POSITIVE else "zero or more"
            raise Refusal(f"{name}: expected {wanted}, got {value}.")
    return composed


def refuse_training(tree: Tree, choices: Mapping[str, Any]) -> None:
    """Refuse what cannot be trained: scale, patch, batch, module and data that do not fit together."""
    model = str(choices.get("model"))
    spec = get(tree, "model.spec") or {}
    if spec.get("trainable") is False:
        raise Refusal(f"model={model} has no parameters, so there is nothing to train; evaluate.py model={model}.")
    check_scale(model, spec, tree["scale"])
    hr_patch = _check_patch(tree, model, spec)
    _check_batch(tree)
    if get(tree, "protocol") == "y_chain" and get(tree, "model.channels") == 3:
        raise Refusal(
            f"protocol=y_chain scores networks of one channel, model={model} has model.channels=3; "
            "use protocol=rgb_to_y."
        )
    if choices.get("module") == "gan":
        _check_gan(tree, hr_patch)
    elif get(tree, "trainer.gradient_clip_val") and get(tree, "module.gradient_clip"):
        raise Refusal("module.gradient_clip and trainer.gradient_clip_val are the same here; give one of them.")
    if get(tree, "data.demonstration"):
        for key in ("data.train_dir", "data.val_dir", "data.test_dir"):
            if get(tree, key):
                raise Refusal(
                    f"{key} has no meaning for data={choices['data']}, whose images are fixed; add data=folder."
                )
    else:
        for key in ("data.train_dir", "data.val_dir"):
            check_data_folder(tree, key, min_side=hr_patch if key == "data.train_dir" else tree["scale"])
        if get(tree, "data.test_dir"):
            check_data_folder(tree, "data.test_dir", min_side=tree["scale"])


def check_scale(model: str, spec: Mapping[str, Any], scale: int) -> None:
    """Refuse a scale that the network does not have."""
    scales = spec.get("scales")
    if scales and scale not in scales:
        names = ", ".join(str(known) for known in scales)
        raise Refusal(f"model={model} supports scale {names}, got scale={scale}.")


def check_data_folder(tree: Tree, key: str, *, min_side: int) -> None:
    """Refuse a data folder that is not given, missing, empty, unreadable or of too small images."""
    folder = get(tree, key)
    if not folder:
        raise Refusal(f"{key}: expected a folder of images, got nothing; say {key}=PATH.")
    try:
        check_folder(Path(os.path.expanduser(folder)), key=key, min_side=min_side)  # noqa: PTH111 - a str comes in
    except DataError as error:
        raise Refusal(str(error)) from error


def get(tree: Any, path: str) -> Any:
    """Return the value at a dotted path, or None where there is none."""
    for part in path.split("."):
        if not isinstance(tree, dict) or part not in tree:
            return None
        tree = tree[part]
    return tree


def _check_choice(override: Override, groups: Mapping[str, Sequence[str]]) -> None:
    group = override.key_or_group
    value = override.value()
    for name in value if isinstance(value, list) else [value]:
        if name is None and not override.is_delete():
            continue
        if not override.is_delete() and str(name) not in groups[group]:
            raise Refusal(
                f"{group}: expected one of {', '.join(groups[group])}, got '{name}'{nearest(str(name), groups[group])}"
            )


def _check_key(override: Override, valid: Iterable[str], groups: Mapping[str, Sequence[str]]) -> None:
    key = override.key_or_group
    valid = set(valid)
    if key in valid:
        return
    parent = key.rpartition(".")[0]
    collection = next((name for name in COLLECTIONS if key.startswith(f"{name}.")), None)
    if collection and override.is_add():
        # A new member is judged as a whole after composing: it needs a `_target_`.
        return
    siblings = [path for path in valid if path.rpartition(".")[0] == parent]
    # `modle=srgan`: a group that has the choice is likelier meant than one of a nearer name.
    value = str(override.get_value_element_as_str()) if not override.is_delete() else ""
    with_choice = [name for name, choices in groups.items() if value in choices]
    hint = (
        nearest(key, with_choice)
        or nearest(key, siblings)
        or nearest(key, [*valid, *groups])
        or _same_ending(key, valid)
        or f"; the keys there are {', '.join(sorted(siblings))}"
    )
    raise Refusal(f"unknown key '{key}': expected a key that the configuration has, got '{_text(override)}'{hint}")


def _same_ending(key: str, valid: Iterable[str]) -> str:
    last = key.rpartition(".")[2]
    matches = sorted(path for path in valid if path.rpartition(".")[2] == last)
    return f"; did you mean '{matches[0]}'?" if matches else ""


def _reference(
    composer: Composer,
    composed: Composed,
    groups: Mapping[str, Sequence[str]],
    example: Composed,
    chosen: Sequence[str],
) -> Composed:
    """Compose the same choices without the files that only set values: it shows every key that exists."""
    loose = ("experiment", "debug", "local")
    if not any(composed.choices.get(name) for name in loose):
        return example
    overrides = ["~local"] if composed.choices.get("local") else []
    for group, choice in composed.choices.items():
        if group in groups and group not in loose and choice is not None:
            overrides.append(f"{group}=[{','.join(choice)}]" if isinstance(choice, list) else f"{group}={choice}")
    # Hydra does not tell the choice of a group given as a list.
    given = {text.partition("=")[0] for text in overrides} | set(loose)
    overrides += [text for text in chosen if text.partition("=")[0] not in given and text.partition("=")[0] in groups]
    return composer.compose(overrides)


def _drop_fragments(tree: Tree, reference: Tree, values: Iterable[Override]) -> None:
    """Drop what an experiment sets for a loss that the command line has replaced.

    `experiment=e loss=charbonnier`, where e sets `loss.perceptual.weight`, leaves `perceptual: {weight: ...}`
    without a target. The command line wins, so the left-over goes; the engine drops the same.
    """
    named = {override.key_or_group for override in values}
    for name, term in list((tree.get("loss") or {}).items()):
        orphan = isinstance(term, dict) and "_target_" not in term and name not in (reference.get("loss") or {})
        if orphan:
            given = next((key for key in named if key.startswith(f"loss.{name}.")), None)
            if given:
                raise Refusal(
                    f"unknown key '{given}': the loss has no term '{name}'; it has {', '.join(reference['loss'])}"
                    f"{nearest(name, reference['loss'])}"
                )
            del tree["loss"][name]


def _check_against(tree: Tree, reference: Tree, choices: Mapping[str, Any], prefix: str = "") -> None:
    for key, value in tree.items():
        path = f"{prefix}{key}"
        if key not in reference:
            if prefix[:-1] in COLLECTIONS and isinstance(value, dict) and "_target_" in value:
                continue
            origin = ", ".join(f"{name}={choices[name]}" for name in ("experiment", "debug") if choices.get(name))
            source = f" (from {origin} or your own yamls)" if origin else ""
            raise Refusal(f"unknown key '{path}'{source}{nearest(path, _paths(reference, prefix))}")
        _check_type(path, value, reference[key])
        if isinstance(value, dict) and isinstance(reference[key], dict):
            _check_against(value, reference[key], choices, f"{path}.")
    gone = [f"{prefix}{key}" for key in reference if key not in tree]
    if gone and prefix[:-1] not in COLLECTIONS:
        raise Refusal(f"the key '{gone[0]}' was taken away, but it is needed; leave it or give it another value.")


def _check_type(path: str, value: Any, example: Any) -> None:
    allowed = TYPES.get(path)
    if allowed is None:
        if example is None or path.startswith("hydra"):
            return
        allowed = (int, float) if isinstance(example, float) else (type(example),)
    elif value is None and path not in NOT_NULL:
        return
    # bool is a kind of int for Python, but not for a person.
    if not isinstance(value, allowed) or (isinstance(value, bool) and bool not in allowed):
        names = {int: "an integer", float: "a number", str: "a text", list: "a list", bool: "true or false"}
        wanted = " or ".join(
            names.get(kind, "several keys") for kind in allowed if kind is not int or len(allowed) == 1
        )
        got = "null" if value is None else f"'{value}'"
        raise Refusal(f"{path}: expected {wanted or 'a number'}, got {got}.")


def _check_patch(tree: Tree, model: str, spec: Mapping[str, Any]) -> int:
    scale = tree["scale"]
    hr_patch, lr_patch = get(tree, "data.hr_patch"), get(tree, "data.lr_patch")
    if (hr_patch is None) == (lr_patch is None):
        raise Refusal(
            f"expected exactly one of data.hr_patch and data.lr_patch, got {hr_patch} and {lr_patch}; "
            "set the other to null."
        )
    if hr_patch is not None and hr_patch % scale:
        fits = max(scale, round(hr_patch / scale) * scale)
        raise Refusal(f"data.hr_patch: expected a multiple of scale={scale}, got {hr_patch}; {fits} fits.")
    side = lr_patch if lr_patch is not None else hr_patch // scale
    smallest, multiple = spec.get("min_size", 1), spec.get("multiple", 1)
    if side < smallest:
        raise Refusal(
            f"model={model} needs LR patches of at least {smallest} pixels, got {side}; "
            f"set data.hr_patch={smallest * scale} or more."
        )
    if side % multiple:
        raise Refusal(
            f"model={model} needs LR patches with sides that are multiples of {multiple}, got {side}; "
            f"set data.hr_patch={max(1, round(side / multiple)) * multiple * scale}."
        )
    return int(side * scale)


def _check_batch(tree: Tree) -> None:
    devices = get(tree, "trainer.devices")
    batch, accumulate = get(tree, "data.batch_size"), get(tree, "module.accumulate") or 1
    parts = accumulate * (devices if isinstance(devices, int) and devices > 0 else 1)
    parts *= get(tree, "trainer.num_nodes") or 1
    if batch % parts:
        raise Refusal(
            f"data.batch_size is what one optimiser step sees, over all devices and module.accumulate: expected a "
            f"multiple of {parts}, got {batch}."
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
    spec = get(tree, "module.discriminator.spec") or {}
    smallest, multiple = spec.get("min_size", 1), spec.get("multiple", 1)
    if hr_patch < smallest or hr_patch % multiple:
        fits = max(smallest, round(hr_patch / multiple) * multiple)
        raise Refusal(
            f"the discriminator takes HR patches of at least {smallest} pixels in multiples of {multiple}, got "
            f"{hr_patch}; data.hr_patch={fits} fits."
        )
    pretrain, steps = get(tree, "module.pretrain_steps"), get(tree, "trainer.max_steps")
    if pretrain >= steps:
        raise Refusal(
            f"module.pretrain_steps={pretrain} leaves no adversarial step of trainer.max_steps={steps}; "
            "raise max_steps, or train the generator alone with module=pixel."
        )


def _paths(tree: Any, prefix: str = "") -> list[str]:
    if not isinstance(tree, dict):
        return []
    found = []
    for key, value in tree.items():
        found.append(f"{prefix}{key}")
        found.extend(_paths(value, f"{prefix}{key}."))
    return found


def _text(override: Override) -> str:
    return override.input_line or override.key_or_group
