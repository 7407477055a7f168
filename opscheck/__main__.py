"""`python -m opscheck` is `opscheck`."""

from opscheck.cli import main

if __name__ == "__main__":
    main()
