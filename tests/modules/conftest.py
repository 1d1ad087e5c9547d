"""Tiny networks and a trainer without a run around it."""

from collections.abc import Callable, Sequence
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.loggers import Logger
from torch import Tensor, nn
from torch.nn import functional as F

from sr_lightning.losses.adversarial import AdversarialLoss
from sr_lightning.losses.penalty import DiscriminatorPenalty
from sr_lightning.losses.pixel import L1Loss, MSELoss
from sr_lightning.losses.ramp import RampedWeight
from sr_lightning.losses.weighted_sum import WeightedSum
from sr_lightning.metrics.protocol import get_protocol
from sr_lightning.modules.gan import GANModule
from sr_lightning.modules.pixel import PixelModule
from sr_lightning.modules.schedules import Constant

Batch = dict[str, Tensor]


class TinyNet(nn.Module):
    """Two convolutions and a shuffle."""

    def __init__(self, *, norm: bool = False, channels: int = 3, scale: int = 2) -> None:
        super().__init__()
        self.scale, self.channels = scale, channels
        self.head = nn.Conv2d(channels, 6, 3, padding=1)
        self.norm = nn.BatchNorm2d(6) if norm else nn.Identity()
        self.tail = nn.Conv2d(6, channels * scale**2, 3, padding=1)

    def forward(self, lr: Tensor) -> Tensor:
        return F.pixel_shuffle(self.tail(torch.tanh(self.norm(self.head(lr)))), self.scale).float()


class TinyJudge(nn.Module):
    """A discriminator of two convolutions."""

    def __init__(self, *, norm: bool = False) -> None:
        super().__init__()
        self.head = nn.Conv2d(3, 4, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(4) if norm else nn.Identity()
        self.tail = nn.Conv2d(4, 1, 3)

    def forward(self, images: Tensor) -> Tensor:
        return self.tail(F.leaky_relu(self.norm(self.head(images)), 0.2)).float()


class Records(Logger):
    """Keeps what is logged: `rows[step][name]`."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: dict[int, dict[str, float]] = {}

    @property
    def name(self) -> str:
        return "records"

    @property
    def version(self) -> str:
        return ""

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None: ...

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        assert step is not None
        self.rows.setdefault(step, {}).update(metrics)


def settings(*, norm: bool, **changes: Any) -> dict[str, Any]:
    return {
        "network": TinyNet(norm=norm),
        "loss": WeightedSum(terms={"l1": L1Loss()}, weights={"l1": 1.0}),
        "optimizer": lambda parameters, lr=1e-3: torch.optim.Adam(parameters, lr=lr),
        "schedule": Constant(unit="steps", epoch_steps=1, warmup=0),
        "protocol": get_protocol("rgb_to_y"),
        "max_steps": 100,
        "log_every_steps": 1,
        "description": {"name": "tiny"},
        "gradient_clip": None,
        "accumulate": 1,
        "compile_step": False,
        **changes,
    }


@pytest.fixture
def tiny_net() -> type[TinyNet]:
    return TinyNet


@pytest.fixture
def pixel() -> Callable[..., PixelModule]:
    """Make a pixel module around a tiny network; keywords change its settings."""

    def make(*, norm: bool = False, **changes: Any) -> PixelModule:
        torch.manual_seed(0)
        return PixelModule(**settings(norm=norm, **changes))

    return make


@pytest.fixture
def gan() -> Callable[..., Any]:
    """Make a GAN module around tiny networks; keywords change its own arguments or its settings."""

    def make(*, norm: bool = False, kind: type[GANModule] = GANModule, **changes: Any) -> GANModule:
        torch.manual_seed(0)
        own = {
            "discriminator": TinyJudge(norm=norm),
            "discriminator_optimizer": lambda parameters: torch.optim.Adam(parameters, lr=1e-3),
            "pretrain_steps": 0,
            "pretrain_loss": WeightedSum(terms={"mse": MSELoss()}, weights={"mse": 1.0}),
            "pretrain_lr": 1e-2,
            "pretrain_schedule": Constant(unit="steps", epoch_steps=1000, warmup=0),
            "adversarial": AdversarialLoss(kind="vanilla"),
            "adversarial_weight": RampedWeight(0.1),
            "penalty": DiscriminatorPenalty(),
        }
        own |= {name: changes.pop(name) for name in list(changes) if name in own}
        return kind(settings=settings(norm=norm, **changes), **own)

    return make


@pytest.fixture
def batches() -> Callable[..., list[Batch]]:
    """Make batches of random images: HR of 16x16, LR of 8x8."""

    def make(count: int, *, size: int = 4) -> list[Batch]:
        generator = torch.Generator().manual_seed(3)
        return [
            {
                "lr": torch.rand(size, 3, 8, 8, generator=generator),
                "hr": torch.rand(size, 3, 16, 16, generator=generator),
            }
            for _ in range(count)
        ]

    return make


@pytest.fixture
def fit() -> Callable[..., Records]:
    """Train a module on the given micro-batches, one after the other; returns what was logged."""

    def run(module: Any, batches: Sequence[Batch], *, max_steps: int = -1, **arguments: Any) -> Records:
        records = Records()
        trainer = pl.Trainer(
            accelerator="cpu",
            max_steps=max_steps,
            max_epochs=1,
            accumulate_grad_batches=module.accumulate if module.automatic_optimization else 1,
            limit_val_batches=0,
            logger=records,
            log_every_n_steps=1,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            **arguments,
        )
        trainer.fit(module, torch.utils.data.DataLoader(list(batches), batch_size=None))
        return records

    return run
