"""`python dashboard.py ...`: see `python dashboard.py --help`."""

from sr_lightning.cli.dashboard import main

if __name__ == "__main__":
    main()
