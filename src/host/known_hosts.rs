//! What known_hosts say of a host: read, added to, and taken from, as the user's own ssh finds it there. A file is replaced
//! whole; lines of others stay as they are, byte for byte.

use super::PublicKey;
use super::lines::{Login, Settings};
use super::outside;
use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where a host stands in known_hosts.
pub struct Known {
    /// As ssh looks it up: `web1`, `[192.0.2.1]:2222`.
    name: String,
    files: Vec<PathBuf>,
}

/// A file as it was read at one moment.
struct Book {
    /// Behind all links.
    file: PathBuf,
    text: String,
    lines: Vec<Line>,
}

/// A line that speaks of the host.
struct Line {
    /// From 0.
    number: usize,
    /// Whom it names, hashed or not.
    hosts: String,
    key: PublicKey,
}

/// Asks ssh where it looks.
///
/// # Errors
/// It does not tell, or another thing than a file vouches for hosts.
pub async fn known(login: &Login, settings: &Settings) -> Result<Known, String> {
    let said = outside::configuration(login, settings).await?;
    let value = |key: &str| {
        let mut lines = said.lines().filter_map(|line| line.split_once(' '));
        lines.find(|(word, _)| *word == key).map(|(_, value)| value.trim()).filter(|value| *value != "none")
    };
    if value("knownhostscommand").is_some() {
        return Err("a KnownHostsCommand vouches for hosts, which cannot be told of a new key".into());
    }
    let host = value("hostname").ok_or("ssh does not tell where the host is")?;
    let port = value("port").unwrap_or("22");
    let name = match value("hostkeyalias") {
        Some(alias) => alias.to_owned(),
        None if port == "22" => host.to_owned(),
        None => format!("[{host}]:{port}"),
    };
    // Their names hold no blanks, or ssh could not be told of two.
    let files = ["userknownhostsfile", "globalknownhostsfile"].iter().filter_map(|key| value(key));
    let files = files.flat_map(str::split_whitespace).map(home).filter(|file| file.exists()).collect();
    Ok(Known { name: name.to_lowercase(), files })
}

fn home(path: &str) -> PathBuf {
    match (path.strip_prefix("~/"), std::env::var_os("HOME")) {
        (Some(rest), Some(home)) => Path::new(&home).join(rest),
        _ => PathBuf::from(path),
    }
}

impl Known {
    /// The keys by which the host is known.
    ///
    /// # Errors
    /// A file cannot be read, or knows the host otherwise than by a key.
    pub fn keys(&self) -> Result<Vec<PublicKey>, String> {
        Ok(self.books()?.into_iter().flat_map(|book| book.lines).map(|line| line.key).collect())
    }

    /// Beside each line with an old key comes one with the new key, for the same names.
    ///
    /// # Errors
    /// No line has an old key, or a file cannot be written; then nothing was.
    pub fn learn(&self, old: &[PublicKey], new: &PublicKey) -> Result<(), String> {
        let _held = self.held()?;
        let books = self.books()?;
        let is_old = |line: &&Line| old.iter().any(|old| old.is(&line.key));
        if !books.iter().flat_map(|book| &book.lines).any(|line| is_old(&line)) {
            return Err(format!("no line of known_hosts has the key that {} shows now", self.name));
        }
        for book in &books {
            let mut last: Vec<(usize, &str)> = Vec::new();
            for line in book.lines.iter().filter(is_old) {
                // Of several keys of one name, one line is enough.
                match last.iter_mut().find(|(_, hosts)| *hosts == line.hosts) {
                    Some(seen) => seen.0 = line.number,
                    None => last.push((line.number, &line.hosts)),
                }
            }
            last.retain(|(_, hosts)| !book.lines.iter().any(|line| line.hosts == *hosts && line.key.is(new)));
            if last.is_empty() {
                continue;
            }
            book.change(|number, line| {
                let mut text = line.to_owned();
                if let Some((_, hosts)) = last.iter().find(|(at, _)| *at == number) {
                    let end = if line.ends_with('\n') { "" } else { "\n" };
                    text.push_str(&format!("{end}{hosts} {} {}\n", new.kind, new.data));
                }
                text
            })?;
        }
        Ok(())
    }

