"""What is looked at before a search."""

import pytest

from sr_lightning.cli.compose import Composer
from sr_lightning.cli.search import Search, plan_search
from sr_lightning.cli.sweep import compose_whole
from sr_lightning.cli.train import refuse_training_or_resume
from sr_lightning.refusal import Refusal


@pytest.fixture(scope="module")
def composer() -> Composer:
    return Composer("train")


@pytest.fixture
def plan(composer):
    def make(*arguments: str) -> Search:
        overrides = composer.parse(arguments)
        whole, _ = compose_whole(composer, overrides)
        return plan_search(composer, overrides, whole, refuse_training_or_resume)

    return make


@pytest.mark.parametrize("name", ["learning_rate", "width_depth"])
def test_searches_of_the_project_have_corners_that_can_be_trained(command, name):
    runs = command("train", "-m", f"hparams_search={name}", "model=edsr_baseline").runs
    assert len({str(run.tree) for run in runs}) == len(runs) >= 4
    assert {run.tree["names"]["group"] for run in runs} == {name}


def test_each_choice_is_tried_beside_the_first_and_the_last_of_the_others(plan):
    search = plan("hydra/sweeper=search", "model=espcn,srcnn,edsr_baseline", "optimizer.lr=interval(0.1,0.2)")
    assert {corner.label for corner in search.corners} == {
        f"model={model} optimizer.lr={rate}" for model in ("espcn", "srcnn", "edsr_baseline") for rate in (0.1, 0.2)
    }
    assert search.keys == {"model": "espcn,srcnn,edsr_baseline", "optimizer.lr": "interval(0.1,0.2)"}
    assert search.overrides[-1].startswith("names.group=model+optimizer.lr_")


def test_a_corner_that_cannot_be_trained_is_named(refusal):
    line = refusal("-m", "hydra/sweeper=search", "model=edsr_baseline,bicubic", "scale=2,3")
    assert line == (
        "model=bicubic scale=2: model=bicubic has no parameters, so there is nothing to train; "
        "evaluate.py model=bicubic."
    )


def test_a_wrong_argument_is_told_as_always(refusal):
    search = ("-m", "hparams_search=width_depth")
    assert "mean 'trainer.max_steps'?" in refusal(*search, "trainer.max_stpes=3")
    assert "unknown key 'model.depth'" in refusal(*search, "model=espcn")
    assert "mean 'width_depth'?" in refusal("-m", "hparams_search=width_dept")


def test_nothing_to_search_is_refused(plan):
    with pytest.raises(Refusal, match="expected keys to search"):
        plan("hydra/sweeper=search", "scale=2")


def test_a_search_needs_the_flag(refusal):
    assert refusal("hparams_search=width_depth") == "hparams_search=width_depth trains many times; add -m."


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("n_trials=two", "n_trials: expected an integer from 1 on, got 'two'"),
        ("n_trials=0", "n_trials: expected an integer from 1 on, got 0"),
        ("n_jobs=0", "n_jobs: expected an integer from 1 on, got 0"),
        ("seed=-1", "seed: expected an integer from 0 on, got -1"),
        ("max_failure_rate=x", "max_failure_rate: expected a share from 0 to 1, got 'x'"),
        ("max_failure_rate=1.5", "max_failure_rate: expected a share from 0 to 1, got 1.5"),
        ("storage=nonsense", "storage: expected a database such as sqlite:///study.db, got 'nonsense'"),
        ("sampler._target_=optuna.samplers.TPESample", "has no TPESample; did you mean 'TPESampler'?"),
    ],
)
def test_settings_of_a_search_are_refused_before_it(refusal, argument, expected):
    assert expected in refusal("-m", "hparams_search=width_depth", f"hydra.sweeper.{argument}")
