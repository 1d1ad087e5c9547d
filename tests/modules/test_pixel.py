from collections.abc import Callable
from typing import Any

import pytest
import torch

from sr_lightning.losses.pixel import L1Loss, MSELoss
from sr_lightning.losses.ramp import RampedWeight
from sr_lightning.losses.weighted_sum import WeightedSum


def halves(batch: dict[str, torch.Tensor]) -> list[dict[str, torch.Tensor]]:
    return [{key: image[part] for key, image in batch.items()} for part in (slice(0, 2), slice(2, 4))]


def test_a_step_is_the_optimisers_own(pixel: Callable[..., Any], fit: Any, batches: Any) -> None:
    module, (batch,) = pixel(), batches(1)
    reference = pixel()
    fit(module, [batch])
    optimizer = torch.optim.Adam(reference.network.parameters(), lr=1e-3)
    torch.nn.functional.l1_loss(reference.network(batch["lr"]), batch["hr"]).backward()
    optimizer.step()
    for mine, theirs in zip(module.network.parameters(), reference.network.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs)


def test_two_micro_batches_equal_one_batch(pixel: Callable[..., Any], fit: Any, batches: Any) -> None:
    whole, parts = pixel(), pixel(accumulate=2)
    data = batches(3)
    records_whole = fit(whole, data)
    records = fit(parts, [half for batch in data for half in halves(batch)])
    assert parts.step == whole.step == 3
    for mine, theirs in zip(parts.network.parameters(), whole.network.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-6)
    # One row a step, with the mean over the micro-batches.
    assert list(records.rows) == list(records_whole.rows) == [1, 2, 3]
    for step in (1, 2, 3):
        assert records.rows[step] == pytest.approx(records_whole.rows[step], rel=1e-5)


@pytest.mark.parametrize("where", ["module", "trainer"])
def test_gradient_clip_bounds_the_norm(pixel: Callable[..., Any], fit: Any, batches: Any, where: str) -> None:
    seen: list[float] = []

    def sgd(parameters: Any) -> torch.optim.Optimizer:
        optimizer = torch.optim.SGD(parameters, lr=1.0)
        optimizer.register_step_post_hook(
            lambda o, *_: seen.append(float(torch.stack([p.grad.norm() for p in o.param_groups[0]["params"]]).norm()))
        )
        return optimizer

    fit(pixel(optimizer=sgd), batches(2))
    free, seen[:] = list(seen), []
    limit = min(free) / 10
    if where == "module":
        fit(pixel(optimizer=sgd, gradient_clip=limit), batches(2))
    else:
        fit(pixel(optimizer=sgd), batches(2), gradient_clip_val=limit)
    assert seen == pytest.approx([limit, limit], rel=1e-3)


def test_terms_total_and_rate_are_logged_every_so_many_steps(pixel: Callable[..., Any], fit: Any, batches: Any) -> None:
    loss = WeightedSum(terms={"l1": L1Loss(), "mse": MSELoss()}, weights={"l1": 1.0, "mse": 0.5})
    records = fit(pixel(loss=loss, log_every_steps=2), batches(5))
    assert list(records.rows) == [2, 4]
    row = records.rows[4]
    assert set(row) == {
        "train/loss", "train/l1", "train/mse", "train/share/l1", "train/share/mse", "train/gradient_norm",
        "train/learning_rate",
    }  # fmt: skip
    assert row["train/loss"] == pytest.approx(row["train/l1"] + 0.5 * row["train/mse"], rel=1e-6)
    assert row["train/learning_rate"] == 1e-3


def test_the_gradients_norm_is_that_of_all_micro_batches_before_clipping(
    pixel: Callable[..., Any], fit: Any, batches: Any
) -> None:
    reference, (batch,) = pixel(), batches(1)
    torch.nn.functional.l1_loss(reference.network(batch["lr"]), batch["hr"]).backward()
    gradients = [parameter.grad.double().flatten() for parameter in reference.network.parameters()]
    expected = float(torch.cat(gradients).norm())
    for changes, data in (({}, [batch]), ({"gradient_clip": 1e-6}, [batch]), ({"accumulate": 2}, halves(batch))):
        assert fit(pixel(**changes), data).rows[1]["train/gradient_norm"] == pytest.approx(expected, rel=1e-5)


