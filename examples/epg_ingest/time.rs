//! Times: XMLTV's on the way in, RFC 3339 on the way out, seconds since 1970 in between.

use std::fmt;

const DAY_S: i64 = 86_400;
/// 400 years, after which the calendar is the same again.
const ERA_DAYS: i64 = 146_097;
/// From 1 March of the year 0 to 1 January 1970.
const DAYS_TO_1970: i64 = 719_468;

/// Seconds since 1970 of `20260102030405 +0100`. The digits may end with the day, the hour or the
/// minute; without a zone it is UTC.
pub(crate) fn parse(text: &str) -> Option<i64> {
    let text = text.trim();
    let digits_end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, zone) = text.split_at(digits_end);
    if !matches!(digits.len(), 8 | 10 | 12 | 14) {
        return None;
    }
    let part = |begin, end| digits.get(begin..end).unwrap_or("0").parse::<i64>().ok();
    let (year, month, day) = (part(0, 4)?, part(4, 6)?, part(6, 8)?);
    let (hour, minute, second) = (part(8, 10)?, part(10, 12)?, part(12, 14)?);
    let is_date = (1..9999).contains(&year) && (1..=month_days(year, month)).contains(&day);
    if !is_date || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let days = days_since_1970(year, month, day);
    Some(days * DAY_S + hour * 3600 + minute * 60 + second - zone_s(zone.trim_start())?)
}

/// How far a zone is ahead of UTC.
fn zone_s(zone: &str) -> Option<i64> {
    if matches!(zone, "" | "Z" | "UTC" | "GMT") {
        return Some(0);
    }
    let (sign, digits) = zone.split_at_checked(1)?;
    if digits.len() != 4 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: i64 = digits.parse().ok()?;
    let (hours, minutes) = (number / 100, number % 100);
    let ahead_s = hours * 3600 + minutes * 60;
    match sign {
        _ if hours > 23 || minutes > 59 => None,
        "+" => Some(ahead_s),
        "-" => Some(-ahead_s),
        _ => None,
    }
}

fn month_days(year: i64, month: i64) -> i64 {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 => 28 + i64::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    }
}

/// With years that begin in March, so that the leap day is the last of its year.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    year * 365 + year / 4 - year / 100 + year / 400 + of_year - DAYS_TO_1970
}

/// Year, month and day.
fn date(days_since_1970: i64) -> (i64, i64, i64) {
    let days = days_since_1970 + DAYS_TO_1970;
    let (era, of_era) = (days.div_euclid(ERA_DAYS), days.rem_euclid(ERA_DAYS));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let (month, day) = ((from_march + 2) % 12 + 1, of_year - (153 * from_march + 2) / 5 + 1);
    (era * 400 + year + i64::from(month <= 2), month, day)
}

/// Seconds since 1970, shown as `2026-01-02T02:04:05Z`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Utc(pub(crate) i64);

impl fmt::Display for Utc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = date(self.0.div_euclid(DAY_S));
        let of_day = self.0.rem_euclid(DAY_S);
        let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

/// Seconds since 1970, in the hour of a zone, as guides write it: `20260102030405 +0100`.
pub(crate) fn xmltv(seconds: i64, zone_hours: i64) -> String {
    let mut digits = Utc(seconds + zone_hours * 3600).to_string();
    digits.retain(|c| c.is_ascii_digit());
    format!("{digits} {zone_hours:+03}00")
}

#[cfg(test)]
mod tests {
    use super::{Utc, parse, xmltv};

    fn shown(text: &str) -> String {
        parse(text).map_or_else(|| "none".to_owned(), |seconds| Utc(seconds).to_string())
    }

    #[test]
    fn times_are_read_in_all_their_lengths_and_zones() {
        for (text, expected) in [
            ("20260102030405 +0100", "2026-01-02T02:04:05Z"),
            ("20260102030405+0100", "2026-01-02T02:04:05Z"),
            ("20251231233000 -0130", "2026-01-01T01:00:00Z"),
            ("20260102030405", "2026-01-02T03:04:05Z"),
            ("202601020304 UTC", "2026-01-02T03:04:00Z"),
            ("2026010203 Z", "2026-01-02T03:00:00Z"),
            ("20240229", "2024-02-29T00:00:00Z"),
            ("19000301", "1900-03-01T00:00:00Z"),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "2026",
            "2026010",
            "20260230",
            "20250229",
            "20261301",
            "20260100",
            "2026010224",
            "202601020360",
            "20260102030460",
            "20260102 CET",
            "20260102 +1",
            "20260102 +2400",
            "20260102 +0160",
            "20260102 *0100",
            "20260102 +0\u{e9}0",
            "tomorrow",
            "00000101",
            "99991231",
        ] {
            assert_eq!(shown(text), "none", "{text}");
        }
    }

    #[test]
    fn every_day_of_four_centuries_comes_back() {
        let mut seconds = parse("18000101").unwrap();
        let end = parse("22000101").unwrap();
        while seconds < end {
            assert_eq!(parse(&xmltv(seconds, -5)), Some(seconds));
            seconds += 86_400;
        }
        assert_eq!(Utc(end).to_string(), "2200-01-01T00:00:00Z");
    }
}
