import zoneinfo
from typing import ClassVar

from django import forms
from django.contrib.auth.forms import UserCreationForm
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from architect.accounts.models import User


class FirstAccountForm(UserCreationForm[User]):
    class Meta:
        model = User
        fields = ("username",)


class ProfileForm(forms.ModelForm[User]):
    class Meta:
        model = User
        fields = ("first_name", "last_name", "theme", "time_zone")
        help_texts: ClassVar = {"time_zone": _("Such as Europe/Berlin; empty: as this installation is set.")}

    def clean_time_zone(self) -> str:
        name: str = self.cleaned_data["time_zone"]
        if name and name not in zoneinfo.available_timezones():
            raise ValidationError(_("No such time zone. Write it as in Europe/Berlin or America/New_York."))
        return name


class ThemeForm(forms.ModelForm[User]):
    class Meta:
        model = User
        fields = ("theme",)
