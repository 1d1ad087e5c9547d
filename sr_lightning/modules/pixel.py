"""Training on a content loss alone."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from sr_lightning.modules.base import SuperResolution, parameters_with_gradient


class PixelModule(SuperResolution):
    """One network, one loss, one optimiser."""

    def training_step(self, batch: Mapping[str, Any], batch_idx: int) -> Tensor:
        """Return the loss of one micro-batch."""
        lr, hr = self.own_channels(batch["lr"]), self.own_channels(batch["hr"])
        scale = batch.get("scale")
        sr = self.train_forward(lr, scale=scale)
        total, terms = self.loss(sr, hr, step=self.step, given=self.given(lr, scale=scale))
        self.observe({**terms, "loss": total})
        loss: Tensor = total
        return loss

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Record the step that comes next: its gradient is gathered, under fp16 unscaled, and not clipped yet."""
        step = self.step + 1
        self.observe_gradient(self.network, name="gradient_norm", step=step)
        weights = self.loss.weights_at(self.step)
        self.record_observed(rate=optimizer.param_groups[0]["lr"], step=step, weights=weights)

    def configure_optimizers(self) -> Any:
        """Return the optimiser and its schedule, stepped once an optimiser step."""
        optimizer = self.optimizer(parameters_with_gradient(self.network))
        scheduler = self.schedule.bind(optimizer, total=self.max_steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: int | float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip the norm; `module.gradient_clip` is the name that works for GANs too."""
        limit = self.gradient_clip if self.gradient_clip is not None else gradient_clip_val
        if limit is not None:
            torch.nn.utils.clip_grad_norm_(parameters_with_gradient(self.network), limit)
