"""Adversarial training by manual optimisation: SRGAN (Ledig et al., CVPR 2017, arXiv:1609.04802)."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from sr_lightning.losses.adversarial import AdversarialLoss
from sr_lightning.losses.weighted_sum import WeightedSum
from sr_lightning.modules.base import (
    Monitor,
    OptimizerFactory,
    SuperResolution,
    channels_last,
    parameters_with_gradient,
)
from sr_lightning.modules.schedules import Schedule


class GANModule(SuperResolution):
    """A generator-only phase, then generator against discriminator, in one run.

    Both phases count optimiser steps of the generator. The second begins with a fresh optimiser and schedule, as
    papers that start from a PSNR-trained network do.

    Args:
        discriminator: maps images (N, C, H, W) in [0, 1] to logits of any shape.
        discriminator_optimizer: makes its optimiser.
        pretrain_steps: length of the generator-only phase; 0 leaves it out.
        pretrain_loss: the loss of that phase.
        pretrain_lr: its learning rate.
        pretrain_schedule: its schedule.
        adversarial: the adversarial loss.
        adversarial_weight: its weight against the content loss.
        adversarial_start: steps of the second phase in which only the discriminator learns from it.
        adversarial_ramp: steps over which the weight then grows linearly; 0 takes it in full at once.
        settings: what `SuperResolution` takes.
    """

    def __init__(
        self,
        *,
        discriminator: nn.Module,
        discriminator_optimizer: OptimizerFactory,
        pretrain_steps: int,
        pretrain_loss: WeightedSum,
        pretrain_lr: float,
        pretrain_schedule: Schedule,
        adversarial: AdversarialLoss,
        adversarial_weight: float,
        adversarial_start: int,
        adversarial_ramp: int,
        settings: dict[str, Any],
    ) -> None:
        super().__init__(**settings)
        self.automatic_optimization = False
        self.discriminator = channels_last(discriminator)
        self.discriminator_optimizer = discriminator_optimizer
        self.pretrain_steps = pretrain_steps
        self.pretrain_loss = pretrain_loss
        self.pretrain_lr = pretrain_lr
        self.pretrain_schedule = pretrain_schedule
        self.adversarial = adversarial
        self.adversarial_weight = adversarial_weight
        self.adversarial_start = adversarial_start
        self.adversarial_ramp = adversarial_ramp
        self._micro_batches = 0
        # By which the terms of the last micro-batch went into the generator's loss.
        self._term_weights: dict[str, float] = {}

    @property
    def pretraining(self) -> bool:
        """Whether the next step belongs to the generator-only phase."""
        return self.step < self.pretrain_steps

    @property
    def monitor(self) -> Monitor | None:
        """LPIPS where it can be computed: PSNR would choose the least adversarial weights."""
        return Monitor("val/lpips", larger_is_better=False) if self._lpips[0] is not None else None

    @property
    def selectable(self) -> bool:
        """Only weights of the adversarial phase can be the best."""
        return self.step > self.pretrain_steps

    @property
    def phase_ends(self) -> bool:
        """Whether the step just done was the last of the generator-only phase."""
        return 0 < self.pretrain_steps == self.step

    def training_step(self, batch: Mapping[str, Any], batch_idx: int) -> None:
        """One micro-batch: of the generator alone, or of generator and discriminator."""
        lr, hr = self.own_channels(batch["lr"]), self.own_channels(batch["hr"])
        # Where the content loss compares with sharpened images, real ones are still as they are (Real-ESRGAN).
        real = self.own_channels(batch["real"]) if "real" in batch else hr
        self._micro_batches = (self._micro_batches + 1) % self.accumulate
        update = self._micro_batches == 0
        phase = 0 if self.pretraining else 1
        rate = self.optimizers(use_pl_optimizer=False)[phase].param_groups[0]["lr"]  # type: ignore[index]
        sr = self.train_forward(lr, scale=batch.get("scale"))
        if self.pretraining:
            self.pretrain_step(sr, hr, update=update)
        else:
            # One forward of the generator serves both, and neither sees the other's update: several micro-batches
            # then make the same step as one large batch.
            self.generator_step(sr, hr, update=update)
            self.discriminator_step(sr.detach(), real, update=update)
        if update:
            self.record_observed(rate=rate, step=self.step, weights=self._term_weights)

    def pretrain_step(self, sr: Tensor, hr: Tensor, *, update: bool) -> None:
        """Add the gradient of the first phase's loss to the generator; with `update`, step its optimiser."""
        total, terms = self.pretrain_loss(sr, hr)
        self._term_weights = self.pretrain_loss.weights
        self.observe({**terms, "loss": total})
        self.manual_backward(total / self.accumulate)
        if update:
            self._step_generator(phase=0)

    def generator_step(self, sr: Tensor, hr: Tensor, *, update: bool) -> None:
        """Add the gradient of content plus adversarial loss to the generator alone; with `update`, step it."""
        total, terms = self.loss(sr, hr)
        factor = self.adversarial_factor()
        self._term_weights = {**self.loss.weights, "adversarial": self.adversarial_weight * factor}
        if factor:
            with frozen(self.discriminator):
                term = self.adversarial.generator(self.discriminator(sr))
            total = total + self._term_weights["adversarial"] * term
            self.observe({"adversarial": term})
        self.observe({**terms, "loss": total})
        self.manual_backward(total / self.accumulate)
        if update:
            self._step_generator(phase=1)

    def discriminator_step(self, sr: Tensor, hr: Tensor, *, update: bool) -> None:
        """Add the gradient of real against fake to the discriminator alone; with `update`, step it."""
        real, fake = self.discriminator(hr), self.discriminator(sr.detach())
        loss = self.adversarial.discriminator(real, fake)
        self.observe({"discriminator": loss, "real": real.mean(), "fake": fake.mean()})
        self.manual_backward(loss / self.accumulate)
        if not update:
            return
        # The raw optimiser: Lightning counts every step of its own wrappers in `global_step`, which here has to
        # count the generator's alone (max_steps, schedules, logs and checkpoints follow it).
        optimizer = self.optimizers(use_pl_optimizer=False)[2]  # type: ignore[index]
        schedulers: Any = self.lr_schedulers()
        self.observe_gradient(self.discriminator, name="discriminator_gradient_norm", step=self.step)
        self._clip(self.discriminator)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        schedulers[2].step()

    def adversarial_factor(self) -> float:
        """Return the share of the adversarial weight at the step being done."""
        done = self.step - self.pretrain_steps - self.adversarial_start
        if done < 0:
            return 0.0
        return min(1.0, (done + 1) / self.adversarial_ramp) if self.adversarial_ramp else 1.0

    def configure_optimizers(self) -> Any:
        """Return three optimisers with their schedules: of the first phase, the generator, the discriminator."""
        parameters = parameters_with_gradient(self.network)
        adversarial_steps = self.max_steps - self.pretrain_steps
        pretrain = self.optimizer(parameters, lr=self.pretrain_lr)
        generator = self.optimizer(parameters)
        discriminator = self.discriminator_optimizer(parameters_with_gradient(self.discriminator))
        schedulers = [
            self.pretrain_schedule.bind(pretrain, total=self.pretrain_steps),
            self.schedule.bind(generator, total=adversarial_steps),
            self.schedule.bind(discriminator, total=adversarial_steps),
        ]
        return [pretrain, generator, discriminator], schedulers

    def _step_generator(self, *, phase: int) -> None:
        optimizer = self.optimizers()[phase]  # type: ignore[index]
        schedulers: Any = self.lr_schedulers()
        self.observe_gradient(self.network, name="gradient_norm", step=self.step + 1)
        self._clip(self.network)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        schedulers[phase].step()

    def _clip(self, network: nn.Module) -> None:
        if self.gradient_clip is not None:
            torch.nn.utils.clip_grad_norm_(parameters_with_gradient(network), self.gradient_clip)


@contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """Let gradients pass through a network without leaving any in it, nor new BN statistics.

    Its batch norm keeps normalising by the batch, as in its own step, but the running averages stay.
    """
    norms = [module for module in network.modules() if isinstance(module, _BatchNorm) and module.track_running_stats]
    parameters = parameters_with_gradient(network)
    for parameter in parameters:
        parameter.requires_grad_(False)
    for norm in norms:
        norm.track_running_stats = False
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)
        for norm in norms:
            norm.track_running_stats = True
