//! Times and spans as people write and read them.
//!
//! A time without an offset is local; what is shown is UTC. A local time that the clock showed twice
//! or never is refused, not guessed.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};
use statekeep::{BlockingTenant, Error, Result, Sequence, UnixMs};

/// The accepted forms of a time, for help texts and errors.
pub const FORMS: &str = "2026-03-01, \"2026-03-01 14:03\" or \"2026-03-01 14:03:05\" in local time; \
                         with an offset, 2026-03-01T14:03:05Z or \"2026-03-01 14:03+02:00\"";

const SPANS: [(&str, u64); 7] = [
    ("ms", 1),
    ("s", 1_000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
    ("w", 604_800_000),
    // 365 days.
    ("y", 31_536_000_000),
];

/// A point in the life of a state.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Right after a commit.
    Sequence(Sequence),
    /// A time.
    Time(UnixMs),
    /// As it is.
    Now,
}

impl Moment {
    /// Reads `now`, a sequence, or a time.
    pub fn parse(text: &str) -> Result<Moment> {
        if text == "now" {
            return Ok(Moment::Now);
        }
        if let Ok(sequence) = text.parse() {
            return Ok(Moment::Sequence(Sequence(sequence)));
        }
        parse(text).map(Moment::Time).map_err(|error| match error {
            Error::Invalid { reason, .. } => {
                Error::invalid("point", format!("{reason}; or a sequence, or `now`"))
            }
            error => error,
        })
    }

    /// The last commit at that point.
    pub fn sequence(self, tenant: &BlockingTenant) -> Result<Sequence> {
        match self {
            Moment::Sequence(sequence) => Ok(sequence),
            Moment::Time(time) => Ok(tenant.at_time(time)?.sequence()),
            Moment::Now => Ok(tenant.manager().head()),
        }
    }
}

/// Reads a time in one of [`FORMS`].
pub fn parse(text: &str) -> Result<UnixMs> {
    parse_in(text, &TimeZone::system())
}

fn parse_in(text: &str, zone: &TimeZone) -> Result<UnixMs> {
    let shown = crate::text::shown(text);
    let malformed = || Error::invalid("time", format!("`{shown}` is none; accepted: {FORMS}"));
    let words: Vec<_> = text.split_whitespace().collect();
    let joined = match words.as_slice() {
        [date] => (*date).to_owned(),
        [date, rest @ ..] if rest.len() <= 2 => format!("{date}T{}", rest.concat()),
        _ => return Err(malformed()),
    };
    // The library reads more than the forms that are promised, zone names among them.
    let shape = |c: char| c.is_ascii_digit() || "-:.+TtZz".contains(c);
    if joined.as_bytes().get(4) != Some(&b'-') || !joined.chars().all(shape) {
        return Err(malformed());
    }
    if let Ok(at) = joined.parse::<Timestamp>() {
        return Ok(UnixMs(at.as_millisecond()));
    }
    let clock = joined.get(10..).unwrap_or_default();
    if clock.contains(['+', '-', 'Z', 'z']) {
        return Err(malformed());
    }
    let local: DateTime = joined.parse().map_err(|_| malformed())?;
    let at = zone.to_ambiguous_timestamp(local);
    let refused = |what: &str, one: Offset, other: Offset| {
        let reason = format!(
            "the local clock showed `{shown}` {what}; give an offset: {}{one} or {}{other}",
            local, local
        );
        Err(Error::invalid("time", reason))
    };
    match at.offset() {
        AmbiguousOffset::Fold { before, after } => refused("twice", before, after),
        AmbiguousOffset::Gap { before, after } => refused("never", before, after),
        AmbiguousOffset::Unambiguous { .. } => {
            let at = at.unambiguous().map_err(|_| malformed())?;
            Ok(UnixMs(at.as_millisecond()))
        }
    }
}

/// Reads a span such as `10m` or `1h30m` as milliseconds.
pub fn span_ms(text: &str) -> Result<u64> {
    let malformed = || {
        let shown = crate::text::shown(text);
        let reason = format!(
            "`{shown}` is no span of time; give a number with ms, s, m, h, d, w or y, such as 90s, \
             10m or 1h30m"
        );
        Error::invalid("span", reason)
    };
    let (mut rest, mut total) = (text, 0u64);
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, tail) = rest.split_at(digits);
        let letters = tail.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, tail) = tail.split_at(letters);
        let scale = SPANS.iter().find(|(name, _)| *name == unit);
        let (_, scale) = scale.ok_or_else(malformed)?;
        let number: u64 = number.parse().map_err(|_| malformed())?;
        let span = number.checked_mul(*scale);
        total = span
            .and_then(|span| total.checked_add(span))
            .ok_or_else(malformed)?;
        rest = tail;
    }
    match total {
        0 => Err(malformed()),
        total => Ok(total),
    }
}

