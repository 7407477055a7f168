"""The releases of PostgreSQL: until when each major version is maintained, and its newest minor one."""

from datetime import date

KNOWN_ON = date(2026, 8, 13)
"""The day of the newest releases below; to be set whenever they are edited."""
END_OF_LIFE = {
    12: date(2024, 11, 21),
    13: date(2025, 11, 13),
    14: date(2026, 11, 12),
    15: date(2027, 11, 11),
    16: date(2028, 11, 9),
    17: date(2029, 11, 8),
    18: date(2030, 11, 14),
}
"""By the major version."""
NEWEST = {12: 22, 13: 23, 14: 24, 15: 19, 16: 15, 17: 11, 18: 6}
"""The newest minor release by the major version."""
NEVER_RELEASED = {18: {5}}
"""Numbers that were left out, such as 18.5."""
