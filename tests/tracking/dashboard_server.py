"""A project on the stub server: its runs, and the views (workspaces and reports) that are made in it."""

import json
from typing import Any

from tests.tracking.wandb_server import ENTITY, WandbServer

Data = dict[str, Any]


class Project:
    """Answers what the dashboard asks of a project; `views` holds what was saved, by id."""

    def __init__(self, server: WandbServer, *, name: str = "sr") -> None:
        self.name = name
        self.runs: list[Data] = []
        self.views: dict[str, Data] = {}
        server.respond("GetDefaultEntity", {"viewer": {"id": "1", "entity": ENTITY}})
        server.respond("GetProjects", self._projects)
        server.respond("ProjectInternalId", {"project": {"id": "1", "internalId": "77"}})
        server.respond("Runs", self._runs)
        server.respond("View", lambda asked: self._views(asked["viewType"], asked["viewName"]))
        server.respond("ProjectViews", lambda asked: self._views(asked.get("viewType", "runs"), asked.get("viewName")))
        for operation in ("UpsertView2", "upsertView"):
            server.respond(operation, self._upsert)

    def add_run(self, *keys: str, scale: Any = 4, group: str | None = None, **config: Any) -> None:
        """Add a run with a scale that has these keys in its summary."""
        stored = {key: {"value": value} for key, value in {"scale": scale, **config}.items()}
        summary = dict.fromkeys(keys, 30.0)
        self.runs.append({"group": group, "config": json.dumps(stored), "summaryMetrics": json.dumps(summary)})

    def saved(self, kind: str) -> dict[str, Data]:
        """Return the specifications of the workspaces (`project-view`) or reports (`runs`), by title."""
        return {view["displayName"]: json.loads(view["spec"]) for view in self.views.values() if view["type"] == kind}

    def _projects(self, asked: Data) -> Data:
        node = {
            "__typename": "Project", "id": "1", "name": self.name, "entityName": asked["entity"],
            "createdAt": "2026-01-01T00:00:00Z", "isBenchmark": False, "user": None,
        }  # fmt: skip
        ends = {"__typename": "PageInfo", "endCursor": None, "hasNextPage": False}
        return {"models": {"edges": [{"node": node}], "pageInfo": ends}}

    def _runs(self, asked: Data) -> Data:
        group = json.loads(asked["filters"]).get("group")
        edges = [
            {"cursor": str(number), "node": {**_RUN, "id": str(number), "name": f"run{number}", **run}}
            for number, run in enumerate(self.runs)
            if group is None or run["group"] == group
        ]
        page = {"edges": edges, "pageInfo": {"endCursor": None, "hasNextPage": False}}
        return {"project": {"internalId": "77", "runCount": len(edges), "readOnly": False, "runs": page}}

    def _views(self, kind: str, name: str | None) -> Data:
        nodes = [view for view in self.views.values() if view["type"] == kind and name in (None, view["name"])]
        ends = {"endCursor": None, "hasNextPage": False}
        return {"project": {"allViews": {"edges": [{"node": node, "cursor": ""} for node in nodes], "pageInfo": ends}}}

    def _upsert(self, given: Data) -> Data:
        number = given.get("id") or f"view{len(self.views)}"
        inserted = number not in self.views
        self.views[number] = {
            "id": number, "createdAt": "2026-01-01T00:00:00Z", "updatedAt": "2026-01-01T00:00:00Z", "user": None,
            "project": {"id": "1", "name": given["projectName"], "entityName": given["entityName"]},
            **{key: given[key] for key in ("name", "displayName", "description", "type", "spec")},
        }  # fmt: skip
        return {"upsertView": {"view": self.views[number], "inserted": inserted}}


_RUN: Data = {
    "projectId": "1", "tags": [], "displayName": "", "sweepName": None, "state": "finished", "jobType": None,
    "commit": None, "readOnly": False, "createdAt": "2026-01-01T00:00:00Z", "heartbeatAt": "2026-01-01T00:00:00Z",
    "description": None, "notes": None, "systemMetrics": "{}", "historyLineCount": 1, "user": {"name": ENTITY},
    "historyKeys": {},
}  # fmt: skip
