"""What every way of training a super-resolution network shares: validation, logging, what a checkpoint carries."""

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any, NamedTuple, cast

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.func import functional_call
from torch.optim import Optimizer

from sr_lightning.functional.color import rgb_to_y
from sr_lightning.losses.weighted_sum import Given, WeightedSum
from sr_lightning.metrics.lpips import Lpips
from sr_lightning.metrics.mean import ScoreMean
from sr_lightning.metrics.protocol import Protocol, prepare, presented, score
from sr_lightning.modules.schedules import Schedule
from sr_lightning.networks.luma import Network, forward_rgb
from sr_lightning.weights.own import CHECKPOINT_KEY

# Takes parameters, and `lr=` for a rate other than the configured one; what Hydra's `_partial_` gives.
OptimizerFactory = Callable[..., Optimizer]


class Monitor(NamedTuple):
    """The validation metric that chooses `best.ckpt`."""

    name: str
    larger_is_better: bool


class SuperResolution(LightningModule):
    """Base of the training methods; a subclass says how a batch changes the weights.

    Args:
        network: maps `lr` (N, C, H, W) in [0, 1] to `sr` (N, C, scale*H, scale*W); has `scale` and `channels`.
        loss: the content loss.
        optimizer: makes the optimiser of the network's parameters.
        schedule: the learning rate's factor.
        protocol: how validation scores.
        max_steps: optimiser steps of the generator in the whole run.
        log_every_steps: steps between two records of the training metrics.
        description: plain values from which `engine.build` makes the same network again; goes into checkpoints.
        gradient_clip: largest norm of the gradient, or None.
        accumulate: micro-batches of one optimiser step.
        compile_step: compile the training forward with `torch.compile`.
        lpips: perceptual distance for validation, or None where its backbone is not on this machine.
    """

    def __init__(
        self,
        *,
        network: nn.Module,
        loss: WeightedSum,
        optimizer: OptimizerFactory,
        schedule: Schedule,
        protocol: Protocol,
        max_steps: int,
        log_every_steps: int,
        description: dict[str, Any],
        gradient_clip: float | None,
        accumulate: int,
        compile_step: bool,
        lpips: Lpips | None = None,
    ) -> None:
        super().__init__()
        self.network = channels_last(network)
        self.loss = loss
        self.optimizer = optimizer
        self.schedule = schedule
        self.protocol = protocol
        self.max_steps = max_steps
        self.log_every_steps = log_every_steps
        self.description = description
        self.gradient_clip = gradient_clip
        self.accumulate = accumulate
        self.scores = ScoreMean()
        self.last_loss: Tensor | None = None
        # The moving average of the network's state, where a callback keeps one.
        self.averaged: Mapping[str, Tensor] | None = None
        # HR pixels that one step sees on average, over all devices: whoever knows the images sets it before training.
        self.step_pixels: float | None = None
        self._observed: dict[str, list[Tensor]] = {}
        # In tuples, so that they are no submodules: no `_orig_mod.` keys, no metric's backbone in a checkpoint.
        function = self._trained_function(self.network)
        self._train_forward: tuple[Callable[..., Any]] = (torch.compile(function) if compile_step else function,)
        # It compares colours.
        self._lpips = (lpips if protocol.channels == 3 and self._typed_network.channels in (1, 3) else None,)

    @property
    def scale(self) -> int:
        """HR pixels per LR pixel."""
        return self._typed_network.scale

    @property
    def step(self) -> int:
        """Optimiser steps of the generator done so far, over all resumed parts of the run."""
        return self.global_step

    @property
    def monitor(self) -> Monitor | None:
        """What chooses `best.ckpt`; None where the last is taken for the best."""
        return Monitor("val/psnr", larger_is_better=True)

    @property
    def selectable(self) -> bool:
        """Whether the weights of now may become `best.ckpt`."""
        return True

    @property
    def phase_ends(self) -> bool:
        """Whether the step just done was the last of a generator-only phase."""
        return False

    def forward(self, lr: Tensor) -> Tensor:
        """Map `lr` (N, C, H, W) in [0, 1] to `sr` (N, C, scale*H, scale*W), not clamped; a Y network takes RGB too."""
        return forward_rgb(self._typed_network, lr)

    def train_forward(self, lr: Tensor, *, scale: int | None = None) -> Tensor:
        """Run the network, compiled where that was asked for; a network for several scales is told which."""
        lr = marked_channels_last(lr)
        sr: Tensor = self._train_forward[0](lr) if scale is None else self._train_forward[0](lr, scale)
        return sr

    def _trained_function(self, network: nn.Module) -> Callable[..., Any]:
        """Return what a training step calls, compiled where that was asked for; a subclass may take a method of it."""
        return network

    def given(self, lr: Tensor, *, scale: int | None = None) -> Given:
        """Return what a loss term may ask for beside the network's output and its target; nothing is computed yet."""
        averaged = None if self.averaged is None else cache(lambda: self._averaged_forward(lr, scale))
        return Given(lr=lr, averaged_sr=averaged)

    @torch.no_grad()
    def _averaged_forward(self, lr: Tensor, scale: int | None) -> Tensor:
        """Run the network with its averaged state, as validation does."""
        assert self.averaged is not None
        arguments = (lr,) if scale is None else (lr, scale)
        self.network.eval()
        try:
            averaged: Tensor = functional_call(self.network, dict(self.averaged), arguments)
        finally:
            self.network.train()
        return averaged

    def own_channels(self, images: Tensor) -> Tensor:
        """Return images as the network takes them: Y for a network of one channel."""
        return rgb_to_y(images) if self._typed_network.channels == 1 and images.shape[1] == 3 else images

    def on_validation_start(self) -> None:
        """Score what is saved: batch norm's averages differ between ranks, and the first rank's are the ones."""
        if self.trainer.world_size > 1:
            for buffer in self.network.buffers():
                torch.distributed.broadcast(buffer, src=0)

    def validation_step(self, batch: Mapping[str, Any], batch_idx: int) -> dict[str, Tensor]:
        """Score one whole image, in float32; returns the images in [0, 1] for the panels."""
        pair = prepare(batch["hr"], batch["lr"], protocol=self.protocol, scale=self.scale)
        # cuDNN's own default is TF32, which has the ten bits of float16.
        with (
            torch.autocast(self.device.type, enabled=False),
            torch.backends.cudnn.flags(enabled=True, allow_tf32=False),
        ):
            lr = pair.lr.float()
            sr = self(lr)
            self.scores.update(score(sr, pair.hr, protocol=self.protocol, scale=self.scale))
            lpips = self._lpips[0]
            if lpips is not None:
                distance = lpips(presented(sr, protocol=self.protocol), pair.hr.float())
                self.log("val/lpips", distance, batch_size=1, sync_dist=True, logger=False)
        return {"lr": lr, "sr": sr.float(), "hr": pair.hr.float()}

    def on_validation_epoch_end(self) -> None:
        """Gather the scores of all ranks and record them."""
        means = self.scores.compute()
        self.scores.reset()
        metrics = {"val/psnr": float(means["psnr"]), "val/ssim": float(means["ssim"])}
        self.log_dict(metrics, logger=False, rank_zero_only=False)
        if self._lpips[0] is not None:
            metrics["val/lpips"] = float(self.trainer.callback_metrics["val/lpips"])
        self.record(metrics, step=self.step)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what rebuilds the network, in plain values that load with `weights_only=True`."""
        checkpoint[CHECKPOINT_KEY] = {**self.description, "step": self.step, "protocol": self.protocol.name}

    @property
    def _typed_network(self) -> Network:
        return cast(Network, self.network)

    def observe(self, values: Mapping[str, Tensor]) -> None:
        """Keep what one micro-batch gave until `record_observed`."""
        for name, value in values.items():
            self._observed.setdefault(name, []).append(value.detach())

    def observe_gradient(self, network: nn.Module, *, name: str, step: int) -> None:
        """At a logged step, keep the norm of a network's gradient, gathered and unscaled, not clipped yet.

        Under fp16 an overflow makes it infinite or no number; that step is then left out by the loss scale.
        """
        if self.is_logged(step):
            gradients = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
            self.observe({name: torch.nn.utils.get_total_norm(gradients)})

    def is_logged(self, step: int) -> bool:
        """Whether the training metrics of a step are recorded."""
        return step % self.log_every_steps == 0

    def record_observed(self, *, rate: float, step: int, weights: Mapping[str, float]) -> None:
        """At a logged step, record what its micro-batches gave: means over them and all ranks.

        Nothing else here asks a tensor for its value, which would make the program wait for the device.

        Args:
            rate: the learning rate.
            step: the generator's step.
            weights: by which the terms went into the loss.
        """
        observed, self._observed = self._observed, {}
        self.last_loss = observed["loss"][-1]
        if not self.is_logged(step):
            return
        means = torch.stack([torch.stack(values).float().mean() for values in observed.values()])
        means = self.trainer.strategy.reduce(means, reduce_op="mean")
        values = dict(zip(observed, means.tolist(), strict=True))
        metrics = {f"train/{name}": value for name, value in values.items()}
        parts = {f"train/share/{name}": share for name, share in shares(values, weights).items()}
        self.record(metrics | parts | {"train/learning_rate": rate}, step=step)

    def record(self, metrics: Mapping[str, float], *, step: int) -> None:
        """Hand metrics to every logger at a step of the generator; Lightning itself would count batches."""
        if self.trainer.is_global_zero:
            # In every row, so that anything can be drawn against it.
            seen = {} if self.step_pixels is None else {"train/hr_pixels": step * self.step_pixels}
            for logger in self.loggers:
                logger.log_metrics({**metrics, **seen}, step=step)


def shares(values: Mapping[str, float], weights: Mapping[str, float]) -> dict[str, float]:
    """Return each weighted term's part, 0..1, of the sum of their absolute values; nothing where that is 0."""
    parts = {name: abs(weight * values[name]) for name, weight in weights.items() if name in values}
    total = sum(parts.values())
    return {name: part / total for name, part in parts.items()} if total else {}


