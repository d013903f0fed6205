//! Days of the calendar.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

/// A day, as the number of days since 1970-01-01 (UTC).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Day(u64);

impl Day {
    pub fn today() -> Self {
        Self(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() / 86_400)
    }

    /// The day that `2026-12-31` means.
    pub fn parse(text: &str) -> Option<Self> {
        let parts: Vec<&str> = text.split('-').collect();
        let [year, month, day] = parts.as_slice() else { return None };
        let number = |part: &str, digits: usize| {
            let plain = part.len() == digits && part.bytes().all(|b| b.is_ascii_digit());
            part.parse::<u64>().ok().filter(|_| plain)
        };
        let (year, month, day) = (number(year, 4)?, number(month, 2)?, number(day, 2)?);
        if year < 1970 || !(1..=12).contains(&month) {
            return None;
        }
        // Years begin in March, so that the day that comes now and then is the last.
        let (shifted, months) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
        let (era, of_era) = (shifted / 400, shifted % 400);
        let of_year = (153 * months + 2) / 5 + day.checked_sub(1)?;
        let found = Self((era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year).checked_sub(719_468)?);
        (found.date() == (year, month, day)).then_some(found)
    }

    /// The day that is so many days after 1970-01-01.
    pub fn number(days: u64) -> Self {
        Self(days)
    }

    /// Days since 1970-01-01.
    pub fn days(self) -> u64 {
        self.0
    }

    /// Year, month and day (the Gregorian calendar in eras of 400 years).
    pub fn date(self) -> (u64, u64, u64) {
        let days = self.0 + 719_468;
        let (era, day) = (days / 146_097, days % 146_097);
        let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let month = (5 * day + 2) / 153;
        let (day, month) = (day - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
        (era * 400 + year + u64::from(month <= 2), month, day)
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.date();
        write!(f, "{year}-{month:02}-{day:02}")
    }
}

#[cfg(test)]
mod tests {
    use super::Day;

    #[test]
    fn days_are_dates() {
        for (days, text) in [(0, "1970-01-01"), (11_016, "2000-02-29"), (20_781, "2026-11-24"), (47_541, "2100-03-01")]
        {
            assert_eq!(Day::number(days).to_string(), text);
            assert_eq!(Day::parse(text), Some(Day::number(days)));
        }
        for none in ["2025-02-29", "2026-13-01", "2026-00-10", "2026-04-31", "2026-1-1", "26-01-01", "2026-12-31x", ""]
        {
            assert_eq!(Day::parse(none), None, "{none}");
        }
        assert!(Day::parse("2026-12-31") < Day::parse("2027-01-01") && Day::today() > Day::number(20_000));
    }
}
