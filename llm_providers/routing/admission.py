"""Whether a candidate may be called right now. A "no" is a reason, costs no network and no waiting.

It stands between the chain and the attempt, so that the breaker, the rate gate and the load of a provider get their
say here and nowhere else.
"""

from collections.abc import Mapping
from datetime import datetime

from llm_providers.routing.candidates import Target

BREAKER_OPEN = "breaker_open"


def refusal(target: Target, *, secrets: Mapping[str, str], at: datetime, outgrown: int = 0) -> str | None:
    """The reason why `target` is passed over, or None when it is admitted.

    `outgrown`: a context of so many tokens was too short for this request at another candidate.
    """
    length = target.model.context_length
    if length is not None and length <= outgrown:
        return "context_length"
    gated_until = target.provider.gated_until
    if gated_until is not None and gated_until > at:
        return target.provider.gate_reason
    secret_env = target.provider.secret_env
    if secret_env and not secrets.get(secret_env):
        return "config"
    return None
