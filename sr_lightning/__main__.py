"""The console command: `sr-lightning COMMAND key=value ...`, also `python -m sr_lightning ...`."""

import sys
from importlib import import_module

from sr_lightning.refusal import nearest

COMMANDS = {
    "prepare": "fetch, check and decode the images of a training",
    "preview": "show the pairs of LR and HR that a training begins with",
    "train": "train a super-resolution network",
    "evaluate": "score a checkpoint, published weights, bicubic, or a folder of images",
    "upscale": "upscale an image or a folder with a trained network",
    "export": "write a checkpoint's weights as a file that other programs load",
    "compare": "compare runs: a page, or tables and crop figures for a paper",
    "models": "show the networks side by side: size, cost, published PSNR",
    "dashboard": "build the comparison of a W&B project's runs: workspaces and a report",
}


def main() -> None:
    """Hand the arguments over to the command that the first of them names."""
    name = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if name in ("-h", "--help"):
        print("usage: sr-lightning COMMAND [key=value ...]\n")
        print("\n".join(f"  {command:<10}{summary}" for command, summary in COMMANDS.items()))
        print("\nsr-lightning COMMAND --help says more.")
        return
    if name not in COMMANDS:
        choices = ", ".join(COMMANDS)
        print(
            f"error: unknown command '{name}': expected one of {choices}{nearest(name, COMMANDS)}",
            file=sys.stderr,
        )
        sys.exit(1)
    del sys.argv[1]
    import_module(f"sr_lightning.cli.{name}").main()


if __name__ == "__main__":
    main()
