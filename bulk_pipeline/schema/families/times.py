"""Dates, times and lengths of time: ISO 8601, and intervals also as Postgres writes them. No word (`now`), no other
order of day and month, no time zone that the file does not name."""

import re
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import partial
from itertools import combinations

from bulk_pipeline.schema import operators
from bulk_pipeline.schema.bounds import NAMES as BOUNDS
from bulk_pipeline.schema.type_facts import FilterValue, Parameters, TypeFacts, TypeFamily, literal, single

TIMES_OF_DAY = ("time without time zone", "time with time zone")
TIMESTAMPS = ("timestamp without time zone", "timestamp with time zone")
"""Names of families."""

DATE = r"\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])"
TIME = r"(?:(?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d{1,9})?)?|24:00(?::00(?:\.0{1,9})?)?)"
OFFSET = r"(?:Z|[+-](?:0\d|1[0-5])(?::?[0-5]\d(?::?[0-5]\d)?)?)"
"""At most 15:59:59, as in Postgres."""
_INTERVAL_BITS = {"year": 2, "month": 1, "day": 3, "hour": 10, "minute": 11, "second": 12}
"""The numbers of the fields of an interval in its type modifier, see datetime.h of Postgres."""
_WHOLE_INTERVAL = 0x7FFF << 16  # the type modifier of an interval with all its fields, see timestamp.h
_ALL_DIGITS = 0xFFFF
_UNIT_MICROSECONDS = {"day": 86_400_000_000, "hour": 3_600_000_000, "minute": 60_000_000}
_DIGITS = 6
"""Of a second, which Postgres keeps."""
_MOST_MONTHS_OR_DAYS, _MOST_MICROSECONDS = 2**31 - 1, 2**63 - 1
_LOOKS_LIKE_TIME = re.compile(r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}.*)?")


@dataclass(frozen=True)
class Interval:
    """A length of time as Postgres keeps it: months, days and microseconds, each with a sign of its own."""

    months: int
    days: int
    microseconds: int

    def __str__(self) -> str:
        """ISO 8601, as Postgres writes it with IntervalStyle iso_8601."""
        years, months = _divided(self.months, 12)
        minutes, rest = _divided(self.microseconds, 60_000_000)
        hours, minutes = _divided(minutes, 60)
        parts = _units(("Y", years), ("M", months), ("D", self.days))
        clock = _units(("H", hours), ("M", minutes))
        if rest:
            seconds = f"{abs(rest) // 1_000_000}.{abs(rest) % 1_000_000:06}".rstrip("0").rstrip(".")
            clock += f"{'-' if rest < 0 else ''}{seconds}S"
        if not parts and not clock:
            return "PT0S"
        return f"P{parts}T{clock}" if clock else f"P{parts}"

    def is_whole(self, unit: str) -> bool:
        """Return whether a type that keeps nothing smaller than the unit keeps the interval as it is.

        Of a smallest unit, Postgres keeps all larger ones, also those that the type does not name.
        """
        match unit:
            case "year":
                return self.months % 12 == 0 and self.is_whole("month")
            case "month":
                return self.days == 0 and self.microseconds == 0
            case "day":
                return self.microseconds == 0
            case "hour" | "minute":
                return self.microseconds % _UNIT_MICROSECONDS[unit] == 0
        return True


