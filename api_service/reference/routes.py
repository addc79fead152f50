"""Serve the page at `/docs` and the files that it loads."""

from fastapi import APIRouter, Response
from fastapi.responses import FileResponse, HTMLResponse

from api_service.edge.exceptions import NoSuchPathError
from api_service.reference.page import FILE_HEADERS, FILES, HEADERS, PAGE, START, SWAGGER_UI

router = APIRouter(include_in_schema=False)


@router.get("/docs")
async def show_reference() -> HTMLResponse:
    """Answer the page, which loads the schema."""
    return HTMLResponse(PAGE, headers=HEADERS)


@router.get("/docs/start.js")
async def show_start() -> Response:
    """Answer the script that starts Swagger UI: the page may contain none itself."""
    return Response(START, media_type="text/javascript", headers=FILE_HEADERS)


@router.get("/docs/{name}")
async def show_file(name: str) -> FileResponse:
    """Answer a file of Swagger UI."""
    if name not in FILES:
        raise NoSuchPathError
    return FileResponse(SWAGGER_UI / name, media_type=FILES[name], headers=FILE_HEADERS)
