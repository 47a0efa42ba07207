from django.contrib.auth.views import LoginView, LogoutView
from django.urls import path

from architect.accounts import views

app_name = "accounts"
urlpatterns = [
    path("welcome/", views.welcome, name="welcome"),
    path("welcome/<str:token>/", views.welcome, name="welcome"),
    path(
        "sign-in/",
        LoginView.as_view(template_name="accounts/sign_in.html", redirect_authenticated_user=True),
        name="sign_in",
    ),
    path("sign-out/", LogoutView.as_view(), name="sign_out"),
    path("settings/profile/", views.profile, name="profile"),
    path("settings/theme/", views.theme, name="theme"),
]
