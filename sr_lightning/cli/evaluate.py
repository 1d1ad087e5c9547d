"""`evaluate`: PSNR and SSIM of a checkpoint, of bicubic, or of a folder of images, under a named protocol."""

from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from sr_lightning.cli.app import Command, launch, refuse
from sr_lightning.cli.compose import Tree, conf_dir
from sr_lightning.cli.refuse import check_scale, get
from sr_lightning.data.benchmarks import find_sets
from sr_lightning.data.scan import DataError
from sr_lightning.refusal import Refusal

EXAMPLES = (
    (
        "python evaluate.py checkpoint=runs/.../checkpoints/best.ckpt data.root=DIR",
        "every set that lies under DIR",
    ),
    ("python evaluate.py model=bicubic scale=4 data.root=DIR protocol=y_chain", "the row that papers print"),
    (
        "python evaluate.py checkpoint=PATH data.root=DIR 'eval=[set5,set14]' output=scores.json",
        "two sets, as JSON",
    ),
    ("python evaluate.py checkpoint=PATH data.root=DIR save=DIR", "keep the SR images"),
    ("python evaluate.py images=DIR scale=4 data.root=DIR eval=[set5]", "score anybody's SR images"),
)


def main() -> None:
    """Evaluate with the arguments of this process."""
    launch(
        Command(
            name="evaluate",
            summary="score a checkpoint, bicubic, or a folder of images, under a named protocol.",
            examples=EXAMPLES,
            task=run,
            check=refuse_evaluation,
        )
    )


def refuse_evaluation(tree: Tree, choices: dict[str, Any]) -> None:
    """Refuse what cannot be evaluated."""
    model = choices.get("model")
    given = [name for name in ("checkpoint", "images") if tree[name]] + (["model"] if model else [])
    if len(given) != 1:
        got = " and ".join(given) or "none of them"
        raise Refusal(f"expected exactly one of checkpoint=PATH, model=bicubic and images=DIR, got {got}.")
    spec = get(tree, "model.spec") or {}
    if model and spec.get("trainable", True):
        raise Refusal(
            f"model={model} without weights would give a random network's score; "
            "say checkpoint=PATH (model=bicubic needs no weights)."
        )
    if tree["checkpoint"] and not Path(tree["checkpoint"]).expanduser().is_file():
        raise Refusal(f"checkpoint: expected a file, got {tree['checkpoint']}, which is not there.")
    if tree["scale"] is None and not tree["checkpoint"]:
        raise Refusal("scale: expected a number, got nothing; say scale=4 (only a checkpoint knows its own).")
    if model:
        check_scale(str(model), spec, tree["scale"])
    root = Path(tree["data"]["root"]).expanduser()
    try:
        sets = find_sets(root, scale=tree["scale"] or 1, names=_names(tree["eval"]))
    except DataError as error:
        raise Refusal(str(error)) from error
    if not sets:
        raise Refusal(f"data.root: expected evaluation sets such as Set5/HR/*.png under {root}, found none.")


def run(cfg: DictConfig) -> None:
    """Hydra's task: score, print the table, write the JSON."""
    config = OmegaConf.to_container(cfg, resolve=True)
    assert isinstance(config, dict)
    from sr_lightning.engine.report_scores import report_scores

    try:
        report_scores(
            {str(key): value for key, value in config.items()},
            sets=_names(config["eval"]),
            published_bicubic=_published_bicubic(),
        )
    except (Refusal, DataError) as refusal:
        refuse(refusal)


def _names(value: str | list[str] | None) -> list[str] | None:
    return [value] if isinstance(value, str) else value


def _published_bicubic() -> Any:
    model = OmegaConf.load(conf_dir() / "model" / "bicubic.yaml")
    return OmegaConf.to_container(OmegaConf.select(model, "spec.published"))
