"""
Compare opscheck with its alternatives, on this machine and in one run: `python benchmarks/run.py`.

Prints each row as it is measured. A run of all rows writes benchmarks/RESULTS.md.
"""

import argparse
import sys
import time
from pathlib import Path

from machine import described, load
from measure import BenchmarkError
from rows import ROWS
from table import Line, markdown, plain

_RESULTS = Path(__file__).with_name("RESULTS.md")
_RUNS, _QUICK_RUNS = 5, 1

_NOTES = """## How to read it

- Each run of opscheck is checked: a record with the right number of verdicts, or the row is not measured.
- pytest runs without other installed plugins, which would slow it down, unless the row names them.
- "A target each" and `concurrency: 64` send 64 queries at once, which is the maximum of a run. The default for a single
  target is 16, to limit its load.
- "For the pods" is the whole process on 5,000 pods minus the same process on one pod: imports and connecting are not
  counted, on either side.
- "Encoded on request" is the behaviour of an API server. "Bytes that lie ready" come from a server that only sends
  bytes, as no cluster does. That row compares decoding and judging with a copy in memory.
- "On a real kube-apiserver" is one with etcd, built from their Go modules and started for the row, with pods that were
  created through it. It runs on the same cores as the measured process. Requests are counted in its audit log.
  Popeye reads the whole namespace, which contains only pods; it is measured once.
- The PostgreSQL server has 200 databases of 100 tables, and 300 sessions. pg_stat_database counts its connections, and
  pg_stat_statements its statements, with each BEGIN and SET of opscheck. Its processor time is measured from outside.
  Each plugin is a process per query. check_postgres has no equivalent of check_pgactivity's queries about indexes,
  extensions and the oldest xmin, and Debian's fails on sequences.
- The openssl loop of a guide prints dates and verifies nothing. The second one verifies, with a limit in days.
  opscheck opens three connections to each endpoint: first contact, handshake, an offer of old versions.
- The bucket's server is a small one of our own, with 20 ms of delay per answer; it counts its requests.
- A dump of two gigabytes is read with its sha256. It is compared with the program that only unpacks or reads it, and
  with programs that verify the same. Memory is the largest single process of each.
- The dead target drops packets. Fifty plain tests wait for it one after the other; two are measured.
"""


def main() -> int:
    """Measure the chosen rows. Returns 1 if a row could not be measured."""
    options = _options()
    if options.list:
        print("\n".join(f"{name:12} {(row.__doc__ or '').splitlines()[0]}" for name, row in ROWS.items()))
        return 0
    chosen = options.only or list(ROWS)
    lines: list[Line] = []
    began_with = load()
    failed = [name for name in chosen if not _measured(name, _QUICK_RUNS if options.quick else _RUNS, lines)]
    page = options.page or (None if options.only else _RESULTS)
    if not failed and page is not None:
        page.write_text(_page(lines, began_with, options))
        print(f"\nwritten to {page}")
    return 1 if failed else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compare opscheck with its alternatives.")
    parser.add_argument("--only", action="append", choices=list(ROWS), metavar="NAME", help="this row; repeatable")
    parser.add_argument("--quick", action="store_true", help="fewer repetitions")
    parser.add_argument("--page", type=Path, metavar="FILE", help="write the table of results to this file")
    parser.add_argument("--list", action="store_true", help="list the rows")
    return parser.parse_args()


def _measured(name: str, runs: int, lines: list[Line]) -> bool:
    """Measure one row, print it, and add it to `lines`; False when something went wrong."""
    started = time.monotonic()
    print(f"{name} …", flush=True)
    try:
        for line in ROWS[name](runs):
            lines.append(line)
            print(plain(line), flush=True)
    except BenchmarkError as error:
        print(f"  NOT MEASURED: {error}", file=sys.stderr, flush=True)
        return False
    print(f"  ({time.monotonic() - started:.0f} s)", flush=True)
    return True


def _page(lines: list[Line], began_with: float, options: argparse.Namespace) -> str:
    chosen = "".join(f" --only {name}" for name in options.only or ())
    command = "python benchmarks/run.py" + (" --quick" if options.quick else "") + chosen
    return f"""# Benchmarks

Everything on one machine in one run, each process measured from outside as a whole: wall time as the median of
several runs in turns, memory as the highest peak.
Times depend on the machine and its load: compare the ratios.

`{command}` prints this page; `make bench` measures everything.

{markdown(lines)}
{described(began_with)}
{_NOTES}"""


if __name__ == "__main__":
    sys.exit(main())