/// A number of milliseconds in its largest whole unit, such as `30d`.
pub fn span(ms: u64) -> String {
    let unit = SPANS
        .iter()
        .rev()
        .find(|(name, scale)| !matches!(*name, "w" | "y") && ms.is_multiple_of(*scale));
    let (name, scale) = unit.copied().unwrap_or(("ms", 1));
    format!("{}{name}", ms / scale)
}

/// A time as RFC 3339 in UTC, to the second.
pub fn seconds(at: UnixMs) -> String {
    shown(at, 0)
}

/// A time as RFC 3339 in UTC, to the millisecond: as precise as commits are, so that it can be given
/// to `--at`.
pub fn millis(at: UnixMs) -> String {
    shown(at, 3)
}

fn shown(at: UnixMs, digits: usize) -> String {
    match Timestamp::from_millisecond(at.0) {
        Ok(time) => format!("{time:.digits$}"),
        // Beyond the calendar's years.
        Err(_) => format!("{} ms", at.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn berlin(text: &str) -> Result<UnixMs> {
        // Rules in place of a name: the machine's list of zones is not needed.
        parse_in(
            text,
            &TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap(),
        )
    }

    #[test]
    fn times_are_local_unless_they_say_otherwise() {
        let noon = 1_772_366_400_000;
        for (text, ms) in [
            ("2026-03-01", noon - 13 * 3_600_000),
            ("2026-03-01 13:00", noon),
            ("2026-03-01T13:00:00", noon),
            (" 2026-03-01  13:00:00.250 ", noon + 250),
            ("2026-03-01T12:00:00Z", noon),
            ("2026-03-01 12:00Z", noon),
            ("2026-03-01 14:00 +02:00", noon),
            ("2026-03-01 07:00-05:00", noon),
            ("2026-07-01 02:00", noon + 122 * 86_400_000 - 12 * 3_600_000),
        ] {
            assert_eq!(berlin(text).unwrap(), UnixMs(ms), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_told_the_accepted_forms() {
        for text in [
            "",
            "yesterday",
            "14:03",
            "20260301",
            "1772366400",
            "2026-13-01",
            "2026-02-30",
            "2026-03-01 25:00",
            "2026-03-01 14:03 CET",
            "2026-03-01 14:03[Europe/Paris]",
            "2026-03-01Z",
            "01.03.2026",
            "2026-03-01 1 2 3",
        ] {
            let error = berlin(text).unwrap_err().to_string();
            assert!(error.contains("2026-03-01 14:03"), "{text}: {error}");
        }
    }

    #[test]
    fn a_local_time_that_came_twice_or_never_is_refused() {
        let twice = berlin("2026-10-25 02:30").unwrap_err().to_string();
        assert!(
            twice.contains("twice")
                && twice.contains("02:30:00+02")
                && twice.contains("02:30:00+01"),
            "{twice}"
        );
        let never = berlin("2026-03-29 02:30").unwrap_err().to_string();
        assert!(never.contains("never"), "{never}");
        assert_eq!(
            berlin("2026-10-25 02:30+01:00").unwrap(),
            UnixMs(1_792_891_800_000)
        );
    }

    #[test]
    fn a_moment_is_a_sequence_a_time_or_now() {
        assert_eq!(Moment::parse("17").unwrap(), Moment::Sequence(Sequence(17)));
        assert_eq!(Moment::parse("now").unwrap(), Moment::Now);
        let time = Moment::parse("1970-01-01T00:00:01Z").unwrap();
        assert_eq!(time, Moment::Time(UnixMs(1000)));
        assert!(
            Moment::parse("soon")
                .unwrap_err()
                .to_string()
                .contains("a sequence")
        );
    }

    #[test]
    fn spans_add_up() {
        for (text, ms) in [
            ("10m", 600_000),
            ("1h30m", 5_400_000),
            ("250ms", 250),
            ("2w", 1_209_600_000),
            ("1y", 31_536_000_000),
        ] {
            assert_eq!(span_ms(text).unwrap(), ms);
        }
        for text in [
            "",
            "10",
            "m",
            "0s",
            "1.5h",
            "-3s",
            "3 s",
            "9999999999999999w",
        ] {
            assert!(span_ms(text).is_err(), "{text}");
        }
        assert_eq!(
            (span(2_592_000_000), span(90_000), span(1)),
            ("30d".into(), "90s".into(), "1ms".into())
        );
    }

    #[test]
    fn times_are_shown_in_utc() {
        assert_eq!(seconds(UnixMs(0)), "1970-01-01T00:00:00Z");
        assert_eq!(seconds(UnixMs(951_827_696_789)), "2000-02-29T12:34:56Z");
        assert_eq!(seconds(UnixMs(-1)), "1969-12-31T23:59:59Z");
        assert_eq!(millis(UnixMs(1)), "1970-01-01T00:00:00.001Z");
        assert_eq!(millis(UnixMs(i64::MAX)), format!("{} ms", i64::MAX));
    }
}
