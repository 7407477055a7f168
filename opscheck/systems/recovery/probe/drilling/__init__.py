"""
One restore drill, in a process of its own: `python -m opscheck.systems.recovery.probe.drilling`.

It reads its task from standard input.

It reports its progress on standard output. At the end of its input the process that started it is gone: then it
removes everything that it made, and ends.
"""
