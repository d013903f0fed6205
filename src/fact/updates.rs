//! How new the host is: its last upgrade, what waits, how old the lists of packages are, whether it must start anew.
//!
//! Nothing is fetched and nothing is written: `apt-get -s` works on the lists that are there, and it gets a place for its
//! cache and its logs where nobody can write, so that it keeps what it reckons in memory. It reads the cache of the lists,
//! where that is whole.

use super::package::MANAGER;
use super::read::{Asking, Sections, Whole, lossy};
use super::{Answer, Facts, Query};

/// How new the host is. Each part is known or not by itself.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Updates {
    /// Time of the host's clock, seconds since 1970.
    pub now: i64,
    /// When packages were last upgraded, or the automatic upgrade last ended well; `None`: never, as far as logs reach.
    pub upgraded: Result<Option<i64>, String>,
    /// When the lists of packages last changed or were last fetched well; `None`: there are none.
    pub lists: Result<Option<i64>, String>,
    /// What would be upgraded, by the lists that are there; what is held back counts.
    pub pending: Result<Vec<Pending>, String>,
    /// Why the host must start anew; `None`: it need not.
    pub reboot: Result<Option<String>, String>,
}

/// A package that waits for its upgrade.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Pending {
    pub package: String,
    pub security: bool,
}

const WORD: &str = "updates";

/// What apt's solver may not do here: take the lock, keep a cache, or leave what it was asked in `eipp.log.xz`.
const SOLVE: &str = "apt-get -s -qq -o Debug::NoLocking=1 -o Dir::Cache::pkgcache=/proc/steadfast/none \
     -o Dir::Log=/proc/steadfast --ignore-hold dist-upgrade";

pub fn ask(queries: &[Query]) -> Vec<Asking> {
    if !queries.contains(&Query::Updates) {
        return vec![];
    }
    // `newest`: of what is there, the time of the last change.
    let script = format!(
        r#"{MANAGER}
newest() {{ stat -c %Y -- "$@" | sort -n | tail -n 1; }}
last() {{ awk '$3=="upgrade"{{w[$4" "$6]=1}} $3=="status"&&$4=="installed"&&(($5" "$6) in w){{t=$1" "$2}} END{{if(t)print t}}'; }}
printf 'manager %s\n' "$p"; date '+now %s'
case $p in
dpkg)
for f in /var/log/dpkg.log /var/log/dpkg.log.[1-9] /var/log/dpkg.log.[1-9].gz /var/log/dpkg.log.1[0-9] /var/log/dpkg.log.1[0-9].gz; do
[ -e "$f" ] || continue
[ -r "$f" ] || {{ printf 'unread %s\n' "$f"; continue; }}
printf 'log %s\n' "$f"
case $f in *.gz) t=$(gzip -dc <"$f" | last);; *) t=$(last <"$f");; esac
[ -z "$t" ] || {{ printf 'upgraded %s\n' "$(date -d "$t" +%s)"; break; }}
done
printf 'upgraded %s\n' "$(newest /var/lib/apt/periodic/upgrade-stamp)"
set -- /var/lib/apt/lists/*_Packages*
if [ -e "$1" ]; then
printf 'lists %s\n' "$(newest /var/lib/apt/lists /var/lib/apt/periodic/update-stamp /var/lib/apt/periodic/update-success-stamp)"
{SOLVE}; printf 'solved %s\n' $?
fi;;
rpm)
printf 'upgraded %s\n' "$(rpm -qa --qf '%{{INSTALLTIME}}\n' | sort -n | tail -n 1)"
printf 'lists %s\n' "$(newest /var/cache/dnf/*/repodata /var/cache/libdnf5/*/repodata)";;
apk)
printf 'upgraded %s\n' "$(newest /lib/apk/db/installed /usr/lib/apk/db/installed)"
printf 'lists %s\n' "$(newest /var/cache/apk/APKINDEX* /etc/apk/cache/APKINDEX*)";;
esac
for f in /run/reboot-required /var/run/reboot-required; do [ ! -e "$f" ] || printf 'flag %s\n' "$f"; done
k=$(uname -r); printf 'kernel %s\n' "$k"
for f in /boot/vmlinuz-*; do [ ! -e "$f" ] || printf 'image %s\n' "${{f#/boot/vmlinuz-}}"; done
b=$(sed -n 's/.* Debian \([^ ]*\) (.*/\1/p' /proc/version)
[ "$p" != dpkg ] || [ -z "$b" ] || printf 'built %s %s\n' "$b" "$(dpkg-query -W -f '${{Version}}' "linux-image-$k")"
c 0"#
    );
    vec![Asking::new(WORD, script)]
}

