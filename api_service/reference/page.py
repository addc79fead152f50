"""The page at `/docs`, and what a browser may do on it.

The addresses in it are relative, so they hold below any path prefix.
"""

from collections.abc import Mapping
from pathlib import Path

SWAGGER_UI_FOLDER = Path(__file__).with_name("swagger_ui")
"""A copy of the npm package swagger-ui-dist; SHA256SUMS there names its version and files."""

FILE_MEDIA_TYPES: Mapping[str, str] = {
    "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
    "swagger-ui.css": "text/css; charset=utf-8",
}
"""The files that the page loads, with their types."""

PAGE_HTML = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Page Parser: API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
<div id="reference"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""

SWAGGER_START_JS = """SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#reference",
  deepLinking: true,
  validatorUrl: null,
});
"""

PAGE_HEADERS = {
    # Swagger UI sets styles of elements; its scripts come from files only.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
FILE_HEADERS = PAGE_HEADERS | {"Cache-Control": "public, max-age=3600"}
