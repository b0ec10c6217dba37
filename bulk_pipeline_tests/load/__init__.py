"""Many small uploads a second, beside large ones and exports, for minutes: all is accepted, and nothing is lost."""
