"""The JSON that a dashboard is: what each panel plots, what each run set leaves out and by what it groups."""

import json
import re

from hypothesis import given, settings
from hypothesis import strategies as st

from sr_lightning.cli.dashboard import NOT_IN_FILTERS
from sr_lightning.tracking.dashboard import Comparison, report, specification, view_name, workspaces
from sr_lightning.tracking.dashboard_boards import Board

X4 = Board(scale=4, rules="rgb_to_y", sets=("Set5", "Set14"))
X2 = Board(scale=2, rules="rgb_to_y", sets=("Set5",), scores=("psnr", "ssim", "lsd"), curves=("psnr", "ssim", "lpips"))
DIV2K = Board(scale=4, rules="rgb_div2k", sets=("DIV2K_val",), scores=("psnr",), curves=())
GROUPING = [
    {"section": "config", "name": "names.value.model"},
    {"section": "config", "name": "names.value.loss"},
    {"section": "config", "name": "scale.value"},
]


def comparison(*boards, group=None):
    return Comparison(entity="us", project="sr", group=group, title="Week 3", boards=boards)


def sections(workspace):
    """The panels of a workspace, by the name of their section."""
    made = specification(workspace)["spec"]["section"]["panelBankConfig"]["sections"]
    return {section["name"]: section["panels"] for section in made}


def grids(made):
    """The panel grids of a report: the headings above, the run set, the panels."""
    found, headings = [], {}
    for block in specification(made)["spec"]["blocks"]:
        if block["type"] == "heading":
            headings = {level: text for level, text in headings.items() if level < block["level"]}
            headings[block["level"]] = block["children"][0]["text"]
        elif block["type"] == "panel-grid":
            (runset,) = block["metadata"]["runSets"]
            found.append((tuple(headings.values()), runset, block["metadata"]["panelBankSectionConfig"]["panels"]))
    return found


def conditions(runset):
    assert runset["filters"]["filterFormat"] == "filterV2"
    assert all(entry.get("connector", "AND") == "AND" for entry in runset["filters"]["filters"])
    return [
        (f"{entry['key']['section']}:{entry['key']['name']}", entry["op"], entry["value"])
        for entry in runset["filters"]["filters"]
    ]


def axes(panels, kind):
    return [
        (panel["config"]["xAxis"], panel["config"].get("metrics") or panel["config"].get("yAxis"))
        for panel in panels
        if panel["viewType"] == kind
    ]


def test_a_workspace_for_each_scale_holds_only_its_runs():
    made = workspaces(comparison(X2, DIV2K, X4, group="first sweep"))
    assert [workspace.name for workspace in made] == ["Week 3 x2", "Week 3 x4"]
    for workspace, scale in zip(made, (2, 4), strict=True):
        content = specification(workspace)
        assert (content["entity"], content["project"]) == ("us", "sr")
        (runset,) = content["spec"]["section"]["runSets"]
        assert conditions(runset) == [("config:scale.value", "=", scale), ("run:group", "=", "first sweep")]
        assert runset["grouping"] == GROUPING
        assert content["spec"]["section"]["settings"]["shouldAutoGeneratePanels"] is False
    # What no run has is left out: validation under a set's own protocol, a plane without LPIPS and LSD.
    assert list(sections(made[1])) == [
        "What is compared",
        "x4, rgb_div2k: PSNR and what it costs",
        "x4, rgb_to_y: validation while training",
        "x4, rgb_to_y: PSNR and what it costs",
        "x4, rgb_to_y: perception against distortion",
        "Fixed crops",
        "Training",
    ]


def test_validation_is_plotted_by_steps_and_by_pixels():
    panels = sections(workspaces(comparison(X2))[0])["x2, rgb_to_y: validation while training"]
    assert axes(panels, "Run History Line Plot") == [
        ("step", ["val/psnr_rgb_to_y"]),
        ("hr_pixels", ["val/psnr_rgb_to_y"]),
        ("step", ["val/ssim_rgb_to_y"]),
        ("step", ["val/lpips_rgb_to_y"]),
    ]
    # W&B draws ten runs of a sweep where it is not told otherwise.
    assert {panel["config"]["limit"] for panel in panels} == {200}
    assert panels[1]["config"]["xAxisTitle"] == "HR pixels seen"


def test_cost_is_plotted_with_the_pareto_front():
    panels = sections(workspaces(comparison(X4))[0])["x4, rgb_to_y: PSNR and what it costs"]
    assert axes(panels, "Scatter Plot") == [
        ("summary:parameters", "summary:Set5/psnr_rgb_to_y"),
        ("summary:multiply_adds", "summary:Set5/psnr_rgb_to_y"),
        ("summary:parameters", "summary:Set14/psnr_rgb_to_y"),
        ("summary:multiply_adds", "summary:Set14/psnr_rgb_to_y"),
    ]
    for panel in panels[2:]:
        # The highest so far, from the cheapest on.
        assert panel["config"]["showMaxYAxisLine"] is True
        assert panel["config"]["xAxisLogScale"] is True
    bars = [panel["config"] for panel in panels[:2]]
    assert [bar["metrics"] for bar in bars] == [["Set5/psnr_rgb_to_y"], ["Set14/psnr_rgb_to_y"]]
    assert {(bar["groupAgg"], bar["groupArea"]) for bar in bars} == {("mean", "stddev")}


