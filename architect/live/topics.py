"""Which topics a page may watch: named in a signed attribute, so that nobody listens to what they may not read."""

from dataclasses import dataclass

from django.core import signing

_SALT = "architect.live.topics"
_LONGEST_S = 7 * 24 * 3600


@dataclass(frozen=True, slots=True)
class WatchedTopics:
    """What a template needs to follow `names`: the signed form for the socket, the plain one for its own elements."""

    signed: str
    names: str


def watched(*topics: str, user_id: int) -> WatchedTopics:
    return WatchedTopics(
        signed=signing.dumps({"user": user_id, "topics": topics}, salt=_SALT, compress=True), names=",".join(topics)
    )


def topics_of(signed: str, *, user_id: int) -> frozenset[str]:
    """The topics that were signed for this person.

    Raises:
        signing.BadSignature: it was not us, it was for somebody else, or it is older than a week.
    """
    content = signing.loads(signed, salt=_SALT, max_age=_LONGEST_S)
    if content["user"] != user_id:
        raise signing.BadSignature("signed for another person")
    return frozenset(content["topics"])
