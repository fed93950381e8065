"""The one exception for input that as a whole cannot be used; its message says what stands there and what to do."""


class DataError(ValueError):
    """The data or its settings cannot be used as they are: nothing was trained, the message says what to change."""
