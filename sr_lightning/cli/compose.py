"""Composing a configuration without running it, so that refusals come before anything heavy is imported.

The only module that knows Hydra's inner interface (its `compose` cannot search `--config-dir`).
"""

import itertools
import os
import pickle
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl, get_overrides_dirname
from hydra._internal.config_repository import IConfigRepository
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra._internal.utils import create_config_search_path
from hydra.core.config_search_path import ConfigSearchPath, SearchPathQuery
from hydra.core.default_element import ResultDefault
from hydra.core.hydra_config import HydraConfig
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.utils import setup_globals
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from sr_lightning.refusal import Refusal
from sr_lightning.sweeps.trainer_devices import read_devices
from sr_lightning.yamls import conf_dir, register_arithmetic

Tree = dict[str, Any]


def register_resolvers() -> None:
    """Register the functions that the yamls call as `${name:...}`."""
    register_arithmetic()
    resolvers: dict[str, Callable[..., Any]] = {
        # loss=[l1,perceptual] -> l1+perceptual; a fragment without a target is no term (see `without_fragments`).
        "terms": lambda loss: "+".join(without_fragments(loss)),
        # Below runs/sweep: the folder of a named sweep, or that of all others.
        "sweep_folder": lambda name: name or "",
        # The GPUs that a job of a cluster asks for; auto is what a cell is given, which is one.
        "gpus": lambda accelerator, devices: None if accelerator == "cpu" else read_devices(devices).count or 1,
    }
    for name, resolver in resolvers.items():
        OmegaConf.register_new_resolver(name, resolver, replace=True)


# When this module is imported: Hydra itself resolves what `--cfg job --resolve` shows.
register_resolvers()
# Our launchers carry the names of those they build on, whose schemas check the values; without schemas all works too.
warnings.filterwarnings("ignore", r"\s*'hydra/launcher/\w+' is validated against ConfigStore schema", UserWarning)


def without_fragments(loss: Mapping[str, Any]) -> Mapping[str, Any]:
    """Leave out what an experiment sets for a loss that the command line has replaced.

    `experiment=e loss=charbonnier`, where e sets `loss.perceptual.weight`, leaves `perceptual: {weight: ...}` without a
    target. The command line wins, so the left-over goes.
    """
    return {name: term for name, term in loss.items() if not isinstance(term, Mapping) or "_target_" in term}


class _Loader(ConfigLoaderImpl):
    """Hydra's loader, which can leave out files of some groups while all that they choose stays."""

    def __init__(self, search_path: ConfigSearchPath) -> None:
        super().__init__(config_search_path=search_path)
        self.left_out: tuple[str, ...] = ()
        self._chosen: dict[tuple[tuple[str, ...], tuple[str, ...]], bytes] = {}

    def _compose_config_from_defaults_list(self, defaults: list[ResultDefault], repo: IConfigRepository) -> DictConfig:
        kept = [default for default in defaults if (default.config_path or "").split("/")[0] not in self.left_out]
        if len(kept) == len(defaults):
            self.left_out = ()
        return super()._compose_config_from_defaults_list(kept, repo)

    def load(self, config_name: str, overrides: Sequence[str], without: Sequence[str]) -> DictConfig:
        """Compose one run; what is chosen of the groups is read from the yamls only once.

        Reading takes some fifty milliseconds, the rest a few: the cells of a sweep have few choices and many values.
        """
        parsed = OverridesParser.create(config_loader=self).parse_overrides(list(overrides))
        chosen = [override for override in parsed if override.is_hydra_override() or self._chooses(override)]
        texts = tuple(str(override.input_line) for override in chosen)
        if (texts, tuple(without)) not in self._chosen:
            self.left_out = tuple(without)
            read = self.load_configuration(config_name=config_name, overrides=list(texts), run_mode=RunMode.RUN)
            # Where nothing was left out, it is also what is composed with everything.
            self._chosen[texts, tuple(without)] = self._chosen[texts, self.left_out] = pickle.dumps(read)
        cfg: DictConfig = pickle.loads(self._chosen[texts, tuple(without)])
        self._set_values(cfg, [override for override in parsed if override not in chosen], parsed)
        return cfg

    def _chooses(self, override: Override) -> bool:
        # As Hydra itself tells a choice from a value.
        return self.repository.group_exists(override.key_or_group) and not isinstance(override.value(), dict)

    def _set_values(self, cfg: DictConfig, values: list[Override], parsed: list[Override]) -> None:
        self._apply_overrides_to_config(values, cfg)
        task = [override for override in parsed if not override.is_hydra_override()]
        cfg.hydra.overrides.task = [override.input_line for override in task]
        cfg.hydra.runtime.cwd = os.getcwd()  # noqa: PTH109 - as Hydra has it
        names = cfg.hydra.job.config.override_dirname
        cfg.hydra.job.override_dirname = get_overrides_dirname(
            overrides=task, kv_sep=names.kv_sep, item_sep=names.item_sep, exclude_keys=names.exclude_keys
        )


