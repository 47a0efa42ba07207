from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import models
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import path, reverse
from django.utils.html import format_html

from architect.jobs.services import enqueue
from architect.lib.read_only import ReadOnly, ReadOnlyAdmin
from llm_providers.jobs import discover_models
from llm_providers.models import Attempt, Breaker, BreakerEvent, Provider, Request, RequestContent, ServedModel
from llm_providers.services import delete_provider, force_breaker, reset_breaker, save_provider
from llm_providers.switching import Outcome, Switched, Wish, switch, wish_of


class ServedModelInline(ReadOnly, admin.TabularInline[ServedModel, Provider]):
    model = ServedModel
    extra = 0
    fields = ("name", "capabilities", "context_length", "is_test", "missing_since", "seen_at")
    readonly_fields = fields


_DECLARED = (
    "name", "kind", "base_url", "secret_env", "is_local", "accepts_up_to", "default_model", "priority",
    "timeout_s", "settings",
)  # fmt: skip


class ProviderForm(forms.ModelForm[Provider]):
    """Refuses what was written over a state that somebody else has changed since."""

    seen_version = forms.IntegerField(widget=forms.HiddenInput, required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["seen_version"].initial = self.instance.version

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        stored = Provider.objects.select_for_update().filter(pk=self.instance.pk).first()
        if stored is not None and stored.version != self.cleaned_data.get("seen_version"):
            raise forms.ValidationError("Somebody else has changed this provider since; reload it and write it again.")
        return cleaned


@admin.register(Provider)
class ProviderAdmin(admin.ModelAdmin[Provider]):
    form = ProviderForm
    list_display = (
        "name", "kind", "base_url", "is_local", "accepts_up_to", "is_on", "switch_button", "health", "priority",
        "declared",
    )  # fmt: skip
    readonly_fields = ("is_on", "health", "health_text", "checked_at", "declared")
    inlines: ClassVar = [ServedModelInline]
    actions = ("ask_for_models", "switch_on", "switch_off")

    @admin.display(boolean=True, description="on")
    def is_on(self, provider: Provider) -> bool:
        return provider.is_on

    @admin.display(description="switch")
    def switch_button(self, provider: Provider) -> str:
        """A button of the list's own form, so that it brings the form's token."""
        address = reverse("admin:llm_providers_provider_switch", args=[provider.pk])
        word = "off" if provider.is_on else "on"
        return format_html(
            '<button type="submit" class="button" formaction="{}" name="wish" value="{}:{}">Switch {} {}</button>',
            address, word, provider.version, provider.name, word,
        )  # fmt: skip

    def get_exclude(self, request: HttpRequest, obj: Provider | None = None) -> tuple[str, ...]:
        """The switch has a way of its own, which nothing else may go round."""
        return ("enabled_override",) if obj is None else ("enabled_override", "enabled")

    def get_urls(self) -> list[Any]:
        switching = self.admin_site.admin_view(self.switch_view)
        own = path("<int:provider_id>/switch/", switching, name="llm_providers_provider_switch")
        return [own, *super().get_urls()]

    def switch_view(self, request: HttpRequest, provider_id: int) -> HttpResponse:
        provider = get_object_or_404(Provider, pk=provider_id)
        if not self.has_change_permission(request, provider):
            raise PermissionDenied
        wish = wish_of(request.POST.get("wish", ""), reason=request.POST.get("reason", ""))
        if request.method != "POST" or wish is None:
            return HttpResponseNotAllowed(["POST"])
        switched = switch(provider.pk, wish, person=_person(request))
        if switched.outcome is Outcome.UNCONFIRMED:
            return self._ask_for_a_reason(request, switched)
        self._report(request, switched)
        return redirect("admin:llm_providers_provider_changelist")

    @admin.action(description="Switch on", permissions=["change"])
    def switch_on(self, request: HttpRequest, chosen: models.QuerySet[Provider]) -> None:
        self._switch_each(request, chosen, on=True)

    @admin.action(description="Switch off", permissions=["change"])
    def switch_off(self, request: HttpRequest, chosen: models.QuerySet[Provider]) -> None:
        self._switch_each(request, chosen, on=False)

    def _switch_each(self, request: HttpRequest, chosen: models.QuerySet[Provider], *, on: bool) -> None:
        """One by one, so that the last of them is refused as it would be alone."""
        for provider in chosen:
            self._report(request, switch(provider.pk, Wish(on=on, version=provider.version), person=_person(request)))

    def _report(self, request: HttpRequest, switched: Switched) -> None:
        happened = switched.outcome in (Outcome.DONE, Outcome.ALREADY_SO)
        told = switched.text if happened else f"{switched.provider.name}: {switched.text}"
        self.message_user(request, told, messages.SUCCESS if happened else messages.WARNING)

    def _ask_for_a_reason(self, request: HttpRequest, switched: Switched) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": f"Switch {switched.provider.name} off?",
            "opts": self.opts,
            "switched": switched,
        }
        return render(request, "admin/llm_providers/provider/confirm_switch.html", context, status=409)

    @admin.display(description="in the file")
    def declared(self, provider: Provider) -> str:
        if not provider.is_declared:
            return "no"
        return f"differs: the file says {'on' if provider.enabled else 'off'}" if provider.differs_from_file else "yes"

    def get_readonly_fields(self, request: HttpRequest, obj: Provider | None = None) -> tuple[str, ...]:
        """What the file declares is changed there: the next start would undo it here. The switch is the operator's."""
        return (*self.readonly_fields, *_DECLARED) if obj is not None and obj.is_declared else self.readonly_fields

    @admin.action(description="Ask for models now", permissions=["change"])
    def ask_for_models(self, request: HttpRequest, chosen: models.QuerySet[Provider]) -> None:
        for provider in chosen:
            enqueue(discover_models, provider_id=provider.pk)
        self.message_user(request, "The providers are being asked for their models.", messages.INFO)

    def save_model(self, request: HttpRequest, obj: Provider, form: forms.ModelForm[Provider], change: bool) -> None:  # noqa: FBT001 - Django's signature
        save_provider(obj, person=_person(request))
        enqueue(discover_models, provider_id=obj.pk)

    def delete_model(self, request: HttpRequest, obj: Provider) -> None:
        delete_provider(obj, person=_person(request))

    def delete_queryset(self, request: HttpRequest, queryset: models.QuerySet[Provider]) -> None:
        for provider in queryset:
            delete_provider(provider, person=_person(request))


