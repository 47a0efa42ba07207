"""Failures of this room.

AccountsError
└── SetupLinkInvalid      the link is unknown, used, too old, or an account exists already
"""


class AccountsError(Exception):
    pass


class SetupLinkInvalid(AccountsError):
    pass
