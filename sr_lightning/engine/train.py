"""One run, from its configuration to its results."""

import json
import logging
import signal
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import lightning.pytorch as pl
import rich
import torch
from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only
from omegaconf import DictConfig, OmegaConf
from torch import nn

from sr_lightning.callbacks.stopping import Interrupted
from sr_lightning.data.benchmarks import EvaluationSet
from sr_lightning.data.datamodule import SRDataModule
from sr_lightning.data.overlap import OWN_SETS
from sr_lightning.data.scan import DataError
from sr_lightning.engine import announce
from sr_lightning.engine.build import build_logger, build_module, build_network, degradation_name
from sr_lightning.engine.checkpoint import Resumable, find_resumable, load_network
from sr_lightning.engine.devices import device_name, number_of_processes, resolve_accelerator
from sr_lightning.engine.evaluate import bicubic_means, evaluate_set, missing_of, network_source
from sr_lightning.engine.fit import fit, quieten_lightning
from sr_lightning.engine.images import (
    build_datamodule,
    own_degradation,
    reported_sets,
    validation_pairs,
    validation_set,
)
from sr_lightning.engine.named_degradations import SEED, build_degradations
from sr_lightning.engine.precision import resolve_precision
from sr_lightning.engine.preflight import check_images
from sr_lightning.engine.prepare import prepare_images
from sr_lightning.engine.pretrained import start_from
from sr_lightning.engine.samples import Samples
from sr_lightning.engine.trial import try_network
from sr_lightning.metric_names import AUTO, wanted_metrics
from sr_lightning.metrics.protocol import get_protocol
from sr_lightning.metrics.suite import available
from sr_lightning.modules.base import SuperResolution
from sr_lightning.networks.multiply_adds import multiply_adds
from sr_lightning.refusal import Refusal
from sr_lightning.report.files import write_atomically
from sr_lightning.report.identity import config_hash
from sr_lightning.report.lock import held
from sr_lightning.report.progress import read_progress, write_progress
from sr_lightning.report.results import Results, git_state, read_results, versions

log = logging.getLogger(__name__)

