//! Times as text, RFC 3339 in UTC, both ways.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::civil::{Date, DateTime, date};
use jiff::{SignedDuration, Timestamp};
use ringkeep::TimeUnit;

const NANOS_PER_SECOND: i128 = 1_000_000_000;
const EPOCH: Date = date(1970, 1, 1);
const SECONDS_PER_DAY: i64 = 86_400;
/// The years that RFC 3339 can write, as seconds since 1970: 0000 to 9999.
const WRITABLE: std::ops::Range<i64> = -62_167_219_200..253_402_300_800;

/// A time in nanoseconds since 1970, shown as `2026-02-03T04:05:06.000000007Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct UnixNanos(pub(crate) i128);

impl fmt::Display for UnixNanos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = i64::try_from(self.0.div_euclid(NANOS_PER_SECOND)).unwrap_or(i64::MAX);
        if !WRITABLE.contains(&seconds) {
            return write!(f, "{} ns since 1970", self.0);
        }
        let mut text = Vec::new();
        let nanos = u32::try_from(self.0.rem_euclid(NANOS_PER_SECOND)).unwrap_or(0);
        TimeText::default().write_parts(&mut text, seconds, nanos, 9);
        f.write_str(&String::from_utf8_lossy(&text))
    }
}

impl From<SystemTime> for UnixNanos {
    fn from(time: SystemTime) -> Self {
        let nanos = |length: Duration| i128::try_from(length.as_nanos()).unwrap_or(i128::MAX);
        Self(match time.duration_since(UNIX_EPOCH) {
            Ok(after) => nanos(after),
            Err(before) => -nanos(before.duration()),
        })
    }
}

/// Writes and reads times of records, fast where one follows the other on the same day.
#[derive(Debug, Clone)]
pub(crate) struct TimeText {
    /// Days since 1970.
    day: i64,
    /// The same day, as `2026-02-03`.
    date: [u8; 10],
}

impl Default for TimeText {
    fn default() -> Self {
        Self { day: 0, date: *b"1970-01-01" }
    }
}

impl TimeText {
    /// Writes a time with exactly the digits of its unit; the plain number where no year of four
    /// digits can tell it.
    pub(crate) fn write(&mut self, out: &mut Vec<u8>, count: i64, unit: TimeUnit) {
        let per_second = 1_000_000_000 / i64::from(unit.nanos());
        let seconds = count.div_euclid(per_second);
        if !WRITABLE.contains(&seconds) {
            out.extend_from_slice(itoa::Buffer::new().format(count).as_bytes());
            return;
        }
        let rest = count.rem_euclid(per_second) * i64::from(unit.nanos());
        let digits = match unit {
            TimeUnit::Seconds => 0,
            TimeUnit::Millis => 3,
            TimeUnit::Micros => 6,
            TimeUnit::Nanos => 9,
        };
        self.write_parts(out, seconds, u32::try_from(rest).unwrap_or(0), digits);
    }

    /// `seconds` are writable.
    fn write_parts(&mut self, out: &mut Vec<u8>, seconds: i64, nanos: u32, digits: usize) {
        let day = seconds.div_euclid(SECONDS_PER_DAY);
        if day != self.day {
            self.turn_to(day);
        }
        let second = u32::try_from(seconds.rem_euclid(SECONDS_PER_DAY)).unwrap_or(0);
        let mut text = *b"0000-00-00T00:00:00.000000000Z";
        text[..10].copy_from_slice(&self.date);
        put_digits(&mut text[11..13], second / 3600);
        put_digits(&mut text[14..16], second / 60 % 60);
        put_digits(&mut text[17..19], second % 60);
        put_digits(&mut text[20..29], nanos);
        let end = if digits == 0 { 19 } else { 20 + digits };
        out.extend_from_slice(&text[..end]);
        out.push(b'Z');
    }

