"""``python -m kgclip`` is the `kgclip` command."""

from kgclip.cli.main import main

if __name__ == "__main__":
    main()
