"""What runs the program on a server: units, scripts, containers. Their own checkers are asked where they are there."""

import configparser
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tradepulse.cli import main
from tradepulse.shared.errors import ConfigurationError, InvariantError, RefusedError, TransientError

OPS = Path(__file__).parents[2] / "ops"
UNITS = sorted((OPS / "systemd").glob("*.service"))
SCRIPTS = sorted(OPS.rglob("*.sh"))
MOST_EXPOSED = 15
"""Tenths, as systemd-analyze reckons: 0 is best, 100 worst."""
HARDENED = {
    "Type": "notify",
    "User": "tradepulse",
    "StateDirectory": "tradepulse",
    "KillMode": "mixed",
    "Restart": "on-failure",
    "UMask": "0077",
    "NoNewPrivileges": "yes",
    "CapabilityBoundingSet": "",
    "ProtectSystem": "strict",
    "ProtectHome": "yes",
    "PrivateTmp": "yes",
    "PrivateDevices": "yes",
    "RestrictNamespaces": "yes",
}


def service_of(unit: Path) -> dict[str, list[str]]:
    """systemd allows a key twice, and configparser does not."""
    section, found = "", {}
    for line in unit.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            section = line
        elif section == "[Service]" and "=" in line and not line.startswith("#"):
            name, value = line.split("=", 1)
            found.setdefault(name, []).append(value)
    return found


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_unit_when_read_then_it_is_hardened_and_watched(unit: Path) -> None:
    service = service_of(unit)
    assert {name: service.get(name, ["is missing"])[-1] for name in HARDENED} == HARDENED
    assert int(service["WatchdogSec"][0]) >= 2 * 60
    assert configparser.ConfigParser(strict=False, interpolation=None).read(unit)


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_unit_when_an_exit_would_only_repeat_itself_then_it_is_not_started_again(unit: Path) -> None:
    never_again = {ConfigurationError.exit_code, RefusedError.exit_code, InvariantError.exit_code}
    assert {int(code) for code in service_of(unit)["RestartPreventExitStatus"][0].split()} == never_again
    assert TransientError.exit_code not in never_again
    supervisor = (OPS / "scripts" / "supervise.sh").read_text(encoding="utf-8")
    codes = re.search(r"case \$code in ([\d |]+)\)", supervisor)
    assert codes is not None
    assert {int(code) for code in codes[1].split("|")} == {0, *never_again}


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_unit_when_it_starts_a_command_then_there_is_one(unit: Path) -> None:
    command = service_of(unit)["ExecStart"][0].split()[1]
    assert command in {registered.name for registered in main.app.registered_commands}


def test_scripts_when_they_call_the_program_then_such_commands_exist() -> None:
    called = set(
        re.findall(r'(?:tradepulse|program "\$\w+") (db \w+|--version)', "".join(map(Path.read_text, SCRIPTS)))
    )
    groups = {group.name: group.typer_instance for group in main.app.registered_groups}
    assert groups["db"] is not None
    known = {f"db {command.name}" for command in groups["db"].registered_commands}
    assert called - {"--version"} <= known
    assert {"db backup", "db restore", "db sync", "db revision"} <= called


def test_containers_when_read_then_the_api_is_reached_through_the_proxy_only() -> None:
    proxy = (OPS / "docker" / "Caddyfile").read_text(encoding="utf-8")
    compose = (OPS / "docker" / "compose.yaml").read_text(encoding="utf-8")
    assert "reverse_proxy 127.0.0.1:8000" in proxy
    assert "network_mode: service:api" in compose
    assert re.findall(r"ports: (.*)", compose) == ['["${TRADEPULSE_PORT:-443}:443"]']
    assert "allow_remote" not in compose.lower()
    assert len(re.findall(r"PASSWORD: \$\{DB_PASSWORD:\?", compose)) == 2


def _checkers(folder: Path) -> list[list[str]]:
    """Of the shell always; of systemd, Caddy and ShellCheck where they are installed."""
    units = []
    for unit in [*UNITS, *(OPS / "systemd").glob("*.target")]:
        copied = folder / unit.name
        copied.write_text(re.sub(r"/opt/\S+/bin/tradepulse", "/bin/true", unit.read_text(encoding="utf-8")))
        units.append(str(copied))
    services = [unit for unit in units if unit.endswith(".service")]
    wanted = [["sh", "-n", str(script)] for script in SCRIPTS]
    wanted.append(["systemd-analyze", "verify", "--man=no", *units])
    limit = f"--threshold={MOST_EXPOSED}"
    wanted += [["systemd-analyze", "security", "--offline=true", "--no-pager", limit, unit] for unit in services]
    wanted.append(["caddy", "validate", "--adapter", "caddyfile", "--config", str(OPS / "docker" / "Caddyfile")])
    wanted.append(["shellcheck", "-S", "warning", "-x", "-P", "SCRIPTDIR", *map(str, SCRIPTS)])
    return [command for command in wanted if shutil.which(command[0])]


def test_operations_when_checked_by_their_own_tools_then_nothing_is_wrong(tmp_path: Path) -> None:
    wrong = []
    for command in _checkers(tmp_path):
        found = subprocess.run(command, capture_output=True, text=True, check=False)
        if found.returncode != 0:
            wrong.append((command, found.stdout[-1500:], found.stderr[-1500:]))
    assert wrong == []
