"""`models`: the networks side by side."""

from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from sr_lightning.cli.app import Command, Rewritten, launch, refuse
from sr_lightning.cli.compose import Composer, Tree
from sr_lightning.cli.refuse import check_network
from sr_lightning.refusal import Refusal, nearest

EXAMPLES = (
    ("python -m sr_lightning models", "every network, a minute or more"),
    ("python -m sr_lightning models imdn rlfn span", "some of them"),
    ("python -m sr_lightning models times=false", "without the time on this machine"),
    ("python -m sr_lightning models format=md", "the page docs/models.md"),
)


def main() -> None:
    """Show the networks with the arguments of this process."""
    launch(
        Command(
            name="models",
            summary="show the networks side by side: parameters, multiply-adds, receptive field, time, published PSNR.",
            examples=EXAMPLES,
            task=run,
            check=refuse_models,
            rewrite=rewrite,
        )
    )


def rewrite(overrides: list[str]) -> Rewritten:
    """Let names stand alone: `imdn rlfn` for `models=[imdn,rlfn]`."""
    names = [text for text in overrides if text.isidentifier()]
    others = [text for text in overrides if text not in names]
    return Rewritten([*others, f"models=[{','.join(names)}]"] if names else others)


def refuse_models(tree: Tree, choices: dict[str, Any]) -> None:
    """Refuse networks that there are not, and a page that cannot be written."""
    known = Composer("train").groups["model"]
    for name in chosen(tree):
        if name not in known:
            raise Refusal(f"models: expected some of {', '.join(known)}, got '{name}'{nearest(name, known)}")
    if tree["format"] != "md":
        return
    output = Path(tree["output"]).expanduser()
    if output.suffix.lower() != ".md" or output.is_dir():
        raise Refusal(f"output: expected a file that ends in .md, got {output}.")
    if not output.parent.is_dir():
        raise Refusal(f"output: expected a folder that exists, got {output.parent}, which does not.")


def chosen(tree: Tree) -> list[str]:
    """Return the names of the networks to show; none for all of them."""
    given = tree["models"]
    return [given] if isinstance(given, str) else given


def run(cfg: DictConfig) -> None:
    """Hydra's task: measure, and print or write."""
    config = OmegaConf.to_container(cfg, resolve=True)
    assert isinstance(config, dict)
    tree = {str(key): value for key, value in config.items()}
    try:
        nodes = networks(chosen(tree))
        from sr_lightning.engine.measure_models import print_models, write_page

        if tree["format"] == "md":
            write_page(nodes, Path(tree["output"]).expanduser())
        else:
            print_models(nodes, times=tree["times"])
    except Refusal as refusal:
        refuse(refusal)


def networks(names: list[str]) -> dict[str, Tree]:
    """Compose networks as a training would; returns the content of their yamls by name.

    Args:
        names: of the models; all for an empty list.

    Raises:
        Refusal: one is of a package that is not installed.
    """
    composer = Composer("train")
    nodes: dict[str, Tree] = {}
    for name in names or composer.groups["model"]:
        scale = composer.own_content("model", name)["spec"]["scales"][0]
        nodes[name] = composer.compose([f"model={name}", f"scale={scale}"]).tree["model"]
        check_network(name, nodes[name], scale=scale)
    return nodes