@dataclass(frozen=True)
class Composed:
    """A composed configuration.

    Attributes:
        tree: the task's part, with every interpolation resolved.
        choices: the choice of each group.
        config: all of it, Hydra's part included, with interpolations as they stand.
    """

    tree: Tree
    choices: dict[str, Any]
    config: DictConfig = field(repr=False, compare=False)

    def hydra(self, key: str) -> Any:
        """Return a value of Hydra's part, resolved."""
        with _seen_by_hydra(self.config, number=0):
            return _select(self.config, f"hydra.{key}")

    def folder(self, number: int) -> Path:
        """Return the folder of a sweep's job by its number: the same that a launcher gives it."""
        with _seen_by_hydra(self.config, number=number):
            return Path(_select(self.config, "hydra.sweep.dir"), str(_select(self.config, "hydra.sweep.subdir")))


@contextmanager
def _seen_by_hydra(cfg: DictConfig, *, number: int) -> Iterator[None]:
    """Let `${hydra:...}` mean this configuration."""
    with open_dict(cfg.hydra):
        cfg.hydra.job.id = cfg.hydra.job.num = number
        # A preview only: what it resolves to is not where the run will be.
        cfg.hydra.runtime.output_dir = os.devnull
    HydraConfig.instance().set_config(cfg)
    OmegaConf.set_readonly(cfg.hydra, False)
    try:
        yield
    finally:
        HydraConfig.instance().cfg = None


class Composer:
    """Composes one command's configuration from the project's yamls and, before them, a user's own folder.

    Args:
        config_name: the primary yaml (`train`).
        config_dirs: extra folders with the user's yamls.
        base_dir: where the primary yaml lies; the project's `conf/` by default.
    """

    def __init__(self, config_name: str, *, config_dirs: Iterable[Path] = (), base_dir: Path | None = None) -> None:
        setup_globals()
        self.config_name = config_name
        search_path = create_config_search_path(str(base_dir or conf_dir()))
        for folder in config_dirs:
            if not folder.is_dir():
                raise Refusal(f"--config-dir: expected a folder, got {folder}, which is not one.")
            search_path.prepend("command-line", f"file://{folder.resolve()}", SearchPathQuery(provider="schema"))
        self._loader = _Loader(search_path)
        self._composed: dict[tuple[tuple[str, ...], tuple[str, ...]], Composed] = {}

    @cached_property
    def groups(self) -> dict[str, list[str]]:
        """Each configuration group (`model`, `module/discriminator`, ...) with its choices."""
        found: dict[str, list[str]] = {}
        queue = [""]
        while queue:
            parent = queue.pop(0)
            for name in self._loader.repository.get_group_options(parent, ObjectType.GROUP):
                group = f"{parent}/{name}" if parent else name
                if group == "hydra" or name.startswith((".", "_")):
                    continue
                if choices := self.choices_of(group):
                    found[group] = choices
                queue.append(group)
        return found

    def choices_of(self, group: str) -> list[str]:
        """Return the choices of one group, Hydra's own among them."""
        return sorted(self._loader.repository.get_group_options(group, ObjectType.CONFIG))

    def own_content(self, group: str, choice: str) -> Tree:
        """Return what a choice's own yaml says, as it will stand below its group.

        Without its defaults list, and with interpolations as they stand.
        """
        result = self._loader.repository.load_config(f"{group}/{choice}")
        if result is None:
            return {}
        content = OmegaConf.to_container(result.config)
        # `# @package loss.l1` puts all of it one level down.
        place = str(result.header.get("package") or "")
        for name in reversed(place.split(".")[1:] if place.startswith(f"{group}.") else []):
            content = {name: content}
        return {str(key): value for key, value in content.items()} if isinstance(content, dict) else {}

    def compose(self, overrides: Sequence[str], *, without: Sequence[str] = ()) -> Composed:
        """Compose and resolve; whatever Hydra objects to becomes a one-line refusal.

        Args:
            overrides: as on the command line.
            without: groups whose files' content is left out; what they choose of other groups stays.
        """
        key = (tuple(overrides), tuple(without))
        if key not in self._composed:
            self._composed[key] = self._compose(overrides, without)
        return self._composed[key]

    def parse(self, arguments: Sequence[str]) -> list[Override]:
        """Parse `key=value` arguments by Hydra's grammar; what it cannot read is refused."""
        return parse_overrides(arguments, loader=self._loader)

    def _compose(self, overrides: Sequence[str], without: Sequence[str]) -> Composed:
        try:
            cfg = self._loader.load(self.config_name, overrides, without)
            with _seen_by_hydra(cfg, number=0):
                tree = task_of(cfg)
        except (HydraException, OmegaConfBaseException) as error:
            raise Refusal(_first_lines(error)) from error
        return Composed(tree=tree, choices=dict(cfg.hydra.runtime.choices), config=cfg)


