"""Which arithmetic this machine is quick at."""

import torch

from sr_lightning.refusal import Refusal


def resolve_precision(name: str | int, accelerator: str) -> str:
    """Return Lightning's name of the precision: `auto` is bf16-mixed where the hardware has it, else 32-true.

    Ampere and newer GPUs multiply bfloat16 natively, and so do CPUs with AMX or AVX512-bf16; elsewhere it is emulated
    and slower than float32.

    Args:
        name: `auto`, or what Lightning takes.
        accelerator: Lightning's `trainer.accelerator`, resolved to `cpu`, `cuda` or `mps`.

    Raises:
        Refusal: fp16 on a CPU, which Lightning would silently make bfloat16.
    """
    if name == "16-mixed" and accelerator == "cpu":
        raise Refusal("trainer.precision=16-mixed needs a GPU; use bf16-mixed or 32-true.")
    if str(name) != "auto":
        return {"32": "32-true"}.get(str(name), str(name))
    return "bf16-mixed" if has_bfloat16(accelerator) else "32-true"


def has_bfloat16(accelerator: str) -> bool:
    """Whether the device multiplies bfloat16 in hardware."""
    if accelerator == "cuda":
        return torch.cuda.get_device_capability()[0] >= 8
    if accelerator == "cpu":
        # Private names, absent in some versions; oneDNN asks the same flags.
        checks = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
        return any(getattr(torch.cpu, check, lambda: False)() for check in checks)
    return False


def resolve_device(name: str) -> torch.device:
    """Return the device of `auto`, `cpu`, `cuda` or `mps`.

    Raises:
        Refusal: this machine does not have it.
    """
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        name = next(device for device, available in there.items() if available)
    if not there.get(name, True):
        raise Refusal(f"device: expected one that this machine has, got {name}; use auto or cpu.")
    return torch.device(name)
