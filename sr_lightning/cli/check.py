"""Holding a configuration against the yamls: groups, choices, keys, types, ranges.

What is valid is read off the yamls themselves: every key that a person may set stands in one of them.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from hydra.core.override_parser.types import Override
from omegaconf import OmegaConf

from sr_lightning.cli.compose import Composed, Composer, Tree, without_fragments
from sr_lightning.extras import KNOWN_CODE
from sr_lightning.refusal import Refusal, nearest
from sr_lightning.yamls import conf_dir

# A yaml's value shows the type of a key by example; these have no example (null) or take several types.
TYPES: dict[str, tuple[type, ...]] = {
    "scale": (int,),
    "resume": (str,),
    "eval": (list, str),
    "names.group": (str,),
    "names.experiment": (str,),
    "sweep.name": (str,),
    "hydra.launcher.jobs": (int,),
    "hydra.launcher.gpus": (list,),
    "data.root": (str,),
    "data.train_dir": (str,),
    "data.val_dir": (str,),
    "data.test_dir": (str,),
    "data.val": (str,),
    "data.lr_dir": (str,),
    "data.val_lr_dir": (str,),
    "data.scales": (list,),
    "model.scales": (list,),
    "model.deviation": (int, float),
    "eval_exclude": (list, str),
    "metrics": (list, str),
    "degradations": (list, dict, str),
    "pairs": (str,),
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
    "model.pretrained": (str,),
    "images": (str,),
    "save": (str,),
    "output": (str,),
    "format": (str,),
    "title": (str, int, float),
    "figure.images": (int, list),
    "ab": (list,),
    "project": (str, int),
    "entity": (str,),
    "group": (str,),
    "name": (str,),
    "scales": (list, int),
    "protocols": (list, str),
    "sets": (list, str),
    "models": (list, str),
    "dry_run": (str,),
}
# May not be null where their yaml has a value; of the other keys with a type above null switches something off.
NOT_NULL = ("scale", "trainer.devices", "trainer.precision", "metrics", "models")

# Plain choices that are no configuration group. Tests hold them equal to what the code behind them accepts.
CHOICES: dict[str, tuple[str, ...]] = {
    "protocol": ("rgb_to_y", "y_chain", "y_float", "rgb", "rgb_div2k"),
    "module.adversarial.kind": ("vanilla", "least_squares", "hinge", "relativistic_average"),
    "module.adversarial.penalty": ("none", "r1", "gradient"),
    "scheduler.unit": ("steps", "epochs"),
    "trainer.precision": ("auto", "32-true", "32", "bf16-mixed", "16-mixed"),
    "trainer.accelerator": ("auto", "cpu", "gpu", "cuda"),
    "trainer.strategy": ("auto", "ddp", "ddp_find_unused_parameters_true"),
    "device": ("auto", "cpu", "cuda", "mps"),
    "what": ("workspace", "report", "both"),
    "format": ("html", "csv", "md", "latex"),
    "data.store": ("disk", "ram", "off"),
    "data.crop": ("random", "centre", "whole", "resize"),
    "preflight": ("check", "only"),
}
# Other choices for a key of the same name in another command.
CHOICES_IN: dict[str, dict[str, tuple[str, ...]]] = {
    "export": {"format": ("safetensors", "pth")},
    "models": {"format": ("table", "md")},
}
# The same of keys that mean this in one class alone: a class of the user's own may have them too.
CHOICES_OF: dict[str, dict[str, tuple[str, ...]]] = {
    "sr_lightning.degradations.resize.Resize": {"kind": ("pil", "cv2", "bilinear")},
    "sr_lightning.degradations.bicubic.Bicubic": {
        "border": ("symmetric", "replicate"),
        "rounding": ("uint8_each", "end"),
    },
    "sr_lightning.degradations.blur_down.BlurDown": {"border": ("symmetric", "replicate")},
}

POSITIVE = (
    "scale", "trainer.max_steps", "trainer.val_every_steps", "trainer.epoch_steps", "trainer.log_every_steps",
    "trainer.num_nodes", "data.batch_size", "data.hr_patch", "data.lr_patch", "module.accumulate",
    "optimizer.lr", "module.gradient_clip", "trainer.gradient_clip_val", "callbacks.checkpoints.every_steps",
    "hydra.launcher.jobs", "hydra.launcher.poll", "figure.runs", "module.adversarial.penalty_every",
    "scheduler.gamma", "scheduler.length", "module.pretrain_scheduler.gamma", "module.pretrain_scheduler.length",
)  # fmt: skip
NOT_NEGATIVE = (
    "seed", "data.num_workers", "scheduler.warmup", "module.adversarial.weight", "module.adversarial.start",
    "module.adversarial.ramp", "module.pretrain_steps", "data.holdout", "data.max_skipped", "hydra.launcher.retries",
    "images.megabytes", "blind.port", "blind.seed", "module.adversarial.penalty_weight", "scheduler.floor",
    "module.pretrain_scheduler.floor",
)  # fmt: skip

# Groups whose members are named objects, so that a user may add one with a `_target_` or take one away.
COLLECTIONS = ("loss", "logger", "callbacks", "module.pretrain_loss")

# Networks, whose whole numbers are sizes, and the least of them: generators are tried when they are built.
SIZED = {"model": 0, "module.discriminator": 1}

# Losses, each a collection of terms; and what every term has, whatever its yaml lists, with its type.
LOSSES = ("loss", "module.pretrain_loss")
OF_TERMS: dict[str, tuple[type, ...]] = {"weight": (int, float), "start": (int,), "ramp": (int,)}

# Mappings whose keys are values themselves (a VGG layer or a data set and its weight, a layer and its rate): any key
# goes, and the whole is replaced.
FREE = re.compile(r"loss\.[^.]+\.layers|data\.sets|(optimizer|module\.discriminator_optimizer)\.layer_lr")

# How the keys of launchers begin.
LAUNCHER = "hydra.launcher."

# Groups whose files set keys but make none; they may be left out (`~debug`).
LOOSE = ("experiment", "hparams_search", "debug", "local")
# Groups of Hydra's own that are chosen on a command line.
HYDRA_GROUPS = ("hydra/launcher", "hydra/sweeper")


def compose_checked(composer: Composer, texts: Sequence[str], given: Sequence[str] = ()) -> Composed:
    """Compose one run and refuse unknown groups, choices and keys, wrong types and unknown plain choices.

    Args:
        composer: of the command's primary yaml.
        texts: overrides as on the command line, without sweeps.
        given: overrides that the program made itself: their keys are known.
    """
    chosen: list[str] = []
    nested: dict[str, str] = {}
    values: list[Override] = []
    of_launcher: list[Override] = []
    overrides = composer.parse(texts)
    for override, text in zip(overrides, texts, strict=True):
        key = override.key_or_group
        if key in composer.groups:
            _check_choice(override, composer.groups[key])
            if "/" in key:
                nested[key] = text
            else:
                chosen.append(text)
        elif key.startswith(LAUNCHER):
            of_launcher.append(override)
        elif key == "hydra" or key.startswith(("hydra.", "hydra/")):
            if key in HYDRA_GROUPS:
                _check_choice(override, composer.choices_of(key))
            chosen.append(text)
        else:
            values.append(override)
    for key in nested:
        _check_nested(key, composer, chosen)
    chosen += nested.values()
    _check_together(composer, chosen)
    reference = composer.compose(chosen, without=LOOSE)
    _check_presets(composer, [override for override in overrides if override.key_or_group == "loss"], chosen)
    for override in values:
        _check_key(override, composer, chosen)
    _check_launcher_keys(of_launcher, reference)
    composed = composer.compose([*texts, *given])
    _check_launcher(composed, reference)
    tree = dict(composed.tree)
    if "loss" in tree:
        tree["loss"] = without_fragments(tree["loss"])
        _check_fragments(values, set(composed.tree["loss"]) - set(tree["loss"]), tree["loss"])
    if composer.config_name in ("evaluate", "upscale", "export"):
        # conf/local is written for train as well: what these commands do not know of it does not concern them.
        tree = {key: value for key, value in tree.items() if key in reference.tree}
    named = composed.choices.items()
    loose = [f"{name}={choice}" for name, choice in named if name in LOOSE and choice in composer.groups.get(name, ())]
    for key, least in SIZED.items():
        _check_sizes(key, get(tree, key) or {}, get(reference.tree, key) or {}, least=least)
    _check_against(tree, reference.tree, origin=f" (from {', '.join(loose)})" if loose else "")
    _check_values(tree, command=composer.config_name)
    return replace(composed, tree=tree)


def refuse_values(overrides: Sequence[Override], *, sweeps: bool) -> None:
    """Refuse `scale=2,3` where a command runs once.

    Args:
        overrides: the arguments.
        sweeps: whether the command has a `-m`.
    """
    swept = [override.key_or_group for override in overrides if override.is_sweep_override()]
    if swept:
        hint = "add -m to sweep over them" if sweeps else "quote a value that holds commas"
        raise Refusal(f"{swept[0]} has several values; {hint}, or write a list as '{swept[0]}=[a,b]'.")


def get(tree: Any, path: str) -> Any:
    """Return the value at a dotted path, or None where there is none."""
    for part in path.split("."):
        if not isinstance(tree, dict) or part not in tree:
            return None
        tree = tree[part]
    return tree


def _check_choice(override: Override, choices: Sequence[str]) -> None:
    group = override.key_or_group
    expected = f"{group}: expected one of {', '.join(choices)}, got"
    if override.is_delete():
        if group in LOOSE:
            return
        raise Refusal(f"{expected} {_text(override)}, which would leave it out.")
    value = override.value()
    if value is None or value == []:
        hint = f"; ~{group} leaves it out" if group in LOOSE else ""
        raise Refusal(f"{expected} {'null' if value is None else 'none of them'}{hint}.")
    for name in value if isinstance(value, list) else [value]:
        if str(name) not in choices:
            raise Refusal(f"{expected} '{name}'{nearest(str(name), choices, likeness=0.5)}")


def _check_nested(key: str, composer: Composer, chosen: Sequence[str]) -> None:
    """Refuse `module/discriminator=patch` where the module has no discriminator."""
    choices = composer.compose(chosen, without=LOOSE).choices
    if key in choices:
        return
    group = key.partition("/")[0]
    if group not in choices:
        raise Refusal(f"unknown key '{group}': {composer.config_name} has no {group} to choose.")
    owners = [
        f"{group}={name}"
        for name in composer.groups[group]
        if key in composer.compose([f"{group}={name}"], without=LOOSE).choices
    ]
    hint = f"; {' or '.join(owners)} has it" if owners else ""
    raise Refusal(f"{key}: {group}={choices.get(group)} has no such part{hint}.")


def _check_together(composer: Composer, chosen: Sequence[str]) -> None:
    """Refuse `model=esrgan module=pixel`: the model's yaml chooses a part that this module does not have."""
    try:
        composer.compose(chosen)
    except Refusal as refusal:
        whole = composer.compose([])
        # Of a list of choices, such as losses, only the tree tells.
        parts = {*whole.choices, *(key for key, value in whole.tree.items() if value)}
        for text in chosen:
            key = re.split("[=@/]", text)[0]
            if key in composer.groups and key not in parts:
                own = "" if (conf_dir() / key).is_dir() else f"; a group of your own is added by +{text}"
                raise Refusal(f"unknown key '{key}': {composer.config_name} has no {key} to choose{own}.") from refusal
        groups = [text for text in chosen if re.split("[=@]", text.lstrip("+"))[0] in composer.groups]
        # What was asked for is the model or the experiment; the other does not fit it.
        for text in sorted(groups, key=lambda text: text.startswith(("model=", "experiment="))):
            if _composes(composer, [other for other in chosen if other != text]):
                others = " ".join(other for other in groups if other != text)
                if "@" in text and not text.startswith("+"):
                    raise Refusal(f"{text} changes a choice, and there is none; to add one say +{text}") from refusal
                raise Refusal(f"{text} does not go with {others or 'the rest'}; leave it out. ({refusal})") from refusal
        raise


