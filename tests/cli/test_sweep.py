"""The cells of a sweep before it starts: which there are, which cannot be trained, where they go."""

from pathlib import Path

import pytest
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.hydra_config import HydraConfig
from hydra.types import HydraContext, RunMode
from omegaconf import OmegaConf

from sr_lightning.cli import launchers
from sr_lightning.cli.compose import Composer, parse_overrides
from sr_lightning.cli.sweep import Sweep, compose_whole, group_name, plan_sweep
from sr_lightning.cli.train import refuse_training_or_resume
from sr_lightning.refusal import Refusal
from sr_lightning.sweeps.launching import Launch


@pytest.fixture(scope="module")
def composer() -> Composer:
    return Composer("train")


@pytest.fixture
def plan(composer):
    def make(*arguments: str) -> Sweep:
        overrides = composer.parse(arguments)
        whole, kept = compose_whole(composer, overrides)
        return plan_sweep(composer, overrides, whole, kept, refuse_training_or_resume)

    return make


def labels(sweep: Sweep) -> list[str]:
    return [cell.label for cell, _ in sweep.cells]


def test_every_impossible_cell_is_named_once_for_each_reason(refusal):
    line = refusal("-m", "model=edsr_baseline,srcnn,bicubic", "loss=l1,charbonnier", "scale=2,5", "data.hr_patch=97")
    assert line.startswith("12 of 12 cells cannot be trained: ")
    assert "model=edsr_baseline scale=5 (2 cells): model=edsr_baseline supports scale 2, 3, 4, 8, got scale=5; " in line
    assert "model=bicubic (4 cells): model=bicubic has no parameters" in line
    assert line.count("model=srcnn scale=5") == 1
    assert "skip_impossible" not in line, "nothing would be left"


def test_what_is_left_can_be_trained_alone(refusal, plan):
    sweep = "model=edsr_baseline,bicubic", "loss=l1,charbonnier", "scale=2,5"
    assert refusal("-m", *sweep).endswith("; sweep.skip_impossible=true leaves them out.")
    planned = plan(*sweep, "sweep.skip_impossible=true")
    assert labels(planned) == ["model=edsr_baseline loss=l1 scale=2", "model=edsr_baseline loss=charbonnier scale=2"]
    assert len(planned.left_out) == 6
    assert planned.left_out[0].reason == "model=edsr_baseline supports scale 2, 3, 4, 8, got scale=5."


def test_more_reasons_than_one_reads_are_counted(refusal):
    scales = ",".join(str(scale) for scale in range(9, 18))
    line = refusal("-m", f"scale=2,{scales}")
    assert line.startswith("9 of 10 cells cannot be trained: ")
    assert "scale=14: " in line
    assert "scale=15" not in line
    assert "; and 3 other reasons; " in line


def test_what_holds_for_all_cells_is_a_mistake_of_the_command(refusal):
    for arguments in (("loss=l1,mse", "model=bicubic"), ("model=bicubic",)):
        line = refusal("-m", *arguments, "sweep.skip_impossible=true")
        assert line.startswith("model=bicubic has no parameters"), "the same line as without -m"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("data=sample,div2k",), "prepare.py data=div2k"),
        (("model=espcn,edsr_baseline", "model.depth=4"), "unknown key 'model.depth'"),
        (("scale=2,four",), "scale: expected an integer"),
        (("model=espcn,espcm",), "did you mean 'espcn'?"),
    ],
)
def test_mistakes_are_not_skipped(refusal, arguments, expected):
    assert expected in refusal("-m", *arguments, "sweep.skip_impossible=true", "data.root=nowhere")


def test_a_patch_too_large_for_the_images_of_some_cells_is_skipped(command, photos):
    folder = photos("folder", "a.png", "b.png", "c.png", side=100)
    for name in ("d.png",):
        photos("folder", name, side=400)
    same = ("data=folder", f"data.train_dir={folder}", f"data.val_dir={folder}", "data.lr_patch=48", "scale=2,8")
    assert command("train", "-m", *same).error.startswith(
        "1 of 2 cells cannot be trained: scale=8: data.lr_patch=48: 3"
    )
    assert len(command("train", "-m", *same, "sweep.skip_impossible=true").runs) == 1


def test_a_cell_that_is_there_twice_is_trained_once(plan):
    sweep = plan("scale=2,4,2", "logger=csv,wandb")
    assert labels(sweep) == ["scale=2 logger=csv", "scale=4 logger=csv"]
    reasons = [each.reason for each in sweep.left_out]
    same = [f"gives the same as scale={scale} logger=csv" for scale in (2, 4)]
    assert reasons == [*same, same[0], same[0]]


