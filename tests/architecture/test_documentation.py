"""The pages: every link leads somewhere, on the built site and in the files, and every page is found."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import yaml
from ops import generate_docs

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))]
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#{1,6} +(.+?)\s*$", re.MULTILINE)
BUILD = [str(Path(sys.executable).with_name("zensical")), "build", "--strict"]


def prose(page: Path) -> str:
    return FENCED.sub("", page.read_text(encoding="utf-8"))


def anchors(page: Path) -> list[str]:
    """As GitHub makes them: what is not a letter, a digit, a hyphen or a space goes, and a repeated one is numbered."""
    found: list[str] = []
    for heading in HEADING.findall(prose(page)):
        shown = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        plain = re.sub(r"[^\w\- ]", "", shown.lower()).replace(" ", "-")
        seen = sum(re.fullmatch(rf"{re.escape(plain)}(-\d+)?", anchor) is not None for anchor in found)
        found.append(f"{plain}-{seen}" if seen else plain)
    return found


def dead_links(pages: list[Path]) -> Iterator[str]:
    for page in pages:
        for link in LINK.findall(prose(page)):
            address = urlsplit(link)
            if address.scheme:
                continue
            target = (page.parent / unquote(address.path)).resolve() if address.path else page
            if not target.exists():
                yield f"{page.relative_to(ROOT)}: {link}: there is no such file"
            elif address.fragment and address.fragment not in anchors(target):
                yield f"{page.relative_to(ROOT)}: {link}: there is no such heading"


def test_links_when_read_as_files_then_each_leads_to_a_file_and_a_heading() -> None:
    assert list(dead_links(PAGES)) == []


class Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.ids: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.ids |= {value for name in ("id", "name") if (value := given.get(name))}
        self.links += [value for name in ("href", "src") if (value := given.get(name))]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    shutil.copy(ROOT / "mkdocs.yml", folder)
    shutil.copytree(DOCS, folder / "docs")
    built = subprocess.run(BUILD, cwd=folder, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    return folder / "build" / "site"


def test_site_when_built_strictly_then_every_link_and_anchor_in_it_resolves(site: Path) -> None:
    pages = {page: Page(page.read_text(encoding="utf-8")) for page in site.rglob("*.html") if page.name != "404.html"}
    dead = []
    for page, read in pages.items():
        for link in read.links:
            address = urlsplit(link)
            if address.scheme or address.netloc:
                continue
            target = (page.parent / unquote(address.path)).resolve() if address.path else page
            target = target / "index.html" if target.is_dir() else target
            anchor = unquote(address.fragment)
            if not target.exists() or (anchor and target in pages and anchor not in pages[target].ids):
                dead.append(f"{page.relative_to(site)}: {link}")
    assert dead == []
    assert len(pages) == len(list(DOCS.rglob("*.md")))


def test_site_when_a_link_leads_nowhere_then_it_is_not_built(tmp_path: Path) -> None:
    shutil.copy(ROOT / "mkdocs.yml", tmp_path)
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text("# Here\n\n[nowhere](#there)\n", encoding="utf-8")
    refused = subprocess.run(BUILD, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert refused.returncode != 0
    assert "anchor does not exist" in refused.stdout + refused.stderr


def pages_in(menu: object) -> Iterator[str]:
    if isinstance(menu, str):
        yield menu
    elif isinstance(menu, dict):
        for below in menu.values():
            yield from pages_in(below)
    elif isinstance(menu, list):
        for below in menu:
            yield from pages_in(below)


def test_pages_when_compared_with_the_menu_then_each_is_found_once() -> None:
    menu = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]
    there = {page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md")}
    records = {page for page in there if re.match(r"decisions/\d", page)}
    assert sorted(pages_in(menu)) == sorted(there - records)


def test_generated_pages_when_compared_with_their_data_then_up_to_date() -> None:
    assert generate_docs.out_of_date(generate_docs.generated()) == [], "Run: python -m ops.generate_docs"
