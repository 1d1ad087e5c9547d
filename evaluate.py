"""`python evaluate.py ...`: see `python evaluate.py --help`."""

from sr_lightning.cli.evaluate import main

if __name__ == "__main__":
    main()
