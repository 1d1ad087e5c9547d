"""`python prepare.py ...`: see `python prepare.py --help`."""

from sr_lightning.cli.prepare import main

if __name__ == "__main__":
    main()