pub fn answer(sections: &Sections<'_>, queries: &[Query], facts: &mut Facts) {
    if queries.contains(&Query::Updates) {
        facts.put(Query::Updates, sections.whole(WORD).and_then(|section| read(&section)).map(Answer::Updates));
    }
}

fn read(section: &Whole<'_>) -> Result<Updates, String> {
    let lines: Vec<String> = section.lines().map(lossy).collect();
    let all = |key: &str| {
        let value = |line: &String| line.strip_prefix(key)?.strip_prefix(' ').map(str::trim).map(ToOwned::to_owned);
        lines.iter().filter_map(value).filter(|value| !value.is_empty()).collect::<Vec<_>>()
    };
    let times = |key: &str| all(key).iter().filter_map(|time| time.parse::<i64>().ok()).max();
    let manager = all("manager").pop().unwrap_or_default();
    let known = matches!(manager.as_str(), "dpkg" | "rpm" | "apk");
    let no_manager = || "there is no dpkg, rpm or apk here".to_owned();
    let lists = if known { Ok(times("lists")) } else { Err(no_manager()) };
    Ok(Updates {
        now: times("now").ok_or("the host did not tell its clock")?,
        upgraded: match (times("upgraded"), all("unread").first(), manager.as_str()) {
            (_, _, _) if !known => Err(no_manager()),
            (None, Some(log), _) => Err(format!("{log} cannot be read")),
            (None, None, "dpkg") if all("log").is_empty() => Err("there is no /var/log/dpkg.log".into()),
            (time, _, _) => Ok(time),
        },
        pending: match (manager.as_str(), all("solved").first().map(String::as_str)) {
            ("dpkg", Some("0")) => pending(&lines),
            ("dpkg", Some(code)) => {
                Err(format!("apt cannot reckon what would be upgraded (apt-get -s ended with {code})"))
            }
            ("dpkg", None) => Err("there are no lists of packages, so what waits is not known".into()),
            ("rpm", _) => Err("dnf cannot be asked what waits without writing its caches".into()),
            ("apk", _) => Err("apk is not asked what waits".into()),
            _ => Err(no_manager()),
        },
        lists,
        reboot: reboot(&all("flag"), all("kernel").first(), &all("image"), all("built").first()),
    })
}

/// `Inst NAME [OLD] (NEW Origin:Release/suite, Other:… [arch]) …`
fn pending(lines: &[String]) -> Result<Vec<Pending>, String> {
    let one = |line: &String| {
        let rest = line.strip_prefix("Inst ")?;
        // What is new comes along with an upgrade; a new kernel is one that waits all the same.
        let (package, rest) = rest.split_once(' ')?;
        let from = rest.split_once('(').and_then(|(_, rest)| rest.split_once(')'))?.0.to_ascii_lowercase();
        let security = from.contains("-security") || from.contains("debian security");
        Some(Pending { package: package.to_owned(), security })
    };
    let told = lines.iter().filter(|line| line.starts_with("Inst "));
    told.map(|line| one(line).ok_or_else(|| format!("apt said what is not understood: {line}"))).collect()
}

