"""Where the program begins: Ctrl-C is answered quietly even while modules are being loaded."""

import sys


def main() -> None:
    try:
        from tradepulse.cli.main import main as command_line

        command_line()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
