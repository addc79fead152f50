"""The parser's synchronous entrance."""

from collections.abc import Mapping

import httpx
import structlog
from pydantic import ValidationError

from api_service.exceptions import InvalidUrlError, PageError, ParserUnavailableError
from api_service.parser_client.messages import FetchedPage, Problem

log = structlog.get_logger()


class ParserHttp:
    """Calls `GET /fetch`.

    Args:
        client: its base URL is the parser's, its time-out above the parser's own deadline.
    """

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def fetch(
        self, url: str, trace_id: str | None, options: Mapping[str, bool]
    ) -> FetchedPage:
        """Have a page fetched and parsed now.

        Raises:
            PageError: the page cannot be had.
            InvalidUrlError: the parser does not accept the URL.
            ParserUnavailableError: the parser does not answer, or not as it should.
        """
        headers = {"X-Request-ID": trace_id} if trace_id else {}
        try:
            params: dict[str, str | bool] = {"url": url, **options}
            response = await self._client.get("/fetch", params=params, headers=headers)
            match response.status_code:
                case 200:
                    return FetchedPage.model_validate_json(response.content)
                case 502:
                    problem = Problem.model_validate_json(response.content)
                case 422:
                    raise InvalidUrlError
                case status:
                    log.error("parser answered unexpectedly", status=status)
                    raise ParserUnavailableError
        except (httpx.HTTPError, ValidationError) as error:
            log.error("parser unavailable", error=repr(error)[:200])
            raise ParserUnavailableError from error
        raise PageError(
            problem.detail,
            code=problem.code,
            retryable=problem.retryable,
            page_status=problem.page_status,
        )
