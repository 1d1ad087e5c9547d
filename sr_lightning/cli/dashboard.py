"""`dashboard`: the comparison of a W&B project's runs, as workspaces and a report."""

import os
import unicodedata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from sr_lightning.cli.app import Command, launch, refuse
from sr_lightning.cli.check import CHOICES
from sr_lightning.cli.compose import Tree
from sr_lightning.refusal import Refusal, nearest
from sr_lightning.report.ownership import DASHBOARD, check_target
from sr_lightning.tracking.dashboard_boards import Wanted

EXAMPLES = (
    ("python dashboard.py project=sr_lightning", "workspaces and a report for all scales and protocols of its runs"),
    ("python dashboard.py project=sr_lightning group=first_sweep 'scales=[2,4]'", "one sweep, two scales"),
    ("python dashboard.py project=sr_lightning entity=my_team what=report name='Week 3'", "a report for a team"),
    ("python dashboard.py project=sr_lightning dry_run=dashboard.json", "what would be sent; needs no account"),
)
# What turns into something else, or ends a text, in the language in which wandb-workspaces writes filters.
NOT_IN_FILTERS = "=<>'\"\\"
# Seconds that W&B's client waits for an answer; it reads them from the environment.
TIMEOUT = "10"


def main() -> None:
    """Build a dashboard with the arguments of this process."""
    launch(
        Command(
            name="dashboard",
            summary="build the comparison of a W&B project's runs: a workspace for each scale, and a report.",
            examples=EXAMPLES,
            task=run,
            check=refuse_dashboard,
        )
    )


def refuse_dashboard(tree: Tree, choices: dict[str, Any]) -> None:
    """Refuse what W&B would not take, and a file that cannot be written."""
    if find_spec("wandb_workspaces") is None:
        raise Refusal(
            "dashboard needs the package wandb-workspaces, which is not there; say `pip install '.[dashboard]'`."
        )
    for key in ("project", "entity", "group", "name"):
        if tree[key] is not None and not str(tree[key]).strip():
            raise Refusal(f"{key}: expected a name, got an empty text.")
    if "/" in str(tree["project"]):
        entity, _, project = str(tree["project"]).rpartition("/")
        raise Refusal(f"project: expected a name, got {tree['project']}; say entity={entity} project={project}.")
    _check_characters(tree)
    for scale in listed(tree["scales"]) or ():
        if not isinstance(scale, int) or scale < 1:
            raise Refusal(f"scales: expected whole numbers from 1 on, got {scale!r}.")
    for protocol in listed(tree["protocols"]) or ():
        if protocol not in CHOICES["protocol"]:
            expected = ", ".join(CHOICES["protocol"])
            hint = nearest(str(protocol), CHOICES["protocol"])
            raise Refusal(f"protocols: expected some of {expected}, got '{protocol}'{hint}")
    if tree["dry_run"]:
        _check_file(Path(tree["dry_run"]).expanduser())


def run(cfg: DictConfig) -> None:
    """Hydra's task: write the JSON, or build the dashboard in W&B and print where it is."""
    config = OmegaConf.to_container(cfg, resolve=True)
    assert isinstance(config, dict)
    os.environ.setdefault("WANDB_HTTP_TIMEOUT", TIMEOUT)
    from sr_lightning.tracking.dashboard import Comparison
    from sr_lightning.tracking.dashboard_saving import publish, write_specifications

    wanted = Wanted(**{key: listed(config[key]) for key in ("scales", "protocols", "sets")})
    comparison = Comparison(
        entity=config["entity"] or "",
        project=str(config["project"]),
        group=config["group"],
        title=config["name"] or default_title(config["group"]),
        boards=wanted.boards() if config["dry_run"] else (),
    )
    try:
        if config["dry_run"]:
            write_specifications(comparison, config["what"], Path(config["dry_run"]).expanduser())
            print(f"written    {config['dry_run']}")
        else:
            for saved in publish(comparison, wanted, config["what"]):
                print(f"{saved.kind:<10} {saved.url} ({saved.title}, {'updated' if saved.updated else 'new'})")
    except Refusal as refusal:
        refuse(refusal)


def listed(value: Any) -> list[Any] | None:
    """Return one value as a list of it; None and lists stay."""
    return value if value is None or isinstance(value, list) else [value]


def default_title(group: str | None) -> str:
    """Return the title where none is given; signs in a group's name that W&B takes in no title become dashes."""
    if group is None:
        return "Comparison"
    return "Comparison " + "".join("-" if _is_symbol(letter) else letter for letter in group)


def _check_characters(tree: Tree) -> None:
    wrong = [letter for letter in tree["group"] or "" if letter in NOT_IN_FILTERS or not letter.isprintable()]
    if wrong:
        raise Refusal(f"group: W&B's filters cannot name a group with {wrong[0]!r} in it, got {tree['group']!r}.")
    wrong = [letter for letter in tree["name"] or "" if _is_symbol(letter)]
    if wrong:
        raise Refusal(f"name: W&B takes letters, digits and punctuation in a title, not {wrong[0]!r}.")


def _is_symbol(letter: str) -> bool:
    """Whether W&B takes a letter for an emoji: mathematical signs, currencies and accents count as such."""
    return unicodedata.category(letter) in ("So", "Sk", "Sm", "Sc", "Cs")


def _check_file(path: Path) -> None:
    if path.suffix.lower() != ".json":
        raise Refusal(f"dry_run: expected a name that ends in .json, got {path}.")
    check_target("dry_run", path, mark=DASHBOARD, command="dashboard")