def test_perception_is_plotted_against_distortion():
    panels = sections(workspaces(comparison(X4))[0])["x4, rgb_to_y: perception against distortion"]
    assert axes(panels, "Scatter Plot") == [
        (f"summary:{name}/{perception}_rgb_to_y", f"summary:{name}/psnr_rgb_to_y")
        for name in ("Set5", "Set14")
        for perception in ("lpips", "lsd")
    ]
    # Less is better on x, more on y: the highest so far is the front here too.
    assert all(panel["config"]["showMaxYAxisLine"] for panel in panels)


def test_crops_and_training_are_shown():
    found = sections(workspaces(comparison(X4))[0])
    table, browser = found["Fixed crops"]
    assert table["config"]["panel2Config"]["exp"]["fromOp"]["inputs"]["key"]["val"] == "samples"
    assert browser["config"]["mediaKeys"] == ["val/panel"]
    assert browser["config"]["gridSettings"] == {"xAxis": "step", "yAxis": "run"}
    loss, shares, gradients, rate = (panel["config"] for panel in found["Training"])
    assert (loss["metrics"], loss["yLogScale"]) == (["train/loss"], True)
    assert (shares["metricRegex"], shares["useMetricRegex"]) == ("train/share/.*", True)
    assert gradients["metrics"] == ["train/gradient_norm", "train/discriminator_gradient_norm"]
    assert rate["metrics"] == ["train/learning_rate"]
    assert {config["xAxis"] for config in (loss, shares, gradients, rate)} == {"step"}


def test_the_run_table_shows_what_was_chosen_reached_and_paid():
    (runset,) = specification(workspaces(comparison(X2))[0])["spec"]["section"]["runSets"]
    columns = [
        "run:displayName", "config:names.value.model", "config:names.value.loss", "config:scale.value",
        "config:names.value.data", "config:seed.value", "summary:Set5/psnr_rgb_to_y", "summary:Set5/ssim_rgb_to_y",
        "summary:Set5/lsd_rgb_to_y", "summary:parameters", "summary:multiply_adds", "summary:hr_pixels",
    ]  # fmt: skip
    assert runset["runFeed"]["columnOrder"] == columns
    for _, table, _ in grids(report(comparison(X2))):
        assert table["runFeed"]["columnOrder"] == columns
        assert table["runFeed"]["lockColumns"] is True


def test_a_report_has_a_part_for_each_scale_and_protocol():
    found = grids(report(comparison(X2, DIV2K, X4, group="first sweep")))
    everything = ["Validation while training", "PSNR and what it costs", "Perception against distortion"]
    shared = ["Fixed crops", "Training"]
    assert [headings for headings, _, _ in found] == [
        *(("x2, rgb_to_y", heading) for heading in everything + shared),
        *(("x4, rgb_div2k", heading) for heading in ["PSNR and what it costs", *shared]),
        *(("x4, rgb_to_y", heading) for heading in everything + shared),
    ]
    for (part, _), runset, panels in found:
        assert conditions(runset)[:2] == [
            ("config:scale.value", "=", int(part[1])), ("run:group", "=", "first sweep"),
        ]  # fmt: skip
        assert runset["grouping"] == GROUPING
        rules = re.findall(r"(?:psnr|ssim|lpips|lsd)_(\w+)", json.dumps(panels))
        assert set(rules) <= {part.partition(", ")[2]}, "one protocol in one part"


def test_gans_are_not_ranked_by_psnr():
    """They do not aim at it; the plane is where they are judged."""
    for (_, heading), runset, _ in grids(report(comparison(X4))):
        ranked = heading == "PSNR and what it costs"
        excluded = ("config:names.value.module", "!=", "gan") in conditions(runset)
        (first,) = runset["sort"]["keys"]
        assert excluded is ranked
        assert (first["key"]["name"] == "Set5/psnr_rgb_to_y") is ranked
        assert not first["ascending"]
    (note,) = sections(workspaces(comparison(X4))[0])["What is compared"]
    assert "GANs" in note["config"]["value"]


def test_panels_of_a_report_do_not_cover_each_other():
    for _, _, panels in grids(report(comparison(X4))):
        cells = [
            (column, row)
            for box in (panel["layout"] for panel in panels)
            for column in range(box["x"], box["x"] + box["w"])
            for row in range(box["y"], box["y"] + box["h"])
        ]
        assert len(cells) == len(set(cells))
        assert max(column for column, _ in cells) < 24


def test_a_title_has_one_name_in_the_server():
    assert re.fullmatch(r"nw-[0-9a-z]{11}-v", view_name("Week 3 x4"))
    assert view_name("Week 3 x4") == view_name("Week 3 x4") != view_name("Week 3 x2")
    assert [workspace._internal_name for workspace in workspaces(comparison(X2))] == [view_name("Week 3 x2")]


NAMES = st.text(st.characters(codec="utf-8", exclude_characters=NOT_IN_FILTERS), min_size=1).filter(str.isprintable)


@given(group=NAMES)
@settings(deadline=None, max_examples=100)
def test_every_group_that_is_not_refused_is_filtered_by_its_own_name(group):
    """wandb-workspaces writes filters as text and reads them back: `a=b` comes back as `a==b`."""
    (found,) = [entry for entry in conditions(_runset(group)) if entry[0] == "run:group"]
    assert found == ("run:group", "=", group)


def test_the_library_still_changes_some_groups():
    """Otherwise their refusal could go."""
    assert ("run:group", "=", "a==b") in conditions(_runset("a=b"))


def _runset(group):
    (runset,) = specification(workspaces(comparison(X2, group=group))[0])["spec"]["section"]["runSets"]
    return runset