def _check_presets(composer: Composer, overrides: Sequence[Override], chosen: Sequence[str]) -> None:
    """Refuse `loss=[srgan,esrgan]` and `+loss@loss.l1=mse`: terms of one name would become one, half of each."""
    named = "give a second term a name of its own, as in +loss@loss.second=l1."
    lists = [override.value() for override in overrides if override.package is None]
    owners: dict[str, str] = {}
    for name in lists[-1] if lists and isinstance(lists[-1], list) and len(lists[-1]) > 1 else ():
        for term in composer.compose([f"loss={name}"], without=LOOSE).tree["loss"]:
            if term in owners:
                raise Refusal(f"loss: {owners[term]} and {name} both bring a term '{term}'; leave one out, or {named}")
            owners[term] = name
    added = [override for override in overrides if override.package and override.is_add()]
    if not added:
        return
    texts = [str(override.input_line) for override in added]
    first = composer.compose([text for text in chosen if text not in texts]).tree
    taken = {f"{place}.{name}" for place in LOSSES for name in without_fragments(get(first, place) or {})}
    for override, text in zip(added, texts, strict=True):
        if override.package in taken:
            name = str(override.package).rpartition(".")[2]
            raise Refusal(f"{text}: the loss has a term '{name}' already; choose it by loss=[...], or {named}")
        taken.add(str(override.package))


