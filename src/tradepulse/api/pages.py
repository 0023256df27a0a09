"""The built dashboard, served from the package. Hashed assets are cached for ever, the page itself never."""

from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import FileResponse, PlainTextResponse, Response

from tradepulse.api.errors import NotFoundError

STATIC = Path(__file__).parent / "static"
BUILD_COMMAND = "cd dashboard && npm ci && npm run build"
NOT_BUILT = f"""The dashboard is not built yet. Build it once, then reload this page:

    {BUILD_COMMAND}

The API itself runs: see /health.
"""
FOREVER = "public, max-age=31536000, immutable"
ALWAYS_ASK = "no-cache"
NEVER_PAGES = ("api/", "health", "openapi.json", "metrics")


def page_router(static: Path = STATIC, *, docs: bool = True) -> APIRouter:
    """Serves files of ``static``; any other path is a page of the dashboard, and the dashboard draws it."""
    router = APIRouter(include_in_schema=False)

    @router.get("/docs")
    def described() -> Response:
        if not docs:
            raise NotFoundError("The description is not served here.", "Set api.docs to have it served.")
        return _page(static / "docs.html")

    @router.get("/{path:path}")
    def page(path: str) -> Response:
        if path.startswith(NEVER_PAGES):
            raise NotFoundError(f"There is nothing at /{path}.", "See /docs for what there is.")
        file = _file_below(static, path)
        if file is not None:
            return FileResponse(file, headers={"Cache-Control": FOREVER if path.startswith("assets/") else ALWAYS_ASK})
        if path.startswith("assets/"):
            raise NotFoundError(f"There is no file /{path}.", "Reload the page: the dashboard was built anew.")
        return _page(static / "index.html")

    return router


def _file_below(static: Path, path: str) -> Path | None:
    file = (static / path).resolve()
    return file if path and file.is_relative_to(static.resolve()) and file.is_file() else None


def _page(file: Path) -> Response:
    if not file.is_file():
        return PlainTextResponse(NOT_BUILT, status_code=503)
    return FileResponse(file, headers={"Cache-Control": ALWAYS_ASK})
