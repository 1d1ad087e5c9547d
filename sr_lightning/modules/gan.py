"""Adversarial training by manual optimisation: SRGAN (Ledig et al., CVPR 2017, arXiv:1609.04802)."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.parametrize import ParametrizationList

from sr_lightning.losses.adversarial import AdversarialLoss
from sr_lightning.losses.penalty import DiscriminatorPenalty
from sr_lightning.losses.ramp import RampedWeight
from sr_lightning.losses.weighted_sum import Given, WeightedSum
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
        adversarial_weight: its weight against the content loss, in steps of the second phase; before its start the
            discriminator learns, and the generator does not hear it.
        penalty: on the discriminator's gradient.
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
        adversarial_weight: RampedWeight,
        penalty: DiscriminatorPenalty,
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
        self.penalty = penalty
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
        scale = batch.get("scale")
        samples = self._samples(len(lr))
        self._micro_batches = (self._micro_batches + 1) % self.accumulate
        update = self._micro_batches == 0
        phase = 0 if self.pretraining else 1
        rate = self.optimizers(use_pl_optimizer=False)[phase].param_groups[0]["lr"]  # type: ignore[index]
        sr, given = self.train_forward(lr, scale=scale), self.given(lr, scale=scale)
        if self.pretraining:
            self.pretrain_step(sr, hr, given=given, update=update)
        else:
            # Before the generator's step, which counts.
            due = self.penalty.due(self._phase_step)
            # One forward of the generator serves both, and neither sees the other's update: several micro-batches
            # then make the same step as one large batch.
            self.generator_step(sr, hr, real=real, given=given, update=update)
            self.discriminator_step(sr.detach(), real, penalised=samples if due else None, update=update)
        if update:
            self.record_observed(rate=rate, step=self.step, weights=self._term_weights)

    def pretrain_step(self, sr: Tensor, hr: Tensor, *, given: Given, update: bool) -> None:
        """Add the gradient of the first phase's loss to the generator; with `update`, step its optimiser."""
        total, terms = self.pretrain_loss(sr, hr, step=self.step, given=given)
        self._term_weights = self.pretrain_loss.weights_at(self.step)
        self.observe({**terms, "loss": total})
        self.manual_backward(total / self.accumulate)
        if update:
            self._step_generator(phase=0)

    def generator_step(self, sr: Tensor, hr: Tensor, *, real: Tensor, given: Given, update: bool) -> None:
        """Add the gradient of content plus adversarial loss to the generator alone; with `update`, step it."""
        step = self._phase_step
        total, terms = self.loss(sr, hr, step=step, given=given)
        weight = self.adversarial_weight.at(step)
        self._term_weights = {**self.loss.weights_at(step), "adversarial": weight}
        if weight:
            term = self._adversarial_term(sr, real)
            total = total + weight * term
            self.observe({"adversarial": term})
        self.observe({**terms, "loss": total})
        self.manual_backward(total / self.accumulate)
        if update:
            self._step_generator(phase=1)

    def discriminator_step(self, sr: Tensor, hr: Tensor, *, penalised: list[int] | None, update: bool) -> None:
        """Add the gradient of real against fake to the discriminator alone; with `update`, step it.

        Args:
            sr: generated images.
            hr: real ones.
            penalised: the samples' numbers, at steps with a penalty.
            update: whether the optimiser steps.
        """
        real, fake = self.discriminator(hr), self.discriminator(sr.detach())
        loss = self.adversarial.discriminator(real, fake)
        self.observe({"discriminator": loss, "real": real.mean(), "fake": fake.mean()})
        if penalised is not None:
            with settled(self.discriminator):
                penalty = self.penalty(self.discriminator, hr, sr, samples=penalised)
            self.observe({"penalty": penalty})
            loss = loss + penalty
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

    @property
    def _phase_step(self) -> int:
        """Steps of the adversarial phase done so far."""
        return self.step - self.pretrain_steps

    def _samples(self, size: int) -> list[int]:
        """The numbers of this micro-batch's samples in the stream of training (see `data.patches`)."""
        done = self.step * self.accumulate + self._micro_batches
        first = (done * self.trainer.world_size + self.global_rank) * size
        return list(range(first, first + size))

    def _adversarial_term(self, sr: Tensor, real: Tensor) -> Tensor:
        with frozen(self.discriminator):
            judged = None
            if self.adversarial.compares:
                with torch.no_grad():
                    judged = self.discriminator(real)
            return self.adversarial.generator(self.discriminator(sr), judged)

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
    """Let gradients pass through a network without leaving any in it, nor any other trace."""
    parameters = parameters_with_gradient(network)
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        with settled(network):
            yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)


@contextmanager
def settled(network: nn.Module) -> Iterator[None]:
    """Keep what a network's forward would change of its state: running averages, and the vectors of spectral norms.

    Its batch norm keeps normalising by the batch, as in its own step.
    """
    modules = list(network.modules())
    norms = [module for module in modules if isinstance(module, _BatchNorm) and module.track_running_stats]
    parametrizations = list(chain.from_iterable(each for each in modules if isinstance(each, ParametrizationList)))
    training = [each.training for each in parametrizations]
    for norm in norms:
        norm.track_running_stats = False
    for each in parametrizations:
        each.training = False
    try:
        yield
    finally:
        for norm in norms:
            norm.track_running_stats = True
        for each, mode in zip(parametrizations, training, strict=True):
            each.training = mode
