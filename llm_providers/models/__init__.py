"""The rows of this room: who can answer, and what every call left behind."""

from llm_providers.models.breaker import Breaker, BreakerEvent, RateGate
from llm_providers.models.failover import FailoverSettings
from llm_providers.models.probe import ProbeRollup
from llm_providers.models.provider import Provider, ServedModel
from llm_providers.models.request import Attempt, AttemptState, Request, RequestContent, RequestState

__all__ = [
    "Attempt",
    "AttemptState",
    "Breaker",
    "BreakerEvent",
    "FailoverSettings",
    "ProbeRollup",
    "Provider",
    "RateGate",
    "Request",
    "RequestContent",
    "RequestState",
    "ServedModel",
]
