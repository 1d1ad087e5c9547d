"""Help, flags and the arguments as Hydra gets them."""

import sys

import pytest

from sr_lightning.cli import app, upscale
from sr_lightning.cli.app import quote_path
from sr_lightning.cli.compose import parse_overrides, quoted


def test_help_of_train_names_groups_choices_and_five_commands(command):
    out = command("train", "--help").out
    for group, choice in (("model", "srgan"), ("loss", "charbonnier"), ("module", "gan"), ("data", "folder"),
                          ("degradation", "bicubic"), ("optimizer", "adamw"), ("scheduler", "cosine"),
                          ("trainer", "ddp"), ("logger", "wandb"), ("callbacks", "ema"), ("debug", "fast"),
                          ("experiment", "quickstart"), ("paths", "default")):  # fmt: skip
        [line] = [line for line in out.splitlines() if line.split()[:1] == [group]]
        assert choice in line
    assert out.count("python train.py ") >= 5
    for key in ("scale=4", "trainer.max_steps=10000", "data.batch_size=16", "optimizer.lr=0.0001", "resume=null"):
        assert f"  {key}" in out


def test_examples_of_the_help_are_commands_that_pass(command, photos):
    import shlex

    from sr_lightning.cli.train import EXAMPLES

    folder = photos("DIR")
    for line, _ in EXAMPLES:
        arguments = [text.replace("DIR", str(folder)) for text in shlex.split(line)[2:]]
        # They need a run and a data set that are not here.
        if not arguments[0].startswith(("resume=", "data=div2k")):
            assert not command("train", *arguments).error, line


@pytest.mark.parametrize("name", ["evaluate", "upscale"])
def test_help_of_the_others(command, name):
    out = command(name, "--help").out
    assert f"python {name}.py checkpoint=" in out
    assert "  checkpoint=" in out
    assert "--multirun" not in out


def test_help_of_train_tells_of_sweeps(command):
    lines = command("train", "--help").out.splitlines()
    assert any(line.split() == ["hydra/launcher", "pool,", "ray,", "submitit_slurm"] for line in lines)
    assert any(line.split()[:2] == ["hparams_search", "learning_rate,"] for line in lines)
    assert any(line.startswith("  sweep.skip_impossible=false   Leave out cells") for line in lines)


def test_sweeps_are_for_training(command):
    assert command("evaluate", "-m", "model=bicubic").error == "evaluate runs once: -m is for train."


@pytest.mark.parametrize("flag", [("--cfg", "job"), ("--info", "all"), ("--hydra-help",)])
def test_a_sweep_is_not_shown(refusal, flag):
    assert refusal("-m", *flag, "scale=2,3").startswith("-m runs; ")


def test_ctrl_c_before_the_start_ends_in_good_order(command, monkeypatch, capsys):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(app, "start_sweep", interrupted)
    monkeypatch.setattr("sys.argv", ["train.py", "-m", "scale=2,3"])
    from sr_lightning.cli.train import main

    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 130


def test_ctrl_c_before_a_task_has_begun_ends_in_a_line(monkeypatch, capsys, tmp_path):
    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.png").write_text("")
    monkeypatch.setattr("sys.argv", ["upscale.py", "model=bicubic", "scale=2", "input=a.png", "output=b.png"])
    monkeypatch.setattr(upscale, "run", interrupted)

    with pytest.raises(SystemExit) as end:
        upscale.main()
    assert end.value.code == 130
    assert capsys.readouterr().err == "interrupted\n"


@pytest.mark.parametrize(
    ("name", "text", "group"),
    [
        ("models", "model=srcnn", "model"),
        ("export", "model=srcnn", "model"),
        ("evaluate", "experiment=imdn", "experiment"),
        ("upscale", "module/discriminator=patch", "module"),
    ],
)
def test_a_group_that_a_command_has_not_is_an_unknown_key(command, name, text, group):
    assert command(name, text).error == f"unknown key '{group}': {name} has no {group} to choose."


def test_a_group_of_ones_own_is_added(command, tmp_path):
    (tmp_path / "conf" / "mine").mkdir(parents=True)
    (tmp_path / "conf" / "mine" / "a.yaml").write_text("x: 1\n")
    answer = command("train", f"--config-dir={tmp_path}/conf", "mine=a")
    assert answer.error == "unknown key 'mine': train has no mine to choose; a group of your own is added by +mine=a."


@pytest.mark.parametrize(
    "value", ["a b", "a,b", "[a]", "{a}", "a=b", "it's", '"', "\\", "a\\", "\\'", "a\\\\'b'", "(", "é"]
)
def test_quoting_is_undone_by_the_grammar(value):
    assert parse_overrides([f"input={quoted(value)}"])[0].value() == value
    assert parse_overrides([quote_path(f"data.train_dir={value}")])[0].value() == value


def test_only_paths_are_quoted():
    for text in ("loss=[l1,mse]", "input=", "resume=null", "input='a b'", "scale=4", "no_equals"):
        assert quote_path(text) == text
    assert quote_path("+data.train_dir=a b") == "+data.train_dir='a b'"


def test_a_users_package_is_found_in_the_working_directory(command, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    command("train")
    assert str(tmp_path) in sys.path


@pytest.mark.parametrize("extra", [("--cfg", "job"), ("--cfg=job", "--resolve")])
def test_showing_the_configuration_shows_what_would_run(monkeypatch, extra, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    given = []
    monkeypatch.setattr(app, "_hand_over", lambda command, arguments, rewritten: given.append(rewritten.overrides))
    monkeypatch.setattr("sys.argv", ["train.py", *extra, "data=folder", "data.train_dir=a b", "data.hr_patch=96"])
    from sr_lightning.cli.train import main

    main()

    assert given == [["data=folder", "data.train_dir='a b'", "data.hr_patch=96", "data.lr_patch=null"]]