def test_no_norm_is_computed_for_steps_that_are_not_logged(
    pixel: Callable[..., Any], fit: Any, batches: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    compute = torch.nn.utils.get_total_norm
    monkeypatch.setattr(
        torch.nn.utils, "get_total_norm", lambda gradients: calls.append(len(gradients)) or compute(gradients)
    )
    fit(pixel(log_every_steps=3), batches(7))
    assert calls == [4, 4]  # weight and bias of two convolutions, at steps 3 and 6


def test_hr_pixels_stand_in_every_row_once_they_are_known(pixel: Callable[..., Any], fit: Any, batches: Any) -> None:
    module = pixel(log_every_steps=2)
    module.step_pixels = 4 * 16 * 16
    records = fit(module, batches(4))
    assert {step: row["train/hr_pixels"] for step, row in records.rows.items()} == {2: 2048, 4: 4096}


def test_bfloat16_leaves_the_weights_float32(pixel: Callable[..., Any], fit: Any, batches: Any) -> None:
    module = pixel(norm=True)
    seen: list[torch.dtype] = []
    module.network.head.register_forward_hook(lambda _m, _i, output: seen.append(output.dtype))
    fit(module, batches(1), precision="bf16-mixed")
    assert seen == [torch.bfloat16]
    assert {value.dtype for value in module.network.state_dict().values()} == {torch.float32, torch.int64}


def test_a_network_for_luma_trains_on_y(
    pixel: Callable[..., Any], fit: Any, batches: Any, tiny_net: Callable[..., Any]
) -> None:
    module = pixel(network=tiny_net(channels=1))
    seen: list[torch.Size] = []
    module.network.register_forward_hook(lambda _m, inputs, _o: seen.append(inputs[0].shape))
    fit(module, batches(1))
    assert seen == [(4, 1, 8, 8)]


@pytest.mark.slow
def test_compile_leaves_keys_clean_and_validation_uncompiled(pixel: Callable[..., Any], fit: Any, batches: Any) -> None:
    plain, compiled = pixel(), pixel(compile_step=True)
    assert list(compiled.state_dict()) == list(plain.state_dict())
    data = batches(2)
    fit(plain, data)
    fit(compiled, data)
    assert list(compiled.state_dict()) == list(plain.state_dict())
    for mine, theirs in zip(compiled.network.parameters(), plain.network.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-5)
    # Validation calls the network itself, at any size, without another compilation.
    assert compiled.network(data[0]["lr"][:, :, :5]).shape == (4, 3, 10, 16)
    assert type(compiled.network) is type(plain.network)


def test_a_network_for_several_scales_is_told_the_batchs(
    pixel: Callable[..., Any], fit: Any, tiny_net: Any, batches: Any
) -> None:
    told: list[int] = []

    class Several(tiny_net):  # type: ignore[misc]
        def forward(self, lr: torch.Tensor, scale: int | None = None) -> torch.Tensor:
            told.append(scale or 0)
            return super().forward(lr)

    first, second = batches(2)
    fit(pixel(network=Several()), [{**first, "scale": 2}, {**second, "scale": 4}, batches(1)[0]])
    assert told == [2, 4, 0]


class Asking(torch.nn.Module):
    """Keeps what it is handed."""

    needs = ("lr", "averaged_sr")

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[torch.Tensor, torch.Tensor, bool]] = []

    def forward(
        self, sr: torch.Tensor, hr: torch.Tensor, *, lr: torch.Tensor, averaged_sr: torch.Tensor
    ) -> torch.Tensor:
        self.seen.append((lr, averaged_sr, sr.requires_grad))
        return (sr - averaged_sr).abs().mean()


@pytest.mark.parametrize("norm", [False, True])
def test_a_term_gets_lr_and_what_the_average_makes_of_it(
    pixel: Callable[..., Any], fit: Any, batches: Any, norm: bool
) -> None:
    term = Asking()
    loss = WeightedSum(
        terms={"l1": L1Loss(), "asking": term}, weights={"l1": 1.0, "asking": RampedWeight(1.0, start=1)}
    )
    module = pixel(loss=loss, norm=norm)
    averaged = {name: value.clone() for name, value in pixel(norm=norm).network.state_dict().items()}
    for value in averaged.values():
        if value.is_floating_point():
            value.mul_(0.5)
    kept = {name: value.clone() for name, value in averaged.items()}
    module.averaged = averaged
    data = batches(3)
    fit(module, data)
    reference = pixel(norm=norm).network
    reference.load_state_dict(averaged)
    # Not computed in the first step; in evaluation mode, without gradient and without a trace.
    assert len(term.seen) == 2
    for batch, (lr, found, with_gradient) in zip(data[1:], term.seen, strict=True):
        assert torch.equal(lr, batch["lr"])
        torch.testing.assert_close(found, reference.eval()(lr))
        assert not found.requires_grad
        assert with_gradient
    assert module.network.training
    assert all(torch.equal(averaged[name], value) for name, value in kept.items())
    if norm:
        assert int(module.network.norm.num_batches_tracked) == 3
