//! Milliseconds since 1970 as dates and times, in UTC.

use crate::day::Day;
pub use crate::moment::lasts as length;

/// `2026-11-24T21:05:09.120Z`.
pub fn rfc3339(ms: u64) -> String {
    let (days, rest) = (ms / 86_400_000, ms % 86_400_000);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (rest / 3_600_000, rest / 60_000 % 60, rest / 1000 % 60);
    format!("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", rest % 1000)
}

/// Year, month and day of a number of days since 1970-01-01 (the Gregorian calendar in eras of 400 years).
pub fn date(days: u64) -> (u64, u64, u64) {
    Day::number(days).date()
}

/// When a run began, by its name: milliseconds since 1970. None where a name is no run's.
pub fn began(run: &str) -> Option<u64> {
    let number = |from: usize, to: usize| {
        let digits = run.get(from..to).filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?;
        digits.parse::<u64>().ok()
    };
    let day = Day::parse(&format!("{}-{}-{}", run.get(..4)?, run.get(4..6)?, run.get(6..8)?))?;
    let seconds = number(9, 11)? * 3600 + number(11, 13)? * 60 + number(13, 15)?;
    Some((day.days() * 86_400 + seconds) * 1000)
}

#[cfg(test)]
mod tests {
    use super::{began, date, length, rfc3339};
    use crate::day::Day;

    #[test]
    fn names_of_runs_tell_when_they_began() {
        for n in [0, 59, 60, 365, 11_016, 20_781, 47_541] {
            let (year, month, day) = date(n);
            assert_eq!(Day::parse(&format!("{year}-{month:02}-{day:02}")).map(Day::days), Some(n));
        }
        let run = "20261124-210509.120-abcd";
        assert_eq!(began(run).map(rfc3339).unwrap(), "2026-11-24T21:05:09.000Z");
        for name in ["", "r", "20269924-210509", "2026112é-210509", "last"] {
            assert_eq!(began(name), None, "{name}");
        }
        assert_eq!([length(90_000), length(3_600_000), length(9 * 86_400_000)], ["90 s", "60 min", "9 days"]);
    }

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
