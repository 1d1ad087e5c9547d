"""Which runs are one experiment, and what they are called."""

import numpy as np
import pytest
import yaml

from sr_lightning.comparison.experiments import experiments, flat, labels, overrides
from sr_lightning.comparison.runs import read_run


@pytest.fixture
def named(synthetic_runs, tmp_path):
    """Numbers of experiments, labels with and without seeds, and overrides, of runs with these facts."""
    random = np.random.default_rng(0)

    def name(*facts):
        runs = []
        for fact in facts:
            keys = fact.pop("keys", {})
            folder = synthetic_runs.write_run(tmp_path / str(len(list(tmp_path.iterdir()))), random=random, **fact)
            config = yaml.safe_load((folder / "config.yaml").read_text())
            for key, value in keys.items():
                *parents, last = key.split(".")
                node = config
                for parent in parents:
                    node = node.setdefault(parent, {})
                node[last] = value
            (folder / "config.yaml").write_text(yaml.safe_dump(config))
            runs.append(read_run(folder))
        configs = [flat(run.config) for run in runs]
        return (
            experiments(runs, configs), labels(runs, configs), labels(runs, configs, seeds=False), overrides(configs)
        )  # fmt: skip

    return name


def test_the_weights_that_a_run_began_with_make_an_experiment_and_a_name(named):
    warm = {"file": "edsr_x2.pt", "sha256": "1bc95232"}
    keys = {"model.pretrained": "/a/edsr_x2.pt", "model.pretrained_strict": False}
    numbers, labelled, _, differing = named(
        {"seed": 1, "keys": {"model.pretrained": None, "model.pretrained_strict": True}},
        # From before there were these keys.
        {"seed": 2},
        {"seed": 1, "keys": keys, "warm_start": warm},
    )
    assert numbers == [0, 0, 1]
    assert labelled[2].endswith("warm_start=edsr_x2.pt (1bc95232) seed=1")
    assert "warm_start=no" in labelled[0]
    assert not any("model.pretrained" in override for override in differing)


def test_seeds_and_places_make_no_experiment(named):
    numbers, labelled, without, differing = named(
        {"seed": 1, "keys": {"data.num_workers": 0, "paths.cache": "/a", "logger": {"csv": {}}}},
        {"seed": 2, "keys": {"data.num_workers": 8, "paths.cache": "/b", "metrics": ["lpips"], "regions": True}},
        {"seed": 1, "rate": 2e-4},
        {"seed": 1, "model": "srcnn"},
    )
    assert numbers == [0, 0, 1, 2]
    assert labelled == [
        "edsr_baseline l1 x4 lr=0.0001 seed=1",
        "edsr_baseline l1 x4 lr=0.0001 seed=2",
        "edsr_baseline l1 x4 lr=0.0002 seed=1",
        "srcnn l1 x4",
    ]
    assert without[0] == without[1] == "edsr_baseline l1 x4 lr=0.0001"
    assert differing == [{"optimizer.lr": 1e-4}, {"optimizer.lr": 1e-4}, {"optimizer.lr": 2e-4}, {"optimizer.lr": 1e-4}]


def test_what_has_a_name_is_called_by_it(named):
    _, labelled, _, _ = named(
        {"data": "div2k", "keys": {"data.spec.title": "x", "data.root": "/a"}},
        {"data": "t91", "keys": {"data.root": "/b"}},
        {"ema": 0.999},
    )
    assert labelled == [
        "edsr_baseline l1 x4 data=div2k",
        "edsr_baseline l1 x4 data=t91",
        "edsr_baseline l1 x4 data=div2k EMA",
    ]


def test_classes_are_called_by_their_names_and_degradations_by_theirs(named):
    _, labelled, _, differing = named(
        {"keys": {"optimizer._target_": "torch.optim.SGD", "degradation": {"_target_": "a.Bicubic", "border": "x"}}},
        {"degradation": "noise_down_x4_30", "keys": {"degradation": {"_target_": "a.NoiseDown", "border": "y"}}},
    )
    assert labelled == [
        "edsr_baseline l1 x4 degradation=bicubic optimizer=SGD",
        "edsr_baseline l1 x4 degradation=noise_down optimizer=Adam",
    ]
    assert differing[0] == {"optimizer": "SGD", "degradation.border": "x"}


def test_long_values_are_shortened_and_many_are_not_shown(named):
    many = {f"optimizer.key{number}": 1.0 for number in range(9)}
    _, labelled, _, _ = named(
        {"keys": {"optimizer.a": "/a/long/path/to/some/folder/of/weights", **many}},
        {"keys": {"optimizer.a": 3.0, **dict.fromkeys(many, 2.0)}},
    )
    assert labelled[0] == "edsr_baseline l1 x4 a=...me/folder/of/weights key0=1 key1=1"


def test_the_same_run_made_twice_is_told_apart_by_its_folder(named):
    numbers, labelled, _, _ = named({}, {})
    assert numbers == [0, 0]
    assert labelled == ["edsr_baseline l1 x4 (0)", "edsr_baseline l1 x4 (1)"]


def test_folders_of_one_name_are_told_apart_by_their_paths(synthetic_runs, tmp_path):
    random = np.random.default_rng(0)
    folders = [synthetic_runs.write_run(tmp_path / name / "run", random=random) for name in "ab"]
    runs = [read_run(folder) for folder in folders]
    assert labels(runs, [{}, {}]) == [f"edsr_baseline l1 x4 (run) ({folder})" for folder in folders]


def test_keys_that_only_some_have_do_not_differ(named):
    *_, differing = named({"keys": {"model.width": 64}}, {"model": "srcnn", "keys": {"model.filters": [1, 2]}})
    assert differing == [{}, {}]
    *_, differing = named({"keys": {"model.width": 64}}, {"keys": {"model.width": 32}}, {"model": "srcnn"})
    assert differing == [{"model.width": 64}, {"model.width": 32}, {}]


def test_without_a_configuration_a_runs_facts_tell(synthetic_runs, tmp_path):
    random = np.random.default_rng(0)
    facts = ({"seed": 1}, {"seed": 2}, {"loss": "mse"})
    runs = []
    for number, fact in enumerate(facts):
        folder = synthetic_runs.write_run(tmp_path / str(number), random=random, **fact)
        (folder / "config.yaml").unlink()
        runs.append(read_run(folder))
    assert experiments(runs, [{}, {}, {}]) == [0, 0, 1]
