"""What a dashboard plots, filters and groups by, against what two trainings really sent to a server."""

import json
import re
from dataclasses import dataclass

from sr_lightning.tracking.dashboard import Comparison
from sr_lightning.tracking.dashboard_boards import Wanted
from sr_lightning.tracking.dashboard_saving import publish
from tests.tracking.dashboard_server import Project


@dataclass
class Used:
    """Names that a specification uses."""

    curves: set[tuple[str, str]]
    patterns: set[str]
    summary: set[str]
    config: set[str]
    media: set[str]
    tables: set[str]


def used(specification):
    """Go through panels, columns, filters, orders and groups."""
    found = Used(set(), set(), set(), set(), set(), set())
    for node in _nodes(specification):
        kind = node.get("viewType")
        config = node["config"] if kind else {}
        if kind == "Run History Line Plot":
            found.curves |= {(config["xAxis"], metric) for metric in config["metrics"]}
            found.patterns |= {config["metricRegex"]} if config.get("metricRegex") else set()
        elif kind == "Bar Chart":
            found.summary |= set(config["metrics"])
        elif kind == "Media Browser":
            found.media |= set(config["mediaKeys"])
        elif kind == "Weave":
            found.tables.add(config["panel2Config"]["exp"]["fromOp"]["inputs"]["key"]["val"])
        if node.get("section") in ("config", "summary"):
            getattr(found, node["section"]).add(node["name"])
        columns = [*node.get("columnOrder", []), config.get("xAxis", ""), config.get("yAxis", "")]
        for section, _, name in (column.partition(":") for column in columns):
            if section in ("config", "summary"):
                getattr(found, section).add(name)
    return found


def _nodes(value):
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    if isinstance(value, dict):
        yield value
    for child in children:
        yield from _nodes(child)


def holds(stored, path):
    """Whether a configuration as sent, `{"names": {"value": {"model": ...}}}`, has a path such as names.value.model."""
    for part in path.split("."):
        if part not in stored:
            return False
        stored = stored[part]
    return True


def test_every_name_is_one_that_a_run_logs(run_tiny, server, tmp_path):
    """A GAN's run has them all: its validation has LPIPS where this machine has it, its training two gradients."""
    run_tiny("srgan", tmp_path / "run", "logger=wandb", "trainer.log_every_steps=1")
    (run,) = server.runs.values()
    project = Project(server, name=run.project)
    project.runs = [
        {"group": run.group, "config": json.dumps(run.raw_config), "summaryMetrics": json.dumps(run.summary)}
    ]
    comparison = Comparison(entity="", project=project.name, group=None, title="Names", boards=())
    publish(comparison, Wanted(scales=None, protocols=None, sets=None), "both")
    keys = set().union(*run.history)
    for kind in ("project-view", "runs"):
        (specification,) = project.saved(kind).values()
        names = used(specification)
        # W&B draws a curve over what stands in the rows of its values.
        missing = {pair for pair in names.curves if not any(set(pair) <= row.keys() for row in run.history)}
        assert missing == set()
        assert {x for x, _ in names.curves} == {"step", "hr_pixels"}
        assert all(any(re.fullmatch(pattern, key) for key in keys) for pattern in names.patterns)
        assert names.patterns
        assert names.summary | names.tables <= run.summary.keys()
        assert {"validation/psnr_rgb_to_y", "validation/lsd_rgb_to_y", "multiply_adds"} <= names.summary
        assert names.tables
        assert names.media
        assert names.media <= keys
        assert {name for name in names.config if not holds(run.raw_config, name)} == set()
        assert {"names.value.model", "names.value.loss", "scale.value"} <= names.config
    assert "names.value.module" in names.config, "the report leaves GANs out of the ranking by PSNR"