def test_two_cells_in_one_folder_are_refused(plan):
    with pytest.raises(
        Refusal, match=r"a folder of its own for every cell, got runs/sweep/x for two .*scale=2; scale=4"
    ):
        plan("scale=2,4", "hydra.sweep.subdir=x")


@pytest.mark.filterwarnings(r"ignore:\s*'hydra/launcher/\w+' is validated against ConfigStore")
@pytest.mark.parametrize("launcher", ["pool", "basic", "ray", "submitit_slurm"])
def test_the_folder_of_another_run_is_refused_before_the_table_whatever_launcher(
    command, launcher, tmp_path, monkeypatch
):
    monkeypatch.setattr(launchers, "find_spec", lambda name: True)
    monkeypatch.setattr(launchers, "which", lambda name: name)
    folder = tmp_path / "runs" / "sweep" / "4"
    folder.mkdir(parents=True)
    (folder / "results.json").write_text('{"status": "finished", "config_hash": "0123456789ab"}')
    places = f"paths.runs={tmp_path}/runs", r"hydra.sweep.subdir='${scale}'"
    answer = command("train", "-m", "scale=2,4", f"hydra/launcher={launcher}", *places)
    assert answer.error.startswith(f"{folder} holds a run of another configuration than this sweep's; give the sweep")
    assert not answer.runs


SUBDIRS = (
    "hydra.sweep.subdir=null",
    r"hydra.sweep.subdir='${hydra.job.num}_${scale}'",
    "hydra.sweep.subdir='${hydra.job.override_dirname}'",
    "sweep.name='my sweep'",
    "paths.runs=elsewhere",
)


@pytest.mark.parametrize("further", SUBDIRS)
def test_folders_are_those_that_launchers_give(composer, plan, further, tmp_path, monkeypatch):
    """The launcher's own way to them, through Hydra's loader as it is."""
    monkeypatch.chdir(tmp_path)
    arguments = ["model=espcn,bicubic,srcnn", "scale=2,3", "optimizer.lr=0.5", "sweep.skip_impossible=true"]
    arguments += [] if further.endswith("null") else [further]
    sweep = plan(*arguments)
    loader = ConfigLoaderImpl(composer._loader.config_search_path)
    config = loader.load_configuration("train", sweep.overrides, RunMode.MULTIRUN)
    launch = Launch(HydraContext(config_loader=loader, callbacks=None), task=None, config=config)
    try:
        jobs = launch.jobs([cell.overrides for cell, _ in sweep.cells], 0)
    finally:
        HydraConfig.instance().cfg = None
    assert [folder.absolute() for _, folder in sweep.cells] == [job.folder for job in jobs]
    assert len({job.folder for job in jobs}) == 4


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["model=srgan", "loss=[l1,perceptual]", "loss.perceptual.weight=0.5", "hydra.job.chdir=true"],
        ["experiment=quickstart", "loss=charbonnier", "scale=8", "+loss.more={_target_: x}", "~callbacks.panels"],
        ["~experiment", "module=gan", "module/discriminator=srgan", "data.hr_patch=64", "data.lr_patch=null"],
        ["scale=2", "scale=3", "hydra/launcher=basic", "hydra.sweep.dir=x", "debug=fast"],
        ["data=mix", "~data.sets", "+data.sets={a: 1}", "optimizer.betas=[0.5,0.9]"],
    ],
)
def test_composing_from_kept_choices_is_hydras_own_composing(composer, overrides):
    """Whatever was composed before, and in one piece by Hydra's loader."""
    loader = ConfigLoaderImpl(composer._loader.config_search_path)
    expected = loader.load_configuration("train", overrides, RunMode.RUN)
    for _ in range(2):
        found = composer._loader.load("train", overrides, ())
        assert sorted(found.hydra.overrides.task) == sorted(expected.hydra.overrides.task)
        for cfg in (found, expected):
            cfg.hydra.overrides.task = []
        assert OmegaConf.to_container(found) == OmegaConf.to_container(expected)
        expected = loader.load_configuration("train", overrides, RunMode.RUN)


