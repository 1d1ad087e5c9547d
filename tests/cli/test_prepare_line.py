"""The command line that a command names where images are missing."""

import re
import shlex

import pytest

from sr_lightning.cli.prepare_line import prepare_line


def named(refusal: str) -> list[str]:
    """Return the arguments of the command that a refusal names."""
    program, script, *arguments = shlex.split(re.search("`(.*)`", refusal)[1])
    assert (program, script) == ("python", "prepare.py")
    return arguments


@pytest.mark.parametrize(
    "arguments",
    [
        ("model=srgan", "data=bsds300", "scale=4", "data.root=none", "paths.cache=my cache"),
        ("data=bsds300", "data.root=it's [here], so", "eval=[set5]", "data.holdout=7", "data.store=ram"),
        ("data=mix", "data.root=none", "data.sets={t91: 1, bsds300: 2}", "loss=[l1,charbonnier]"),
        ("data=div2k", "data.root=none", "data.val=set5", "data.mirrors=[http://host/a, /b]", "preflight=only"),
        ("experiment=edsr_baseline", "scale=2", "data.root=none"),
        ("++data.holdout=3", "data=t91", "data.root=none", "optimizer.eps=1e-7"),
    ],
)
def test_it_has_the_arguments_of_the_training_and_prepare_takes_them(command, arguments):
    named_arguments = named(command("train", *arguments).error)
    assert named_arguments == list(arguments)
    answer = command("prepare", *named_arguments)
    assert not answer.error
    assert answer.tree["data"]["root"] == next(text[10:] for text in arguments if text.startswith("data.root="))


def test_a_folder_of_yamls_goes_along(command, tmp_path):
    (tmp_path / "yamls/data").mkdir(parents=True)
    (tmp_path / "yamls/data/mine.yaml").write_text("defaults: [t91, _self_]\nholdout: 3\n")
    arguments = ["--config-dir", str(tmp_path / "yamls"), "data=mine", "data.root=none"]
    assert named(command("train", *arguments).error) == arguments
    assert command("prepare", *arguments).tree["data"]["holdout"] == 3


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("-m", "data=bsds300,t91", "scale=2,4"), ("data=bsds300", "scale=2")),
        # The sample is there: the first cell that is refused is another.
        (("--multirun", "data=sample,bsds300", "scale=3,2"), ("data=bsds300", "scale=3")),
        (("-m", "scale=4", "data=t91", "data.root=a,b"), ("scale=4", "data=t91", "data.root=a")),
        (("-m", "data=t91", "seed=range(3,5)", "eval=[set5]"), ("data=t91", "seed=3", "eval=[set5]")),
        (("-m", "data=t91", "loss=[l1],[charbonnier]"), ("data=t91", "loss=[l1]")),
        (("-m", "data=t91", "++data.holdout=3,5"), ("data=t91", "++data.holdout=3")),
    ],
)
def test_of_a_sweep_it_has_the_cell_that_is_refused(command, arguments, expected):
    root = () if any("data.root" in text for text in arguments) else ("data.root=none",)
    assert named(command("train", *arguments, *root).error) == [*expected, *root]


def test_of_a_preview_without_its_own_keys(command):
    arguments = ("data=t91", "data.root=none", "scale=2")
    assert named(command("preview", "n=3", "output=a.png", *arguments, "pairs=b").error) == list(arguments)


def test_a_continued_run_has_no_arguments_to_repeat(monkeypatch):
    monkeypatch.setattr("sys.argv", ["train.py", "resume=run", "trainer.max_steps=7"])
    assert prepare_line({"resume": "run"}, {}) is None
    assert prepare_line({"resume": None}, {}) == "python prepare.py resume=run trainer.max_steps=7"
