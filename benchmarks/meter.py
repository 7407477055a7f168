"""
Runs one command and tells what it took: `python meter.py REPORT COMMAND...`. The report is a file of JSON.

A process of its own, because the kernel counts a process' peak memory from the fork on: one that a large process
starts is never smaller than that. This one imports next to nothing.
"""

import json
import os
import sys
import time


def main(report: str, words: list[str]) -> None:
    """Wall and processor seconds, peak bytes and exit code."""
    started = time.perf_counter()
    child = os.posix_spawnp(words[0], words, os.environ)
    _, status, usage = os.wait4(child, 0)
    wall_s = time.perf_counter() - started
    took = {
        "wall_s": wall_s,
        "processor_s": usage.ru_utime + usage.ru_stime,
        "peak_bytes": usage.ru_maxrss * 1024,  # Linux counts in KiB
        "exit_code": os.waitstatus_to_exitcode(status),
    }
    with open(report, "w") as file:  # noqa: PTH123 - pathlib would double what this imports
        json.dump(took, file)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
