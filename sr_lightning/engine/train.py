"""One run, from its configuration to its results."""

import logging
import os
import signal
import time
import warnings
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import lightning.pytorch as pl
import rich
import torch
from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only
from omegaconf import DictConfig, OmegaConf

from sr_lightning.callbacks.checkpoints import Checkpoints
from sr_lightning.callbacks.steps import Interrupted, Steps
from sr_lightning.data.benchmarks import EvaluationSet, find_sets
from sr_lightning.data.datamodule import SRDataModule
from sr_lightning.data.sample import sample_images
from sr_lightning.data.scan import DataError, list_images
from sr_lightning.data.store import Store
from sr_lightning.engine import worker
from sr_lightning.engine.build import (
    build_callback,
    build_degradation,
    build_logger,
    build_module,
    build_network,
    expand,
)
from sr_lightning.engine.checkpoint import Loaded, load_network
from sr_lightning.engine.evaluate import bicubic_means, evaluate_set, network_source
from sr_lightning.engine.precision import resolve_precision
from sr_lightning.losses.perceptual import PerceptualLoss
from sr_lightning.metrics.protocol import get_protocol
from sr_lightning.modules.base import SuperResolution
from sr_lightning.refusal import Refusal
from sr_lightning.report.files import write_atomically
from sr_lightning.report.results import Results, git_state, versions
from sr_lightning.report.tables import score_table

log = logging.getLogger(__name__)

# SSIM's window; validation images must keep that much after the border is cut.
SSIM_WINDOW = 11


def train(cfg: DictConfig, run_dir: Path) -> dict[str, Any]:
    """Train, evaluate the best weights, and leave everything in the run's folder.

    Args:
        cfg: the resolved configuration of `conf/train.yaml`; with `resume` the run in `run_dir` goes on.
        run_dir: the run's folder.

    Returns:
        The content of `results.json`; `status` and `exit_code` say how the run ended.

    Raises:
        Refusal: the run cannot be started; `results.json` says so too.
    """
    config = OmegaConf.to_container(cfg, resolve=True)
    assert isinstance(config, dict)
    return Run({str(key): value for key, value in config.items()}, run_dir).execute()