fn reboot(
    flags: &[String],
    kernel: Option<&String>,
    images: &[String],
    built: Option<&String>,
) -> Result<Option<String>, String> {
    if let Some(flag) = flags.first() {
        return Ok(Some(format!("{flag} is there")));
    }
    let Some(kernel) = kernel else { return Err("the host did not tell its kernel".into()) };
    // A container, or a machine whose kernel comes from outside: there is none here that could be newer.
    if !images.contains(kernel) {
        return Ok(None);
    }
    let newer = images.iter().filter(|image| flavour(image) == flavour(kernel)).max_by_key(|image| natural(image));
    if let Some(newest) = newer.filter(|newest| natural(newest) > natural(kernel)) {
        return Ok(Some(format!("kernel {kernel} runs, {newest} is installed")));
    }
    Ok(match built.and_then(|built| built.split_once(' ')) {
        Some((runs, installed)) if runs != installed => {
            Some(format!("kernel {kernel} runs in version {runs}, installed is {installed}"))
        }
        _ => None,
    })
}

/// What stands behind the numbers of a kernel: `6.1.0-21-cloud-amd64` is `-cloud-amd64`.
fn flavour(image: &str) -> &str {
    let at = image.find(['-', '_']).unwrap_or(image.len());
    let rest = &image[at..];
    let end = rest.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(rest.len());
    &rest[end..]
}

/// Numbers as numbers, what is between them as text.
fn natural(text: &str) -> Vec<(u64, String)> {
    let mut parts = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        let words = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        parts.push((number.parse().unwrap_or(0), after[..words].to_owned()));
        rest = &after[words..];
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::{flavour, natural, pending, reboot};

    #[test]
    fn what_waits_is_told_with_where_it_comes_from() {
        let said = [
            "Inst bash [5.2.15-2+b8] (5.2.15-2+b13 Debian:12.15/oldstable [amd64])",
            "Inst libgcrypt20 [1.10.1-3] (1.10.1-3+deb12u1 Debian:12.15/oldstable, Debian-Security:12/oldstable-security [amd64]) []",
            "Conf bash (5.2.15-2+b13 Debian:12.15/oldstable [amd64])",
            "Inst linux-image-6.1.0-30-amd64 (6.1.124-1 Debian-Security:12/stable-security [amd64])",
            "Inst openssl [3.0.2-0ubuntu1.1] (3.0.2-0ubuntu1.18 Ubuntu:22.04/jammy-updates, Ubuntu:22.04/jammy-security [amd64])",
            "Inst vim [2:8.2] (2:8.3 Ubuntu:22.04/jammy-updates [amd64])",
        ];
        let found = pending(&said.map(String::from)).unwrap_or_default();
        let told: Vec<(&str, bool)> = found.iter().map(|one| (one.package.as_str(), one.security)).collect();
        let wanted = [
            ("bash", false),
            ("libgcrypt20", true),
            ("linux-image-6.1.0-30-amd64", true),
            ("openssl", true),
            ("vim", false),
        ];
        assert_eq!(told, wanted);
        assert!(pending(&["Inst bash".into()]).is_err());
    }

    #[test]
    fn a_newer_kernel_of_the_same_flavour_waits_for_a_start() {
        let kernel = "6.1.0-9-amd64".to_owned();
        let says = |images: &[&str], built: Option<&str>| {
            let images: Vec<String> = images.iter().map(|image| (*image).to_owned()).collect();
            reboot(&[], Some(&kernel), &images, built.map(String::from).as_ref()).unwrap_or_default()
        };
        assert!(says(&["6.1.0-9-amd64", "6.1.0-10-amd64"], None).is_some_and(|why| why.contains("6.1.0-10-amd64")));
        assert_eq!(says(&["6.1.0-9-amd64", "6.1.0-8-amd64", "6.1.0-10-cloud-amd64"], None), None);
        assert_eq!(says(&["6.12.0-1-amd64"], None), None, "the kernel that runs is none of those here");
        assert!(says(&["6.1.0-9-amd64"], Some("6.1.27-1 6.1.38-1")).is_some());
        assert_eq!(says(&["6.1.0-9-amd64"], Some("6.1.27-1 6.1.27-1")), None);
        assert_eq!(flavour("5.14.0-427.el9.x86_64"), flavour("5.14.0-362.8.1.el9.x86_64"));
        assert!(natural("5.14.0-427.el9") > natural("5.14.0-362.8.1.el9"));
    }
}
