"""Pages for people in an office: sign in, send a file, read what became of it, download a table.

Rendered on the server, complete without JavaScript. They use the HTTP parts of `api`, and decide nothing about rows.
"""
