"""Writes the pages that are made from data; ``--check`` writes nothing and fails where one is out of date."""  # noqa: INP001

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from ops.parameters_page import parameters_page
from ops.strategy_pictures import pictures

from tradepulse.exchanges.venue_page import venues_page

DOCS = Path(__file__).parents[1] / "docs"


def decisions_page() -> str:
    """Every decision by its number and its own title."""
    lines = ["# Decisions", "", "What was decided, and why. One page each: context, decision, consequences.", ""]
    for record in sorted((DOCS / "decisions").glob("[0-9]*.md")):
        title = record.read_text(encoding="utf-8").split("\n", 1)[0].removeprefix("# ")
        lines.append(f"- [{title.replace('. ', ': ', 1)}]({record.name})")
    return "\n".join([*lines, ""])


def generated() -> Iterator[tuple[Path, str]]:
    yield DOCS / "exchanges.md", venues_page()
    yield DOCS / "parameters.md", parameters_page()
    yield DOCS / "decisions" / "index.md", decisions_page()
    yield from ((DOCS / "images" / f"{name}.svg", picture) for name, picture in pictures())


def out_of_date(made: Iterable[tuple[Path, str]]) -> list[Path]:
    return [page for page, text in made if not page.exists() or page.read_text(encoding="utf-8") != text]


def main() -> int:
    made = list(generated())
    stale = out_of_date(made)
    if "--check" in sys.argv[1:]:
        for page in stale:
            sys.stderr.write(f"error: {page} is out of date. Run: python -m ops.generate_docs\n")
        return 1 if stale else 0
    for page, text in made:
        if page in stale:
            page.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