class Run:
    """One run of training in its folder.

    Args:
        config: the resolved configuration, as plain values.
        run_dir: the run's folder.
    """

    def __init__(self, config: dict[str, Any], run_dir: Path) -> None:
        self.config = config
        self.run_dir = run_dir
        self.first_rank = not getattr(rank_zero_only, "rank", 0)
        self.last = run_dir / "checkpoints" / "last.ckpt"
        self.resumed = bool(config["resume"])
        self.scale = int(config["scale"])
        self.protocol = get_protocol(config["protocol"])
        self.loggers: list[Logger] = []

    def execute(self) -> dict[str, Any]:
        """Do all of it; whatever happens, `results.json` tells."""
        if self.first_rank and not self.resumed and (self.run_dir / "results.json").exists():
            raise Refusal(
                f"{self.run_dir} already holds a run; resume={self.run_dir} goes on with it, another hydra.run.dir "
                "starts a new one."
            )
        self._keep_log()
        self.results = self._begin()
        previous = {number: signal.signal(number, _leave) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            self._train_and_evaluate()
            self._end("finished", 0)
        except Interrupted as interruption:
            rich.get_console().print(f"[yellow]{interruption}[/]; resume={self.run_dir} goes on.", soft_wrap=True)
            self._end("interrupted", 128 + interruption.signal, str(interruption))
        except (Refusal, DataError) as refusal:
            self._end("failed", 1, str(refusal))
            raise Refusal(str(refusal)) from refusal
        except Exception as error:
            log.exception("the run failed")
            rich.get_console().print_exception()
            self._end("failed", 1, f"{type(error).__name__}: {error}")
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)
        return self.results.content

    def _begin(self) -> Results:
        names = self.config["names"]
        content: dict[str, Any] = {
            "status": "running",
            "error": None,
            "exit_code": None,
            **{key: names[key] for key in ("model", "module", "loss", "data", "experiment")},
            "scale": self.scale,
            "parameters": None,
            "steps": 0,
            "hr_pixels": 0,
            "seconds": 0.0,
            "samples_per_second": None,
            "seed": self.config["seed"],
            "git": git_state(Path.cwd()),
            "versions": versions(),
            "device": None,
            "precision": None,
            "ema": (self.config["callbacks"].get("ema") or {}).get("decay"),
            "warm_start": None,
            "protocol": self.protocol.as_dict(self.scale),
            "metrics": {},
            "validation": None,
            "features": {},
            "best_step": None,
        }
        if self.first_rank:
            kept = OmegaConf.to_yaml(OmegaConf.create({**self.config, "resume": None}))
            write_atomically(self.run_dir / "config.yaml", kept)
        return Results(self.run_dir / "results.json", enabled=self.first_rank, content=content)

    def _train_and_evaluate(self) -> None:
        config = self.config
        pl.seed_everything(config["seed"], workers=True, verbose=False)
        accelerator = _accelerator(config["trainer"]["accelerator"])
        precision = resolve_precision(config["trainer"]["precision"], accelerator)
        network = build_network(config["model"])
        module = build_module(config, network=network, precision=precision)
        features = _features(module)
        module.description["features"] = features
        datamodule = self._datamodule()
        if self.first_rank:
            datamodule.prepare_data()
        self.results.update(
            parameters=sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad),
            device=_device_name(accelerator),
            precision=precision,
            features=features,
        )
        step = self._resume_step()
        if step < config["trainer"]["max_steps"]:
            self._fit(module, datamodule, accelerator=accelerator, precision=precision, step=step)
        if self.first_rank:
            self._evaluate(datamodule)

    def _fit(
        self,
        module: SuperResolution,
        datamodule: SRDataModule,
        *,
        accelerator: str,
        precision: str,
        step: int,
    ) -> None:
        config, settings = self.config, self.config["trainer"]
        bicubic = self._announce(module, datamodule, precision)
        checkpoints = Checkpoints(
            folder=self.run_dir / "checkpoints", every_steps=config["callbacks"]["checkpoints"]["every_steps"]
        )
        available = {
            "folder": self.run_dir / "panels", "path": self.run_dir / "metrics.csv", "run_dir": self.run_dir,
            "bicubic": bicubic, "resume_step": step, "config": config, "name": self._title(),
            "tags": [f"{key}:{config['names'][key]}" for key in ("model", "loss", "data")] + [f"scale:{self.scale}"],
        }  # fmt: skip
        # An EMA callback puts its weights in the network's place for validation: it goes before all that look at it.
        named = sorted(
            (item for item in config["callbacks"].items() if item[0] != "checkpoints"),
            key=lambda item: item[0] != "ema",
        )
        callbacks = [build_callback(node, name=name, available=available) for name, node in named]
        self.loggers = [build_logger(node, name=name, available=available) for name, node in config["logger"].items()]
        manual = not module.automatic_optimization
        trainer = pl.Trainer(
            accelerator=accelerator,
            devices=settings["devices"],
            num_nodes=settings["num_nodes"],
            strategy=_strategy(settings["strategy"], settings["devices"], settings["num_nodes"], gan=manual),
            precision=precision,  # type: ignore[arg-type]
            max_steps=settings["max_steps"],
            max_epochs=-1,
            # Lightning counts batches here, and stands on steps only without accumulation.
            val_check_interval=settings["val_every_steps"] * module.accumulate,
            check_val_every_n_epoch=None,
            accumulate_grad_batches=1 if manual else module.accumulate,
            gradient_clip_val=settings["gradient_clip_val"],
            deterministic=settings["deterministic"],
            callbacks=[
                *callbacks,
                Steps(max_steps=settings["max_steps"], checkpoints=checkpoints),
                checkpoints,
            ],
            logger=self.loggers,
            num_sanity_val_steps=0,
            log_every_n_steps=1,
            # Lightning's sampler repeats images to fill ranks, which makes a mean wrong.
            use_distributed_sampler=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=self.run_dir,
        )
        started = time.monotonic()
        try:
            with worker.relaunched_with(self.run_dir), warnings.catch_warnings():
                _silence()
                trainer.fit(
                    module,
                    datamodule=datamodule,
                    ckpt_path=str(self.last) if step else None,
                    weights_only=True,
                )
        finally:
            seconds = time.monotonic() - started
            patch = datamodule.lr_patch * self.scale
            done = module.step - step
            self.results.update(
                steps=module.step,
                hr_pixels=module.step * config["data"]["batch_size"] * patch**2,
                seconds=round(seconds, 3),
                samples_per_second=round(done * config["data"]["batch_size"] / seconds, 3) if done > 0 else None,
                best_step=checkpoints.best_step,
            )

    def _evaluate(self, datamodule: SRDataModule) -> None:
        """Score the best weights on sets that chose nothing, and say where things lie."""
        best = self.run_dir / "checkpoints" / "best.ckpt"
        path = best if best.is_file() else self.last
        loaded = load_network(path)
        device = torch.device(_accelerator(self.config["trainer"]["accelerator"]))
        source = network_source(loaded.network, device=device)
        protocol = {**self.protocol.as_dict(self.scale), "ema": loaded.ema}
        console = rich.get_console()
        metrics: dict[str, Any] = {}
        for evaluation_set in self._reported_sets():
            scores = evaluate_set(evaluation_set, source=source, protocol=self.protocol, scale=self.scale)
            metrics[evaluation_set.name] = scores
        val = EvaluationSet("validation", tuple(Path(path) for path in _store_files(datamodule)), None)
        validation = evaluate_set(val, source=source, protocol=self.protocol, scale=self.scale)
        self.results.update(metrics=metrics, validation=validation, protocol=protocol, steps=loaded_steps(self.last))
        shown = metrics or {"validation": validation}
        published = {loaded.name: (loaded.model.get("spec") or {}).get("published") or {}}
        console.print()
        console.print(score_table(shown, label=loaded.name, scale=self.scale, protocol=protocol, published=published))
        if not metrics:
            console.print("These images chose best.ckpt, so this is no result; data.root=DIR reports Set5, Set14, ...")
        self._warn_random_features(console)
        for what, where in (
            ("weights", path),
            ("results", self.run_dir / "results.json"),
            ("panels", self.run_dir / "panels"),
        ):
            console.print(f"{what:<8} {where}", highlight=False, soft_wrap=True)

    def _reported_sets(self) -> list[EvaluationSet]:
        config = self.config
        sets: list[EvaluationSet] = []
        root = expand(config["data"]["root"])
        names = [config["eval"]] if isinstance(config["eval"], str) else config["eval"]
        if root.is_dir() or names:
            sets += find_sets(root, scale=self.scale, names=names)
        if config["data"]["demonstration"]:
            sets.append(EvaluationSet("sample", tuple(sample_images()["test"]), None))
        elif config["data"]["test_dir"]:
            folder = expand(config["data"]["test_dir"])
            sets.append(EvaluationSet("test", tuple(list_images(folder)), None))
        return sets

    def _datamodule(self) -> SRDataModule:
        data = self.config["data"]
        if data["demonstration"]:
            images = sample_images()
        else:
            images = {
                part: list_images(expand(data[f"{part}_dir"])) if data[f"{part}_dir"] else []
                for part in ("train", "val")
            }
        return SRDataModule(
            train_images=images["train"],
            val_images=images["val"],
            test_images=[],
            scale=self.scale,
            degradation=build_degradation(self.config["degradation"]),
            hr_patch=data["hr_patch"],
            lr_patch=data["lr_patch"],
            batch_size=data["batch_size"],
            accumulate=self.config["module"]["accumulate"],
            num_workers=data["num_workers"],
            seed=self.config["seed"],
            cache_dir=expand(self.config["paths"]["cache"]),
            min_side=SSIM_WINDOW + 2 * self.scale,
        )

    def _announce(self, module: SuperResolution, datamodule: SRDataModule, precision: str) -> dict[str, float]:
        """Say what begins, and return bicubic's scores on the validation images."""
        datamodule.setup("fit")
        store, val = datamodule.train_store, datamodule.val_store
        assert store is not None
        assert val is not None
        bicubic = bicubic_means(_store_pairs(val), protocol=self.protocol, scale=self.scale)
        if not self.first_rank:
            return bicubic
        console = rich.get_console()
        names = self.config["names"]
        console.print(
            f"[bold]{self._title()}[/]  {self.results.content['parameters']:,} parameters, "
            f"{len(store)} training and {len(val)} validation images, {self.results.content['device']}, {precision}",
            highlight=False,
            soft_wrap=True,
        )
        if self.config["data"]["demonstration"]:
            console.print(
                "[yellow]data=sample is a demonstration set of a few photographs.[/] For numbers to report, train on "
                "real sets: data=folder data.train_dir=DIR data.val_dir=DIR (BSDS300, T91, DIV2K, ...)",
                soft_wrap=True,
            )
        self._warn_random_features(console)
        console.print(f"run folder {self.run_dir}", highlight=False, soft_wrap=True)
        log.info(
            "%s x%d on %s with %s: %s",
            names["model"],
            self.scale,
            names["data"],
            names["loss"],
            module.description,
        )
        return bicubic

    def _warn_random_features(self, console: Any) -> None:
        random = [name for name, source in self.results.content["features"].items() if source == "random"]
        if random and self.first_rank:
            console.print(
                f"[bold red]loss.{random[0]} compares RANDOM features[/]: the ImageNet weights are not on this machine "
                "and could not be fetched. Enough to try the program, not to judge a result.",
                soft_wrap=True,
            )

    def _title(self) -> str:
        names = self.config["names"]
        return f"{names['model']} x{self.scale} {names['data']} {names['loss']}"

    def _resume_step(self) -> int:
        return loaded_steps(self.last) if self.resumed and self.last.is_file() else 0

    def _keep_log(self) -> None:
        logging.captureWarnings(True)
        root = logging.getLogger()
        root.setLevel(logging.INFO)
        for name in ("lightning.pytorch", "lightning.fabric"):
            logging.getLogger(name).setLevel(logging.WARNING)
        if self.first_rank:
            self.run_dir.mkdir(parents=True, exist_ok=True)
            handler = logging.FileHandler(self.run_dir / "train.log")
            handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
            self._handler: logging.Handler | None = handler
            root.addHandler(handler)
        else:
            self._handler = None

    def _end(self, status: str, exit_code: int, error: str | None = None) -> None:
        self.results.update(status=status, exit_code=exit_code, error=error)
        log.info("%s: %s", status, error or self.results.content["metrics"])
        for logger in self.loggers:
            if status == "finished" and hasattr(logger, "summarize"):
                logger.summarize(self.results.content)
            if hasattr(logger, "close"):
                logger.close(exit_code)
        if self._handler is not None:
            logging.getLogger().removeHandler(self._handler)
            self._handler.close()