def _composes(composer: Composer, chosen: Sequence[str]) -> bool:
    try:
        composer.compose(chosen)
    except Refusal:
        return False
    return True


def _check_key(override: Override, composer: Composer, chosen: Sequence[str]) -> None:
    key = override.key_or_group
    if key.startswith("names.") and key != "names.group":
        raise Refusal(f"{key} only says what was chosen; choose with {key.removeprefix('names.')}=...")
    valid = set(_paths(composer.compose(chosen, without=LOOSE).tree))
    if FREE.fullmatch(key) and key in valid:
        return
    member = next((name for name in COLLECTIONS if key.startswith(f"{name}.")), None)
    if key not in valid and member:
        if override.is_add() or override.is_force_add():
            # A new member is judged as a whole after composing: it needs a `_target_`.
            return
        # It may be a member that an experiment brings.
        valid |= set(_paths(composer.compose(chosen).tree))
    if key in valid:
        if override.is_delete() and (key.rpartition(".")[0] not in COLLECTIONS or key == "callbacks.checkpoints"):
            raise Refusal(f"the key '{key}' cannot be taken away ({_text(override)}); give it another value.")
        return
    raise Refusal(
        f"unknown key '{key}': expected a key that the configuration has, got '{_text(override)}'"
        f"{_key_hint(override, valid, composer)}"
    )


