//! Sizes, durations and sync policies as a person writes and reads them.

use std::time::Duration;

use ringkeep::SyncPolicy;

use crate::numbers::float;

/// Reads a size such as `4096`, `64KiB` or `512M`; the multiples are binary.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    let (count, unit) = split(text)?;
    let shift = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kib" => 10,
        "m" | "mib" => 20,
        "g" | "gib" => 30,
        "t" | "tib" => 40,
        _ => {
            return Err(format!("'{unit}' is no unit of size; write B, K, M, G or T"));
        }
    };
    count.checked_mul(1 << shift).ok_or_else(|| "that is more than 2^64 bytes".to_owned())
}

/// Reads a duration such as `10ms`, `1s` or `7d`; the unit is a must, zero is refused.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let (count, unit) = split(text)?;
    let nanos: u64 = match unit {
        "ns" => 1,
        "us" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60 * 1_000_000_000,
        "h" => 3_600 * 1_000_000_000,
        "d" => 86_400 * 1_000_000_000,
        "w" => 604_800 * 1_000_000_000,
        "" => return Err("a unit is missing; write 10ms, 1s, 5m, 2h or 7d".to_owned()),
        _ => {
            return Err(format!("'{unit}' is no unit of time; write ns, us, ms, s, m, h, d or w"));
        }
    };
    match count.checked_mul(nanos) {
        Some(0) => Err("it must be more than zero".to_owned()),
        Some(nanos) => Ok(Duration::from_nanos(nanos)),
        None => Err("that is more than 584 years".to_owned()),
    }
}

/// Reads `never`, `always`, a number of records, or a duration.
pub(crate) fn sync(text: &str) -> Result<SyncPolicy, String> {
    match text {
        "never" => return Ok(SyncPolicy::Never),
        "always" => return Ok(SyncPolicy::Always),
        _ => {}
    }
    match text.parse() {
        Ok(0) => Err("every 0 records makes no sense; write 'always' or 'never'".to_owned()),
        Ok(records) => Ok(SyncPolicy::EveryRecords(records)),
        Err(_) => duration(text)
            .map(SyncPolicy::Interval)
            .map_err(|_| "write never, always, a number of records, or a time like 500ms".into()),
    }
}

fn split(text: &str) -> Result<(u64, &str), String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (count, unit) = text.split_at(digits);
    let count = count.parse().map_err(|_| "write a whole number and a unit".to_owned())?;
    Ok((count, unit))
}

/// Shows a size: `999 B`, `1.5 KiB`, `128.0 MiB`.
pub(crate) fn bytes(count: u64) -> String {
    let mut value = float(count);
    if value < 1024.0 {
        return format!("{count} B");
    }
    let mut unit = "";
    for larger in ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"] {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = larger;
    }
    format!("{value:.1} {unit}")
}

/// Shows a length of time in its two largest units: `12 d 3 h`, `1 min 40 s`, `250 ms`.
pub(crate) fn span(length: Duration) -> String {
    let seconds = length.as_secs();
    let (large, small, ratio) = match seconds {
        0 if length.subsec_millis() == 0 => return format!("{} us", length.as_micros()),
        0 => return format!("{} ms", length.as_millis()),
        1..60 => return format!("{:.1} s", length.as_secs_f64()),
        60..3_600 => ("min", "s", 60),
        3_600..86_400 => ("h", "min", 60),
        86_400.. => ("d", "h", 24),
    };
    let unit =
        if large == "min" { seconds } else { seconds / if large == "h" { 60 } else { 3_600 } };
    format!("{} {large} {} {small}", unit / ratio, unit % ratio)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_binary_multiples() {
        for (text, size_bytes) in
            [("0", 0), ("124", 124), ("64KiB", 65_536), ("512M", 536_870_912), ("1g", 1 << 30)]
        {
            assert_eq!(size(text), Ok(size_bytes));
        }
        for wrong in ["", "K", "1.5M", "-1", "1X", "1KB", "99999999999G", "18446744073709551616"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn durations_need_a_unit_and_are_never_zero() {
        assert_eq!(duration("10ms"), Ok(Duration::from_millis(10)));
        assert_eq!(duration("7d"), Ok(Duration::from_secs(604_800)));
        for wrong in ["", "10", "0s", "1 s", "1y", "ms", "-1s", "999999999999d"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sync_takes_each_of_its_four_forms() {
        assert_eq!(sync("never"), Ok(SyncPolicy::Never));
        assert_eq!(sync("always"), Ok(SyncPolicy::Always));
        assert_eq!(sync("64"), Ok(SyncPolicy::EveryRecords(64)));
        assert_eq!(sync("500ms"), Ok(SyncPolicy::Interval(Duration::from_millis(500))));
        for wrong in ["", "0", "0s", "sometimes", "-1"] {
            assert!(sync(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_and_spans_read_well() {
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(bytes(128 << 20), "128.0 MiB");
        assert_eq!(bytes(u64::MAX), "16.0 EiB");
        for (millis, text) in [
            (250, "250 ms"),
            (1_500, "1.5 s"),
            (100_000, "1 min 40 s"),
            (2 * 3_600_000 + 54 * 60_000, "2 h 54 min"),
            (12 * 86_400_000 + 3 * 3_600_000, "12 d 3 h"),
        ] {
            assert_eq!(span(Duration::from_millis(millis)), text);
        }
    }
}
