"""Many small uploads a second, with large ones and exports, for minutes: all are accepted, and nothing is lost."""
