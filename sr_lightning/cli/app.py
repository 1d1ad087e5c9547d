"""What every command does before its work: read the arguments, help, refuse, then let Hydra run the task."""

import os
import signal
import sys
from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn

import hydra
from hydra._internal.utils import get_args_parser
from omegaconf import DictConfig

from sr_lightning.cli.borrow_model import borrow_model
from sr_lightning.cli.check import compose_checked, get, refuse_values
from sr_lightning.cli.compose import Composer, Tree, quoted
from sr_lightning.cli.console import keep_bars_for_terminals
from sr_lightning.cli.left_over import LeftOver, left_over
from sr_lightning.cli.start_sweep import start_sweep
from sr_lightning.refusal import Refusal, nearest
from sr_lightning.yamls import conf_dir

Check = Callable[[Tree, dict[str, Any]], None]
Task = Callable[[DictConfig], Any]

PATH_KEYS = (
    "checkpoint", "model.pretrained", "input", "output", "images", "save", "resume", "data.root", "data.train_dir",
    "data.val_dir", "data.test_dir", "data.lr_dir", "data.val_lr_dir", "pairs", "paths.data", "paths.runs",
    "paths.cache", "hydra.run.dir", "dry_run", "title", "blind.output",
)  # fmt: skip
# Groups that other yamls pull in; nobody chooses among them on a command line.
HIDDEN_GROUPS = ("recipe", "local", "loading", "command")
# Flags of Hydra's that would run something else than what was checked.
REFUSED_FLAGS = {
    "--config-path": "--config-dir",
    "-cp": "--config-dir",
    "--config-name": "experiment=",
    "-cn": "experiment=",
    "--experimental-rerun": "resume=",
}


@dataclass(frozen=True)
class Command:
    """One command of the program.

    Attributes:
        name: its name.
        summary: what it does, in a sentence.
        examples: command lines that show it, each with what it does.
        task: what to do with the composed configuration.
        check: refuses what the task could not do, from the composed tree and the choices of its groups.
        rewrite: turns the arguments into those that Hydra gets.
        sweeps: whether `-m` makes sense.
        borrows_model: whether `model=NAME` and `model.key=value` mean here what they mean for `train`.
        config_name: its primary yaml, named like the command where that is None. `train` for commands that take the
            arguments of a training; their own keys and their values for Hydra then stand in `conf/command/<name>.yaml`.
    """

    name: str
    summary: str
    examples: Sequence[tuple[str, str]]
    task: Task
    check: Check
    rewrite: Callable[[list[str]], "Rewritten"] | None = None
    sweeps: bool = False
    borrows_model: bool = False
    config_name: str | None = None

    @property
    def primary(self) -> str:
        """The name of its primary yaml."""
        return self.config_name or self.name

    @property
    def own_yaml(self) -> Path:
        """The yaml whose keys are this command's own."""
        borrowed = f"command/{self.name}" if self.config_name else self.name
        return conf_dir() / f"{borrowed}.yaml"


@dataclass(frozen=True)
class Rewritten:
    """Arguments after a command has had its say: overrides, another folder for the primary yaml.

    Attributes:
        overrides: as a person could have typed them.
        config_path: where the primary yaml lies, for one that is not the project's.
        config_name: its name.
        given: overrides that the program made itself.
    """

    overrides: list[str]
    config_path: Path | None = None
    config_name: str | None = None
    given: list[str] = field(default_factory=list)


