//! A line to a host by the cloud's agent on it (TAT), for when ssh lets nobody in. It has neither standard input nor a stream, at most
//! 64 KB go in and 24 KB come out. So a script goes there in pieces, is run once, and its answer comes back in pieces.
//! Each command may be sent twice and does its work once, for nobody knows whether one was carried out whose answer was lost.

use super::Access;
use super::answer::Trouble;
use super::client::Client;
use super::tat::{Agent, begin, run};
use crate::fault::{Fault, Result};
use crate::host::{Host, Later, Loss, LossKind, Reply, Request, quote, random_word};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::sync::Arc;

/// The most of a script in one command, quoted: with all around it, and in base64, below 64 KB.
const PIECE: usize = 40_000;
/// The most of an answer in one command: in base64, with what stands before it, below 24 KB.
const CHUNK: usize = 16_384;
/// The most of one output that a reply holds, in bytes: each chunk is a command.
const CAP: usize = 1 << 20;
/// For a command that only carries something, in seconds.
const CARRY: u64 = 60;

/// An instance that is reached by its agent.
pub struct Rescue {
    client: Arc<Client>,
    region: String,
    instance: String,
    user: String,
}

impl Rescue {
    /// As `user` on an instance.
    ///
    /// # Errors
    /// There is no key here.
    pub fn new(region: &str, instance: &str, user: &str) -> Result<Self> {
        let client = Client::of(&Access::default())?;
        Ok(Self { client, region: region.into(), instance: instance.into(), user: user.into() })
    }
}

impl Host for Rescue {
    fn call(&self, request: Request) -> Later<'_, std::result::Result<Reply, Loss>> {
        Box::pin(async move {
            if crate::secret::holds(&request.script) {
                // The cloud keeps what it runs, for whoever may read the account.
                let why = "this would carry a secret through the cloud, which keeps it".to_owned();
                return Err(Loss { kind: LossKind::Other, why });
            }
            let (client, region) = (Arc::clone(&self.client), self.region.clone());
            let (instance, user) = (self.instance.clone(), self.user.clone());
            let work = move || {
                let agent = Agent { region: &region, instance: &instance, user: &user };
                Exchange { client: &client, agent, word: random_word() }.all(&request)
            };
            let lost = |error: tokio::task::JoinError| Loss { kind: LossKind::Lost, why: error.to_string() };
            tokio::task::spawn_blocking(work).await.map_err(lost)?
        })
    }

    fn close(&self) -> Later<'_, ()> {
        Box::pin(async {})
    }
}

/// One script and its answer.
struct Exchange<'a> {
    client: &'a Client,
    agent: Agent<'a>,
    /// Names its directory, and no host knows it before.
    word: String,
}

/// How it ended, and how much there is to be had of what it said.
struct Ended {
    code: Option<i32>,
    out: u64,
    err: u64,
}

