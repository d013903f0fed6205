//! The lines of pg_hba.conf: who may come from where, and by which method.

use std::ops::Range;

/// A line that lets somebody in or keeps them out.
#[derive(Debug, PartialEq, Eq)]
pub struct Line<'t> {
    /// From 1; of the first of several lines that go on with `\`.
    pub number: usize,
    /// For the socket alone.
    pub is_local: bool,
    pub method: &'t str,
    /// Type, databases, users and address.
    words: Vec<&'t str>,
    /// Where the method stands in the text.
    at: Range<usize>,
}

impl Line<'_> {
    /// Whom it is about, in one line.
    pub fn who(&self) -> String {
        self.words.join(" ")
    }
}

impl Line<'_> {
    /// Whether it lets in somebody from another host, who proves who it is.
    pub fn is_remote(&self) -> bool {
        let own = |address: &&str| {
            let plain = address.trim_matches('"').split('/').next().unwrap_or_default();
            plain == "samehost" || crate::step::options::is_loopback(plain)
        };
        !self.is_local
            && !matches!(self.method, "trust" | "reject")
            && self.words.get(3).is_some_and(|address| !own(address))
    }
}

/// Where the words of a line stand: what is in quotes has blanks of its own, and a list goes on after a comma.
fn words(line: &str) -> Vec<Range<usize>> {
    let mut all: Vec<Range<usize>> = Vec::new();
    let (mut start, mut quoted, mut comma) = (None, false, false);
    for (at, sign) in line.char_indices() {
        match sign {
            '#' if !quoted => {
                all.extend(start.take().map(|start| start..at));
                return all;
            }
            sign if sign.is_whitespace() && !quoted => {
                if !comma {
                    all.extend(start.take().map(|start| start..at));
                }
            }
            _ => {
                if sign == '"' {
                    quoted = !quoted;
                }
                comma = sign == ',' && !quoted;
                start = start.or(Some(at));
            }
        }
    }
    all.extend(start.map(|start| start..line.trim_end().len()));
    all
}

/// All lines of access. A line that is not understood is none: the server refuses it as well.
pub fn lines(text: &str) -> Vec<Line<'_>> {
    let mut all = Vec::new();
    let mut offset = 0;
    let mut number = 0;
    let mut rest = text;
    while !rest.is_empty() {
        // A backslash at the end joins the next line.
        let mut length = 0;
        let first = number + 1;
        loop {
            let one = rest[length..].find('\n').map_or(rest.len() - length, |at| at + 1);
            let line = &rest[length..length + one];
            length += one;
            number += 1;
            if !line.trim_end_matches(['\n', '\r']).ends_with('\\') || length == rest.len() {
                break;
            }
        }
        all.extend(one(&rest[..length], offset, first));
        offset += length;
        rest = &rest[length..];
    }
    all
}

fn one(line: &str, offset: usize, number: usize) -> Option<Line<'_>> {
    let places: Vec<Range<usize>> = words(line).into_iter().filter(|at| &line[at.clone()] != "\\").collect();
    let told: Vec<&str> = places.iter().map(|at| &line[at.clone()]).collect();
    let is_local = match *told.first()? {
        "local" => true,
        "host" | "hostssl" | "hostnossl" | "hostgssenc" | "hostnogssenc" => false,
        _ => return None,
    };
    // Type, databases, users, then an address with perhaps a mask of its own.
    let mask = |word: &&&str| word.parse::<std::net::IpAddr>().is_ok();
    let method = match is_local {
        true => 3,
        false if told.get(4).filter(mask).is_some() => 5,
        false => 4,
    };
    let at = places.get(method)?;
    Some(Line {
        number,
        is_local,
        method: told[method],
        words: told[..method].to_vec(),
        at: offset + at.start..offset + at.end,
    })
}

/// The text with another method on this line.
pub fn with_method(text: &str, number: usize, method: &str) -> String {
    match lines(text).iter().find(|line| line.number == number) {
        Some(line) => format!("{}{method}{}", &text[..line.at.start], &text[line.at.end..]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# TYPE DATABASE\nlocal   all  postgres   peer\nhost all all 127.0.0.1/32 trust # why\n\
        host \"my db\",x, y all 10.0.0.0 255.0.0.0 md5 clientcert=verify-full\nhostssl all all \\\n  all password\n\
        include other.conf\nhost all all samenet\n";

    #[test]
    fn lines_are_read_and_one_word_is_changed() {
        let told: Vec<(usize, String, &str)> = lines(TEXT).iter().map(|l| (l.number, l.who(), l.method)).collect();
        let want = [
            (2, "local all postgres", "peer"),
            (3, "host all all 127.0.0.1/32", "trust"),
            (4, "host \"my db\",x, y all 10.0.0.0 255.0.0.0", "md5"),
            (5, "hostssl all all all", "password"),
        ];
        assert_eq!(told, want.map(|(number, who, method)| (number, who.to_owned(), method)));
        let new = with_method(TEXT, 4, "scram-sha-256");
        assert_eq!(new, TEXT.replace(" md5 ", " scram-sha-256 "));
        assert_eq!(with_method(&new, 4, "md5"), TEXT);
        assert_eq!(with_method(TEXT, 5, "reject"), TEXT.replace("password", "reject"));
        assert_eq!(with_method(TEXT, 1, "x"), TEXT);
    }
}
