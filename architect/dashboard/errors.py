"""Error pages. They need no database, so that they can say that there is none."""

from django.http import HttpRequest, HttpResponse
from django.template.loader import get_template


def bad_request(_request: HttpRequest, exception: Exception) -> HttpResponse:  # noqa: ARG001 - Django's signature
    return _page(400)


def forbidden(_request: HttpRequest, exception: Exception) -> HttpResponse:  # noqa: ARG001
    return _page(403)


def not_found(_request: HttpRequest, exception: Exception) -> HttpResponse:  # noqa: ARG001
    return _page(404)


def server_error(_request: HttpRequest) -> HttpResponse:
    return _page(500)


def _page(status: int) -> HttpResponse:
    return HttpResponse(get_template(f"{status}.html").render({}), status=status)
