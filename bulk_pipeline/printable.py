"""Texts that somebody else chose, as a terminal or a line of a log may show them."""


def printable(text: str) -> str:
    """The text on one line: line ends, control characters and marks that turn the writing are shown, not obeyed.

    A file's name may hold any of them: it could end a log's line and begin one of its own, or tell a terminal what to
    do.
    """
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)
