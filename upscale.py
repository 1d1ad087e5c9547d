"""`python upscale.py ...`: see `python upscale.py --help`."""

from sr_lightning.cli.upscale import main

if __name__ == "__main__":
    main()
