"""``python -m labelweave``: the command line, where its script is not on the path."""

from labelweave.cli import main

if __name__ == "__main__":
    main()