def read_interval(text: str) -> Interval | str:
    """Return the interval, or the kind of its problem: `type`, `range` or `precision`."""
    found = _ISO_INTERVAL.fullmatch(text) or _POSTGRES_INTERVAL.fullmatch(text)
    if found is None or not any(found.groupdict().values()):
        return "type"
    number = {
        name: int(found[name] or 0) for name in ("years", "months", "days", "hours", "minutes", "seconds")
    }
    weeks = int(found.groupdict().get("weeks") or 0)
    fraction = found["fraction"] or ""
    if fraction[_DIGITS:].strip("0"):
        return "precision"
    parts = int(fraction[:_DIGITS].ljust(_DIGITS, "0"))
    if (found.groupdict().get("second_sign") or "") == "-":
        parts = -parts
    clock = (number["hours"] * 60 + number["minutes"]) * 60 + number["seconds"]
    microseconds = clock * 1_000_000 + parts
    if found.groupdict().get("sign") == "-":
        microseconds = -microseconds
    interval = Interval(number["years"] * 12 + number["months"], weeks * 7 + number["days"], microseconds)
    if (
        max(abs(interval.months), abs(interval.days)) > _MOST_MONTHS_OR_DAYS
        or abs(microseconds) > _MOST_MICROSECONDS
    ):
        return "range"
    return interval


def canonical_time(text: str) -> str:
    """Return a time as Postgres writes it, whose form (`TIME`, `OFFSET`) is right; an offset that is missing is UTC."""
    found = _TIME_PARTS.fullmatch(text)
    assert found is not None
    fraction = (found["fraction"] or "").rstrip("0")
    clock = f"{found['minute']}:{found['second'] or '00'}{'.' if fraction else ''}{fraction}"
    offset = re.findall(r"\d\d", found["offset"] or "") or ["00"]
    while len(offset) > 1 and offset[-1] == "00":
        offset.pop()
    sign = "-" if (found["offset"] or "").startswith("-") and offset != ["00"] else "+"
    return f"{clock}{sign}{':'.join(offset)}"


def _divided(number: int, by: int) -> tuple[int, int]:
    """Quotient and rest of a division that rounds towards zero."""
    quotient, rest = divmod(abs(number), by)
    return (quotient, rest) if number >= 0 else (-quotient, -rest)


def _units(*parts: tuple[str, int]) -> str:
    return "".join(f"{number}{unit}" for unit, number in parts if number)


def _read_date(text: str) -> str:
    if not re.fullmatch(DATE, text, re.ASCII):
        raise ValueError(text)
    return date.fromisoformat(text).isoformat()


