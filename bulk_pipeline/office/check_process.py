"""`python -m bulk_pipeline.office.check_process`: check one file, in a process of its own with limited memory.

The process gets the settings and the id of the check, pickled, on stdin. It writes the result to the database.
"""

import pickle
import sys

from bulk_pipeline.pipeline.run_memory import LEAST_BYTES, limit_run


def main() -> None:
    settings, check_id = pickle.load(sys.stdin.buffer)  # of our own parent process
    limit_run(LEAST_BYTES)
    # After the limit: Arrow's allocator reserves a gigabyte of address space if it may, which would count.
    from bulk_pipeline.office.file_checking import check_stored_file

    check_stored_file(settings, check_id)


if __name__ == "__main__":
    main()
