"""Serve the page at `/docs` and the files that it loads."""

from fastapi import APIRouter, Response
from fastapi.responses import FileResponse, HTMLResponse

from api_service.edge.exceptions import NoSuchPathError
from api_service.reference.page import (
    FILE_HEADERS,
    FILE_MEDIA_TYPES,
    PAGE_HEADERS,
    PAGE_HTML,
    SWAGGER_START_JS,
    SWAGGER_UI_FOLDER,
)

router = APIRouter(include_in_schema=False)


@router.get("/docs")
async def show_reference() -> HTMLResponse:
    """Answer the page, which loads the schema."""
    return HTMLResponse(PAGE_HTML, headers=PAGE_HEADERS)


@router.get("/docs/start.js")
async def show_swagger_start_js() -> Response:
    """Answer the script that starts Swagger UI: the page may contain none itself."""
    return Response(SWAGGER_START_JS, media_type="text/javascript", headers=FILE_HEADERS)


@router.get("/docs/{name}")
async def show_file(name: str) -> FileResponse:
    """Answer a file of Swagger UI."""
    if name not in FILE_MEDIA_TYPES:
        raise NoSuchPathError
    return FileResponse(
        SWAGGER_UI_FOLDER / name, media_type=FILE_MEDIA_TYPES[name], headers=FILE_HEADERS
    )