def _read_instant(text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except OverflowError:
        raise ValueError(text) from None


def _read_local(text: str) -> str:
    time = datetime.fromisoformat(text)
    if time.tzinfo is not None:
        raise ValueError(text)
    return time.isoformat()


def _read_matching(pattern: str, text: str) -> str:
    if not re.fullmatch(pattern, text, re.ASCII):
        raise ValueError(text)
    return text


def _read_interval(text: str, unit: str = "") -> str:
    interval = read_interval(text)
    if isinstance(interval, str) or not interval.is_whole(unit):
        raise ValueError(text)
    return str(interval)


def _interval(parameters: Parameters) -> TypeFacts:
    """Return the facts of an interval with these fields, if any, and digits of a second."""
    fields, *digits = parameters if parameters and isinstance(parameters[0], str) else ("", *parameters)
    if not fields:
        return _INTERVALS.facts(tuple(digits))
    unit = str(fields).rpartition(" ")[2]
    if fields not in _INTERVAL_FIELDS or (digits and unit != "second"):
        raise ValueError(
            "write it like interval, interval(3), interval year to month or interval day to second(3)"
        )
    usual = _INTERVALS.facts(tuple(map(int, digits)))
    kept = [modifier & 0xFFFF for modifier in usual.whole_modifiers if modifier >= 0] + [_ALL_DIGITS]
    return replace(
        usual,
        postgres=literal(f"interval {fields}" + (f"({digits[0]})" if digits else "")),
        whole_modifiers=(
            *usual.whole_modifiers,
            *(_INTERVAL_FIELDS[str(fields)] << 16 | few for few in kept),
        ),
        too_precise=usual.too_precise if unit == "second" else f"has a part smaller than one {unit}",
        filter_value=replace(usual.filter_value, read=partial(_read_interval, unit=unit)),
        unit=unit,
    )


def _interval_fields() -> dict[str, int]:
    """Return the fields that Postgres knows, with their bits in the type modifier."""
    units = [*_INTERVAL_BITS]
    pairs = [("year", "month"), *((first, last) for first, last in combinations(units[2:], 2))]
    spans = {unit: [unit] for unit in units} | {
        f"{first} to {last}": units[units.index(first) : units.index(last) + 1] for first, last in pairs
    }
    return {fields: sum(1 << _INTERVAL_BITS[unit] for unit in span) for fields, span in spans.items()}


_INTERVAL_FIELDS = _interval_fields()


def _with_digits(name: str, facts: TypeFacts, *aliases: str) -> TypeFamily:
    """Return the family of a type that may say how many digits of a second it keeps: `time(3) without time zone`."""
    word, _, zone = name.partition(" ")

    def with_digits(parameters: Parameters) -> TypeFacts:
        if len(parameters) > 1 or not all(digits in range(_DIGITS + 1) for digits in parameters):
            raise ValueError(
                f"write {name} or {word}(digits) {zone}".rstrip() + ", with 0 to 6 digits of a second"
            )
        if not parameters:
            return facts
        digits = int(parameters[0])
        return TypeFacts(
            **{
                **vars(facts),
                "postgres": literal(f"{word}({digits}) {zone}".rstrip()),
                "too_precise": f"has more than {digits} digits of a second",
                "whole_modifiers": (
                    -1,
                    *(facts.whole_modifiers[-1] - _DIGITS + p for p in range(digits, _DIGITS + 1)),
                ),
            }
        )

    return TypeFamily(name, with_digits, (name, f"{word}(3) {zone}".rstrip()), aliases)


_TOO_PRECISE = "is finer than a microsecond: use at most 6 digits"
_SIGNED = r"[+-]?\d{1,18}"
_ISO_INTERVAL = re.compile(
    rf"P(?=[^P])(?:(?P<years>{_SIGNED})Y)?(?:(?P<months>{_SIGNED})M)?(?:(?P<weeks>{_SIGNED})W)?"
    rf"(?:(?P<days>{_SIGNED})D)?"
    rf"(?:T(?=.)(?:(?P<hours>{_SIGNED})H)?(?:(?P<minutes>{_SIGNED})M)?"
    r"(?:(?P<seconds>(?P<second_sign>[+-]?)\d{1,18})(?:\.(?P<fraction>\d{1,9}))?S)?)?",
    re.ASCII,
)
_POSTGRES_INTERVAL = re.compile(
    rf"(?:(?P<years>{_SIGNED}) years?(?: |$))?(?:(?P<months>{_SIGNED}) mons?(?: |$))?"
    rf"(?:(?P<days>{_SIGNED}) days?(?: |$))?"
    r"(?:(?P<sign>[+-]?)(?P<hours>\d{1,18}):(?P<minutes>[0-5]\d):(?P<seconds>[0-5]\d)(?:\.(?P<fraction>\d{1,9}))?)?",
    re.ASCII,
)
_TIME_PARTS = re.compile(
    r"(?P<minute>\d\d:\d\d)(?::(?P<second>\d\d)(?:\.(?P<fraction>\d+))?)?(?P<offset>Z|[+-].*)?"
)

_INTERVALS = _with_digits(
    "interval",
    TypeFacts(
        postgres="interval",
        receives=("interval_recv",),
        whole_modifiers=(-1, _WHOLE_INTERVAL | _DIGITS),
        label="length of time",
        expected="a length of time like P1Y2M3DT4H5M6.5S or 1 year 2 mons 3 days 04:05:06.5",
        range=f"{_MOST_MONTHS_OR_DAYS} months, {_MOST_MONTHS_OR_DAYS} days and {_MOST_MICROSECONDS} microseconds",
        too_precise=_TOO_PRECISE,
        operators=operators.ORDERED,
        filter_value=FilterValue(_read_interval, "length of time", "one like P1DT12H"),
        default=(str,),
        looks_like=re.compile(r"P[-0-9YMWDTHS.]+", re.ASCII),
        never_a_name=True,
        export="{}::text",
        compared="{}::text",  # 1 mon = 30 days
    ),
)

TIMES = (
    single(
        TypeFacts(
            postgres="date",
            receives=("date_recv",),
            label="ISO 8601 date",
            expected="a date like 2026-01-31",
            range="the years 0001 to 9999",
            operators=operators.ORDERED,
            filter_value=FilterValue(_read_date, "date", "one like 2026-01-31"),
            default=(str, date),
            options=BOUNDS,
            looks_like=re.compile(DATE, re.ASCII),
            never_a_name=True,
            is_zoneless=True,
        )
    ),
    _with_digits(
        "time without time zone",
        TypeFacts(
            postgres="time without time zone",
            receives=("time_recv",),
            whole_modifiers=(-1, _DIGITS),
            label="time of day",
            expected="a time of day like 23:59 or 23:59:59.5",
            too_precise=_TOO_PRECISE,
            operators=operators.ORDERED,
            filter_value=FilterValue(partial(_read_matching, TIME), "time", "one like 23:59:59"),
            default=(str,),
            looks_like=re.compile(TIME, re.ASCII),
            never_a_name=True,
            export="{}::text",
            is_zoneless=True,
        ),
        "time",
    ),
    _with_digits(
        "time with time zone",
        TypeFacts(
            postgres="time with time zone",
            receives=("timetz_recv",),
            whole_modifiers=(-1, _DIGITS),
            label="time of day",
            expected="a time of day like 23:59:59+02:00",
            too_precise=_TOO_PRECISE,
            operators=operators.ORDERED,
            filter_value=FilterValue(
                partial(_read_matching, f"{TIME}{OFFSET}?"), "time", "one like 23:59:59+02:00"
            ),
            default=(str,),
            looks_like=re.compile(f"{TIME}{OFFSET}?", re.ASCII),
            never_a_name=True,
            export="{}::text",
        ),
        "timetz",
    ),
    _with_digits(
        "timestamp without time zone",
        TypeFacts(
            postgres="timestamp without time zone",
            receives=("timestamp_recv",),
            whole_modifiers=(-1, _DIGITS),
            label="ISO 8601 time",
            expected="an ISO 8601 date or time like 2026-01-31 or 2026-01-31T23:59:59",
            range="the years 0001 to 9999",
            too_precise=_TOO_PRECISE,
            operators=operators.ORDERED,
            filter_value=FilterValue(
                _read_local, "time", "one like 2026-01-31 or 2026-01-31T12:30:00, without offset"
            ),
            default=(str, datetime),
            options=BOUNDS,
            looks_like=_LOOKS_LIKE_TIME,
            never_a_name=True,
            is_zoneless=True,
        ),
        "timestamp",
    ),
    _with_digits(
        "timestamp with time zone",
        TypeFacts(
            postgres="timestamp with time zone",
            receives=("timestamptz_recv",),
            whole_modifiers=(-1, _DIGITS),
            label="ISO 8601 time",
            expected="an ISO 8601 date or time like 2026-01-31 or 2026-01-31T23:59:59+02:00",
            range="the years 0001 to 9999",
            too_precise=_TOO_PRECISE,
            operators=operators.ORDERED,
            filter_value=FilterValue(_read_instant, "time", "one like 2026-01-31 or 2026-01-31T12:30:00Z"),
            options=BOUNDS,
            looks_like=_LOOKS_LIKE_TIME,
            never_a_name=True,
        ),
        "timestamptz",
    ),
    TypeFamily(
        "interval",
        _interval,
        (*_INTERVALS.examples, "interval year to month", "interval day to second(3)"),
        fields=tuple(_INTERVAL_FIELDS),
    ),
)
