"""`python -m whichopt.service.cli`: the command `whichopt`."""

from whichopt.service.cli import app

if __name__ == "__main__":
    app()