def task_of(cfg: DictConfig) -> Tree:
    """Return the task's part of a composed configuration, resolved, in plain values."""
    return {str(key): _value(cfg, str(key)) for key in cfg if key != "hydra"}


def _select(cfg: DictConfig, path: str) -> Any:
    node, _, last = path.rpartition(".")
    return _value(OmegaConf.select(cfg, node), last)


def _value(node: DictConfig, key: str) -> Any:
    """Return what stands at a key, resolved, in plain values; `???` where nothing does."""
    value = "???" if OmegaConf.is_missing(node, key) else node[key]
    return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value


def parse_overrides(arguments: Sequence[str], *, loader: ConfigLoaderImpl | None = None) -> list[Override]:
    """Parse `key=value` arguments; the loader serves `glob(...)` in a sweep, which looks for files."""
    parser = OverridesParser.create(config_loader=loader)
    parsed = []
    for argument in arguments:
        try:
            # The plural hands the loader on, the singular does not.
            parsed += parser.parse_overrides([argument])
        except HydraException as error:
            raise Refusal(
                f"cannot read '{argument}': expected key=value; put values with special characters into quotes, "
                f"as in \"key='a b'\"."
            ) from error
    return parsed


def quoted(value: str) -> str:
    """Return a value in quotes as Hydra's grammar reads them; a backslash counts there only before a quote."""
    escaped = re.sub(r"(\\*)('|$)", lambda found: found[1] * 2 + ("\\'" if found[2] else ""), value)
    return f"'{escaped}'"


def grammar(value: Any) -> str:
    """Return plain values (a composed node, say) as Hydra's grammar writes them on a command line."""
    if isinstance(value, Mapping):
        return f"{{{','.join(f'{_escaped(key)}:{grammar(entry)}' for key, entry in value.items())}}}"
    if isinstance(value, list):
        return f"[{','.join(map(grammar, value))}]"
    if isinstance(value, str):
        return quoted(value)
    return "null" if value is None else str(value).lower()


def _escaped(key: Any) -> str:
    """Return a mapping's key with a backslash before what the grammar would read; there are no quotes for keys."""
    return re.sub(r"([\\()\[\]{}:=,\s])", r"\\\1", str(key))


def cells(overrides: Sequence[Override]) -> list[list[str]]:
    """Expand a sweep (`model=a,b scale=2,3`) into the overrides of its cells, in Hydra's own order."""
    try:
        return list(itertools.chain.from_iterable(BasicSweeper.split_arguments(list(overrides), None)))
    except HydraException as error:
        raise Refusal(_first_lines(error)) from error


def _first_lines(error: BaseException) -> str:
    """Return what went wrong; Hydra wraps the telling error in one without words."""
    while not str(error).strip() and error.__cause__:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[:2]) if lines else type(error).__name__
