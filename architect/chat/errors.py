"""Failures of this room. Each has the code that the websocket protocol gives it and a sentence for the person.

ChatError
├── NotFound          no such conversation, message or run for this person
├── RunActive         an answer is still being written in this conversation
├── TooLong
├── EmptyMessage
└── TooManyRuns
"""


class ChatError(Exception):
    code = "bad_message"


class NotFound(ChatError):
    code = "not_found"


class RunActive(ChatError):
    code = "run_active"


class TooLong(ChatError):
    code = "too_long"


class EmptyMessage(ChatError):
    code = "bad_message"


class TooManyRuns(ChatError):
    code = "too_many_runs"
