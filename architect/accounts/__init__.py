"""People: roles, sign-in, the first account, and the audit entries of what people changed."""
