"""`python export.py ...`: see `python export.py --help`."""

from sr_lightning.cli.export import main

if __name__ == "__main__":
    main()