    /// Lines with these keys go, as far as they speak of this host; a line that names one of the `others` as well loses
    /// this host's name alone.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn forget(&self, old: &[PublicKey], others: &BTreeSet<String>) -> Result<(), String> {
        let _held = self.held()?;
        for book in self.books()? {
            let gone: Vec<&Line> = book.lines.iter().filter(|line| old.iter().any(|old| old.is(&line.key))).collect();
            if gone.is_empty() {
                continue;
            }
            book.change(|number, text| {
                let Some(line) = gone.iter().find(|line| line.number == number) else { return text.to_owned() };
                let names = || line.hosts.split(',');
                if !names().any(|name| others.contains(&name.to_lowercase())) {
                    return String::new();
                }
                let rest: Vec<&str> = names().filter(|name| name.to_lowercase() != self.name).collect();
                let (_, key) = text.split_at(text.find(&line.hosts).unwrap_or_default() + line.hosts.len());
                if rest.is_empty() { String::new() } else { format!("{}{key}", rest.join(",")) }
            })?;
        }
        Ok(())
    }

    /// The directories of the files, each held once and in one order: from the reading to the writing no other run of ours,
    /// here or in another process, moves a line.
    fn held(&self) -> Result<Vec<fs::File>, String> {
        let directories: BTreeSet<PathBuf> = self.files.iter().map(|file| directory(file)).collect::<Result<_, _>>()?;
        let hold = |path: PathBuf| {
            let held = fs::File::open(&path)?;
            rustix::fs::flock(&held, rustix::fs::FlockOperation::LockExclusive)?;
            Ok(held)
        };
        let named = |path: PathBuf| hold(path.clone()).map_err(|error| cannot(&path, error));
        directories.into_iter().map(named).collect()
    }

    fn books(&self) -> Result<Vec<Book>, String> {
        self.files.iter().map(|file| self.book(file)).collect()
    }

    fn book(&self, file: &Path) -> Result<Book, String> {
        let unread = |error: std::io::Error| format!("{} cannot be read: {error}", file.display());
        let bytes = fs::read(file).map_err(unread)?;
        let text = String::from_utf8(bytes).map_err(|_| format!("{} is not UTF-8 text", file.display()))?;
        let mut lines = Vec::new();
        for number in found(&self.name, &text)? {
            let line = number.checked_sub(1).and_then(|at| text.split_inclusive('\n').nth(at)).unwrap_or_default();
            let hosts = line.split_whitespace().next().unwrap_or_default();
            if hosts.starts_with('@') {
                return Err(format!("{} knows {} by {hosts}", file.display(), self.name));
            }
            if hosts.contains(['*', '?', '!']) {
                return Err(format!(
                    "{} knows {} by the pattern {hosts}: give it a line of its own",
                    file.display(),
                    self.name
                ));
            }
            if let Some(key) = PublicKey::of_line(line) {
                lines.push(Line { number: number - 1, hosts: hosts.to_owned(), key });
            }
        }
        Ok(Book { file: fs::canonicalize(file).map_err(unread)?, text, lines })
    }
}

impl Book {
    /// Replaces the file whole, line by line; links are followed, mode and owner stay.
    fn change(&self, mut line: impl FnMut(usize, &str) -> String) -> Result<(), String> {
        let cannot = |error| cannot(&self.file, error);
        let directory = directory(&self.file)?;
        let was = fs::metadata(&self.file).map_err(cannot)?;
        let new: String =
            self.text.split_inclusive('\n').enumerate().map(|(number, text)| line(number, text)).collect();
        let mut temporary = tempfile::Builder::new().prefix(".known_hosts-").tempfile_in(&directory).map_err(cannot)?;
        temporary.write_all(new.as_bytes()).map_err(cannot)?;
        fs::set_permissions(temporary.path(), fs::Permissions::from_mode(was.mode() & 0o7777)).map_err(cannot)?;
        // Root may keep the file of another.
        let _ = std::os::unix::fs::chown(temporary.path(), Some(was.uid()), Some(was.gid()));
        temporary.as_file().sync_all().map_err(cannot)?;
        temporary.persist(&self.file).map_err(|error| cannot(error.error))?;
        fs::File::open(&directory).and_then(|directory| directory.sync_all()).map_err(cannot)
    }
}

fn cannot(path: &Path, error: std::io::Error) -> String {
    format!("{} cannot be changed: {error}", path.display())
}

/// Where a file really is.
fn directory(file: &Path) -> Result<PathBuf, String> {
    let real = fs::canonicalize(file).map_err(|error| cannot(file, error))?;
    real.parent().map(Path::to_owned).ok_or_else(|| format!("{} is in no directory", file.display()))
}

