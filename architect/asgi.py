"""The ASGI application: pages over HTTP, sockets, and an orderly end."""

import os
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "architect.settings")

from django.core.asgi import get_asgi_application

pages = get_asgi_application()

from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from django.urls import path

import architect.celery  # noqa: F401 - binds the application that wake-ups are sent with
from architect.chat.consumers import ChatConsumer
from architect.lifespan import Lifespan
from architect.live.consumers import EventsConsumer

# Django's own types know only views as the end of a path.
sockets: list[Any] = [
    path("ws/events/", EventsConsumer.as_asgi()),  # type: ignore[arg-type]
    path("ws/chat/", ChatConsumer.as_asgi()),  # type: ignore[arg-type]
]

application = ProtocolTypeRouter(
    {"http": pages, "websocket": AuthMiddlewareStack(URLRouter(sockets)), "lifespan": Lifespan()}
)
