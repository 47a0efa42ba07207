from django.urls import path

from architect.dashboard import provider_views, views

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
    path("models-help/", views.models_help, name="models_help"),
    path("favicon.ico", views.favicon),
    path("healthz", views.healthz, name="healthz"),
    path("readyz", views.readyz, name="readyz"),
]