    fn turn_to(&mut self, day: i64) {
        let date = EPOCH.checked_add(SignedDuration::from_hours(24 * day)).unwrap_or(EPOCH);
        self.day = day;
        put_digits(&mut self.date[..4], u32::try_from(date.year()).unwrap_or(0));
        put_digits(&mut self.date[5..7], u32::try_from(date.month()).unwrap_or(0));
        put_digits(&mut self.date[8..], u32::try_from(date.day()).unwrap_or(0));
    }

    /// Reads a time of a record: RFC 3339, with a space instead of the T too and without an offset
    /// in UTC, a date alone, or the plain number in the field's unit.
    pub(crate) fn read(&mut self, text: &str, unit: TimeUnit) -> Result<i64, String> {
        if let Some(count) = whole(text) {
            return count.map_err(|()| format!("'{text}' is out of range"));
        }
        let nanos = match self.read_usual(text.as_bytes()) {
            Some(nanos) => nanos,
            None => parse_utc(text)?,
        };
        let per_unit = i128::from(unit.nanos());
        if nanos % per_unit != 0 {
            return Err(format!("'{text}' has more digits than its field keeps"));
        }
        i64::try_from(nanos / per_unit).map_err(|_| format!("'{text}' is out of range"))
    }

    /// `2026-02-03T04:05:06.000000007Z` and the like on the day of the time before it, which most
    /// are; `None` says nothing.
    fn read_usual(&mut self, text: &[u8]) -> Option<i128> {
        let (date, rest) = text.split_first_chunk::<10>()?;
        let (clock, rest) = rest.split_first_chunk::<9>()?;
        let &[b'T' | b' ', h, hour, b':', m, minute, b':', s, second] = clock else {
            return None;
        };
        if *date != self.date {
            // Checked by the library, then known.
            let other: Date = std::str::from_utf8(date).ok()?.parse().ok()?;
            self.turn_to(other.duration_since(EPOCH).as_hours() / 24);
            if *date != self.date {
                return None;
            }
        }
        let two = |tens, ones| digits(&[tens, ones]);
        let (hour, minute, second) = (two(h, hour)?, two(m, minute)?, two(s, second)?);
        if hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let rest = rest.strip_suffix(b"Z").unwrap_or(rest);
        let nanos = match rest.split_first() {
            None => 0,
            Some((b'.', fraction @ [_, ..])) if fraction.len() <= 9 => {
                let zeros = 9 - u32::try_from(fraction.len()).ok()?;
                digits(fraction)? * 10_i64.pow(zeros)
            }
            _ => return None,
        };
        let seconds = self.day * SECONDS_PER_DAY + hour * 3600 + minute * 60 + second;
        Some(i128::from(seconds) * NANOS_PER_SECOND + i128::from(nanos))
    }
}

/// The moment that lies so long after 1970.
pub(crate) fn system_time(nanos: i128) -> Option<SystemTime> {
    let magnitude = nanos.unsigned_abs();
    let seconds = u64::try_from(magnitude / 1_000_000_000).ok()?;
    let length = Duration::new(seconds, u32::try_from(magnitude % 1_000_000_000).ok()?);
    if nanos < 0 { UNIX_EPOCH.checked_sub(length) } else { UNIX_EPOCH.checked_add(length) }
}

/// Reads RFC 3339 and what is near to it, in nanoseconds since 1970.
pub(crate) fn parse_utc(text: &str) -> Result<i128, String> {
    let unknown =
        || format!("'{text}' is no time; write it like 2026-02-03T04:05:06Z, or as a number");
    // A zone by name would be passed over in silence.
    if text.contains('[') {
        return Err(unknown());
    }
    if let Some(nanos) = TimeText::default().read_usual(text.as_bytes()) {
        return Ok(nanos);
    }
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time.as_nanosecond());
    }
    let civil: DateTime = text.parse().map_err(|_| unknown())?;
    Ok(civil.duration_since(EPOCH.at(0, 0, 0, 0)).as_nanos())
}

/// A plain number, if it is one; `Err` if it is too large.
fn whole(text: &str) -> Option<Result<i64, ()>> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().map_err(drop))
}

fn digits(text: &[u8]) -> Option<i64> {
    text.iter().try_fold(0, |number, byte| match byte {
        b'0'..=b'9' => Some(number * 10 + i64::from(byte - b'0')),
        _ => None,
    })
}

