"""`python train.py ...`: see `python train.py --help`."""

from sr_lightning.cli.train import main

if __name__ == "__main__":
    main()