def channels_last(network: nn.Module) -> nn.Module:
    """Lay the weights of convolutions out as the faster kernels want them.

    `network.to(memory_format=...)` gives tensors with a single channel or position, whose layout is the same either
    way, strides that DistributedDataParallel cannot broadcast.
    """
    for tensor in (*network.parameters(), *network.buffers()):
        if tensor.ndim == 4 and tensor.shape[1] > 1 and tensor.shape[2:].numel() > 1:
            tensor.data = tensor.data.contiguous(memory_format=torch.channels_last)
    return network


def marked_channels_last(images: Tensor) -> Tensor:
    """Give images (N, C, H, W) of one channel the strides by which kernels know channels_last; others pass.

    Such memory is the same in either layout, and PyTorch takes it for the slow one: neither the image nor the first
    convolution's weight would then say otherwise, and ESPCN's step takes 1.4 times as long.
    """
    if images.shape[1] > 1:
        return images
    height, width = images.shape[2:]
    return images.contiguous().as_strided(images.shape, (height * width, 1, width, 1))


def parameters_with_gradient(module: nn.Module) -> Iterable[nn.Parameter]:
    """Return what an optimiser of this module has to hold."""
    return [parameter for parameter in module.parameters() if parameter.requires_grad]


def super_resolution(module: LightningModule) -> SuperResolution:
    """Return the module that a callback was handed, as what it is in every run of this project."""
    assert isinstance(module, SuperResolution)
    return module