impl Exchange<'_> {
    fn all(&self, request: &Request) -> std::result::Result<Reply, Loss> {
        let pieces = pieces(&request.script);
        let Some((last, before)) = pieces.split_last() else { return Ok(Reply::default()) };
        for (n, piece) in before.iter().enumerate() {
            self.run(&self.put(n, piece), CARRY).map_err(|trouble| loss(trouble, LossKind::Other))?;
        }
        let seconds = request.timeout.as_secs().max(1);
        let begun = format!("{}{}", self.put(before.len(), last), self.start(pieces.len(), seconds));
        let first = self.run(&begun, seconds + CARRY).map_err(|trouble| loss(trouble, LossKind::Lost))?;
        let (ended, mut answer) = self.head(&first)?;
        let cap = |full: u64| usize::try_from(full).unwrap_or(CAP).min(CAP);
        let (out, err) = (cap(ended.out), cap(ended.err));
        while answer.len() < out + err {
            let said =
                self.run(&self.chunk(answer.len() / CHUNK), CARRY).map_err(|trouble| loss(trouble, LossKind::Lost))?;
            let more = decoded(&said)?;
            if more.is_empty() || more.len() > CHUNK {
                return Err(untrusted("a piece of its answer is not as long as it must be"));
            }
            answer.extend(more);
        }
        // Nobody waits for the tidying up.
        let _ = begin(self.client, self.agent, &format!("{}rm -rf \"$d\"\n", self.dir()), CARRY);
        if answer.len() != out + err {
            return Err(untrusted("its answer is longer than it said"));
        }
        let error = answer.split_off(out);
        let (code, timed_out) = (ended.code.unwrap_or(124), ended.code.is_none());
        Ok(Reply { code, timed_out, out: answer, err: error, out_full: ended.out, err_full: ended.err })
    }

    fn run(&self, script: &str, seconds: u64) -> std::result::Result<Vec<u8>, Trouble> {
        run(self.client, self.agent, script, seconds)
    }

    /// Where everything lies: root's alone where it is root, and nobody else's where it is not.
    fn dir(&self) -> String {
        format!(
            "LC_ALL=C; export LC_ALL; umask 077\nd=/tmp; [ -w /run ] && d=/run\nd=$d/.steadfast-{word}\n",
            word = self.word
        )
    }

    /// Puts one piece of the script there.
    fn put(&self, n: usize, piece: &str) -> String {
        format!(
            "{}mkdir -m 700 \"$d\" 2>/dev/null || {{ [ -d \"$d\" ] && [ ! -L \"$d\" ] && [ -O \"$d\" ]; }} || exit 9\nprintf %s {} >\"$d/s{n}\" || exit 9\n",
            self.dir(),
            quote(piece)
        )
    }

    /// Runs it, unless that was begun before, waits for its end, and says how that was, with the beginning of the answer.
    fn start(&self, pieces: usize, seconds: u64) -> String {
        let all: String = (0..pieces).map(|n| format!(" \"$d/s{n}\"")).collect();
        // `sh` writes its code down itself: where that is missing, it was ended.
        format!(
            r#"if mkdir "$d/b" 2>/dev/null; then
cat{all} >"$d/s" && rm -f{all}
PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin; export PATH
umask 022
timeout -k 5 {seconds} sh -c 'sh "$1/s" >"$1/o" 2>"$1/e" </dev/null; c=$?; umask 077; echo "$c" >"$1/c"' sh "$d" >/dev/null 2>&1
umask 077
c=-; [ -s "$d/c" ] && read -r c <"$d/c"
: >"$d/s"; touch "$d/o" "$d/e"
O=$(wc -c <"$d/o"); E=$(wc -c <"$d/e")
{{ head -c {CAP} "$d/o"; head -c {CAP} "$d/e"; }} >"$d/a"
echo {word} $c $O $E >"$d/t" && mv "$d/t" "$d/r"
fi
while [ ! -e "$d/r" ]; do sleep 1; done
cat "$d/r"
dd if="$d/a" bs={CHUNK} count=1 2>/dev/null | base64
"#,
            word = self.word
        )
    }

    /// Gives one more piece of the answer.
    fn chunk(&self, n: usize) -> String {
        format!("{}dd if=\"$d/a\" bs={CHUNK} skip={n} count=1 2>/dev/null | base64\n", self.dir())
    }

    /// The first line of what the start said, and the piece behind it.
    fn head(&self, said: &[u8]) -> std::result::Result<(Ended, Vec<u8>), Loss> {
        let text = String::from_utf8_lossy(said);
        let (line, rest) = text.split_once('\n').unwrap_or((&text, ""));
        let words: Vec<&str> = line.split_whitespace().collect();
        let [word, code, out, err] = words.as_slice() else { return Err(untrusted("it did not say how it ended")) };
        let (out, err) = (out.parse().ok(), err.parse().ok());
        let code = if *code == "-" { Some(None) } else { code.parse().ok().map(Some) };
        match (*word == self.word, code, out, err) {
            (true, Some(code), Some(out), Some(err)) => Ok((Ended { code, out, err }, decoded(rest.as_bytes())?)),
            _ => Err(untrusted("it did not say how it ended")),
        }
    }
}

/// A script in pieces that fit into a command once they are quoted.
fn pieces(script: &str) -> Vec<String> {
    let mut all = vec![String::new()];
    let mut length = 0;
    for letter in script.chars() {
        let more = if letter == '\'' { 4 } else { letter.len_utf8() };
        if length + more > PIECE {
            all.push(String::new());
            length = 0;
        }
        length += more;
        all.last_mut().into_iter().for_each(|last| last.push(letter));
    }
    all
}

fn decoded(said: &[u8]) -> std::result::Result<Vec<u8>, Loss> {
    let letters: Vec<u8> = said.iter().filter(|byte| !byte.is_ascii_whitespace()).copied().collect();
    STANDARD.decode(letters).map_err(|_| untrusted("a piece of its answer is no base64"))
}

fn untrusted(why: &str) -> Loss {
    Loss { kind: LossKind::Untrusted, why: why.into() }
}

/// What a trouble on the way means; `unsure`, where nobody knows whether it was done.
fn loss(trouble: Trouble, unsure: LossKind) -> Loss {
    let kind = if matches!(trouble, Trouble::Refused { .. }) { LossKind::Other } else { unsure };
    let fault = Fault::from(trouble);
    let cause = fault.cause().map(|cause| format!(": {cause}")).unwrap_or_default();
    Loss { kind, why: format!("{}{cause}", fault.what()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_cut_where_its_pieces_fit_and_nothing_of_it_is_lost() {
        let script = "'ü\n".repeat(30_000);
        let all = pieces(&script);
        assert_eq!(all.concat(), script);
        assert!(all.len() > 5 && all.iter().all(|piece| quote(piece).len() <= PIECE + 2));
        assert_eq!(pieces(""), [""]);
    }

    #[test]
    fn what_an_instance_says_of_an_end_is_held_to_its_form() {
        assert_eq!(decoded(b"aGV\nsbG8=\n").unwrap(), b"hello");
        for bad in ["aGV", "aGVsbG8=;", "\u{1b}[2J"] {
            assert_eq!(decoded(bad.as_bytes()).unwrap_err().kind, LossKind::Untrusted, "{bad}");
        }
    }
}
