"""`python compare.py RUNS... output=page.html`: see `python compare.py --help`."""

from sr_lightning.cli.compare import main

if __name__ == "__main__":
    main()
