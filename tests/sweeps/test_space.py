import pytest

from sr_lightning.refusal import Refusal
from sr_lightning.sweeps.space import read_space

PARAMS = {"optimizer.lr": "tag(log, interval(1e-5, 1e-2))", "loss": "choice(l1, charbonnier)"}


def test_arguments_win_over_the_yaml_and_plain_ones_stay_as_typed():
    space = read_space(PARAMS, ["loss=[l1,perceptual]", "model.width=range(16, 64, step=8)", "~scheduler.warmup"])
    assert list(space.searched) == ["optimizer.lr", "model.width"]
    assert space.texts({"optimizer.lr": 0.1, "model.width": 24}) == [
        "loss=[l1,perceptual]", "~scheduler.warmup", "optimizer.lr=0.1", "model.width=24",
    ]  # fmt: skip


def test_arguments_of_hydra_are_no_part_of_a_trial():
    assert read_space(PARAMS, ["hydra.sweeper.n_trials=3", "hydra/launcher=pool", "seed=1"]).fixed == ["seed=1"]


def test_the_space_is_tried_out_at_its_ends():
    space = read_space(PARAMS | {"model.width": "range(16, 64, step=8)", "model.depth": "int(interval(2, 9))"}, [])
    assert space.corners() == [
        {"optimizer.lr": "1e-05"}, {"optimizer.lr": "0.01"},
        {"loss": "l1"}, {"loss": "charbonnier"},
        {"model.width": "16"}, {"model.width": "64"},
        {"model.depth": "2"}, {"model.depth": "9"},
    ]  # fmt: skip


@pytest.mark.filterwarnings("ignore:The distribution is specified by")
@pytest.mark.parametrize(
    ("text", "ends"),
    [
        ("range(16, 64, step=8)", ["16", "64"]),
        ("range(16, 60, step=8)", ["16", "56"]),
        ("range(5)", ["0", "5"]),
        ("range(0.0, 0.3, step=0.1)", ["0.0", "0.3"]),
        ("range(0.1, 0.75, step=0.1)", ["0.1", "0.7"]),
        ("range(1, 10, step=0.5)", ["1.0", "10.0"]),
        ("range(1e-05, 5e-05, 1e-05)", ["1e-05", "5e-05"]),
    ],
)
def test_a_range_ends_where_its_steps_do(text: str, ends: list[str]):
    space = read_space({"k": text}, [])
    assert [corner["k"] for corner in space.corners()] == ends
    study = pytest.importorskip("sr_lightning.sweeps.study")
    distribution = study.ask(study.optuna.create_study(), space.searched).distributions["k"]
    assert [str(distribution.low), str(distribution.high)] == ends, "what Optuna chooses among"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("range(64, 16, step=-8)", r"^k: expected a range that goes upwards, .*got k=range\(64, 16, step=-8\)"),
        ("range(3, 2)", "goes upwards"),
        ("range(2, 3, step=0)", "goes upwards"),
        ("shuffle(range(1, 4))", "^k: a search has no use for shuffle"),
        ("shuffle(a, b)", "^k: a search has no use for shuffle"),
    ],
)
def test_values_that_optuna_cannot_search_are_refused(text: str, line: str):
    with pytest.raises(Refusal, match=line):
        read_space({"k": text}, [])


def test_nothing_to_search_is_refused():
    with pytest.raises(Refusal, match="expected keys to search"):
        read_space(PARAMS, ["optimizer.lr=0.1", "loss=l1"])
