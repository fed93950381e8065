"""Addresses of servers as they may be printed."""

import re


def without_password(text: str) -> str:
    """Return a text in which no address (`scheme://user:password@host`) says who asks: a password may stand there."""
    return re.sub(r"(://)[^/@\s]*@", r"\1", text)
