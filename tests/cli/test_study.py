import json
from collections.abc import Callable
from pathlib import Path

import pytest

from sr_lightning.cli.study import check_objectives
from sr_lightning.refusal import Refusal
from sr_lightning.report.lock import held

SEARCH = ("-m", "hparams_search=learning_rate", "sweep.estimate=false")
STUDY = Path("runs/sweep/learning_rate")


@pytest.mark.parametrize(
    ("objectives", "direction"),
    [
        (["validation.psnr"], "maximize"),
        (["metrics.Set5.ssim", "parameters"], ["maximize", "minimize"]),
        (["validation.lsd"], ["minimize"]),
    ],
)
def test_objectives_of_results_with_the_direction_that_is_better(objectives: list[str], direction: str | list[str]):
    assert check_objectives(objectives, direction) == ([direction] if isinstance(direction, str) else direction)


@pytest.mark.parametrize(
    ("objectives", "direction", "line"),
    [
        (["validation.psnr", "multiply_adds"], "maximize", "expected one for each of sweep.objectives"),
        (["validation.psnr"], "minimize", "expected maximize for validation.psnr, got minimize"),
        (["validation.psnr"], "upwards", "expected maximize for validation.psnr, got upwards"),
        (["multiply_adds"], "maximize", "expected minimize for multiply_adds"),
        (["validation.pnsr"], "maximize", "did you mean 'validation.psnr'"),
        (["psnr"], "maximize", "expected paths in results.json"),
        (["metrics.psnr"], "maximize", "expected paths in results.json"),
        (["model"], "maximize", "expected paths in results.json"),
    ],
)
def test_objectives_that_make_no_sense_are_refused(objectives: list[str], direction: str | list[str], line: str):
    with pytest.raises(Refusal, match=line):
        check_objectives(objectives, direction)


def test_a_study_goes_on_with_the_question_it_was_begun_with(command: Callable, refusal: Callable[..., str]):
    assert not command("train", *SEARCH).error
    assert json.loads((STUDY / "search.json").read_text())["settings"]["scale"] == 4
    (STUDY / "cell").mkdir()
    (STUDY / "cell" / "results.json").write_text(json.dumps({"status": "finished"}))
    # More trials of the same kind are the same question.
    assert not command("train", *SEARCH, "hydra.sweeper.n_trials=99", "logger=csv").error
    line = refusal(*SEARCH, "scale=2", "seed=3")
    assert "was begun with other settings (scale was 4, now 2" in line or "seed was 42, now 3" in line
    assert "sweep.name=NAME begins another" in line
    assert "searched.optimizer.lr was tag(log, interval(1e-5, 1e-2)), now interval(0.1,1)" in refusal(
        *SEARCH, "optimizer.lr=interval(0.1,1)"
    )
    assert not command("train", *SEARCH, "scale=2", "sweep.name=other").error


def test_a_study_without_a_result_is_begun_anew(command: Callable, refusal: Callable[..., str]):
    assert not command("train", *SEARCH).error
    (STUDY / "study.db").touch()
    with held(STUDY):
        assert "begun with other settings" in refusal(*SEARCH, "seed=3")
    begun = command("train", *SEARCH, "seed=3")
    assert not begun.error
    assert not (STUDY / "study.db").exists()
    assert (
        "the study in runs/sweep/learning_rate was begun with other settings (seed was 42, now 3); none of its trials "
        "has finished, so it begins anew and forgets them\n"
    ) in begun.out
    # Nothing is there to be forgotten, or nothing has changed.
    assert "forgets" not in command("train", *SEARCH, "seed=4").out
    (STUDY / "study.db").touch()
    assert "forgets" not in command("train", *SEARCH, "seed=4").out
    assert (STUDY / "study.db").exists()


def test_a_search_has_a_name(refusal: Callable[..., str]):
    assert refusal(*SEARCH, "sweep.name=null").startswith("sweep.name: a search needs a name")
