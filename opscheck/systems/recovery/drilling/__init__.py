"""
One restore drill, in a process of its own: `python -m opscheck.systems.recovery.drilling`.

It reads its task from standard input.

It tells what it does on standard output, and keeps listening: at the end of its input, whoever asked for the drill is
gone, and it removes all that it has made, and ends.
"""