/// The numbers of lines (from 1) that speak of a name, as OpenSSH finds them, hashed ones too. It is given a copy, because
/// numbers are worth nothing where the file changed since it was read.
fn found(name: &str, text: &str) -> Result<Vec<usize>, String> {
    let copied = |error: std::io::Error| format!("known_hosts cannot be copied for ssh-keygen: {error}");
    let mut copy = tempfile::NamedTempFile::new().map_err(copied)?;
    copy.write_all(text.as_bytes()).map_err(copied)?;
    let mut command = Command::new("ssh-keygen");
    super::bare(&mut command);
    command.args(["-F", name, "-f"]).arg(copy.path()).env("LC_ALL", "C").stdin(Stdio::null());
    let said = command.output().map_err(|error| format!("cannot start ssh-keygen: {error}"))?;
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    let mut numbers: Vec<usize> = text
        .lines()
        .filter(|line| line.starts_with("# Host "))
        .filter_map(|line| line.rsplit_once(" found: line ")?.1.split_whitespace().next()?.parse().ok())
        .collect();
    numbers.sort_unstable();
    numbers.dedup();
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBrhkEKp6Y4Zz7kBlsSL5vNFyBOn0vJzXIPSrNYuuT5x";
    const NEW: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKsmnlVVRyrZHzdy3oNtMJjO9YKtRdwnG/KGkSQ1KVq2";

    fn known(name: &str, text: &str) -> (tempfile::TempDir, Known) {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("known_hosts");
        fs::write(&file, text).unwrap();
        (dir, Known { name: name.into(), files: vec![file] })
    }

    fn text(known: &Known) -> String {
        fs::read_to_string(&known.files[0]).unwrap()
    }

    #[test]
    fn a_new_key_stands_beside_the_old_one_and_then_alone() {
        let [old, new] = [OLD, NEW].map(|line| PublicKey::of_line(line).unwrap());
        let (_dir, one) = known("web1", &format!("# mine\nother {OLD}\nweb1,192.0.2.1 {OLD} was\nweb2 {OLD}"));
        one.learn(std::slice::from_ref(&old), &new).unwrap();
        one.learn(std::slice::from_ref(&old), &new).unwrap();
        let both = format!("# mine\nother {OLD}\nweb1,192.0.2.1 {OLD} was\nweb1,192.0.2.1 {NEW}\nweb2 {OLD}");
        assert_eq!((text(&one), one.keys().unwrap().len()), (both, 2));
        one.forget(std::slice::from_ref(&old), &BTreeSet::new()).unwrap();
        assert_eq!(text(&one), format!("# mine\nother {OLD}\nweb1,192.0.2.1 {NEW}\nweb2 {OLD}"));
        assert!(
            one.learn(std::slice::from_ref(&old), &new).is_err(),
            "who is not known by the old key is not made known"
        );
    }

    #[test]
    fn another_host_of_the_same_line_keeps_it_and_hashed_names_are_found() {
        let [old, new] = [OLD, NEW].map(|line| PublicKey::of_line(line).unwrap());
        let (_dir, one) = known("web1", &format!("web1,web2 {OLD} x\n"));
        one.forget(std::slice::from_ref(&old), &BTreeSet::from(["web2".to_owned()])).unwrap();
        assert_eq!(text(&one), format!("web2 {OLD} x\n"));
        let (dir, one) = known("web1", &format!("web1 {OLD}\n"));
        let hash =
            Command::new("ssh-keygen").args(["-q", "-H", "-f"]).arg(dir.path().join("known_hosts")).output().unwrap();
        assert!(hash.status.success() && text(&one).starts_with("|1|"), "{}", text(&one));
        one.learn(&[old], &new).unwrap();
        assert_eq!(one.keys().unwrap().len(), 2);
        let (_dir, one) = known("web1", &format!("web* {OLD}\n"));
        assert!(one.keys().unwrap_err().contains("the pattern web*"));
    }

    #[test]
    fn those_who_change_one_file_together_take_only_their_own_lines() {
        let [old, new] = [OLD, NEW].map(|line| PublicKey::of_line(line).unwrap());
        let names = || (0..8).map(|n| format!("web{n}"));
        let (dir, _) = known("", &names().map(|name| format!("{name} {OLD}\n")).collect::<String>());
        let file = dir.path().join("known_hosts");
        std::thread::scope(|scope| {
            for name in names() {
                let one = Known { name, files: vec![file.clone()] };
                let (old, new) = (std::slice::from_ref(&old), &new);
                scope.spawn(move || {
                    one.learn(old, new).unwrap();
                    one.forget(old, &BTreeSet::new()).unwrap();
                });
            }
        });
        let expected: String = names().map(|name| format!("{name} {NEW}\n")).collect();
        assert_eq!(fs::read_to_string(&file).unwrap(), expected);
    }
}
