"""The program with everything imported, and a command ``tradepulse`` that is run there, in a process of its own.

Of four seconds that a command takes, three go into importing. Pages with dozens of commands are only worth trying at
every change when that is paid once: each command is a fork of one warm process, with the arguments, the folder, the
environment and the open files of whoever called it, and ends in the exit code of the real entry point.
"""

import json
import os
import signal
import socket
import sys
from pathlib import Path

COMMAND = """#!{python} -IS
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as program:
    program.connect({address!r})
    asked = {{"arguments": sys.argv[1:], "folder": os.getcwd(), "environment": dict(os.environ)}}
    socket.send_fds(program, [json.dumps(asked).encode()], [0, 1, 2])
    program.shutdown(socket.SHUT_WR)
    sys.exit(int(program.makefile().read() or 1))
"""


def write_command(folder: Path, address: str) -> None:
    command = folder / "tradepulse"
    command.write_text(COMMAND.format(python=sys.executable, address=address), encoding="utf-8")
    command.chmod(0o755)


def serve(address: str) -> None:
    import tradepulse.bootstrap.encoder
    import tradepulse.bootstrap.training
    import tradepulse.cli.main  # noqa: F401

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()
        while True:
            caller, _ = listener.accept()
            with caller:
                if os.fork() == 0:
                    listener.close()
                    _obey(caller)


def _obey(caller: socket.socket) -> None:
    from tradepulse.cli.main import run

    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    message, files, _, _ = socket.recv_fds(caller, 1 << 20, 3)
    while more := caller.recv(1 << 20):
        message += more
    asked = json.loads(message)
    for wanted, given in enumerate(files):
        os.dup2(given, wanted)
    os.chdir(asked["folder"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    sys.argv[1:] = asked["arguments"]
    code = run(asked["arguments"])
    sys.stdout.flush()
    sys.stderr.flush()
    caller.sendall(str(code).encode())
    caller.close()
    os._exit(code)


if __name__ == "__main__":
    serve(sys.argv[1])
