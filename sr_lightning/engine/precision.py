"""Which arithmetic this machine is quick at."""

import torch


def resolve_precision(name: str | int, accelerator: str) -> str:
    """Return Lightning's name of the precision: `auto` is bf16-mixed where the hardware has it, else 32-true.

    Ampere and newer GPUs multiply bfloat16 natively, and so do CPUs with AMX or AVX512-bf16; elsewhere it is emulated
    and slower than float32.

    Args:
        name: `auto`, or what Lightning takes.
        accelerator: Lightning's `trainer.accelerator`, resolved to `cpu`, `cuda` or `mps`.
    """
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
    """Return the device of `auto`, `cpu`, `cuda` or `mps`."""
    if name != "auto":
        return torch.device(name)
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
