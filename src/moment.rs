//! Ages and moments as people write them, in milliseconds.

use crate::day::Day;

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
    let time: Vec<u64> = time.strip_suffix('Z')?.split(':').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    let [hour, minute, second]: [u64; 3] = time.try_into().ok()?;
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    Some(Day::parse(date)?.days() * DAY + ((hour * 60 + minute) * 60 + second) * 1000)
}

/// Of which day a time is.
pub fn day(ms: u64) -> String {
    Day::number(ms / DAY).to_string()
}

/// A moment as people write it, to the second: `2026-11-27T02:00:00Z`.
pub fn written(ms: u64) -> String {
    let seconds = ms / 1000;
    format!("{}T{:02}:{:02}:{:02}Z", day(ms), seconds / 3600 % 24, seconds / 60 % 60, seconds % 60)
}

/// A length in a word or two: `26 h`, `3 days`.
pub fn lasts(ms: u64) -> String {
    let seconds = ms / 1000;
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_and_moments_are_understood() {
        assert_eq!(
            [length("90d"), length("12h"), length("0d"), length("d"), length("9"), length("")].map(|l| l.unwrap_or(1)),
            [90 * DAY, DAY / 2, 1, 1, 1, 1]
        );
        assert_eq!(moment("1970-01-02"), Some(DAY));
        assert_eq!(moment("2026-11-24T21:05:09Z"), Some(20_781 * DAY + 75_909_000));
        for day in ["1970-01-01", "2000-02-29", "2026-11-24", "2100-03-01", "2026-12-31"] {
            assert_eq!(super::day(moment(day).unwrap()), day);
        }
        assert_eq!(written(moment("2026-11-24T21:05:09Z").unwrap()), "2026-11-24T21:05:09Z");
        assert_eq!([lasts(90_000), lasts(7_200_000), lasts(9 * DAY)], ["90 s", "2 h", "9 days"]);
        for bad in
            ["2026-13-01", "2026-11", "2026-11-24T21:05:09", "x", "2026-11-24T24:00:00Z", "1969-01-01", "2026-02-30"]
        {
            assert_eq!(moment(bad), None, "{bad}");
        }
    }
}
