from django.apps import AppConfig


class ChatConfig(AppConfig):
    name = "architect.chat"
    verbose_name = "Chat"
