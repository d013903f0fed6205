//! Days by the calendar, in UTC.

use crate::day::Day;

/// Days since 1970, by this machine's clock: the host's own word does not decide how long an address is good.
pub fn today() -> i64 {
    Day::today().days().cast_signed()
}

/// `2026-11-26`.
pub fn written(day: i64) -> String {
    Day::number(day.cast_unsigned()).to_string()
}

#[cfg(test)]
mod tests {
    use super::{today, written};

    #[test]
    fn days_have_their_dates() {
        for (day, date) in [
            (0, "1970-01-01"),
            (59, "1970-03-01"),
            (11_016, "2000-02-29"),
            (11_017, "2000-03-01"),
            (20_783, "2026-11-26"),
            (47_540, "2100-02-28"),
            (47_541, "2100-03-01"),
        ] {
            assert_eq!(written(day), date);
        }
        assert!(today() > 20_000);
    }
}