def _key_hint(override: Override, valid: set[str], composer: Composer) -> str:
    """Return what was probably meant by an unknown key."""
    key = override.key_or_group
    parent, _, last = key.rpartition(".")
    siblings = {path.rpartition(".")[2] for path in valid if path.rpartition(".")[0] == parent}
    siblings -= {"_target_", "spec"}
    # `modle=srgan`: a group that has the choice is likelier meant than one of a nearer name.
    value = "" if override.is_delete() else str(override.get_value_element_as_str())
    with_choice = [name for name, choices in composer.groups.items() if value in choices]
    group, _, rest = key.partition(".")
    owners = [name for name in composer.groups.get(group, []) if rest in _paths(composer.own_content(group, name))]
    same_ending = sorted(path for path in valid if last and path.rpartition(".")[2] == last)
    near = nearest(key, with_choice) or nearest(last, siblings).replace(
        "mean '", f"mean '{parent}." if parent else "mean '"
    )
    if owners:
        return f"; {' or '.join(f'{group}={name}' for name in owners)} has it"
    if near:
        return near
    if same_ending:
        return f"; did you mean '{same_ending[0]}'?"
    listed = f"; the keys there are {', '.join(sorted(siblings))}" if siblings else ""
    return nearest(key, [*valid, *composer.groups]) or listed


def _pool(composed: Composed) -> Tree:
    """Return the keys of the pool, ours; those of other launchers have schemas, by which Hydra checks them."""
    if composed.choices.get("hydra/launcher") != "pool":
        return {}
    pool = OmegaConf.to_container(composed.config.hydra.launcher)
    assert isinstance(pool, dict)
    return {str(key): value for key, value in pool.items()}


def _check_launcher_keys(overrides: Sequence[Override], reference: Composed) -> None:
    valid = [f"{LAUNCHER}{name}" for name in _pool(reference) if name != "_target_"]
    for override in overrides:
        key = override.key_or_group
        if valid and key not in valid:
            raise Refusal(
                f"unknown key '{key}': expected one of {', '.join(valid)}, got '{_text(override)}'{nearest(key, valid)}"
            )


def _check_launcher(composed: Composed, reference: Composed) -> None:
    pool, example = _pool(composed), _pool(reference)
    # Another launcher may be what an experiment chooses.
    if pool and example:
        _check_against(pool, example, origin="", prefix=LAUNCHER)
        _check_values({"hydra": {"launcher": pool}})


def _check_fragments(values: Sequence[Override], fragments: set[str], loss: Mapping[str, Any]) -> None:
    """Refuse `+loss.foo.weight=1`: only what an experiment left over is dropped without a word."""
    for override in values:
        name = override.key_or_group.removeprefix("loss.").partition(".")[0]
        if override.key_or_group.startswith("loss.") and name in fragments:
            raise Refusal(
                f"unknown key '{override.key_or_group}': the loss has no term '{name}'; it has {', '.join(loss)}"
                f"{nearest(name, loss)}"
            )