class BreakerEventInline(ReadOnly, admin.TabularInline[BreakerEvent, Breaker]):
    model = BreakerEvent
    extra = 0
    fields = ("at", "from_state", "to_state", "reason", "actor_name")
    readonly_fields = fields


@admin.register(Breaker)
class BreakerAdmin(ReadOnlyAdmin):
    list_display = (
        "__str__", "scope", "state", "forced", "reason", "consecutive_failures", "open_count", "open_until",
    )  # fmt: skip
    list_filter: ClassVar = ["state", "scope"]
    list_select_related: ClassVar = ["provider"]
    inlines: ClassVar = [BreakerEventInline]
    actions = ("reset", "force_open", "force_closed")

    @admin.action(description="Reset: close, and forget what happened")
    def reset(self, request: HttpRequest, chosen: models.QuerySet[Breaker]) -> None:
        for breaker in chosen:
            reset_breaker(breaker, person=_person(request))

    @admin.action(description="Keep open: never call")
    def force_open(self, request: HttpRequest, chosen: models.QuerySet[Breaker]) -> None:
        for breaker in chosen:
            force_breaker(breaker, "open", person=_person(request))

    @admin.action(description="Keep closed: always call")
    def force_closed(self, request: HttpRequest, chosen: models.QuerySet[Breaker]) -> None:
        for breaker in chosen:
            force_breaker(breaker, "closed", person=_person(request))

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """For who may change providers; who may only look sees the states."""
        return super().get_actions(request) if request.user.has_perm("llm_providers.change_provider") else {}


class AttemptInline(ReadOnly, admin.TabularInline[Attempt, Request]):
    model = Attempt
    extra = 0
    fields = (
        "ordinal", "provider", "served_model", "answered_model", "state", "event", "http_status", "ttft_ms", "total_ms",
        "input_tokens", "output_tokens", "error_text",
    )  # fmt: skip
    readonly_fields = fields

    def get_fields(self, request: HttpRequest, obj: Request | None = None) -> tuple[str, ...]:
        """A provider's complaint may quote the prompt, so it is for those who may read that."""
        is_open = obj is not None and obj.is_open_to(_person(request))
        return tuple(field for field in self.fields if is_open or field != "error_text")


class ContentInline(ReadOnly, admin.StackedInline[RequestContent, Request]):
    model = RequestContent
    readonly_fields = ("prompt", "answer", "reasoning", "tool_calls")

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return obj is None or obj.is_open_to(_person(request))


@admin.register(Request)
class RequestAdmin(ReadOnlyAdmin):
    list_display = (
        "public_id", "started_at", "owner", "purpose", "privacy", "state", "served_by", "ttft_ms", "total_ms",
        "input_tokens", "output_tokens",
    )  # fmt: skip
    list_filter: ClassVar = ["state", "purpose", "is_local"]
    list_select_related: ClassVar = ["owner"]
    search_fields = ("public_id",)
    date_hierarchy = "started_at"
    inlines: ClassVar = [AttemptInline, ContentInline]


def _person(request: HttpRequest) -> Any:
    """The admin site admits signed-in people only."""
    return request.user
