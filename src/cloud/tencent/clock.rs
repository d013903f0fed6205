//! The clock of the other side, as its answers tell it.

use crate::day::Day;

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// The seconds since 1970 of a `Date` header (`Fri, 27 Nov 2026 05:16:16 GMT`).
pub(super) fn seconds(date: &str) -> Option<u64> {
    let words: Vec<&str> = date.split_ascii_whitespace().collect();
    let [_, day, month, year, time, "GMT"] = words.as_slice() else { return None };
    let month = MONTHS.iter().position(|known| known == month)? + 1;
    let day = Day::parse(&format!("{year}-{month:02}-{day:0>2}"))?;
    let parts: Vec<u64> = time.split(':').map(str::parse).collect::<Result<_, _>>().ok()?;
    let [hour, minute, second] = parts.as_slice() else { return None };
    Some(((day.days() * 24 + hour) * 60 + minute) * 60 + second)
}

/// How far this clock is from that one, in words.
pub(super) fn difference(ours: u64, theirs: u64) -> String {
    let (gap, side) = if ours < theirs { (theirs - ours, "behind") } else { (ours - theirs, "ahead of") };
    let told = match gap {
        0..60 => format!("{gap} s"),
        60..3600 => format!("{} min {} s", gap / 60, gap % 60),
        _ => format!("{} h {} min", gap / 3600, gap / 60 % 60),
    };
    format!("the clock of this machine is {told} {side} theirs")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_answers_are_read() {
        assert_eq!(seconds("Mon, 25 Feb 2019 16:44:25 GMT"), Some(1_551_113_065));
        assert_eq!(seconds("Thu, 1 Jan 1970 00:00:00 GMT"), Some(0));
        for none in ["", "yesterday", "Mon, 25 Feb 2019 16:44:25 CET", "Mon, 31 Feb 2019 16:44:25 GMT"] {
            assert_eq!(seconds(none), None, "{none}");
        }
        assert_eq!(difference(100, 560), "the clock of this machine is 7 min 40 s behind theirs");
        assert_eq!(difference(7300, 0), "the clock of this machine is 2 h 1 min ahead of theirs");
    }
}
