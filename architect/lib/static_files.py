"""Static files from an asynchronous server: WhiteNoise hands out sync iterators, and Django warns of those."""

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from whitenoise.middleware import WhiteNoiseMiddleware
from whitenoise.responders import StaticFile


class StaticFilesMiddleware(WhiteNoiseMiddleware):  # type: ignore[misc]  # whitenoise ships no types
    """Our files are small and browsers keep them for a year, so each is read whole."""

    @staticmethod
    def serve(static_file: StaticFile, request: HttpRequest) -> HttpResponseBase:
        response = WhiteNoiseMiddleware.serve(static_file, request)
        whole = HttpResponse(b"".join(response), status=response.status_code, headers=response.headers)
        response.close()
        return whole
