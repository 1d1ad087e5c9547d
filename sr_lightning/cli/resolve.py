"""The configuration of one training on its own: no interpolations, paths from the root; and the hash that names it."""

import copy
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from sr_lightning.cli.check import get
from sr_lightning.cli.compose import Tree, task_of, without_fragments
from sr_lightning.report.identity import config_hash

# What `loss.<name>.weights` may be besides a path.
SOURCES = ("imagenet", "random", "auto")
FOLDERS = ("root", "train_dir", "val_dir", "test_dir", "lr_dir", "val_lr_dir")


def resolve(cfg: DictConfig) -> DictConfig:
    """Return a configuration of `conf/train.yaml` on its own: without interpolations, with paths from the root."""
    resolved = OmegaConf.create(on_its_own(task_of(cfg)))
    assert isinstance(resolved, DictConfig)
    return resolved


def on_its_own(tree: Tree) -> Tree:
    """Return a composed configuration without left-overs of losses, and with paths from the root."""
    kept = copy.deepcopy({**tree, "loss": dict(without_fragments(tree["loss"]))})
    make_absolute(kept)
    return kept


def make_absolute(tree: Tree) -> None:
    """Let paths start at the root, so that the run can be continued from any folder."""
    terms = [term for key in ("loss", "module.pretrain_loss") for term in (get(tree, key) or {}).values()]
    nodes = [(tree["data"], key) for key in FOLDERS] + [(tree["paths"], key) for key in ("data", "cache")]
    nodes += [(term, "weights") for term in terms if term.get("weights") not in SOURCES]
    nodes.append((tree["model"], "pretrained"))
    for node, key in nodes:
        if node.get(key):
            node[key] = _absolute(node[key])
    for node, key in ((tree["paths"], "catalogue"), (tree["data"], "mirrors")):
        node[key] = [value if "://" in value else _absolute(value) for value in node[key]]


def _absolute(path: str) -> str:
    return str(Path(path).expanduser().absolute())


def _cell(*, _root_: DictConfig) -> str:
    """Return the digits at the end of a cell's folder: eight of its configuration's hash."""
    # What it says of Hydra's choices is answered for the whole program; nothing here refers to `hydra` itself.
    return config_hash(on_its_own(task_of(_root_)))[:8]


# When this module is imported, as it is by whatever process runs a job: Hydra asks it for the job's folder.
OmegaConf.register_new_resolver("cell", _cell, replace=True)
