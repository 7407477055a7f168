"""
Runs one command and reports its time and memory: `python meter.py REPORT COMMAND...`. The report is a file of JSON.

A process of its own, because the kernel counts peak memory from the fork on. A child of a large process
is never smaller than its parent. This process imports little.
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
    with open(report, "w") as file:  # noqa: PTH123 - pathlib would double the imports
        json.dump(took, file)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
