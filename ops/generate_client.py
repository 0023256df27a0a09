"""Writes the operations of the Python client from the API's OpenAPI document; ``--check`` fails where they differ."""  # noqa: INP001

import argparse
import difflib
import keyword
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

from tradepulse.api.app import create_app
from tradepulse.api.deps import Services
from tradepulse.shared.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "src" / "tradepulse" / "client" / "operations.py"
PLAIN = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}
HEAD = '''"""Generated from the API's description by ``ops/generate_client.py``; not written by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NotRequired, TypedDict
'''

ASK = """    def _ask(
        self,
        method: str,
        path: str,
        *,
        names: Mapping[str, str] | None = None,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        idempotency_key: str | None = None,
    ) -> Any:
        raise NotImplementedError
"""

Schema = dict[str, Any]


def described() -> Schema:
    nothing: dict[str, Any] = {field.name: None for field in fields(Services)}
    return create_app(Services(**{**nothing, "signing_key": bytes(32)}), settings=Settings()).openapi()


def identifier(name: str) -> str:
    plain = re.sub(r"\W", "_", name).strip("_")
    return f"{plain}_" if keyword.iskeyword(plain) else plain


def type_of(schema: Schema) -> str:
    if "$ref" in schema:
        return identifier(schema["$ref"].rsplit("/", 1)[1])
    for many in ("anyOf", "oneOf"):
        if many in schema:
            return " | ".join(dict.fromkeys(type_of(one) for one in schema[many]))
    if "allOf" in schema and len(schema["allOf"]) == 1:
        return type_of(schema["allOf"][0])
    if "const" in schema or "enum" in schema:
        return f"Literal[{', '.join(map(repr, schema.get('enum', [schema.get('const')])))}]"
    kind = schema.get("type")
    if kind == "array":
        return f"list[{type_of(schema.get('items', {}))}]"
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"dict[str, {type_of(schema['additionalProperties'])}]"
    if kind == "object":
        return "dict[str, Any]"
    return PLAIN.get(str(kind), "Any")


def declaration(name: str, schema: Schema) -> str:
    if not schema.get("properties"):
        return f"{identifier(name)} = {type_of(schema)}\n"
    needed = set(schema.get("required", ()))
    lines = [
        f"    {field}: {type_of(told) if field in needed else f'NotRequired[{type_of(told)}]'}"
        for field, told in schema["properties"].items()
    ]
    return f"class {identifier(name)}(TypedDict):\n" + "\n".join(lines) + "\n"


def method_name(path: str, method: str, told: Schema) -> str:
    suffix = re.sub(r"\W", "_", path) + f"_{method}"
    own = told["operationId"].removesuffix(suffix)
    return identifier(f"{told['tags'][0]}_{own}" if told.get("tags") else own)


def method_of(path: str, method: str, told: Schema) -> str:
    given = told.get("parameters", [])
    names = [one["name"] for one in given if one["in"] == "path"]
    query = [one for one in given if one["in"] == "query"]
    query.sort(key=lambda one: not one.get("required", False))
    needed = [f"{identifier(one['name'])}: {type_of(one['schema'])}" for one in query if one.get("required")]
    optional = [_optional(one) for one in query if not one.get("required")]
    arguments = [f"{identifier(name)}: str" for name in names]
    call = [repr(method.upper()), repr(path)]
    if names:
        call.append(f"names={{{', '.join(f'{name!r}: {identifier(name)}' for name in names)}}}")
    if query:
        call.append(_query(query))
    body = told.get("requestBody")
    if body:
        kind = type_of(body["content"]["application/json"]["schema"])
        arguments.append(f"body: {kind}" if body.get("required") else f"body: {kind} = None")
        call.append("body=body")
    optional_key = any(one["in"] == "header" and one["name"] == "Idempotency-Key" for one in given)
    keywords = [*needed, *optional, *(["idempotency_key: str | None = None"] if optional_key else [])]
    if optional_key:
        call.append("idempotency_key=idempotency_key")
    signature = ", ".join(["self", *arguments, *(["*", *keywords] if keywords else [])])
    answered = told["responses"].get("200") or told["responses"].get("202") or {}
    content = answered.get("content", {})
    answer = type_of(content["application/json"]["schema"]) if "application/json" in content else "str"
    text = (
        told.get("description", told.get("summary", "")).split("\n\n")[0].replace("\n", " ").replace('"', "'").strip()
    )
    doc = f'        """{text}"""\n' if text else ""
    return (
        f"    def {method_name(path, method, told)}({signature}) -> {answer}:\n{doc}"
        f"        answer: {answer} = self._ask({', '.join(call)})\n        return answer\n"
    )


def _optional(given: Schema) -> str:
    kind = type_of(given["schema"])
    return f"{identifier(given['name'])}: {kind if 'None' in kind else f'{kind} | None'} = None"


def _query(query: list[Schema]) -> str:
    pairs = ", ".join(f"{one['name']!r}: {identifier(one['name'])}" for one in query)
    return f"query={{{pairs}}}"


def generated() -> str:
    document = described()
    types = [declaration(name, told) for name, told in sorted(document["components"]["schemas"].items())]
    methods = [
        method_of(path, method, told)
        for path, operations in sorted(document["paths"].items())
        for method, told in operations.items()
    ]
    text = "\n\n".join([HEAD, *types, f"class Operations:\n{ASK}\n" + "\n".join(methods)])
    command = [sys.executable, "-m", "ruff", "format", "--stdin-filename", str(TARGET), "-"]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=True, cwd=ROOT).stdout  # noqa: S603


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--check", action="store_true", help="change nothing; exit 1 where it is not current")
    text = generated()
    if not arguments.parse_args().check:
        TARGET.write_text(text, encoding="utf-8")
        return 0
    present = TARGET.read_text(encoding="utf-8") if TARGET.exists() else ""
    difference = list(difflib.unified_diff(present.splitlines(), text.splitlines(), "committed", "from the API", n=1))
    sys.stderr.write("\n".join(difference[:40]))
    if difference:
        sys.stderr.write("\nThe client differs from the API. Run: python ops/generate_client.py\n")
    return bool(difference)


if __name__ == "__main__":
    raise SystemExit(main())
