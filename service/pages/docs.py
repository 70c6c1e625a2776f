"""The page at `/docs`: the API's description, to read and to try."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import FileResponse

from whichopt.service.pages.headers import HEADERS
from whichopt.service.templating import TEMPLATES

router = APIRouter(include_in_schema=False)

DOCS_HEADERS = {
    # Swagger UI is ours to serve; it runs, sets styles as it goes, and asks this service alone.
    **HEADERS,
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
}


@router.get("/docs", response_class=FileResponse)
def page() -> FileResponse:
    return FileResponse(TEMPLATES / "docs.html", media_type="text/html", headers=DOCS_HEADERS)
