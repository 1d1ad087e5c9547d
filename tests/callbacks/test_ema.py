from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from sr_lightning.callbacks.ema import GeneratorEMA
from sr_lightning.callbacks.steps import StepCallback
from sr_lightning.modules.base import SuperResolution

Run = Callable[..., dict[str, Any]]
# Between the first two steps of the warm-up (1/10, 2/11), so that both its branches are seen.
DECAY = 0.15


def load(folder: Path, name: str = "last") -> dict[str, Any]:
    content: dict[str, Any] = torch.load(folder / "checkpoints" / f"{name}.ckpt", weights_only=True)
    return content


def raw(content: dict[str, Any]) -> dict[str, Tensor]:
    prefix = "network."
    return {k.removeprefix(prefix): v for k, v in content["state_dict"].items() if k.startswith(prefix)}


@pytest.mark.parametrize("model", ["srresnet", "srgan"])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_average_equals_a_hand_loop(
    run_tiny: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str, accumulate: int
) -> None:
    states: list[dict[str, Tensor]] = []

    def note(self: StepCallback, trainer: Any, module: SuperResolution) -> None:
        if isinstance(self, GeneratorEMA):
            states.append({name: value.clone() for name, value in module.network.state_dict().items()})
        on_step_end(self, trainer, module)

    def begin(self: GeneratorEMA, trainer: Any, module: SuperResolution) -> None:
        states.append({name: value.clone() for name, value in module.network.state_dict().items()})
        on_fit_start(self, trainer, module)

    on_step_end, on_fit_start = GeneratorEMA.on_step_end, GeneratorEMA.on_fit_start
    monkeypatch.setattr(GeneratorEMA, "on_step_end", note)
    monkeypatch.setattr(GeneratorEMA, "on_fit_start", begin)
    run_tiny(
        model, tmp_path / "run", "callbacks=ema", f"callbacks.ema.decay={DECAY}", f"module.accumulate={accumulate}"
    )
    assert len(states) == 5
    average = states[0]
    for done, state in enumerate(states[1:]):
        kept = min(DECAY, (1 + done) / (10 + done))
        average = {
            name: kept * average[name] + (1 - kept) * value if value.is_floating_point() else value
            for name, value in state.items()
        }
    content = load(tmp_path / "run")
    # The generator alone, with its batch-norm statistics; the raw weights stand beside.
    assert content["ema"].keys() == average.keys() == raw(content).keys()
    assert any(name.endswith("running_var") for name in average)
    for name, value in average.items():
        torch.testing.assert_close(content["ema"][name], value, rtol=1e-5, atol=1e-6)
        assert torch.equal(raw(content)[name], states[-1][name])


def test_validation_sees_the_average_and_training_the_raw_weights(
    run_tiny: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, list[Tensor]] = {"train": [], "val": []}
    forward, train_forward = SuperResolution.forward, SuperResolution.train_forward

    def look(kind: str, call: Any) -> Any:
        def wrapped(self: SuperResolution, lr: Tensor, **scale: Any) -> Tensor:
            seen[kind].append(next(self.network.parameters()).detach().clone())
            result: Tensor = call(self, lr, **scale)
            return result

        return wrapped

    monkeypatch.setattr(SuperResolution, "forward", look("val", forward))
    monkeypatch.setattr(SuperResolution, "train_forward", look("train", train_forward))
    run_tiny(
        "edsr_baseline", tmp_path / "run", "callbacks=ema", "callbacks.ema.decay=0.5", "optimizer.lr=0.01",
        "trainer.max_steps=3", "trainer.val_every_steps=2",
    )  # fmt: skip
    start, after_1, after_2 = seen["train"]
    # The first steps keep (1 + n) / (10 + n) of the average.
    average = 2 / 11 * (0.1 * start + 0.9 * after_1) + 9 / 11 * after_2
    # Three images are validated at step 2; step 3 trains from the raw weights, as the run without EMA does.
    torch.testing.assert_close(seen["val"][0], average)
    run_tiny(
        "edsr_baseline", tmp_path / "plain", "optimizer.lr=0.01", "trainer.max_steps=3", "trainer.val_every_steps=2"
    )
    assert all(torch.equal(a, b) for a, b in zip(seen["train"][:3], seen["train"][3:], strict=True))


def test_evaluation_takes_the_average(run_tiny: Run, tmp_path: Path) -> None:
    from sr_lightning.engine.checkpoint import load_network

    results = run_tiny("edsr_baseline", tmp_path / "run", "callbacks=ema", "callbacks.ema.decay=0.5")
    assert results["ema"] == 0.5
    assert results["protocol"]["ema"] is True
    loaded = load_network(tmp_path / "run" / "checkpoints" / "best.ckpt")
    content = load(tmp_path / "run", "best")
    assert loaded.ema
    assert all(torch.equal(value, content["ema"][name]) for name, value in loaded.network.state_dict().items())


@pytest.mark.parametrize("decay", [-0.1, 1.0])
def test_decay_outside_its_range(decay: float) -> None:
    with pytest.raises(ValueError, match=r"expected a number in \[0, 1\)"):
        GeneratorEMA(decay=decay)
