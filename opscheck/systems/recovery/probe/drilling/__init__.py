"""
One restore drill, in its own process: `python -m opscheck.systems.recovery.probe.drilling`.

It reads its task from standard input, and reports its progress on standard output. At the end of its input the process
that started it has ended: then it removes everything that it made, and exits.
"""
