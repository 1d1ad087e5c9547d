"""`python preview.py ...`: see `python preview.py --help`."""

from sr_lightning.cli.preview import main

if __name__ == "__main__":
    main()
