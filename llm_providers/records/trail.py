"""The decision on one request: what became of each candidate, in the order of the chain."""

from itertools import takewhile
from typing import Any

from architect.lib.storable import storable
from llm_providers.routing.candidates import Plan, Skip


class Trail:
    """One entry per provider of the plan; a candidate is spare until something becomes of it.

    An entry holds reasons and timings, and neither text of the prompt nor words of a provider.
    """

    def __init__(self, plan: Plan) -> None:
        self._rule = plan.rule
        self._entries: dict[str, dict[str, Any]] = {
            verdict.label: {"skip": verdict.reason} if isinstance(verdict, Skip) else {"spare": True}
            for verdict in plan.verdicts
        }

    def passed_over(self, label: str, reason: str) -> None:
        """It was not called; where it failed before and was to be asked again, the failure stays."""
        if "failed" not in self._entries.get(label, {}):
            self._entries[label] = {"skip": reason}

    def failed(self, label: str, reason: str, *, ms: int | None) -> None:
        self._tried(label, {"failed": reason, "ms": ms})

    def cancelled(self, label: str) -> None:
        self._tried(label, {"cancelled": True})

    def answered(self, label: str, *, ttft_ms: int | None) -> None:
        self._tried(label, {"ok": True, "ttft_ms": ttft_ms})

    def _tried(self, label: str, outcome: dict[str, Any]) -> None:
        """The newest outcome, with the reason of the failure before it and the number of tries where it is not the
        first.
        """
        before = self._entries.get(label, {})
        if "failed" in before:
            outcome |= {"tries": before.get("tries", 1) + 1, "before": before["failed"]}
        self._entries[label] = outcome

    @property
    def reasons(self) -> dict[str, str]:
        """Why those did not answer that were passed over or failed, by label."""
        return {
            label: entry.get("skip") or entry["failed"]
            for label, entry in self._entries.items()
            if entry.keys() & {"skip", "failed"}
        }

    def fallback_reason(self, *, served_by: str) -> str:
        """Comma list of who came before the one that served, and why it was none of them."""
        reasons = self.reasons
        before = takewhile(lambda label: label != served_by, self._entries)
        return ",".join(f"{label.partition('/')[0]}={reasons[label]}" for label in before if label in reasons)[:500]

    def as_json(self) -> list[dict[str, Any]]:
        """Every candidate once, in order, also those that were not needed any more; then the rule of the order."""
        return storable([*({"t": label, **entry} for label, entry in self._entries.items()), {"rule": self._rule}])
