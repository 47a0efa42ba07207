"""From a conversation's path to the request that a model gets."""

import uuid
from collections.abc import Iterable, Iterator
from itertools import groupby

from django.db import connection

from architect.chat.models import Message, Run
from llm_providers.types import Message as PromptMessage
from llm_providers.types import ModelRequest, Principal, PrivacyLabel, Purpose, Role

_PATH_SQL = """
WITH RECURSIVE path(id, parent_id, depth) AS (
    SELECT id, parent_id, depth FROM chat_message WHERE id = %s
    UNION ALL
    SELECT m.id, m.parent_id, m.depth FROM chat_message m JOIN path ON m.id = path.parent_id
)
SELECT id FROM path ORDER BY depth
"""


def path_ids(leaf_id: uuid.UUID) -> list[uuid.UUID]:
    """From the root to the leaf, in one query however long the way is."""
    leaf = leaf_id.hex if connection.vendor == "sqlite" else leaf_id
    with connection.cursor() as cursor:
        cursor.execute(_PATH_SQL, [leaf])
        return [uuid.UUID(str(row[0])) for row in cursor.fetchall()]


def _messages_of(turns: Iterable[Message]) -> Iterator[PromptMessage]:
    """One message per turn; what stands on either side of an answer that failed becomes one, as models expect."""
    for role, rows in groupby(turns, key=lambda row: row.role):
        yield PromptMessage(Role(role), "\n\n".join(row.content for row in rows))


def request_of(run: Run) -> ModelRequest:
    """What to ask for this run: the path to its message, without reasoning, under the strictest label on it."""
    answer = run.message
    ids = path_ids(answer.parent_id) if answer.parent_id else []
    rows = Message.objects.filter(pk__in=ids).order_by("depth")
    turns = [row for row in rows if row.content]
    labels = [PrivacyLabel.parse(row.privacy) for row in turns]
    return ModelRequest(
        messages=tuple(_messages_of(turns)),
        purpose=Purpose.CHAT,
        principal=Principal.person(answer.conversation.owner_id),
        privacy=PrivacyLabel.strictest(PrivacyLabel.parse(answer.conversation.privacy), *labels),
        wanted_model=run.model_asked,
    )
