//! Ages and moments as people write them, in milliseconds.

const DAY: u64 = 86_400_000;

/// `90d`, `12h`, `30m`, `10s`.
pub fn length(text: &str) -> Option<u64> {
    let times = match text.chars().last()? {
        'd' => DAY,
        'h' => 3_600_000,
        'm' => 60_000,
        's' => 1000,
        _ => return None,
    };
    let number: u64 = text[..text.len() - 1].parse().ok()?;
    number.checked_mul(times).filter(|length| *length > 0)
}

/// `2026-11-27` or `2026-11-27T02:00:00Z`, since 1970.
pub fn moment(text: &str) -> Option<u64> {
    let (date, time) = text.split_once('T').unwrap_or((text, "00:00:00Z"));
    let numbers = |text: &str, sign: char| -> Option<[u64; 3]> {
        let all: Vec<u64> = text.split(sign).map(|part| part.parse().ok()).collect::<Option<_>>()?;
        all.try_into().ok()
    };
    let [year, month, day] = numbers(date, '-')?;
    let [hour, minute, second] = numbers(time.strip_suffix('Z')?, ':')?;
    if !(1970..10_000).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    Some(days(year, month, day) * DAY + ((hour * 60 + minute) * 60 + second) * 1000)
}

/// Days since 1970 (the Gregorian calendar in eras of 400 years).
fn days(year: u64, month: u64, day: u64) -> u64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year) = (year / 400, year % 400);
    let day = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year * 365 + year / 4 - year / 100 + day - 719_468
}

/// Of which day a time is.
pub fn day(ms: u64) -> String {
    crate::step::user::date(i64::try_from(ms / DAY).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_and_moments_are_understood() {
        assert_eq!([length("90d"), length("12h"), length("0d"), length("d"), length("9"), length("")].map(|l| l.unwrap_or(1)),
            [90 * DAY, DAY / 2, 1, 1, 1, 1]);
        assert_eq!(moment("1970-01-02"), Some(DAY));
        assert_eq!(moment("2026-11-24T21:05:09Z"), Some(20_781 * DAY + 75_909_000));
        assert_eq!(day(moment("2026-11-24").unwrap()), "2026-11-24");
        for bad in ["2026-13-01", "2026-11", "2026-11-24T21:05:09", "x", "2026-11-24T24:00:00Z", "1969-01-01"] {
            assert_eq!(moment(bad), None, "{bad}");
        }
    }
}
