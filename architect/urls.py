"""Every address of the pages. Sockets stand in `architect.asgi`."""

from django.conf import settings
from django.contrib import admin
from django.urls import include, path

admin.site.site_header = admin.site.site_title = settings.UI_NAME
admin.site.index_title = "Configuration and repair"

urlpatterns = [
    path("admin/", admin.site.urls),
    path("chat/", include("architect.chat.urls")),
    path("", include("architect.accounts.urls")),
    path("", include("architect.dashboard.urls")),
]

handler400 = "architect.dashboard.errors.bad_request"
handler403 = "architect.dashboard.errors.forbidden"
handler404 = "architect.dashboard.errors.not_found"
handler500 = "architect.dashboard.errors.server_error"
