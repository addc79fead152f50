"""Errors of the edge."""

from http import HTTPStatus

from api_service.exceptions import ApiError


class AnswerMemoryFullError(ApiError):
    """Large answers that are being read fill the memory that they may have."""

    code = "answer_memory_full"
    http_status = HTTPStatus.SERVICE_UNAVAILABLE
    message = "Too many large answers are being read at the moment."
    retry_after = 5
