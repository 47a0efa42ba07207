from django.urls import path

from architect.chat import views

app_name = "chat"
urlpatterns = [
    path("", views.index, name="index"),
    path("send/", views.send, name="send"),
    path("list/", views.conversation_list, name="list"),
    path("<uuid:conversation_id>/", views.conversation, name="conversation"),
    path("<uuid:conversation_id>/transcript/", views.transcript, name="transcript"),
    path("<uuid:conversation_id>/earlier/<uuid:before>/", views.earlier, name="earlier"),
    path("stop/<uuid:run_id>/", views.stop, name="stop"),
]
