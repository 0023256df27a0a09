"""Writes the dashboard's types from the API's own OpenAPI document; ``--check`` fails where they differ."""  # noqa: INP001

import argparse
import difflib
import json
import subprocess
import sys
import tempfile
from dataclasses import fields
from pathlib import Path
from typing import Any

from tradepulse.api.app import create_app
from tradepulse.api.deps import Services
from tradepulse.shared.settings import Settings

DASHBOARD = Path(__file__).parent
OPTIONS = ("--alphabetize", "--root-types", "--root-types-no-schema-prefix")
TARGET = DASHBOARD / "src" / "generated" / "api.ts"


def openapi_document() -> str:
    nothing: dict[str, Any] = {field.name: None for field in fields(Services)}
    app = create_app(Services(**{**nothing, "signing_key": bytes(32)}), settings=Settings())
    return json.dumps(app.openapi(), indent=1, sort_keys=True)


def generated_types() -> str:
    with tempfile.TemporaryDirectory() as folder:
        document, types = Path(folder) / "openapi.json", Path(folder) / "api.ts"
        document.write_text(openapi_document(), encoding="utf-8")
        command = ["npx", "--no-install", "openapi-typescript", str(document), "--output", str(types), *OPTIONS]
        subprocess.run(command, cwd=DASHBOARD, check=True, stdout=subprocess.DEVNULL)  # noqa: S603
        return types.read_text(encoding="utf-8")


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument(
        "--check", action="store_true", help="change nothing; exit 1 where the types are not current"
    )
    types = generated_types()
    if not arguments.parse_args().check:
        TARGET.parent.mkdir(parents=True, exist_ok=True)
        TARGET.write_text(types, encoding="utf-8")
        return 0
    present = TARGET.read_text(encoding="utf-8") if TARGET.exists() else ""
    difference = list(
        difflib.unified_diff(present.splitlines(), types.splitlines(), "committed", "from the API", "", "", 1, "")
    )
    sys.stderr.write("\n".join(difference[:40]))
    if difference:
        sys.stderr.write("\nThe dashboard's types differ from the API. Run: python dashboard/generate.py\n")
    return bool(difference)


if __name__ == "__main__":
    raise SystemExit(main())
