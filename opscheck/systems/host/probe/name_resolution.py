"""Resolving a name on a host: with getent, as its programs do, else with nslookup."""

import re
from collections.abc import Iterator
from ipaddress import ip_address

from opscheck.core.observation import ProbeError, ProblemKind
from opscheck.systems.host.name_resolution import Resolution, ResolveName
from opscheck.systems.host.probe.commands import KILLED, NOT_FOUND, Run, sections

# Shares of the time limit: for the name; and, when that fails, for the control and for nslookup's reason, each.
_SHARE = 0.55
_SECOND_SHARE = 0.18

# $1 is the name, $2 the control, $3 and $4 their timeouts in seconds. /proc/uptime is the one clock that every Linux
# shell can read in hundredths. musl's getent may lack `ahosts`; it then exits with 1, and with 2 for an unknown name.
# Of nslookup only the addresses count: it exits with 1 also when just the other address family has none.
_RESOLVE = """
LC_ALL=C; export LC_ALL; first=; again=; before=; after=;
if timeout -s KILL 1 true 2>/dev/null; then first="timeout -s KILL $3"; again="timeout -s KILL $4";
elif timeout -t 1 -s KILL true 2>/dev/null; then first="timeout -t $3 -s KILL"; again="timeout -t $4 -s KILL"; fi;
if command -v getent >/dev/null 2>&1; then tool="getent ahosts";
elif command -v nslookup >/dev/null 2>&1; then tool=nslookup;
else exit 127; fi;
read before rest 2>/dev/null </proc/uptime;
echo opscheck:found; $first $tool "$1" 2>&1; status=$?;
if [ $status -eq 1 ] && [ "$tool" = "getent ahosts" ]; then
  tool="getent hosts"; $first $tool "$1" 2>&1; status=$?;
fi;
read after rest 2>/dev/null </proc/uptime;
echo; echo opscheck:how; echo "$tool;$status;$before;$after";
if [ $status -ne 0 ]; then
  echo opscheck:control; $again $tool "$2" 2>&1;
  if [ "$tool" != nslookup ] && command -v nslookup >/dev/null 2>&1; then
    echo; echo opscheck:witness; $again nslookup "$1" 2>&1;
  fi;
fi;
exit 0
"""

_HOW = re.compile(r"(?P<tool>getent|nslookup)[^;]*;(?P<status>\d+);(?P<before>[\d.]*);(?P<after>[\d.]*)\n")
_NSLOOKUP_ADDRESS = re.compile(r"^Address(?: \d+)?:\s*(\S+)", re.MULTILINE)
# Older nslookups print `can't resolve '(null)'` about a server without a name, not about the requested name.
_REASON = re.compile(r"^.*(?:can't find|can't resolve(?! '\(null\)')|timed out|refused|unreachable).*$", re.MULTILINE)


def resolve(run: Run, query: ResolveName, timeout_s: float) -> Resolution:
    """The addresses of the name there. Raises ProbeError."""
    first, again = (str(max(1, int(timeout_s * share))) for share in (_SHARE, _SECOND_SHARE))
    finished = run(_RESOLVE, (query.host_name, query.control, first, again), timeout_s)
    if finished.status == NOT_FOUND:
        text = "getent and nslookup are not installed there"
        raise ProbeError(ProblemKind.UNSUPPORTED, text, "set `from` to a host or container with one of them")
    return parse_resolution(finished.stdout.decode(errors="replace"))


def parse_resolution(output: str) -> Resolution:
    """Parse the script's output. Raises ProbeError when it is not that of the script."""
    parts = sections(output)
    how = _HOW.match(parts.get("how", ""))
    if how is None or "found" not in parts:
        raise ProbeError(ProblemKind.UNREADABLE, f"unexpected output: {output[:200]!r}")
    tool, found = how["tool"], parts["found"]
    control = parts.get("control")
    addresses = tuple(dict.fromkeys(_addresses(tool, found)))
    return Resolution(
        addresses=addresses,
        tool=tool,
        seconds=_seconds(how["before"], how["after"]),
        stopped=not addresses and int(how["status"]) in KILLED,
        said="" if addresses else _reason(found if tool == "nslookup" else parts.get("witness", "")),
        control_resolved=None if addresses or control is None else any(_addresses(tool, control)),
    )


def _seconds(before: str, after: str) -> float | None:
    try:
        return round(max(0.0, float(after) - float(before)), 2)
    except ValueError:
        return None


def _addresses(tool: str, text: str) -> Iterator[str]:
    if tool == "nslookup":
        # Lines before the first name describe the server.
        _, name, answer = text.partition("\nName:")
        words = _NSLOOKUP_ADDRESS.findall(answer) if name else []
    else:
        words = [line.split()[0] for line in text.splitlines() if line.split()]
    for word in words:
        try:
            yield str(ip_address(word.partition("%")[0]))
        except ValueError:
            continue  # a message


def _reason(text: str) -> str:
    reasons = (" ".join(found[0].split()).strip("*; ").removeprefix("nslookup: ") for found in _REASON.finditer(text))
    return "; ".join(dict.fromkeys(reasons))[:200]
