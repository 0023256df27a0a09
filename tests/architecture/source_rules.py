"""Rules about the sources that no linter knows: each takes a folder of modules and yields what breaks it."""

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

RUN_MODES = {"paper", "live", "backtest"}
MODE_READERS = ("bootstrap/", "shared/settings.py", "cli/")
ENVIRONMENT_READERS = ("shared/settings.py",)
CLOCKS = ("shared/clock.py",)
PRINTERS = ("cli/",)
ENVIRONMENT = {"os.environ", "os.getenv", "os.environb", "os.putenv"}
TIME = {
    "time.time",
    "time.time_ns",
    "time.localtime",
    "time.gmtime",
    "datetime.datetime.now",
    "datetime.datetime.utcnow",
    "datetime.datetime.today",
    "datetime.date.today",
    "numpy.datetime64('now')",
}
SEEDED_WHEN_GIVEN_AN_ARGUMENT = {"random.Random", "numpy.random.default_rng", "numpy.random.RandomState"}
PRINT_CALLS = {"print", "pprint", "breakpoint", "sys.stdout.write", "sys.stderr.write"}
NAMELESS_NAMES = re.compile(r"(^|_)(utils?|helpers?|common|misc|stuff|manager\d|v\d+)($|_)|^(enhanced|new|old|better)_")
LEFT_OVER = re.compile(r"#\s*(TODO|FIXME|XXX|HACK)\b")


@dataclass(frozen=True, slots=True)
class Breach:
    module: str
    line: int
    what: str

    def __str__(self) -> str:
        return f"{self.module}:{self.line}: {self.what}"


def modules(package: Path) -> Iterator[tuple[str, ast.Module]]:
    for file in sorted(package.rglob("*.py")):
        yield file.relative_to(package).as_posix(), ast.parse(file.read_text(encoding="utf-8"))


def run_mode_conditions(package: Path) -> Iterator[Breach]:
    """Backtest, paper and live differ in what is built, never in what is decided. Showing the mode is no decision."""
    for module, tree in modules(package):
        if module.startswith(MODE_READERS):
            continue
        for node in ast.walk(tree):
            if any(_speaks_of_run_mode(leaf) for part in _deciding_parts(node) for leaf in ast.walk(part)):
                yield Breach(module, _line_of(node), "decides by the run mode")


def _deciding_parts(node: ast.AST) -> list[ast.AST]:
    if isinstance(node, ast.Compare):
        return [node.left, *node.comparators]
    if isinstance(node, ast.match_case):
        return [node.pattern]
    if isinstance(node, ast.If | ast.IfExp | ast.While):
        return [node.test]
    if isinstance(node, ast.Match):
        return [node.subject]
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Dict):
        # A table looked up by the run mode is a condition too: {"paper": a, "live": b}[mode]
        return [key for key in node.value.keys if key is not None]
    return []


def _speaks_of_run_mode(node: ast.AST) -> bool:
    if isinstance(node, ast.Constant):
        return isinstance(node.value, str) and node.value in RUN_MODES
    return isinstance(node, ast.Attribute) and ast.unparse(node).endswith("trading.mode")


def _line_of(node: ast.AST) -> int:
    return node.pattern.lineno if isinstance(node, ast.match_case) else getattr(node, "lineno", 0)


def ambient_readings(package: Path) -> Iterator[Breach]:
    """Time, chance and the environment are handed in; only their owners read them."""
    for module, tree in modules(package):
        imported = _imported_names(tree)
        calls = {id(node.func): node for node in ast.walk(tree) if isinstance(node, ast.Call)}
        for node in ast.walk(tree):
            if not isinstance(node, ast.Attribute | ast.Name):
                continue
            name = _full_name(node, imported)
            if name in ENVIRONMENT and not module.startswith(ENVIRONMENT_READERS):
                yield Breach(module, node.lineno, f"reads the environment ({name})")
            if name in TIME and not module.startswith(CLOCKS):
                yield Breach(module, node.lineno, f"reads the time ({name})")
            if _is_unseeded_chance(name, calls.get(id(node))):
                yield Breach(module, node.lineno, f"takes chance without a seed ({name})")


def _is_unseeded_chance(name: str, call: ast.Call | None) -> bool:
    if name in SEEDED_WHEN_GIVEN_AN_ARGUMENT:
        return call is not None and not call.args and not call.keywords
    drawn = name.startswith(("random.", "numpy.random."))
    return drawn and call is not None and name.rsplit(".", 1)[1][0].islower()


def _imported_names(tree: ast.Module) -> dict[str, str]:
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                names[alias.asname or alias.name.split(".")[0]] = (
                    alias.name if alias.asname else alias.name.split(".")[0]
                )
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return names


def _full_name(node: ast.expr, imported: dict[str, str]) -> str:
    if isinstance(node, ast.Name):
        return imported.get(node.id, "")
    if isinstance(node, ast.Attribute) and (owner := _full_name(node.value, imported)):
        return f"{owner}.{node.attr}"
    return ""


def prints(package: Path) -> Iterator[Breach]:
    for module, tree in modules(package):
        if module.startswith(PRINTERS):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in {
                "print",
                "sys.stdout.write",
                "pprint",
                "breakpoint",
            }:
                yield Breach(module, node.lineno, f"calls {ast.unparse(node.func)}")


def nameless_modules(package: Path) -> Iterator[Breach]:
    for file in sorted(package.rglob("*")):
        if (file.is_dir() or file.suffix == ".py") and NAMELESS_NAMES.search(file.stem):
            yield Breach(file.relative_to(package).as_posix(), 1, "has a name that says nothing")


def left_over_notes(package: Path) -> Iterator[Breach]:
    for file in sorted(package.rglob("*.py")):
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
            if LEFT_OVER.search(line):
                yield Breach(file.relative_to(package).as_posix(), number, f"leaves a note behind: {line.strip()}")


def private_names_borrowed(package: Path) -> Iterator[Breach]:
    """What starts with an underscore belongs to its own room."""
    for module, tree in modules(package):
        room = module.split("/")[0].removesuffix(".py")
        for node in ast.walk(tree):
            if not isinstance(node, ast.ImportFrom) or not (node.module or "").startswith("tradepulse."):
                continue
            path = (node.module or "").split(".")[1:]
            private = [name for name in (*path, *(alias.name for alias in node.names)) if name.startswith("_")]
            if path[0] != room and private:
                yield Breach(module, node.lineno, f"borrows {', '.join(private)} from {path[0]}")


def third_party_imports(package: Path) -> set[str]:
    """Top-level names of everything imported that is neither ours nor Python's."""
    names: set[str] = set()
    for _, tree in modules(package):
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                names.update(alias.name.split(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
                names.add(node.module.split(".")[0])
    return names - set(sys.stdlib_module_names) - {"tradepulse"}
