from django.contrib.auth.hashers import PBKDF2PasswordHasher


class QuickHasher(PBKDF2PasswordHasher):
    """Any process can check what it made; only making it is quick."""

    iterations = 1
