"""`evaluate`: PSNR and SSIM of a checkpoint, published weights, bicubic, or a folder of images."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from sr_lightning.cli.app import Command, launch, refuse
from sr_lightning.cli.compose import Tree
from sr_lightning.cli.refuse import check_given_network, check_scoring, find_sets_checked
from sr_lightning.data.benchmarks import EvaluationSet, match_images
from sr_lightning.data.scan import DataError
from sr_lightning.refusal import Refusal
from sr_lightning.weights.files import check_there
from sr_lightning.yamls import conf_dir

EXAMPLES = (
    (
        "python evaluate.py checkpoint=runs/.../checkpoints/best.ckpt data.root=DIR",
        "every set that lies under DIR",
    ),
    ("python evaluate.py model=bicubic scale=4 data.root=DIR protocol=y_chain", "the row that papers print"),
    (
        "python evaluate.py model=imdn model.pretrained=IMDN_x4.pth scale=4 data.root=DIR",
        "weights that others have published",
    ),
    (
        "python evaluate.py checkpoint=PATH data.root=DIR 'eval=[set5,set14]' output=scores.json",
        "two sets, as JSON",
    ),
    ("python evaluate.py checkpoint=PATH data.root=DIR save=DIR", "keep the SR images"),
    ("python evaluate.py images=DIR scale=4 data.root=DIR eval=[set5]", "score anybody's SR images"),
    (
        "python evaluate.py checkpoint=PATH data.root=DIR degradation=resize degradation.kind=pil",
        "on LR made by another rule than MATLAB's, and what that costs",
    ),
    (
        "python evaluate.py checkpoint=PATH data.root=DIR 'eval_exclude=[Set5/woman]'",
        "without an image that was trained on",
    ),
    ("python evaluate.py checkpoint=PATH data.root=DIR self_ensemble=true", "the + of papers: 8 views of each image"),
    (
        "python evaluate.py checkpoint=PATH data.root=DIR 'metrics=[lpips,niqe]' regions=true",
        "these metrics beside PSNR and SSIM; edges, texture and flat parts apart",
    ),
    (
        "python evaluate.py checkpoint=PATH data.root=DIR 'degradations=[blur_down,classical]'",
        "each set on its LR, and on others: Set5, Set5/blur_down, Set5/classical",
    ),
)


def main() -> None:
    """Evaluate with the arguments of this process."""
    launch(
        Command(
            name="evaluate",
            summary="score a checkpoint, published weights, bicubic, or a folder of images, under a named protocol.",
            examples=EXAMPLES,
            task=run,
            check=refuse_evaluation,
            borrows_model=True,
        )
    )


def refuse_evaluation(tree: Tree, choices: dict[str, Any]) -> None:
    """Refuse what cannot be evaluated."""
    model = tree["names"]["model"]
    given = [name for name in ("checkpoint", "images") if tree[name]] + (["model"] if model else [])
    if len(given) != 1:
        got = " and ".join(given) or "none of them"
        raise Refusal(f"expected exactly one of checkpoint=PATH, model=NAME and images=DIR, got {got}.")
    if tree["checkpoint"]:
        check_there(Path(tree["checkpoint"]).expanduser(), key="checkpoint")
    if model:
        check_given_network(tree)
    elif tree["images"] and tree["scale"] is None:
        raise Refusal("scale: expected a number, got nothing; say scale=4 (images do not know their own).")
    if choices.get("degradation"):
        _check_degradation(tree, str(choices["degradation"]))
    check_scoring(tree)
    for key in ("self_ensemble", "degradations"):
        if tree["images"] and tree[key]:
            raise Refusal(f"{key} is for a network, images={tree['images']} are SR already.")
    for key, wanted in (("output", "a file"), ("save", "a folder")):
        target = Path(tree[key]).expanduser() if tree[key] else None
        if target and (target.is_dir() if key == "output" else target.is_file()):
            raise Refusal(
                f"{key}: expected {wanted}, got {target}, which is {'a folder' if key == 'output' else 'a file'}."
            )
    # Without a scale, the checkpoint's is not known yet; the names of the sets are judged alike.
    sets = find_sets_checked(tree, scale=tree["scale"] or 1)
    if not sets:
        root = Path(tree["data"]["root"]).expanduser()
        raise Refusal(f"data.root: expected evaluation sets such as Set5/HR/*.png under {root}, found none.")
    if tree["images"]:
        _check_images(Path(tree["images"]).expanduser(), sets)


def run(cfg: DictConfig) -> None:
    """Hydra's task: score, print the table, write the JSON."""
    config = OmegaConf.to_container(cfg, resolve=True)
    assert isinstance(config, dict)
    from sr_lightning.engine.report_scores import report_scores

    try:
        report_scores({str(key): value for key, value in config.items()}, published_bicubic=_published_bicubic())
    except (Refusal, DataError) as refusal:
        refuse(refusal)


def _check_degradation(tree: Tree, name: str) -> None:
    if tree["images"]:
        raise Refusal(f"degradation={name} makes the LR of a network, images={tree['images']} are SR already.")
    if tree["protocol"] == "y_chain":
        raise Refusal(f"degradation={name} makes LR in colour, protocol=y_chain of Y; use protocol=rgb_to_y.")


def _check_images(folder: Path, sets: Sequence[EvaluationSet]) -> None:
    try:
        for evaluation_set in sets:
            match_images(folder, evaluation_set)
    except DataError as error:
        raise Refusal(str(error)) from error


def _published_bicubic() -> Any:
    model = OmegaConf.load(conf_dir() / "model" / "bicubic.yaml")
    return OmegaConf.to_container(OmegaConf.select(model, "spec.published"))
