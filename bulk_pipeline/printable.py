"""Untrusted texts for terminals and log lines."""


def printable(text: str) -> str:
    """Return the text on one line, with line ends, control characters and marks of writing direction escaped.

    A file name may contain any of them, and so forge a log line or send commands to a terminal.
    """
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)
