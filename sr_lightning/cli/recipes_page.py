"""The page `docs/recipes.md`, made of the yamls in `conf/experiment`: `python -m sr_lightning.cli.recipes_page`."""

import re
from collections.abc import Mapping
from typing import Any

from sr_lightning.cli.check import compose_checked
from sr_lightning.cli.compose import Composer, Tree
from sr_lightning.yamls import conf_dir

_INTRODUCTION = """\
# Recipes

Made of the yamls in `conf/experiment` by `make recipes`; change those, not this page.

`python train.py experiment=NAME data.root=DIR` trains as a paper or tutorial does, for as many steps as it did; papers'
in float32, tutorials' in bf16 where the hardware has it (`trainer.precision=auto`). Each yaml begins with its command,
its source, what was published and by which protocol, and what differs here and why. What stands on the command line
wins: `trainer.max_steps=20000` for a shorter run (the milestones of the rate stay where they are: set
`scheduler.milestones` too), `data=folder data.train_dir=DIR data.holdout=10` for other images, of which ten choose the
best weights, `module.accumulate=4` where a batch does not fit into memory (not the same with batch normalisation).

"""

_CHAIN = """\
## From x2 to x3, x4 and x8

EDSR, RCAN, SwinIR and HAT train x2 first. The other scales take its weights, all but the upsampling, whose tensors have
another shape or name; `model.pretrained_strict=false` allows that, and the run says what stays random.

```bash
python train.py experiment=edsr_baseline scale=2 data.root=DIR hydra.run.dir=runs/edsr_x2
python train.py experiment=edsr_baseline scale=4 data.root=DIR \\
  model.pretrained=runs/edsr_x2/checkpoints/best.ckpt model.pretrained_strict=false
```

SwinIR and HAT halve rate, steps and milestones there; the command stands in their yamls.

## One stage after another

SRGAN and ESRGAN have the training for PSNR as their own first phase, Real-ESRGAN too. With the weights of `srresnet`,
`rrdb` or `real_esrnet`, or a published file, it is left out: `model.pretrained=PATH module.pretrain_steps=0`, and
`trainer.max_steps` without its steps.

```bash
python train.py experiment=rrdb data.root=DIR hydra.run.dir=runs/rrdb
python train.py experiment=real_esrnet data.root=DIR hydra.run.dir=runs/esrnet \\
  model.pretrained=runs/rrdb/checkpoints/best.ckpt
python train.py experiment=real_esrgan data.root=DIR module.pretrain_steps=0 trainer.max_steps=400000 \\
  model.pretrained=runs/esrnet/checkpoints/best.ckpt
```

## Layers with a rate of their own

`optimizer.layer_lr={tail: 0.1}` gives the layers of that name, as `named_parameters` spells it, a share of the rate.
SRCNN, FSRCNN and ESPCN train their last layer so.
"""


def recipes_page() -> str:
    """Return the page in Markdown."""
    composer = Composer("train")
    trees = {name: compose_checked(composer, [f"experiment={name}"]).tree for name in composer.groups["experiment"]}
    tutorials = [name for name in trees if name.startswith("tutorial_")]
    papers = [name for name in trees if name not in tutorials and name != "quickstart"]
    lines = [_INTRODUCTION + "## Papers", "", *_table({name: trees[name] for name in papers}), ""]
    lines += ["Published: PSNR on Set5 in dB for the scales in brackets; the protocol stands in the yaml.", ""]
    lines += [
        "## Tutorials",
        "",
        "Networks as widely read tutorials train them; each yaml says what is weak in it, and",
    ]
    lines += ["which experiment is the better one.", "", *_table({name: trees[name] for name in tutorials}), ""]
    return "\n".join(lines) + "\n" + _CHAIN


def _table(trees: Mapping[str, Tree]) -> list[str]:
    heads = [
        "experiment",
        "source",
        "data",
        "scale",
        "patch",
        "batch",
        "optimiser",
        "rate",
        "steps",
        "loss",
        "published",
    ]
    rows = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    for name, tree in trees.items():
        facts = [f"`{name}`", _source(name), tree["names"]["data"], _scales(tree), _patch(tree["data"])]
        facts += [str(tree["data"]["batch_size"]), _class(tree["optimizer"]), _rate(tree), _steps(tree), _loss(tree)]
        rows.append(f"| {' | '.join([*facts, _published(name, tree)])} |")
    return rows


def _source(name: str) -> str:
    """Return the paper that an experiment's own header names: stages of one network may be of two papers."""
    text = (conf_dir() / "experiment" / f"{name}.yaml").read_text(encoding="utf-8")
    found = re.search(r"arXiv \d{4}\.\d{5}", text)
    return found[0] if found else "tutorial"


def _scales(tree: Tree) -> str:
    return ", ".join(f"x{scale}" for scale in tree["data"]["scales"] or [tree["scale"]])


def _patch(data: Mapping[str, Any]) -> str:
    if data["crop"] == "whole":
        return "whole images"
    side = f"HR {data['hr_patch']}" if data["hr_patch"] else f"LR {data['lr_patch']}"
    return side if data["crop"] == "random" else f"{side}, {data['crop']}"


def _class(node: Mapping[str, Any]) -> str:
    return str(node["_target_"]).rpartition(".")[2]


def _rate(tree: Tree) -> str:
    schedule, rates = tree["scheduler"], [f"{tree['optimizer']['lr']:g}"]
    if _class(schedule) == "MultiStep":
        epochs = schedule["epoch_steps"] if schedule["unit"] == "epochs" else 1
        milestones = ", ".join(_thousands(step * epochs) for step in schedule["milestones"])
        rates.append(f"x {schedule['gamma']:g} at {milestones}")
    elif _class(schedule) == "Cosine":
        rates.append(f"cosine to {schedule['floor'] * tree['optimizer']['lr']:g}")
    rates += [f"{layer} x {share:g}" for layer, share in tree["optimizer"]["layer_lr"].items()]
    return "; ".join(rates)


def _steps(tree: Tree) -> str:
    first, every = tree["module"].get("pretrain_steps"), tree["trainer"]["max_steps"]
    return f"{_thousands(first)} + {_thousands(every - first)}" if first else _thousands(every)


def _thousands(steps: int) -> str:
    return f"{steps / 1000:g}k"


def _loss(tree: Tree) -> str:
    terms = [f"{term['weight']:g} {name}" if term["weight"] != 1 else name for name, term in tree["loss"].items()]
    adversarial = tree["module"].get("adversarial")
    if adversarial:
        terms.append(f"{adversarial['weight']:g} {adversarial['kind']} ({_class(tree['module']['discriminator'])})")
    return " + ".join(terms)


def _published(name: str, tree: Tree) -> str:
    if name.startswith("tutorial_"):
        return ""
    published = tree["model"]["spec"]["published"]
    for protocol in ("y_chain", "rgb_to_y"):
        if protocol in published and tree["degradation"]["_target_"].endswith(".Bicubic"):
            scales = {scale: sets["Set5"][0] for scale, sets in published[protocol].items() if "Set5" in sets}
            return f"{' / '.join(f'{psnr:.2f}' for psnr in scales.values())} ({', '.join(scales)})"
    return "see its yaml"


if __name__ == "__main__":
    (conf_dir().parent / "docs" / "recipes.md").write_text(recipes_page(), encoding="utf-8")
