"""A run is known by what it gives, and by nothing else."""

import copy

import pytest

from sr_lightning.cli.compose import Composer
from sr_lightning.report.identity import IRRELEVANT, config_hash


@pytest.fixture(scope="module")
def config() -> dict:
    return Composer("train").compose(["model=espcn"]).tree


def changed(config: dict, path: str, value: object) -> dict:
    tree = copy.deepcopy(config)
    *parents, last = path.split(".")
    node = tree
    for part in parents:
        node = node[part]
    node[last] = value
    return tree


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("resume", "somewhere"), ("compile", True), ("logger.csv._target_", "other"), ("paths.cache", "/elsewhere"),
        ("names.group", "mine"), ("names.experiment", "e"), ("trainer.devices", 2), ("trainer.accelerator", "cuda"),
        ("data.num_workers", 3), ("data.store", "ram"), ("callbacks.progress.refresh", 1.0), ("sweep.name", "s"),
        ("data.root", "/elsewhere"), ("model.spec.paper", "corrected"), ("data.spec.about", "corrected"),
        ("trainer.log_every_steps", 7),
    ],
)  # fmt: skip
def test_what_a_run_does_not_depend_on_leaves_its_folder(config, path, value):
    assert config_hash(changed(config, path, value)) == config_hash(config)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("seed", 1), ("scale", 3), ("trainer.max_steps", 7), ("trainer.precision", "32-true"), ("optimizer.lr", 0.5),
        ("data.batch_size", 3), ("names.data", "t91"), ("eval", ["set5"]),
        ("model.pretrained", "/weights.pth"), ("model.pretrained_strict", False),
        ("metrics", ["lpips"]), ("regions", True), ("degradations", ["blur_down"]),
        ("protocol", "rgb"), ("loss.mse.weight", 2.0), ("model.channels", 3),
        ("data.train_dir", "/elsewhere"), ("data.spec.splits", {"train": {"images": 1}}),
    ],
)  # fmt: skip
def test_what_a_run_depends_on_makes_it_another(config, path, value):
    assert config_hash(changed(config, path, value)) != config_hash(config)


def test_keys_of_later_versions_leave_the_hash_as_it_was(config):
    earlier = copy.deepcopy(config)
    for key in ("metrics", "regions", "degradations"):
        del earlier[key]
    for key in ("pretrained", "pretrained_strict"):
        del earlier["model"][key]
    assert config_hash(earlier) == config_hash(config)


@pytest.mark.parametrize(("key", "value"), [("data.val", "mine"), ("eval", ["Grandma's"]), ("eval", "theirs")])
def test_a_set_of_ones_own_counts_by_what_its_yaml_says(config, tmp_path, key, value):
    first, moved = tmp_path / "first", tmp_path / "moved"
    for folder in (first, moved):
        folder.mkdir()
        (folder / "other.yaml").write_text("spec: {kind: evaluation, splits: {test: {images: 7}}}")
    spec = (
        "{kind: evaluation, title: Grandma's, aliases: [Theirs], about: A, protocol: {color: rgb}, splits: {test: %s}}"
    )

    def hash_of(folder, split="{images: 1}", about="A"):
        (folder / "mine.yaml").write_text(f"spec: {spec.replace('about: A', f'about: {about}') % split}")
        return config_hash(changed(changed(config, key, value), "paths.catalogue", [str(folder)]))

    known = hash_of(first)
    assert hash_of(moved) == known, "where it lies is not what it is"
    assert hash_of(first, about="corrected") == known
    assert hash_of(first, "{images: 2, hr: [elsewhere]}") != known
    hash_of(first)
    (first / "other.yaml").write_text("spec: {kind: evaluation, splits: {test: {images: 8}}}")
    assert hash_of(first) == known, "nobody named it"
    (first / "mine.yaml").write_text(f"spec: {spec.replace('rgb', 'y_float') % '{images: 1}'}")
    assert config_hash(changed(changed(config, key, value), "paths.catalogue", [str(first)])) != known


def test_the_parts_of_a_mixture_count_too(tmp_path):
    config = Composer("train").compose(["data=mix", "model=espcn", f"paths.catalogue=[{tmp_path}]"]).tree
    config["data"]["sets"] = {"mine": None}
    found = set()
    for images in (1, 2):
        (tmp_path / "mine.yaml").write_text(
            f"spec: {{kind: training, splits: {{train: {{images: {images}}}}}}}  # {'x' * images}"
        )
        found.add(config_hash(config))
    assert len(found) == 2


def test_every_irrelevant_key_is_one_of_the_configuration(config):
    for path in IRRELEVANT:
        node = config
        for part in path.split("."):
            assert part in node, path
            node = node[part]


def test_the_order_of_keys_does_not_count_nor_does_what_an_experiment_left_of_a_loss(config):
    turned = dict(reversed(config.items()))
    turned["loss"] = {**config["loss"], "perceptual": {"weight": 0.1}}
    assert config_hash(turned) == config_hash(config)
    assert len(config_hash(config)) == 12
    assert config["loss"].keys() == {"mse"}  # what is given stays as it is