def loaded_steps(path: Path) -> int:
    """Return the generator steps that a checkpoint stands at."""
    loaded: Loaded = load_network(path)
    return loaded.step


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    raise Interrupted(number)


def _accelerator(name: str) -> str:
    if name == "gpu":
        name = "auto"
    if name != "auto":
        return name
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _strategy(name: str, devices: Any, num_nodes: int, *, gan: bool) -> str:
    several = devices not in (1, "1", [0]) or num_nodes > 1
    if name == "auto":
        name = "ddp" if several else "auto"
    # In each backward pass of a GAN one of the two networks has no part.
    return "ddp_find_unused_parameters_true" if gan and name == "ddp" else name


def _device_name(accelerator: str) -> str:
    if accelerator == "cuda":
        return torch.cuda.get_device_name()
    return f"{accelerator} ({os.cpu_count()} cores)" if accelerator == "cpu" else accelerator


def _features(module: SuperResolution) -> dict[str, str]:
    """Return where the perceptual features of each loss term come from."""
    found = {}
    for loss in (module.loss, getattr(module, "pretrain_loss", None)):
        for name, term in loss.terms.items() if loss is not None else ():
            if isinstance(term, PerceptualLoss):
                found[name] = term.source
    return found


def _store_pairs(store: Store) -> list[tuple[torch.Tensor, torch.Tensor]]:
    pairs = []
    for index in range(len(store)):
        lr, hr = (torch.from_numpy(view.copy()).permute(2, 0, 1)[None] for view in (store.lr(index), store.hr(index)))
        pairs.append((lr, hr))
    return pairs


def _store_files(datamodule: SRDataModule) -> list[Path]:
    skipped = {path for path, _ in datamodule.val_store.skipped} if datamodule.val_store else set()
    return [path for path in datamodule.val_images if path not in skipped]


def _silence() -> None:
    """Hush advice that does not apply here."""
    for message in (
        ".*does not have many workers.*",  # patches come from a memory map: workers cost more than they give
        ".*`IterableDataset` has `__len__` defined.*",
        ".*Checkpoint directory.*exists and is not empty.*",
        ".*find_unused_parameters=True was specified.*",
        ".*was not set to a distributed sampler.*",
    ):
        warnings.filterwarnings("ignore", message)
