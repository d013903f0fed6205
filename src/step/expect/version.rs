//! The order of package versions, as dpkg and rpm know it.

use std::cmp::Ordering;

/// Which of two versions is newer, by the rules of the host's package manager; `None` where these are not known here.
pub fn compare(manager: &str, a: &str, b: &str) -> Option<Ordering> {
    match manager {
        "dpkg" => Some(dpkg(a, b)),
        "rpm" => Some(rpm(a, b)),
        _ => None,
    }
}

fn epoch(version: &str) -> (u64, &str) {
    version.split_once(':').map_or((0, version), |(epoch, rest)| (epoch.parse().unwrap_or(0), rest))
}

fn dpkg(a: &str, b: &str) -> Ordering {
    let ((epoch_a, a), (epoch_b, b)) = (epoch(a), epoch(b));
    // Without a revision it is `0`, which is what nothing is worth.
    let split = |version: &str| match version.rsplit_once('-') {
        Some((version, revision)) => (version.to_owned(), revision.to_owned()),
        None => (version.to_owned(), String::new()),
    };
    let ((a, revision_a), (b, revision_b)) = (split(a), split(b));
    epoch_a.cmp(&epoch_b).then_with(|| parts(&a, &b)).then_with(|| parts(&revision_a, &revision_b))
}

/// Policy §5.6.12: what is no digit by its own order, then digits as a number, and so on.
fn parts(mut a: &str, mut b: &str) -> Ordering {
    while !a.is_empty() || !b.is_empty() {
        let (text_a, rest_a) = cut(a, |c| !c.is_ascii_digit());
        let (text_b, rest_b) = cut(b, |c| !c.is_ascii_digit());
        let (number_a, next_a) = cut(rest_a, |c| c.is_ascii_digit());
        let (number_b, next_b) = cut(rest_b, |c| c.is_ascii_digit());
        let order = text(text_a, text_b).then_with(|| number(number_a, number_b));
        if order.is_ne() {
            return order;
        }
        (a, b) = (next_a, next_b);
    }
    Ordering::Equal
}

fn cut(text: &str, is: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !is(c)).unwrap_or(text.len()))
}

/// `~` is before the end, letters are before all else.
fn text(a: &str, b: &str) -> Ordering {
    let weight = |c: char| match c {
        '~' => -1,
        c if c.is_ascii_alphabetic() => c as i32,
        c => c as i32 + 0x11_0000,
    };
    let (mut a, mut b) = (a.chars().map(weight), b.chars().map(weight));
    loop {
        match (a.next(), b.next()) {
            (None, None) => return Ordering::Equal,
            (x, y) => match x.unwrap_or(0).cmp(&y.unwrap_or(0)) {
                Ordering::Equal => {}
                order => return order,
            },
        }
    }
}

/// Digits of any length.
fn number(a: &str, b: &str) -> Ordering {
    let (a, b) = (a.trim_start_matches('0'), b.trim_start_matches('0'));
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

/// A wish without a release is about the version alone.
fn rpm(a: &str, b: &str) -> Ordering {
    let ((epoch_a, a), (epoch_b, b)) = (epoch(a), epoch(b));
    let split = |version: &str| match version.rsplit_once('-') {
        Some((version, release)) => (version.to_owned(), Some(release.to_owned())),
        None => (version.to_owned(), None),
    };
    let ((a, release_a), (b, release_b)) = (split(a), split(b));
    let releases = || match (release_a, release_b) {
        (Some(a), Some(b)) => segments(&a, &b),
        _ => Ordering::Equal,
    };
    epoch_a.cmp(&epoch_b).then_with(|| segments(&a, &b)).then_with(releases)
}

/// rpmvercmp: runs of digits and of letters, `~` before nothing, `^` after it; a number is newer than letters.
fn segments(mut a: &str, mut b: &str) -> Ordering {
    let skip = |c: char| !c.is_ascii_alphanumeric() && c != '~' && c != '^';
    loop {
        (a, b) = (a.trim_start_matches(skip), b.trim_start_matches(skip));
        match (a.strip_prefix('~'), b.strip_prefix('~')) {
            (Some(x), Some(y)) => {
                (a, b) = (x, y);
                continue;
            }
            (Some(_), None) => return Ordering::Less,
            (None, Some(_)) => return Ordering::Greater,
            (None, None) => {}
        }
        match (a.strip_prefix('^'), b.strip_prefix('^')) {
            (Some(x), Some(y)) => {
                (a, b) = (x, y);
                continue;
            }
            (Some(_), None) => return if b.is_empty() { Ordering::Greater } else { Ordering::Less },
            (None, Some(_)) => return if a.is_empty() { Ordering::Less } else { Ordering::Greater },
            (None, None) => {}
        }
        if a.is_empty() || b.is_empty() {
            return a.len().cmp(&b.len());
        }
        let digits = a.starts_with(|c: char| c.is_ascii_digit());
        if digits != b.starts_with(|c: char| c.is_ascii_digit()) {
            return if digits { Ordering::Greater } else { Ordering::Less };
        }
        let run = |c: char| if digits { c.is_ascii_digit() } else { c.is_ascii_alphabetic() };
        let ((x, rest_a), (y, rest_b)) = (cut(a, run), cut(b, run));
        let order = if digits { number(x, y) } else { x.cmp(y) };
        if order.is_ne() {
            return order;
        }
        (a, b) = (rest_a, rest_b);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rising(compare: fn(&str, &str) -> Ordering, versions: &[&str]) {
        for (n, older) in versions.iter().enumerate() {
            assert_eq!(compare(older, older), Ordering::Equal, "{older}");
            for newer in &versions[n + 1..] {
                assert_eq!(compare(older, newer), Ordering::Less, "{older} < {newer}");
                assert_eq!(compare(newer, older), Ordering::Greater, "{newer} > {older}");
            }
        }
    }

    #[test]
    fn as_dpkg_orders_them() {
        rising(dpkg, &["1.0~~", "1.0~~a", "1.0~", "1.0", "1.0a", "1.0+b", "1.0.1", "1.1~rc1-1", "1.1-1", "1.1-1+deb12u1"]);
        rising(dpkg, &["2:1.0", "3:0.1"]);
        rising(dpkg, &["1:8.4p1-5+deb11u3", "1:9.2", "1:9.2p1-2", "1:9.2p1-2+deb12u10", "1:10.0p1-7"]);
        rising(dpkg, &["9", "10", "99999999999999999999998", "99999999999999999999999"]);
        for (a, b) in [("1.0", "1.0-0"), ("0:1", "1"), ("1.01", "1.1"), ("1.0", "1.00")] {
            assert_eq!(dpkg(a, b), Ordering::Equal, "{a} = {b}");
        }
    }

    #[test]
    fn as_rpm_orders_them() {
        rising(rpm, &["1.0~rc1", "1.0", "1.0^git1", "1.0.1", "1.1", "1.10"]);
        rising(rpm, &["8.0p1-4.el9", "8.7p1-38.el9", "1:1.0-1"]);
        rising(rpm, &["1.a", "1.1"]);
        assert_eq!(rpm("8.7p1-38.el9", "8.7p1"), Ordering::Equal);
    }
}