def test_the_group_is_the_name_or_made_of_the_arguments(plan):
    assert plan("scale=2,4", "names.group=mine").group == "mine"
    assert plan("scale=2,4", "sweep.name=a sweep").group == "a sweep"
    made = plan("scale=2,4", "model=espcn", "loss=l1,mse")
    assert made.group.startswith("scale+loss_")
    for cell, _ in made.cells:
        assert cell.composed.tree["names"]["group"] == made.group
    assert made.manifest == Path(f"runs/sweep/{made.group}.json")
    assert plan("scale=2,4", "sweep.name=a sweep").manifest == Path("runs/sweep/a sweep/a-sweep.json")


def test_the_group_does_not_depend_on_order_or_on_how_it_runs():
    def group(*arguments: str) -> str:
        return group_name(parse_overrides(list(arguments)))

    assert group("scale=2,4", "model=espcn") == group("model=espcn", "scale=2,4", "hydra.launcher.jobs=3")
    assert group("scale=2,4") == group("scale=2,4", "sweep.skip_impossible=true")
    assert group("scale=2,4") == group("scale=2,4", "logger=wandb", "trainer.devices=2", "paths.runs=elsewhere")
    assert group("scale=2,4") != group("scale=2,3")
    assert group("module/discriminator=srgan,patch").startswith("module.discriminator_")
    assert group("scale=2").startswith("sweep_")


def test_a_key_of_the_swept_networks_alone(plan):
    """Hydra would compose it with the default network first, which does not have it."""
    sweep = plan("model=espcn,srcnn", "model.mapping_width=8", "hydra.launcher.jobs=2", "paths.runs=x")
    assert [cell.composed.tree["model"]["mapping_width"] for cell, _ in sweep.cells] == [8, 8]
    assert sweep.overrides[:2] == ["hydra.launcher.jobs=2", "paths.runs=x"]


def test_an_experiment_may_choose_the_launcher(tmp_path):
    (tmp_path / "experiment").mkdir()
    content = "# @package _global_\ndefaults:\n  - override /hydra/launcher: basic\n"
    (tmp_path / "experiment" / "here.yaml").write_text(content)
    composer = Composer("train", config_dirs=[tmp_path])

    def launcher(*arguments: str) -> str:
        overrides = composer.parse(["scale=2,4", *arguments])
        whole, kept = compose_whole(composer, overrides)
        handed_on = plan_sweep(composer, overrides, whole, kept, refuse_training_or_resume).overrides
        loader = ConfigLoaderImpl(composer._loader.config_search_path)
        of_hydra = loader.load_configuration("train", handed_on, RunMode.MULTIRUN).hydra
        assert of_hydra.runtime.choices["hydra/launcher"] == whole.choices["hydra/launcher"]
        return whole.choices["hydra/launcher"]

    assert launcher() == "pool"
    assert launcher("experiment=quickstart") == "pool"
    assert launcher("experiment=here") == "basic"
    assert launcher("experiment=here", "hydra/launcher=pool") == "pool", "the command line wins"


def test_a_yaml_may_say_what_is_swept(tmp_path):
    (tmp_path / "experiment").mkdir()
    content = "# @package _global_\nhydra: {sweeper: {params: {scale: '2,3', model: 'espcn,srcnn'}}}\n"
    (tmp_path / "experiment" / "grid.yaml").write_text(content)
    composer = Composer("train", config_dirs=[tmp_path])
    overrides = composer.parse(["experiment=grid", "model=espcn"])
    whole, kept = compose_whole(composer, overrides)
    sweep = plan_sweep(composer, overrides, whole, kept, refuse_training_or_resume)
    assert labels(sweep) == ["scale=2", "scale=3"], "the command line wins"
    assert "experiment=grid" in sweep.overrides


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("preflight=only", "scale=2,4"), "preflight=only looks at one run, without -m"),
        (("sweep.name=a,b",), "sweep.name: a sweep has one value of it, got several: sweep.name=a,b."),
        (("names.group=a,b",), "names.group: a sweep has one value of it"),
        (("hydra.launcher.jobs=1,2",), "hydra.launcher.jobs: a sweep has one value of it"),
        (("hydra/launcher=pol", "scale=2,4"), "got 'pol'; did you mean 'pool'?"),
        (("hydra/sweeper=serch", "scale=2,4"), "got 'serch'; did you mean 'search'?"),
        (("experiment=quickstrt", "scale=2,4"), "mean 'quickstart'?"),
        (("sweep.nam=a", "scale=2,4"), "mean 'sweep.name'?"),
        (("modle=srgan", "scale=2,4"), "unknown key 'modle'"),
    ],
)
def test_what_a_sweep_cannot_have(refusal, arguments, expected):
    assert expected in refusal("-m", *arguments)