def _check_against(tree: Tree, reference: Tree, *, origin: str, prefix: str = "") -> None:
    """Refuse keys that no yaml of a group has, keys that were taken away, and values of another type."""
    for key, value in tree.items():
        path = f"{prefix}{key}"
        if key not in reference:
            if prefix[:-1] in COLLECTIONS and isinstance(value, dict) and "_target_" in value:
                continue
            siblings = [f"{prefix}{name}" for name in reference if name not in ("_target_", "spec")]
            raise Refusal(f"unknown key '{path}'{origin}{nearest(path, siblings)}")
        _check_type(path, value, reference[key])
        if FREE.fullmatch(path):
            for name, entry in value.items():
                # A set without a weight counts by its images.
                if entry is not None or path != "data.sets":
                    _check_type(f"{path}.{name}", entry, 1.0)
        elif isinstance(value, dict) and isinstance(reference[key], dict):
            _check_against(value, reference[key], origin=origin, prefix=f"{path}.")
    gone = [f"{prefix}{key}" for key in reference if key not in tree]
    if gone and prefix[:-1] not in COLLECTIONS:
        raise Refusal(f"the key '{gone[0]}' was taken away, but it is needed; leave it or give it another value.")


def _check_sizes(path: str, node: Tree, reference: Tree, *, least: int) -> None:
    """Refuse too small numbers of layers, channels or pixels; what other people's code means by a number is theirs."""
    if not str(node.get("_target_")).startswith(KNOWN_CODE):
        return
    for key, example in reference.items():
        value = node.get(key)
        shown = example[0] if isinstance(example, list) and example else example
        # What is wrong with these two is said in other words.
        if isinstance(shown, bool) or not isinstance(shown, int) or shown < 1 or key in ("scale", "channels"):
            continue
        for entry in value if isinstance(value, list) else [value]:
            if isinstance(entry, int) and entry < least:
                raise Refusal(f"{path}.{key}: expected {least} or more, got {value}.")


def _check_type(path: str, value: Any, example: Any) -> None:
    # `images` is a folder for one command and a group of keys for another.
    allowed = None if isinstance(value, dict) and isinstance(example, dict) else TYPES.get(path)
    if value == "???":
        raise Refusal(f"{path}: expected a value, got nothing; say {path}=...")
    if allowed is None:
        if example is None or example == "???":
            return
        allowed = (int, float) if isinstance(example, float) else (type(example),)
    elif value is None and (path not in NOT_NULL or example is None):
        return
    # bool is a kind of int for Python, but not for a person.
    if not isinstance(value, allowed) or (isinstance(value, bool) and bool not in allowed):
        names = {int: "an integer", float: "a number", str: "a text", list: "a list", bool: "true or false"}
        wanted = [names.get(kind, "several keys") for kind in allowed if not (kind is int and float in allowed)]
        raise Refusal(f"{path}: expected {' or '.join(wanted)}, got {'null' if value is None else repr(value)}.")
    # Terms of a loss are held against more, by `_check_term`.
    if isinstance(value, float) and math.isnan(value) and not (path.startswith(LOSSES) and path.endswith(".weight")):
        raise Refusal(f"{path}: expected a number, got {value}.")
    if isinstance(value, list) and isinstance(example, list) and example:
        for index, entry in enumerate(value):
            _check_type(f"{path}[{index}]", entry, example[0])


def _check_values(tree: Tree, *, command: str = "train") -> None:
    choices_here = CHOICES | CHOICES_IN.get(command, {})
    own = CHOICES_OF.get(str(get(tree, "degradation._target_")), {})
    for name, choices in (choices_here | {f"degradation.{key}": choices for key, choices in own.items()}).items():
        value = get(tree, name)
        if value is not None and str(value) not in choices:
            raise Refusal(f"{name}: expected one of {', '.join(choices)}, got '{value}'{nearest(str(value), choices)}")
    for name in POSITIVE + NOT_NEGATIVE:
        value = get(tree, name)
        if value is not None and (value < 0 or (value == 0 and name in POSITIVE)):
            wanted = "a positive number" if name in POSITIVE else "zero or more"
            raise Refusal(f"{name}: expected {wanted}, got {value}.")
    for loss in LOSSES:
        for name, term in (get(tree, loss) or {}).items():
            _check_term(f"{loss}.{name}", term)


def _check_term(path: str, term: Any) -> None:
    """Refuse a weight, start or ramp that is none; a term that `+loss.mine=...` brings has no yaml that tells so."""
    for key, types in OF_TERMS.items():
        value: Any = term[key] if isinstance(term, dict) and key in term else 0
        is_number = isinstance(value, types) and not isinstance(value, bool)
        if not (is_number and 0 <= value < math.inf):
            wanted = "a number" if float in types else "a number of steps"
            raise Refusal(f"{path}.{key}: expected {wanted}, zero or more, got {value!r}.")


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
