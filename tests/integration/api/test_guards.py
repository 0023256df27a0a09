from pathlib import Path

import httpx
import pytest
from tests.integration.api.scenario import Scenario

from tradepulse.api.app import create_app
from tradepulse.shared.settings import Settings


async def test_answers_carry_the_guarding_headers(client: httpx.AsyncClient) -> None:
    for path in ("/health", "/api/none", "/"):
        headers = (await client.get(path)).headers
        policy = headers["content-security-policy"]
        assert "script-src 'self';" in policy
        assert "unsafe-inline" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"
    assert (await client.get("/api/trades/active")).headers["cache-control"] == "no-store"


async def test_request_when_the_name_was_rebound_to_us_then_refused(client: httpx.AsyncClient) -> None:
    assert (await client.get("/health", headers={"host": "evil.example"})).status_code == 400
    assert (await client.get("/health", headers={"host": "localhost:8000"})).status_code == 200


async def test_page_when_not_built_then_says_how_to_build_it(client: httpx.AsyncClient) -> None:
    for path in ("/", "/some/page", "/docs"):
        answer = await client.get(path)
        assert answer.status_code == 503
        assert "cd dashboard && npm ci && npm run build" in answer.text


@pytest.fixture
async def built(scenario: Scenario, tmp_path: Path) -> httpx.AsyncClient:
    (tmp_path / "secret.txt").write_text("treasure")
    static = tmp_path / "static"
    (static / "assets").mkdir(parents=True)
    (static / "index.html").write_text("<title>page</title>")
    (static / "assets" / "a-1.js").write_text("1")
    app = create_app(scenario.services, settings=Settings(), static=static)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost")


async def test_page_when_built_then_any_path_is_the_page_and_hashed_files_are_kept_for_ever(
    built: httpx.AsyncClient,
) -> None:
    async with built:
        page = await built.get("/trades/7")
        asset = await built.get("/assets/a-1.js")
        gone = await built.get("/assets/a-0.js")
    assert (page.text, page.headers["cache-control"]) == ("<title>page</title>", "no-cache")
    assert asset.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert gone.status_code == 404


@pytest.mark.parametrize("path", ["/../secret.txt", "/%2e%2e/secret.txt", "/assets/..%2f..%2fsecret.txt"])
async def test_page_when_the_path_climbs_out_of_the_folder_then_nothing_of_it_is_served(
    built: httpx.AsyncClient, path: str
) -> None:
    async with built:
        assert "treasure" not in (await built.get(path)).text
