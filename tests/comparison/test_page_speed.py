"""A page of 200 runs with pictures opens quickly and stays so."""

import copy

import numpy as np
import pytest

from sr_lightning.comparison.payload import Payload, payload
from sr_lightning.comparison.runs import read_runs

OPEN_SECONDS, REDRAW_SECONDS = 3.0, 1.5


@pytest.fixture(scope="module")
def many_runs(tmp_path_factory, some_runs, synthetic_runs):
    folder = tmp_path_factory.mktemp("runs")
    synthetic_runs.write_runs(folder, 200, crops=False)
    runs = read_runs([folder]).runs
    content = payload(runs, title="Two hundred runs", budget_bytes=0)
    # As many pictures as 200 runs have of five crops, without drawing each.
    crops, images = [], {}
    for model in some_runs.data["crops"][:5]:
        crop = copy.deepcopy(model)
        images |= {crop[kind]: some_runs.images[crop[kind]] for kind in ("lr", "hr", "bicubic", "whole")}
        crop["by_run"] = {
            str(run["id"]): {"sr": f"{crop['id']} {run['id']}", "psnr": 30.0, "ssim": 0.9}
            for run in content.data["runs"]
            if run["scale"] == 4
        }
        images |= {entry["sr"]: some_runs.images[crop["hr"]] for entry in crop["by_run"].values()}
        crops.append(crop)
    return Payload({**content.data, "crops": crops}, images)


def test_200_runs_are_ready_in_three_seconds(opened, many_runs):
    taken = []
    for _ in range(3):
        sessions = []

        def count(page, sessions=sessions):
            sessions.append(page.context.new_cdp_session(page))
            sessions[0].send("Performance.enable")

        with opened(many_runs, before=count) as page:
            metrics = {each["name"]: each["value"] for each in sessions[0].send("Performance.getMetrics")["metrics"]}
            marks = dict(page.evaluate("performance.getEntriesByType('mark').map(mark => [mark.name, mark.startTime])"))
            taken.append((marks["ready"] / 1000, metrics["ThreadTime"]))
            assert page.locator("#table tbody tr[data-key]").count() > 25
            assert page.locator("#curve-plot .scatterlayer .trace").count() > 70
            assert marks["leaderboard"] < marks["ready"]
    print(f"ready after {np.round(taken, 2).tolist()} s by the clock and of the page's own thread")
    # Where other tests share the machine the clock runs faster than the page.
    assert min(min(each) for each in taken) < OPEN_SECONDS


def test_redrawing_200_curves_and_the_table_is_quick(opened, many_runs):
    with opened(many_runs) as page:
        times = page.evaluate(
            """() => [1, 2, 3].map(() => { const start = performance.now();
              Object.assign(state, {sort: state.sort ? "" : "parameters"}); drawLeaderboard(); drawCurves();
              return (performance.now() - start) / 1000; })"""
        )
        print(f"table and curves drawn anew in {np.round(times, 2)} s")
        assert min(times) < REDRAW_SECONDS