fn put_digits(out: &mut [u8], mut number: u32) {
    for digit in out.iter_mut().rev() {
        *digit = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNITS: [TimeUnit; 4] =
        [TimeUnit::Seconds, TimeUnit::Millis, TimeUnit::Micros, TimeUnit::Nanos];

    fn written(count: i64, unit: TimeUnit) -> String {
        let mut out = Vec::new();
        TimeText::default().write(&mut out, count, unit);
        String::from_utf8(out).expect("ASCII")
    }

    #[test]
    fn times_read_as_rfc_3339() {
        for (nanos, text) in [
            (0, "1970-01-01T00:00:00.000000000Z"),
            (-1, "1969-12-31T23:59:59.999999999Z"),
            (951_782_400_000_000_000, "2000-02-29T00:00:00.000000000Z"),
            (1_709_251_199_000_000_007, "2024-02-29T23:59:59.000000007Z"),
            (4_107_542_400_000_000_000, "2100-03-01T00:00:00.000000000Z"),
            (i64::MAX, "2262-04-11T23:47:16.854775807Z"),
        ] {
            assert_eq!(UnixNanos(nanos.into()).to_string(), text);
            assert_eq!(written(nanos, TimeUnit::Nanos), text);
        }
        assert_eq!(written(1, TimeUnit::Seconds), "1970-01-01T00:00:01Z");
        assert_eq!(written(1, TimeUnit::Millis), "1970-01-01T00:00:00.001Z");
        assert_eq!(written(1, TimeUnit::Micros), "1970-01-01T00:00:00.000001Z");
        assert_eq!(written(WRITABLE.start, TimeUnit::Seconds), "0000-01-01T00:00:00Z");
        assert_eq!(written(WRITABLE.end - 1, TimeUnit::Seconds), "9999-12-31T23:59:59Z");
        assert_eq!(written(WRITABLE.end, TimeUnit::Seconds), "253402300800");
        assert_eq!(written(i64::MIN, TimeUnit::Seconds), i64::MIN.to_string());
    }

    #[test]
    fn every_time_reads_back_as_it_was() {
        let mut text = TimeText::default();
        let mut count = 0_i64;
        for step in 0..20_000_i64 {
            // Through all magnitudes, both signs, and the ends of days.
            count = count.wrapping_mul(31).wrapping_add(step << (step % 50));
            for unit in UNITS {
                for count in [count, count >> 20, count / 86_400 * 86_400 - step % 2] {
                    let mut out = Vec::new();
                    text.write(&mut out, count, unit);
                    let shown = String::from_utf8(out).expect("ASCII");
                    assert_eq!(text.read(&shown, unit), Ok(count), "{shown} {unit:?}");
                }
            }
        }
    }

    #[test]
    fn what_people_write_is_understood() {
        let mut text = TimeText::default();
        for (written, seconds) in [
            ("2014-07-01 00:30:00", 1_404_174_600),
            ("2014-07-01T00:30:00", 1_404_174_600),
            ("2014-07-01T00:30:00.000Z", 1_404_174_600),
            ("2014-07-01T02:30:00+02:00", 1_404_174_600),
            ("2014-07-01t00:30:00z", 1_404_174_600),
            ("2014-07-01", 1_404_172_800),
            ("1404174600", 1_404_174_600),
            ("-5", -5),
        ] {
            assert_eq!(text.read(written, TimeUnit::Seconds), Ok(seconds), "{written}");
        }
        for wrong in [
            "",
            "soon",
            "2014-02-30 00:00:00",
            "2014-07-01 24:00:01",
            "2014-07-01 00:60:00",
            "2014-7-1",
            "2014-07-01 00:30:00.5",
            "2014-07-01 00:30:00[Europe/Rome]",
            "99999999999999999999",
            "1.5",
        ] {
            assert!(text.read(wrong, TimeUnit::Seconds).is_err(), "{wrong}");
        }
        assert!(text.read("2500-01-01", TimeUnit::Nanos).is_err());
    }
}
