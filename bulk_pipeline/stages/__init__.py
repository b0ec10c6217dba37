"""The steps of a file, pure: a database or a bucket is an argument, whose protocol the stage that uses it declares."""
