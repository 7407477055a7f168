"""The releases of PostgreSQL: end of life and newest minor release of each major version."""

from datetime import date

KNOWN_ON = date(2026, 8, 13)
"""The date of this table; to be updated with it."""
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
"""Skipped minor numbers, such as 18.5."""
