"""Run the command by `python -m mailrouting`."""

from mailrouting.cli import run

__all__: list[str] = []

if __name__ == "__main__":
    run()