def launch(command: Command) -> None:
    """Run a command with the arguments of this process; exits with 1 and one line on a refusal."""
    # The console script does not see the folder it is called from; a user's own package lies there.
    if os.getcwd() not in sys.path:  # noqa: PTH109 - sys.path holds texts
        sys.path.append(os.getcwd())  # noqa: PTH109
    keep_bars_for_terminals()
    try:
        arguments = _parse(command, sys.argv[1:])
        if arguments.help:
            print(help_text(command, _composer(command, arguments, None)))
            return
        texts = arguments.overrides if arguments.multirun else [quote_path(text) for text in arguments.overrides]
        if command.config_name:
            texts = [*texts, f"command={command.name}"]
        rewritten = command.rewrite(texts) if command.rewrite else Rewritten(texts)
        if command.borrows_model:
            others, model = borrow_model(rewritten.overrides, config_dirs=_config_dirs(arguments))
            rewritten = replace(rewritten, overrides=others, given=model)
        left = LeftOver()
        if not arguments.multirun:
            left = left_over(_composer(command, arguments, rewritten), rewritten.overrides)
            rewritten = replace(rewritten, given=[*rewritten.given, *left.overrides])
        if _runs(arguments):
            rewritten = _check_cells(command, arguments, rewritten)
            left.say()
    except Refusal as refusal:
        refuse(refusal)
    except KeyboardInterrupt:
        # While times are estimated; nothing has begun.
        sys.exit(128 + signal.SIGINT)
    _hand_over(command, arguments, rewritten)


def refuse(refusal: Exception) -> NoReturn:
    """Print the one line of a refusal and leave with exit code 1."""
    print(f"error: {' '.join(str(refusal).split())}", file=sys.stderr)
    sys.exit(1)


def quote_path(argument: str) -> str:
    """Quote the value of an argument that is a path, so that blanks, brackets and commas reach us unread."""
    key, equals, value = argument.partition("=")
    in_quotes = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
    if not equals or key.lstrip("+") not in PATH_KEYS or value in ("", "null") or in_quotes:
        return argument
    return f"{key}={quoted(value)}"


def help_text(command: Command, composer: Composer) -> str:
    """Return what `--help` prints: what the command does, its groups with their choices, examples."""
    lines = [f"{command.name}: {command.summary}", "", "Examples"]
    for line, meaning in command.examples:
        lines += [f"  {line}", f"      {meaning}"]
    groups = {name: choices for name, choices in composer.groups.items() if name not in HIDDEN_GROUPS}
    trains = command.primary == "train"
    tree = composer.compose([]).tree if trains else {}
    if command.sweeps:
        groups["hydra/launcher"] = sorted(path.stem for path in (conf_dir() / "hydra" / "launcher").glob("*.yaml"))
    if trains:
        lines += ["", "Choices (group=choice; loss takes several: 'loss=[l1,perceptual]')"]
        width = max(len(name) for name in groups)
        lines += [f"  {name:<{width}}  {', '.join(choices)}" for name, choices in groups.items()]
    lines += ["", "Keys (key=value)"]
    lines += [f"  {line}" for line in _key_lines(command, tree)]
    lines += [
        "",
        "Flags",
        "  --cfg job --resolve   print the configuration instead of running it",
        "  --config-dir DIR      a folder with your own yamls (DIR/model/mine.yaml: model=mine)",
    ]
    if command.sweeps:
        lines += [
            "  -m, --multirun        run every combination of comma-separated values on this machine's devices, or by",
            "                        another hydra/launcher; typed again, it goes on with what is not finished",
        ]
    lines.append("  --hydra-help          what else Hydra can do")
    lines.append("\nQuote brackets in zsh: 'loss=[l1,perceptual]'.")
    return "\n".join(lines)


def _key_lines(command: Command, tree: Tree) -> list[str]:
    """Return the plain keys of the primary yaml with the comment that stands above each."""
    lines: list[str] = []
    comments: list[str] = []
    parent = ""
    for raw in command.own_yaml.read_text().splitlines():
        text = raw.strip()
        if raw.startswith(("defaults:", "hydra:", "names:")):
            parent = "-"
        elif raw and not raw.startswith((" ", "#")):
            parent = ""
        if text.startswith("#"):
            comments.append(text.lstrip("# "))
        elif parent == "-" or not text:
            comments = []
        elif text.endswith(":"):
            parent, comments = f"{text[:-1]}.", []
        else:
            key, _, value = text.partition(": ")
            lines.append(f"{parent}{key}={value}" + (f"   {' '.join(comments)}" if comments else ""))
            comments = []
    if command.primary == "train":
        lines += [f"{key}={_shown(get(tree, key))}" for key in _COMMON_KEYS]
        lines.append(f"every key: {command.name}.py --cfg job --resolve")
    return lines