# What a continued run takes over from the results of its earlier part.
CARRIED = ("steps", "hr_pixels", "seconds", "samples_per_second", "best_step", "warm_start")


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
        # Before Lightning has set anything up, the environment tells a process that it has started.
        self.rank = int(getattr(rank_zero_only, "rank", None) or 0)
        self.last = run_dir / "checkpoints" / "last.ckpt"
        self.scale = int(config["scale"])
        self.protocol = get_protocol(config["protocol"])
        names = config["names"]
        self.title = f"{names['model']} x{self.scale} {names['data']} {names['loss']}"
        # The configuration of an older run has no such keys.
        self.samples = config.get("samples") or {"per_set": 0, "side": 0}
        self.metrics = wanted_metrics(config.get("metrics", AUTO))
        self.loggers: list[Logger] = []

    def execute(self) -> dict[str, Any]:
        """Do all of it; whatever happens, `results.json` tells.

        Raises:
            Refusal: it cannot be started: for one, another process works in its folder.
        """
        with held(self.run_dir) if self.rank == 0 else nullcontext():
            return self._execute()

    def _execute(self) -> dict[str, Any]:
        path = self.run_dir / "results.json"
        if self.rank == 0 and not self.config["resume"] and path.exists():
            raise Refusal(
                f"{self.run_dir} already holds a run; resume={self.run_dir} goes on with it, another hydra.run.dir "
                "starts a new one."
            )
        handler = _keep_log(self.run_dir / "train.log" if self.rank == 0 else None)
        self.results = Results(path, enabled=self.rank == 0, content=self._first_content(path))
        previous = {number: signal.signal(number, _leave) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            self._train_and_evaluate()
            self._end("finished", 0)
        except Interrupted as interruption:
            if self.rank == 0:
                announce.interruption(interruption, self.run_dir)
            self._end("interrupted", 128 + interruption.signal, str(interruption))
        except (Refusal, DataError) as refusal:
            self._end("failed", 1, str(refusal))
            raise Refusal(str(refusal)) from refusal
        except Exception as error:
            log.exception("the run failed")
            rich.get_console().print_exception()
            self._end("failed", 1, f"{type(error).__name__}: {error}")
        finally:
            for number, former in previous.items():
                signal.signal(number, former)
            logging.getLogger().removeHandler(handler)
            handler.close()
        return self.results.content

    def _first_content(self, path: Path) -> dict[str, Any]:
        config = self.config
        content: dict[str, Any] = {
            "status": "running",
            "error": None,
            "exit_code": None,
            **{key: config["names"][key] for key in ("model", "module", "loss", "data", "experiment")},
            "scale": self.scale,
            "config_hash": config_hash(config),
            "parameters": None,
            "multiply_adds": None,
            "max_steps": config["trainer"]["max_steps"],
            "steps": 0,
            "hr_pixels": 0,
            "seconds": 0.0,
            "samples_per_second": None,
            "seed": config["seed"],
            "git": git_state(Path.cwd()),
            "versions": versions(),
            "device": None,
            "threads": None,
            "precision": None,
            "ema": (config["callbacks"].get("ema") or {}).get("decay"),
            "warm_start": None,
            "protocol": self.protocol.as_dict(self.scale),
            "metrics": {},
            "missing": {},
            "validation": None,
            "features": {},
            "best_step": None,
            "degradation": degradation_name(config),
            "overlap": [],
            "images": {},
        }
        if self.rank == 0:
            kept = OmegaConf.to_yaml(OmegaConf.create({**config, "resume": None}))
            write_atomically(self.run_dir / "config.yaml", kept, durable=True)
        if self._goes_on() and path.is_file():
            earlier = read_results(path)
            content |= {key: earlier[key] for key in CARRIED if key in earlier}
        return content

    def _train_and_evaluate(self) -> None:
        config = self.config
        pl.seed_everything(config["seed"], workers=True, verbose=False)
        # Before images are fetched and decoded: weights that do not fit end the run.
        network = self._build_network()
        if config["data"]["download"] and self.rank == 0:
            prepare_images(config)
        # A set that is not there is found out now, not after the training.
        sets = reported_sets(config)
        self.named = build_degradations(config.get("degradations"), scale=self.scale)
        accelerator = resolve_accelerator(config["trainer"]["accelerator"])
        precision = resolve_precision(config["trainer"]["precision"], accelerator)
        module = build_module(config, network=network, precision=precision)
        features = _features(module, patch=self._hr_patch(), channels=config["model"]["channels"])
        module.description["features"] = features
        with announce.packing() as progress:
            datamodule = build_datamodule(config, progress=progress)
            if self.rank == 0:
                datamodule.prepare_data()
        datamodule.setup("fit")
        if (processes := number_of_processes(config["trainer"])) is not None:
            datamodule.micro_batch(processes)  # batches that cannot be made are refused before anything is announced
        if self.rank == 0:
            # Before the first process trains anything; the others wait for it in `fit`.
            checked = check_images(config, datamodule=datamodule, sets=sets, accelerator=accelerator)
            announce.preflight(checked.preflight)
            self.results.update(overlap=checked.overlaps, images=checked.images)
        self.results.update(
            parameters=sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad),
            multiply_adds=multiply_adds(network),
            device=device_name(accelerator),
            # By which sweeps know the runs that tell how long another takes.
            threads=torch.get_num_threads(),
            precision=precision,
            features=features,
        )
        begun = find_resumable(self.last.parent) if config["resume"] else None
        if begun is not None and begun.damaged:
            self._go_back(begun)
        if begun is None or begun.step < config["trainer"]["max_steps"]:
            self._fit(module, datamodule, accelerator=accelerator, begun=begun)
        else:
            # What the earlier part was killed before it could tell.
            self.loggers = self._build_loggers(begun.step)
        if self.rank == 0:
            self._evaluate([*sets, validation_set(datamodule)], torch.device(accelerator))

    def _goes_on(self) -> bool:
        """Whether there is a checkpoint to go on from; without one, a continued run begins anew."""
        return bool(self.config["resume"]) and self.last.is_file()

    def _build_network(self) -> nn.Module:
        """Build the network, with the weights of a file where the configuration names one."""
        model = self.config["model"]
        network = build_network(model)
        try_network(network, model)
        # The configuration of a run from before there was this key has none.
        if model.get("pretrained") and not self._goes_on():
            began = start_from(network, model, name=self.config["names"]["model"])
            self.results.update(warm_start=began.facts)
            if self.rank == 0:
                announce.pretrained(began.lines())
            log.info("%s", began.facts)
        return network

    def _go_back(self, begun: Resumable) -> None:
        """Begin at an earlier step than the last that was noted, and do not count the time of the lost ones twice."""
        content = self.results.content
        if content["steps"] > begun.step:
            content["seconds"] *= begun.step / content["steps"]
        log.warning("%s is damaged: going on from %s at step %d", begun.damaged, begun.path, begun.step)
        if self.rank == 0:
            announce.damage(begun)

    def _hr_patch(self) -> int:
        data = self.config["data"]
        return int(data["hr_patch"] or data["lr_patch"] * self.scale)

    def _fit(
        self, module: SuperResolution, datamodule: SRDataModule, *, accelerator: str, begun: Resumable | None
    ) -> None:
        config = self.config
        assert datamodule.val_store is not None
        bicubic: dict[str, float] = {}
        if self.rank == 0:
            images = sum(map(len, datamodule.train_stores)), len(datamodule.val_store)
            announce.beginning(self.title, self.results.content, images=images, run_dir=self.run_dir)
            if config["data"]["demonstration"]:
                announce.demonstration()
            announce.random_features(self.results.content["features"])
            bicubic = bicubic_means(validation_pairs(datamodule), protocol=self.protocol, scale=self.scale)
        log.info("%s: %s", self.title, module.description)
        self.loggers = self._build_loggers(begun.step if begun else 0)
        available = {"folder": self.run_dir / "panels", "run_dir": self.run_dir, "bicubic": bicubic}
        fit(
            config,
            module=module,
            datamodule=datamodule,
            accelerator=accelerator,
            precision=self.results.content["precision"],
            loggers=self.loggers,
            available=available,
            run_dir=self.run_dir,
            begun=begun,
            results=self.results,
        )

    def _build_loggers(self, step: int) -> list[Logger]:
        names = self.config["names"]
        available = {
            "path": self.run_dir / "metrics.csv", "run_dir": self.run_dir, "resume_step": step, "config": self.config,
            "degradation": self.results.content["degradation"], "name": self.title,
            "tags": [f"{key}:{names[key]}" for key in ("model", "loss", "data")] + [f"scale:{self.scale}"],
        }  # fmt: skip
        return [build_logger(node, name=name, available=available) for name, node in self.config["logger"].items()]

    def _evaluate(self, sets: list[EvaluationSet], device: torch.device) -> None:
        """Score the best weights on every set, the last being the validation set, and say where things lie.

        Benchmarks are scored on their own LR images, and on those of the named degradations; the images of the data set
        on what the run's degradation makes.
        """
        self._tell_that_it_scores()
        best = self.run_dir / "checkpoints" / "best.ckpt"
        path = best if best.is_file() else self.last
        loaded = load_network(path)
        source = network_source(loaded.network, device=device)
        own = own_degradation(self.config)
        protocol = replace(self.protocol, ema=loaded.ema)
        scored = partial(
            evaluate_set,
            source=source,
            protocol=protocol,
            scale=self.scale,
            suite=available(self.metrics, device=device),
            regions=bool(self.config.get("regions")),
        )
        samples = Samples(**self.samples, scale=self.scale)
        scores: dict[str, Any] = {}
        for chosen in sets:
            of_its_own = chosen.name in OWN_SETS
            scores[chosen.name] = scored(
                chosen,
                degradation=own if of_its_own and chosen.lr is None else None,
                seed=self.config["seed"],
                # Of the images that chose the weights only where there are no others.
                look=samples.keep if chosen is sets[0] or chosen is not sets[-1] else None,
            )
            for name, degradation in self.named.items() if not of_its_own else ():
                again = replace(chosen, name=f"{chosen.name}/{name}")
                scores[again.name] = scored(again, degradation=degradation, seed=SEED)
        samples.write(self.run_dir)
        missing = missing_of(scores)
        validation = scores.pop("validation")
        self.results.update(
            metrics=scores, missing=missing, validation=validation, protocol=protocol.as_dict(self.scale)
        )
        announce.results(
            self.results.content,
            loaded=loaded,
            trained_on=None if own is None else own.name,
            checkpoint=path,
            run_dir=self.run_dir,
        )

    def _tell_that_it_scores(self) -> None:
        trained = read_progress(self.run_dir)
        write_progress(
            self.run_dir,
            state="scoring",
            step=self.results.content["steps"],
            max_steps=self.config["trainer"]["max_steps"],
            psnr=None if trained is None else trained.psnr,
            bicubic_psnr=None if trained is None else trained.bicubic_psnr,
        )

    def _end(self, status: str, exit_code: int, error: str | None = None) -> None:
        log.info("%s: %s", status, error or self.results.content["metrics"])
        if status == "failed":
            error = self._first_error(error or "")
        self.results.update(status=status, exit_code=exit_code, error=error)
        for logger in self.loggers:
            if status == "finished" and hasattr(logger, "summarize"):
                logger.summarize(self.results.content)
            if hasattr(logger, "close"):
                logger.close(exit_code)

    def _first_error(self, error: str) -> str:
        """Return what went wrong first: of several processes, one fails and the others miss it.

        A process other than the first writes its failure into `results.json` itself, since Lightning then kills the
        first.
        """
        path = self.run_dir / "results.json"
        written = json.loads(path.read_text())
        if written["status"] == "failed":
            return str(written["error"])
        if self.rank:
            error = f"rank {self.rank}: {error}"
            Results(path, enabled=True, content={**written, "status": "failed", "exit_code": 1, "error": error})
        return error


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    raise Interrupted(number)


def _keep_log(path: Path | None) -> logging.Handler:
    """Collect all messages and warnings in a file; with None nowhere, for ranks whose messages are the first's."""
    logging.captureWarnings(True)
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    quieten_lightning()
    handler: logging.Handler = logging.NullHandler()
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        handler = logging.FileHandler(path)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root.addHandler(handler)
    return handler


def _features(module: SuperResolution, *, patch: int, channels: int) -> dict[str, str]:
    """Return where the perceptual features of each loss term come from; images that a term cannot take are refused."""
    found = {}
    for loss in (module.loss, getattr(module, "pretrain_loss", None)):
        for name, term in loss.terms.items() if loss is not None else ():
            if source := getattr(term, "source", None):
                found[name] = str(source)
            if check := getattr(term, "check_images", None):
                try:
                    check(channels=channels, height=patch, width=patch)
                except ValueError as error:
                    raise Refusal(f"loss.{name}: {error}") from error
    return found
