from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sr_lightning.losses.adversarial import AdversarialLoss
from sr_lightning.losses.penalty import DiscriminatorPenalty
from sr_lightning.losses.pixel import L1Loss
from sr_lightning.losses.ramp import RampedWeight
from sr_lightning.losses.weighted_sum import WeightedSum
from sr_lightning.modules.gan import GANModule, frozen, settled
from sr_lightning.modules.schedules import MultiStep
from sr_lightning.networks.unet_discriminator import UNetDiscriminator


def state_of(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


def changed(before: dict[str, Tensor], network: nn.Module) -> set[str]:
    return {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}


def gradients(network: nn.Module) -> list[Tensor | None]:
    return [None if p.grad is None else p.grad.clone() for p in network.parameters()]


def same(first: list[Tensor | None], second: list[Tensor | None]) -> bool:
    return all(
        (a is None and b is None) or (a is not None and b is not None and torch.equal(a, b))
        for a, b in zip(first, second, strict=True)
    )


class Watched(GANModule):
    """Notes what each of the two named steps changes."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.notes: list[dict[str, Any]] = []

    def generator_step(self, sr: Tensor, hr: Tensor, **others: Any) -> None:
        self._watch("generator", super().generator_step, sr, hr, **others)

    def discriminator_step(self, sr: Tensor, hr: Tensor, **others: Any) -> None:
        self._watch("discriminator", super().discriminator_step, sr, hr, **others)

    def _watch(self, name: str, step: Any, *images: Tensor, update: bool, **others: Any) -> None:
        networks = {"network": self.network, "discriminator": self.discriminator}
        before = {key: (state_of(network), gradients(network)) for key, network in networks.items()}
        step(*images, update=update, **others)
        self.notes.append(
            {"step": name, "update": update}
            | {key: changed(before[key][0], network) for key, network in networks.items()}
            | {f"{key} gradients kept": same(before[key][1], gradients(network)) for key, network in networks.items()}
        )


def test_each_step_changes_only_its_own_network(gan: Callable[..., Any], fit: Any, batches: Any) -> None:
    module = gan(norm=True, kind=Watched)
    fit(module, batches(2))
    for first, second in (module.notes[:2], module.notes[2:]):
        assert (first["step"], second["step"]) == ("generator", "discriminator")
        parameters = {name for name, _ in module.network.named_parameters()}
        assert first["network"] == parameters
        # No weights, no batch-norm statistics, no gradient of the other.
        assert first["discriminator"] == set()
        assert first["discriminator gradients kept"]
        assert second["network"] == set()
        assert second["network gradients kept"]
        assert second["discriminator"] == set(module.discriminator.state_dict())


@pytest.mark.parametrize("penalty", ["none", "r1"])
def test_spectral_norms_change_in_the_discriminators_own_step_alone(
    gan: Callable[..., Any], fit: Any, batches: Any, penalty: str
) -> None:
    module = gan(
        kind=Watched, discriminator=UNetDiscriminator(width=2), penalty=DiscriminatorPenalty(kind=penalty),
        adversarial=AdversarialLoss(kind="relativistic_average"),
    )  # fmt: skip
    vectors = {name for name, _ in module.discriminator.named_buffers()}
    assert len(vectors) == 16
    fit(module, batches(2))
    for generator, discriminator in (module.notes[:2], module.notes[2:]):
        assert generator["discriminator"] == set()
        assert generator["discriminator gradients kept"]
        # Those of the smallest weights may have converged.
        assert len(vectors & discriminator["discriminator"]) > 8


def test_settled_gives_the_same_output_again_and_again() -> None:
    torch.manual_seed(0)
    judge, images = UNetDiscriminator(width=2).train(), torch.rand(1, 3, 16, 16)
    with settled(judge):
        first = judge(images)
        assert torch.equal(first, judge(images))
    before = state_of(judge)
    judge(images)
    moved = changed(before, judge)
    assert moved
    assert moved <= {name for name, _ in judge.named_buffers()}


def test_between_micro_batches_weights_stay_and_gradients_gather(
    gan: Callable[..., Any], fit: Any, batches: Any
) -> None:
    module = gan(kind=Watched, accumulate=2)
    fit(module, batches(2))
    assert [note["update"] for note in module.notes] == [False, False, True, True]
    for note in module.notes[:2]:
        assert note["network"] == note["discriminator"] == set()
    assert not module.notes[0]["network gradients kept"]
    assert not module.notes[1]["discriminator gradients kept"]


def test_batch_norm_of_both_networks_counts_its_own_forwards(gan: Callable[..., Any], fit: Any, batches: Any) -> None:
    module = gan(norm=True)
    fit(module, batches(3))
    # The generator runs once a step; the discriminator's own step sees real and generated images.
    assert int(module.network.norm.num_batches_tracked) == 3
    assert int(module.discriminator.norm.num_batches_tracked) == 6


def test_the_generators_statistics_are_those_of_one_forward(gan: Callable[..., Any], fit: Any, batches: Any) -> None:
    module, reference = gan(norm=True), gan(norm=True)
    (batch,) = batches(1)
    fit(module, [batch])
    reference.network.train()(batch["lr"])
    torch.testing.assert_close(module.network.norm.running_mean, reference.network.norm.running_mean)
    torch.testing.assert_close(module.network.norm.running_var, reference.network.norm.running_var)


def test_frozen_leaves_gradients_passing_and_the_batchs_own_normalisation(gan: Callable[..., Any]) -> None:
    judge = gan(norm=True).discriminator.train()
    images = torch.rand(4, 3, 16, 16, requires_grad=True)
    before = state_of(judge)
    with frozen(judge):
        inside = judge(images)
    (gradient,) = torch.autograd.grad(inside.sum(), images)
    assert gradient.abs().sum() > 0
    assert not changed(before, judge)
    torch.testing.assert_close(inside, judge(images))
    assert all(parameter.requires_grad for parameter in judge.parameters())


@pytest.mark.parametrize(("weight", "differs"), [(0.0, False), (0.1, True)])
def test_the_adversarial_term_changes_the_generators_gradient(
    gan: Callable[..., Any], fit: Any, batches: Any, weight: float, differs: bool
) -> None:
    found: list[list[Tensor]] = []

    def noting(parameters: Any, lr: float = 1e-3) -> torch.optim.Optimizer:
        optimizer = torch.optim.SGD(parameters, lr=lr)
        optimizer.register_step_pre_hook(
            lambda o, *_: found.append([p.grad.clone() for p in o.param_groups[0]["params"]])
        )
        return optimizer

    (batch,) = batches(1)
    module = gan(optimizer=noting, adversarial_weight=RampedWeight(weight))
    content = gan()
    fit(module, [batch])
    torch.nn.functional.l1_loss(content.network(batch["lr"]), batch["hr"]).backward()
    (mine,) = found
    distance = max(float((a - b.grad).abs().max()) for a, b in zip(mine, content.network.parameters(), strict=True))
    assert (distance > 1e-4) == differs


@pytest.mark.parametrize("penalty", ["none", "r1", "gradient"])
def test_two_micro_batches_equal_one_batch(gan: Callable[..., Any], fit: Any, batches: Any, penalty: str) -> None:
    data = batches(4)
    halves = [{k: v[part] for k, v in batch.items()} for batch in data for part in (slice(0, 2), slice(2, 4))]
    settings = {"pretrain_steps": 2, "penalty": DiscriminatorPenalty(kind=penalty)}
    whole, parts = gan(**settings), gan(**settings, accumulate=2)
    rows, rows_of_parts = fit(whole, data).rows, fit(parts, halves).rows
    assert parts.step == whole.step == 4
    for network in ("network", "discriminator"):
        for mine, theirs in zip(
            getattr(parts, network).parameters(), getattr(whole, network).parameters(), strict=True
        ):
            torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-6)
    assert list(rows_of_parts) == list(rows) == [1, 2, 3, 4]
    for step, row in rows.items():
        assert rows_of_parts[step] == pytest.approx(row, rel=1e-4)


def test_gradient_clip_bounds_both_norms(gan: Callable[..., Any], fit: Any, batches: Any) -> None:
    seen: dict[int, list[float]] = {}

    def noting(parameters: Any, lr: float = 1.0) -> torch.optim.Optimizer:
        optimizer = torch.optim.SGD(parameters, lr=lr)
        norms = seen.setdefault(len(seen), [])
        optimizer.register_step_pre_hook(
            lambda o, *_: norms.append(float(torch.stack([p.grad.norm() for p in o.param_groups[0]["params"]]).norm()))
        )
        return optimizer

    fit(gan(optimizer=noting, discriminator_optimizer=noting, pretrain_steps=1, gradient_clip=1e-3), batches(2))
    assert [seen[0], seen[1], seen[2]] == [pytest.approx([1e-3], rel=1e-2)] * 3


def test_first_phase_has_its_own_loss_and_rate_and_the_second_a_fresh_optimiser(
    gan: Callable[..., Any], fit: Any, batches: Any
) -> None:
    module, reference = gan(pretrain_steps=2), gan(pretrain_steps=2)
    data = batches(4)
    records = fit(module, data[:3])
    judge = reference.discriminator
    optimizer = torch.optim.Adam(reference.network.parameters(), lr=1e-2)
    for batch in data[:2]:
        optimizer.zero_grad()
        torch.nn.functional.mse_loss(reference.network(batch["lr"]), batch["hr"]).backward()
        optimizer.step()
    # A new Adam: its first step is the rate times the sign of the gradient, whatever the first phase gathered.
    optimizer = torch.optim.Adam(reference.network.parameters(), lr=1e-3)
    optimizer.zero_grad()
    sr = reference.network(data[2]["lr"])
    logits = judge(sr)
    adversarial = torch.nn.functional.binary_cross_entropy_with_logits(logits, torch.ones_like(logits))
    (torch.nn.functional.l1_loss(sr, data[2]["hr"]) + 0.1 * adversarial).backward()
    optimizer.step()
    for mine, theirs in zip(module.network.parameters(), reference.network.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-6)
    assert [row["train/learning_rate"] for row in records.rows.values()] == [1e-2, 1e-2, 1e-3]
    assert set(records.rows[2]) == {
        "train/loss", "train/mse", "train/share/mse", "train/gradient_norm", "train/learning_rate",
    }  # fmt: skip
    assert set(records.rows[3]) == {
        "train/loss", "train/l1", "train/adversarial", "train/discriminator", "train/real", "train/fake",
        "train/share/l1", "train/share/adversarial", "train/gradient_norm", "train/discriminator_gradient_norm",
        "train/learning_rate",
    }  # fmt: skip


def test_norms_of_both_gradients_are_those_before_clipping(gan: Callable[..., Any], fit: Any, batches: Any) -> None:
    reference, data = gan(), batches(1)
    judge, batch = reference.discriminator, data[0]
    sr = reference.network(batch["lr"])
    logits = judge(sr)
    entropy = torch.nn.functional.binary_cross_entropy_with_logits
    content = torch.nn.functional.l1_loss(sr, batch["hr"])
    adversarial = entropy(logits, torch.ones_like(logits))
    (content + 0.1 * adversarial).backward()
    expected = {"gradient_norm": norm(reference.network)}
    judge.zero_grad()
    real, fake = judge(batch["hr"]), judge(sr.detach())
    (0.5 * entropy(real, torch.ones_like(real)) + 0.5 * entropy(fake, torch.zeros_like(fake))).backward()
    expected["discriminator_gradient_norm"] = norm(judge)
    row = fit(gan(gradient_clip=1e-6), data).rows[1]
    for name, value in expected.items():
        assert row[f"train/{name}"] == pytest.approx(value, rel=1e-4)
    share = float((0.1 * adversarial / (content + 0.1 * adversarial)).detach())
    assert row["train/share/adversarial"] == pytest.approx(share, rel=1e-4)
    assert row["train/share/l1"] == pytest.approx(1 - share, rel=1e-4)


def norm(network: nn.Module) -> float:
    """The length of all its gradients as one vector, in float64."""
    return float(torch.cat([p.grad.double().flatten() for p in network.parameters() if p.grad is not None]).norm())


def test_each_phase_has_its_own_schedule(gan: Callable[..., Any], fit: Any, batches: Any) -> None:
    first = MultiStep(milestones=[1], gamma=0.5, unit="steps", epoch_steps=1, warmup=0)
    second = MultiStep(milestones=[2], gamma=0.1, unit="steps", epoch_steps=1, warmup=0)
    module = gan(pretrain_schedule=first, schedule=second, pretrain_steps=3)
    records = fit(module, batches(6))
    rates = [row["train/learning_rate"] for row in records.rows.values()]
    assert rates == pytest.approx([1e-2, 5e-3, 5e-3, 1e-3, 1e-3, 1e-4])
    # The discriminator follows the generator of its own phase.
    [_, generator, discriminator] = [optimizer.param_groups[0]["lr"] for optimizer in module.trainer.optimizers]
    assert discriminator == pytest.approx(1e-4)
    assert generator == pytest.approx(1e-4)


def test_start_and_ramp_of_the_adversarial_weight(gan: Callable[..., Any], fit: Any, batches: Any) -> None:
    module = gan(pretrain_steps=1, adversarial_weight=RampedWeight(0.1, start=2, ramp=4))
    records = fit(module, batches(8))
    # Step 1 is the first phase's; then two without, four on the ramp, and the whole.
    assert [step for step, row in records.rows.items() if "train/adversarial" in row] == [4, 5, 6, 7, 8]
    for step, factor in {4: 0.25, 5: 0.5, 6: 0.75, 7: 1.0, 8: 1.0}.items():
        row = records.rows[step]
        assert row["train/loss"] == pytest.approx(row["train/l1"] + 0.1 * factor * row["train/adversarial"], rel=1e-6)
    # The discriminator learns from the first step of the second phase on.
    assert "train/discriminator" not in records.rows[1]
    assert "train/discriminator" in records.rows[2]


@pytest.mark.parametrize("accumulate", [1, 2])
def test_max_steps_counts_the_generators_steps(
    gan: Callable[..., Any], fit: Any, batches: Any, accumulate: int
) -> None:
    module = gan(pretrain_steps=2, accumulate=accumulate)
    records = fit(module, batches(20), max_steps=5)
    assert module.step == module.trainer.global_step == 5
    assert list(records.rows) == [1, 2, 3, 4, 5]


def test_phases_in_steps(gan: Callable[..., Any], fit: Any, batches: Any) -> None:
    module = gan(pretrain_steps=2)
    seen: list[tuple[bool, bool, bool]] = []
    step = module.training_step

    def watched(batch: dict[str, Tensor], batch_idx: int) -> None:
        before = module.pretraining
        step(batch, batch_idx)
        seen.append((before, module.phase_ends, module.selectable))

    module.training_step = watched
    fit(module, batches(4))
    assert seen == [(True, False, False), (True, True, False), (False, False, True), (False, False, True)]


def test_without_a_first_phase_none_ends(gan: Callable[..., Any]) -> None:
    module = gan()
    assert not module.pretraining
    assert not module.phase_ends


def test_best_is_the_last_without_lpips(gan: Callable[..., Any]) -> None:
    assert gan().monitor is None
    assert gan(lpips=lambda sr, hr: 0.0).monitor == ("val/lpips", False)


@pytest.mark.parametrize("kind", ["vanilla", "least_squares", "hinge", "relativistic_average"])
def test_the_discriminator_learns_to_tell(gan: Callable[..., Any], fit: Any, batches: Any, kind: str) -> None:
    module = gan(
        adversarial=AdversarialLoss(kind=kind),
        adversarial_weight=RampedWeight(0.0),
        discriminator_optimizer=lambda parameters: torch.optim.Adam(parameters, lr=3e-2),
    )
    records = fit(module, batches(1) * 100)
    losses = [row["train/discriminator"] for row in records.rows.values()]
    assert losses[-1] < 0.95 * losses[0]


def test_the_discriminator_sees_real_images_where_the_loss_sees_sharpened_ones(
    gan: Callable[..., Any], fit: Any, batches: Any
) -> None:
    seen: list[Tensor] = []
    module, (batch,) = gan(), batches(1)
    module.discriminator.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach().clone()))
    real = batch["hr"].flip(-1)
    records = fit(module, [{**batch, "real": real}])
    assert sum(torch.equal(image, real) for image in seen) == 1
    assert not any(torch.equal(image, batch["hr"]) for image in seen)
    plain = fit(gan(), [batch])
    assert records.rows[1]["train/l1"] == plain.rows[1]["train/l1"]


@pytest.mark.parametrize("kind", ["hinge", "relativistic_average"])
def test_the_generators_term_is_the_formula(gan: Callable[..., Any], fit: Any, batches: Any, kind: str) -> None:
    reference, (batch,) = gan(norm=True), batches(1)
    judge = reference.discriminator.train()
    sr = reference.network.train()(batch["lr"])
    fake, real = judge(sr), judge(batch["hr"]).detach()
    entropy = torch.nn.functional.binary_cross_entropy_with_logits
    if kind == "hinge":
        term = -fake.mean()
    else:
        above, below = fake - real.mean(), real - fake.mean()
        term = (entropy(below, torch.zeros_like(below)) + entropy(above, torch.ones_like(above))) / 2
    (torch.nn.functional.l1_loss(sr, batch["hr"]) + 0.1 * term).backward()
    row = fit(gan(norm=True, adversarial=AdversarialLoss(kind=kind)), [batch]).rows[1]
    assert row["train/adversarial"] == pytest.approx(term.item(), rel=1e-5)
    assert row["train/gradient_norm"] == pytest.approx(norm(reference.network), rel=1e-4)


def test_the_penalty_is_the_discriminators_and_lazy(gan: Callable[..., Any], fit: Any, batches: Any) -> None:
    data = batches(5)
    settings = {
        "norm": True,
        "pretrain_steps": 1,
        "optimizer": lambda parameters, lr=0.0: torch.optim.SGD(parameters, lr=0.0),
    }
    still = {"discriminator_optimizer": lambda parameters: torch.optim.SGD(parameters, lr=0.0)}
    plain = fit(gan(**settings, **still), data).rows
    module = gan(**settings, **still, penalty=DiscriminatorPenalty(kind="r1", weight=3.0, every=2))
    rows = fit(module, data).rows
    # Steps 2 to 5 are the second phase's.
    assert [step for step in rows if "train/penalty" in rows[step]] == [2, 4]
    for step, row in rows.items():
        for name in ("discriminator", "adversarial", "gradient_norm"):
            assert row.get(f"train/{name}") == plain[step].get(f"train/{name}")
        if step > 1:
            same = row["train/discriminator_gradient_norm"] == plain[step]["train/discriminator_gradient_norm"]
            assert same == ("train/penalty" not in row)
    # By hand, of the third batch: the fourth step.
    judge, real = gan(norm=True).discriminator.train(), data[3]["hr"].clone().requires_grad_()
    (gradient,) = torch.autograd.grad(judge(real).sum(), real)
    expected = 2 * 3.0 / 2 * gradient.square().sum(dim=(1, 2, 3)).mean()
    assert rows[4]["train/penalty"] == pytest.approx(expected.item(), rel=1e-4)
    # Its forward leaves no trace in the running averages.
    assert int(module.discriminator.norm.num_batches_tracked) == 2 * 4


def test_terms_of_the_content_loss_start_in_the_phase_they_belong_to(
    gan: Callable[..., Any], fit: Any, batches: Any
) -> None:
    loss = WeightedSum(
        terms={"l1": L1Loss(), "late": L1Loss()}, weights={"l1": 1.0, "late": RampedWeight(2.0, start=1, ramp=2)}
    )
    rows = fit(gan(pretrain_steps=2, loss=loss), batches(5)).rows
    assert [step for step, row in rows.items() if "train/late" in row] == [4, 5]
    assert "train/l1" not in rows[2]
    for step, weight in {4: 1.0, 5: 2.0}.items():
        row = rows[step]
        total = (1 + weight) * row["train/l1"] + 0.1 * row["train/adversarial"]
        assert row["train/loss"] == pytest.approx(total, rel=1e-5)
        assert row["train/share/late"] == pytest.approx(weight * row["train/late"] / total, rel=1e-5)
