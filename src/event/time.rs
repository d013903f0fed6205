//! Milliseconds since 1970 as dates and times, in UTC.

/// `2026-11-24T21:05:09.120Z`.
pub fn rfc3339(ms: u64) -> String {
    let (days, rest) = (ms / 86_400_000, ms % 86_400_000);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (rest / 3_600_000, rest / 60_000 % 60, rest / 1000 % 60);
    format!("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", rest % 1000)
}

/// Year, month and day of a number of days since 1970-01-01 (the Gregorian calendar in eras of 400 years).
pub fn date(days: u64) -> (u64, u64, u64) {
    crate::plan::Day::number(days).date()
}

#[cfg(test)]
mod tests {
    use super::{date, rfc3339};

    #[test]
    fn days_are_dates() {
        for (days, expected) in
            [(0, (1970, 1, 1)), (11_016, (2000, 2, 29)), (20_781, (2026, 11, 24)), (47_541, (2100, 3, 1))]
        {
            assert_eq!(date(days), expected);
        }
    }

    #[test]
    fn times_are_told_in_utc() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(rfc3339(20_781 * 86_400_000 + 75_909_120), "2026-11-24T21:05:09.120Z");
    }
}
