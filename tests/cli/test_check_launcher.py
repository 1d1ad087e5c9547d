"""The keys of the pool, refused in one line by their yaml."""

import pytest

from sr_lightning.cli.check import compose_checked
from sr_lightning.cli.compose import Composer
from sr_lightning.refusal import Refusal


@pytest.fixture(scope="module")
def composer() -> Composer:
    return Composer("train")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("hydra.launcher.job=2", r"unknown key 'hydra.launcher.job': .*did you mean 'hydra.launcher.jobs'\?"),
        ("+hydra.launcher.retry=2", r"unknown key 'hydra.launcher.retry'.*did you mean 'hydra.launcher.retries'\?"),
        ("hydra.launcher.jobs=two", "hydra.launcher.jobs: expected an integer, got 'two'"),
        ("hydra.launcher.jobs=0", "hydra.launcher.jobs: expected a positive number, got 0"),
        ("hydra.launcher.gpus=0", "hydra.launcher.gpus: expected a list, got 0"),
        ("hydra.launcher.retries=-1", "hydra.launcher.retries: expected zero or more, got -1"),
        ("hydra.launcher.retries=null", "hydra.launcher.retries: expected an integer, got null"),
        ("hydra.launcher.poll=0", "hydra.launcher.poll: expected a positive number, got 0"),
        ("~hydra.launcher.poll", "'hydra.launcher.poll' was taken away"),
        ("hydra/launcher=pol", r"hydra/launcher: expected one of .*, got 'pol'; did you mean 'pool'\?"),
        ("hydra/sweeper=optun", r"hydra/sweeper: expected one of .*, got 'optun'; did you mean 'optuna'\?"),
    ],
)
def test_what_the_pool_cannot_take(composer: Composer, override: str, message: str) -> None:
    with pytest.raises(Refusal, match=message):
        compose_checked(composer, [override])


@pytest.mark.parametrize(
    "overrides",
    [
        [
            "hydra.launcher.jobs=4",
            "hydra.launcher.gpus=[0,GPU-5d5b]",
            "hydra.launcher.retries=2",
            "hydra.launcher.poll=1",
        ],
        ["hydra.launcher.jobs=null", "hydra.launcher.gpus=null"],
        ["hydra/launcher=basic"],
    ],
)
def test_what_it_takes(composer: Composer, overrides: list[str]) -> None:
    compose_checked(composer, overrides)


def test_keys_of_another_launcher_are_checked_by_hydra(composer: Composer) -> None:
    with pytest.raises(Refusal, match=r"hydra\.launcher\.jobs"):
        compose_checked(composer, ["hydra/launcher=basic", "hydra.launcher.jobs=4"])
