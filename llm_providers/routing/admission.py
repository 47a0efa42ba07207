"""Whether a candidate may be called right now. A "no" is a reason, costs no network and no waiting.

It stands between the chain and the attempt, so that the breaker, the rate gate and the load of a provider get their
say here and nowhere else.
"""

from collections.abc import Mapping

from llm_providers.routing.candidates import Target


def refusal(target: Target, *, secrets: Mapping[str, str], outgrown: int = 0) -> str | None:
    """The reason why `target` is passed over, or None when it is admitted.

    `outgrown`: a context of so many tokens was too short for this request at another candidate.
    """
    length = target.model.context_length
    if length is not None and length <= outgrown:
        return "context_length"
    secret_env = target.provider.secret_env
    if secret_env and not secrets.get(secret_env):
        return "config"
    return None
