"""Putting a dashboard where it can be seen: into W&B, or into a JSON file that shows what W&B would be sent."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import wandb
from wandb_workspaces.reports.v2.interface import PanelGrid, Report
from wandb_workspaces.workspaces import internal
from wandb_workspaces.workspaces.interface import Workspace

from sr_lightning.refusal import Refusal, nearest
from sr_lightning.report.files import write_json
from sr_lightning.report.ownership import DASHBOARD
from sr_lightning.tracking.dashboard import Comparison, report, specification, workspaces
from sr_lightning.tracking.dashboard_boards import Held, Wanted
from sr_lightning.tracking.wandb_names import SCALE

What = Literal["workspace", "report", "both"]


@dataclass(frozen=True)
class Saved:
    """A workspace or report in W&B: its kind, title and address, and whether an earlier one was replaced."""

    kind: str
    title: str
    url: str
    updated: bool


def write_specifications(comparison: Comparison, what: What, path: Path) -> None:
    """Write what W&B would be sent as JSON, without asking it anything.

    Args:
        comparison: what is built; its entity may be empty.
        what: `workspace`, `report` or `both`.
        path: a file with the keys `generator`, `workspaces` and `report`; it is replaced.
    """
    content: dict[str, Any] = {"generator": DASHBOARD}
    if what != "report":
        content["workspaces"] = [specification(workspace) for workspace in workspaces(comparison)]
    if what != "workspace":
        content["report"] = specification(report(comparison))
    write_json(path, content)


class Server:
    """A W&B server with an account on it.

    Raises:
        Refusal: there is no account on this machine, the server cannot be reached or does not know the account.
    """

    def __init__(self) -> None:
        # Silent, it neither talks nor asks for a key on the terminal.
        wandb.setup(settings=wandb.Settings(silent=True))
        with _one_line():
            self._api = wandb.Api()

    def locate(self, entity: str | None, project: str) -> str:
        """Return the owner of a project: the one given, or the account's default.

        Raises:
            Refusal: the owner has no such project.
        """
        with _one_line():
            owner = entity or self._api.default_entity
            if not owner:
                raise Refusal("entity: expected the user or team that owns the project, got nothing; say entity=NAME.")
            # The library would make a project that is not there.
            there = [found.name for found in self._api.projects(owner)]
        if project not in there:
            raise Refusal(f"project: {owner} has no W&B project '{project}'{nearest(project, there)}")
        return owner

    def held(self, comparison: Comparison) -> list[Held]:
        """Return what the runs of the comparison's project and group hold; runs of other programs are passed over."""
        filters = {"group": comparison.group} if comparison.group else {}
        path = f"{comparison.entity}/{comparison.project}"
        with _one_line(), _own_folder():
            # `list` would ask for the length first, and take an error there for an empty project.
            return [
                Held(scale=run.config[SCALE], keys=frozenset(run.summary_metrics))
                for run in self._api.runs(path, filters=filters, per_page=100, lazy=False)
                if isinstance(run.config.get(SCALE), int)
            ]

    def save(self, comparison: Comparison, what: What) -> list[Saved]:
        """Make workspaces and report; those of the same title are replaced, with what people changed in them."""
        with _one_line():
            saved = [self._save_workspace(made) for made in workspaces(comparison)] if what != "report" else []
            if what != "workspace":
                saved.append(self._save_report(report(comparison)))
        return saved

    def _save_workspace(self, workspace: Workspace) -> Saved:
        letters = workspace._internal_name.split("-")[1]
        try:
            earlier = internal.get_view_dict(workspace.entity, workspace.project, letters)["id"]
        except ValueError:  # which is how it says that there is none
            earlier = ""
        workspace._internal_id = earlier
        workspace.save()  # type: ignore[no-untyped-call]
        return Saved(kind="workspace", title=workspace.name, url=workspace.url, updated=bool(earlier))

    def _save_report(self, made: Report) -> Saved:
        path = f"{made.entity}/{made.project}"
        earlier = [found.id for found in self._api.reports(path) if found.display_name == made.title]
        made.id = earlier[0] if earlier else ""
        for block in made.blocks:
            for runset in block.runsets if isinstance(block, PanelGrid) else ():
                runset.entity, runset.project = made.entity, made.project
        made.save()
        return Saved(kind="report", title=made.title, url=made.url, updated=bool(earlier))


def publish(comparison: Comparison, wanted: Wanted, what: What) -> list[Saved]:
    """Build a dashboard in W&B of what the runs there hold.

    Args:
        comparison: where and of what; its boards are found, its entity may be empty for the account's own.
        wanted: which boards to show.
        what: `workspace`, `report` or `both`.

    Raises:
        Refusal: W&B cannot be reached, or has no such account, project or runs.
    """
    server = Server()
    owned = replace(comparison, entity=server.locate(comparison.entity, comparison.project))
    place = f"{owned.entity}/{owned.project}" + (f", group {owned.group}" if owned.group else "")
    boards = wanted.boards_among(server.held(owned), place=place)
    return server.save(replace(owned, boards=boards), what)


@contextmanager
def _one_line() -> Iterator[None]:
    """Turn whatever W&B's client raises while it talks to the server into a refusal."""
    try:
        yield
    except Refusal:
        raise
    except wandb.errors.UsageError as error:
        raise Refusal(
            "W&B: expected an account, found no API key; say `wandb login` or set WANDB_API_KEY "
            "(dry_run=FILE.json needs neither)."
        ) from error
    # Its own errors, those of the program that it talks through, and plain ones where an answer is not as expected.
    except Exception as error:
        raise Refusal(f"W&B: {_reason(error)} (dry_run=FILE.json needs no server)") from error


@contextmanager
def _own_folder() -> Iterator[None]:
    """Take away the empty folders that W&B's client makes in the machine's temporary one, one for each run."""
    given = os.environ.get("WANDB_DIR")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["WANDB_DIR"] = folder
        try:
            yield
        finally:
            os.environ.pop("WANDB_DIR")
            os.environ.update({} if given is None else {"WANDB_DIR": given})


def _reason(error: Exception) -> str:
    # The client talks through a program of its own, and says of that one that it is busy.
    if "did not respond in time" in str(error):
        return f"no answer from {wandb.setup().settings.base_url}; is it up, and can this machine reach it?"
    return f"{type(error).__name__}: {error}"