_COMMON_KEYS = (
    "trainer.max_steps", "trainer.val_every_steps", "trainer.precision", "trainer.devices", "data.batch_size",
    "data.hr_patch", "data.lr_patch", "data.num_workers", "optimizer.lr", "loss.l1.weight", "model.channels",
)  # fmt: skip


def _shown(value: Any) -> str:
    return "null" if value is None else str(value)


def _parse(command: Command, argv: list[str]) -> Namespace:
    parser = get_args_parser()
    flags = [flag for action in parser._actions for flag in action.option_strings]
    for argument in argv:
        flag = argument.partition("=")[0]
        if flag in REFUSED_FLAGS:
            raise Refusal(f"{flag} is not for this program; use {REFUSED_FLAGS[flag]}.")
        if flag.startswith("-") and flag not in flags:
            raise Refusal(f"unknown flag '{flag}': expected key=value or a flag of --help{nearest(flag, flags)}")
    # argparse would print its usage and leave with 2.
    parser.error = _refuse_usage  # type: ignore[method-assign]
    arguments = parser.parse_args(argv)
    if arguments.multirun and not command.sweeps:
        raise Refusal(f"{command.name} runs once: -m is for train.")
    if arguments.multirun and not _runs(arguments):
        raise Refusal("-m runs; Hydra shows one configuration: leave -m out, and all values of a key but one.")
    return arguments


def _refuse_usage(message: str) -> NoReturn:
    raise Refusal(message)


def _runs(arguments: Namespace) -> bool:
    """Whether the command does its work, rather than showing something of Hydra's."""
    return not (arguments.hydra_help or arguments.cfg or arguments.info is not None or arguments.shell_completion)


def _config_dirs(arguments: Namespace) -> list[Path]:
    return [Path(arguments.config_dir)] if arguments.config_dir else []


def _composer(command: Command, arguments: Namespace, rewritten: Rewritten | None) -> Composer:
    return Composer(
        (rewritten and rewritten.config_name) or command.primary,
        config_dirs=_config_dirs(arguments),
        base_dir=rewritten.config_path if rewritten else None,
    )


def _check_cells(command: Command, arguments: Namespace, rewritten: Rewritten) -> Rewritten:
    """Refuse what cannot be run; returns the arguments that Hydra gets."""
    composer = _composer(command, arguments, rewritten)
    if arguments.multirun:
        return replace(rewritten, overrides=start_sweep(composer, rewritten.overrides, command.check))
    refuse_values(composer.parse(rewritten.overrides), sweeps=command.sweeps)
    composed = compose_checked(composer, rewritten.overrides, rewritten.given)
    if search := composed.choices.get("hparams_search"):
        raise Refusal(f"hparams_search={search} trains many times; add -m.")
    command.check(composed.tree, composed.choices)
    return rewritten


def _hand_over(command: Command, arguments: Namespace, rewritten: Rewritten) -> None:
    """Let Hydra make the run folder(s) and call the task."""
    flags = [argument for argument in sys.argv[1:] if argument not in arguments.overrides]
    sys.argv = [sys.argv[0], *flags, *rewritten.overrides, *rewritten.given]
    # Hydra names its job after the file of the task function, and finds yamls by the path given here.
    main = hydra.main(
        version_base="1.3",
        config_path=str(rewritten.config_path or conf_dir()),
        config_name=rewritten.config_name or command.primary,
    )
    try:
        main(command.task)()
    except KeyboardInterrupt:
        # A training that has begun sees to it by itself.
        print("interrupted", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)
