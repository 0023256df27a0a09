"""What a user installs: the wheel and the source archive carry everything that the program reads."""

import subprocess
import sys
import tarfile
import zipfile
from email.parser import HeaderParser
from pathlib import Path

import pytest

import tradepulse

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "src" / "tradepulse"


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return folder


def everything_the_program_reads() -> set[str]:
    files = (file for file in SOURCES.rglob("*") if file.is_file())
    return {
        f"tradepulse/{file.relative_to(SOURCES).as_posix()}"
        for file in files
        if "__pycache__" not in file.parts and file.suffix not in (".pyc", ".nbi", ".nbc")
    }


def test_wheel_when_built_then_it_holds_every_file_of_the_package_and_the_built_dashboard(packages: Path) -> None:
    (wheel,) = packages.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
        page = archive.read("tradepulse/api/static/index.html").decode()
        (metadata,) = (name for name in archive.namelist() if name.endswith("METADATA"))
        about = HeaderParser().parsestr(archive.read(metadata).decode())
    assert held == everything_the_program_reads()
    scripts = [name for name in held if name.startswith("tradepulse/api/static/assets/") and name.endswith(".js")]
    assert any(Path(name).name in page for name in scripts)
    assert about["Version"] == tradepulse.__version__


def test_source_archive_when_built_then_a_wheel_can_be_made_of_it_without_node(packages: Path) -> None:
    (archive,) = packages.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        held = {name.split("/", 1)[1].removeprefix("src/") for name in opened.getnames()}
    assert everything_the_program_reads() <= held
    assert {"pyproject.toml", "README.md", "LICENSE", "requirements/runtime.lock"} <= held
    assert not {name for name in held if name.startswith(("tests/", "config/.env.")) and not name.endswith(".example")}
