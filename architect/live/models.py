from django.db import models


class Topic(models.Model):
    """Something that pages and processes watch; its number rises with every change of it."""

    name = models.CharField(max_length=100, primary_key=True)
    number = models.BigIntegerField(default=1)

    def __str__(self) -> str:
        return f"{self.name} at {self.number}"
