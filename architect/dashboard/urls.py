from django.urls import path

from architect.dashboard import provider_views, request_views, views

app_name = "dashboard"
urlpatterns = [
    path("", views.home, name="home"),
    path("providers/", provider_views.providers, name="providers"),
    path("providers/<slug:name>/switch/", provider_views.switch_provider, name="switch_provider"),
    path("providers/<slug:name>/test/", provider_views.test_provider, name="test_provider"),
    path(
        "providers/<slug:name>/breakers/<int:breaker_id>/<slug:act>/",
        provider_views.change_breaker,
        name="change_breaker",
    ),
    path("requests/", request_views.requests, name="requests"),
    path("requests/new/", request_views.new_requests, name="new_requests"),
    path("requests/<slug:public_id>/", request_views.request_detail, name="request"),
    path("neighbours/", views.neighbours, name="neighbours"),
    path("models-help/", views.models_help, name="models_help"),
    path("favicon.ico", views.favicon),
    path("healthz", views.healthz, name="healthz"),
    path("readyz", views.readyz, name="readyz"),
]
