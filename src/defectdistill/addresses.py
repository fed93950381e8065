"""Addresses of servers as they may be printed."""

import re


def without_password(text: str) -> str:
    """Return a text in which no address (`scheme://user:password@host`, `…?password=…`) says who asks, or by what
    password.
    """
    text = re.sub(r"(://)[^/\s]*@", r"\1", text)  # up to the last one: a password may hold an @ too
    return re.sub(r"(?i)\b(password|passwd|pwd)=[^&\s]+", r"\1=…", text)
