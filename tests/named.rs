//! Files that the sshd of a host names elsewhere are ways in: who changes them, or a directory above them, proves that a new
//! login gets in, on the way forward and on the way back.

use crate::common::{Fleet, ends};
use crate::lockout;

const FOREIGN: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBrhkEKp6Y4Zz7kBlsSL5vNFyBOn0vJzXIPSrNYuuT5x a@b";

/// Whoever logs in has their keys in this directory from now on.
fn keys_in(fleet: &Fleet, host: &str, dir: &str) {
    let scene = format!(
        "mkdir -p {dir} && for u in root admin; do cp ~root/.ssh/authorized_keys {dir}/$u; done && chmod 755 {dir} && chmod 644 {dir}/* \
         && rm -f ~root/.ssh/authorized_keys ~admin/.ssh/authorized_keys \
         && echo 'AuthorizedKeysFile {dir}/%u' >/etc/ssh/sshd_config.d/00-keys.conf && systemctl reload ssh"
    );
    ends(&fleet.inside(host, &scene), 0);
}

/// A host with what would lock out there: a name, who logs in, the step.
type Cases<'a> = (&'a str, Vec<(&'a str, &'a str, String)>);

fn each_on_its_host(fleet: &Fleet, cases: [Cases<'_>; 2]) {
    std::thread::scope(|scope| {
        for (host, cases) in cases {
            scope.spawn(move || {
                for (name, user, step) in cases {
                    lockout::one(fleet, host, (name, user, &step)).unwrap();
                }
            });
        }
    });
}

#[test]
fn nobody_is_locked_out_by_what_sshd_names() {
    let fleet = Fleet::up(2);
    let (h1, h2) = ("/etc/keys", "/srv/keys");
    keys_in(&fleet, "h1", h1);
    keys_in(&fleet, "h2", h2);
    let swapped = |dir: &str, user: &str| format!("file: {{path: {dir}/{user}, content: \"{FOREIGN}\\n\"}}");
    let open = |dir: &str| format!("directory: {{path: {dir}, mode: \"0777\"}}");
    let cases = [
        (
            "h1",
            vec![
                ("named-swapped", "root", swapped(h1, "root")),
                ("named-open", "admin", open(h1)),
                ("named-gone", "root", format!("file: {{path: \"{h1}/*\", state: absent}}")),
                ("named-line", "root", format!("line: {{path: {h1}/root, match: '^ssh-', state: absent}}")),
                ("named-all", "root", "directory: {path: /etc, mode: \"0777\"}".into()),
            ],
        ),
        ("h2", vec![("srv-swapped", "admin", swapped(h2, "admin")), ("srv-open", "root", open(h2))]),
    ];
    each_on_its_host(&fleet, cases);
}

#[test]
fn nobody_is_locked_out_by_what_links_and_includes_lead_to() {
    let fleet = Fleet::up(2);
    keys_in(&fleet, "h1", "/etc/keys");
    let linked = "mkdir -p -m 755 /opt/real && mv /etc/keys/root /opt/real/root.keys && ln -s /opt/real/root.keys /etc/keys/root && systemctl reload ssh";
    ends(&fleet.inside("h1", linked), 0);
    let included = "mkdir -p /etc/sshinc /opt/deep /opt/own && echo 'Include /etc/sshinc/*.conf' >/etc/ssh/sshd_config.d/10-more.conf \
                    && echo 'Include \"/opt/deep/*.conf\"' >/etc/sshinc/a.conf && echo '# none' >/opt/own/n.conf \
                    && ln -s /opt/own/n.conf /etc/ssh/sshd_config.d/20-n.conf && mv ~root/.ssh/authorized_keys /opt/own/keys \
                    && ln -s /opt/own/keys ~root/.ssh/authorized_keys && systemctl reload ssh";
    ends(&fleet.inside("h2", included), 0);
    let says = |path: &str, text: &str| format!("file: {{path: {path}, content: \"{text}\\n\"}}");
    let cases = [
        ("h1", vec![("linked-keys", "root", says("/opt/real/root.keys", FOREIGN))]),
        (
            "h2",
            vec![
                ("linked-own", "root", says("/opt/own/keys", FOREIGN)),
                ("included", "root", says("/etc/sshinc/a.conf", "PermitRootLogin no")),
                ("included-deep", "root", says("/opt/deep/x.conf", "PubkeyAuthentication no")),
                ("included-link", "root", says("/opt/own/n.conf", "AllowUsers nobody")),
            ],
        ),
    ];
    each_on_its_host(&fleet, cases);
}

fn apply(fleet: &Fleet, steps: &str) -> crate::common::Run {
    let book = fleet.0.dir().join("book.yml");
    std::fs::write(&book, format!("hosts: h1\nbecome: true\nsteps:\n{steps}")).unwrap();
    fleet.steadfast(&["apply", &book.display().to_string(), "-i", &fleet.inventory(), "-y"])
}

#[test]
fn what_sshd_names_meanwhile_is_a_way_in_for_what_comes_later() {
    let fleet = Fleet::up(1);
    let key = fleet.inside("h1", "cat ~root/.ssh/authorized_keys").out.trim().to_owned();
    // Nobody comes in by it yet.
    let made = format!("  - {{id: key, file: {{path: /etc/keys/root, content: \"{key}\\n\", mode: \"0644\"}}}}\n");
    ends(&fleet.inside("h1", "mkdir -m 755 /etc/keys"), 0);
    let first = apply(&fleet, &made);
    ends(&first, 0);
    keys_in(&fleet, "h1", "/etc/keys");
    // The way back would take the key away by which the run comes in.
    let back = fleet.steadfast(&["rollback", "last", "-y"]);
    ends(&back, 5);
    assert!(back.out.contains("a new login is refused"), "{}", back.out);
    assert!(fleet.inside("h1", "test -s /etc/keys/root").code == 0);

    // One run moves the place and spoils the new one.
    let moved = format!(
        "  - {{id: key, file: {{path: /etc/other/root, content: \"{key}\\n\"}}}}\n  \
           - {{id: move, needs: [key], sshd: {{AuthorizedKeysFile: /etc/other/%u}}}}\n  \
           - {{id: spoil, needs: [move], file: {{path: /etc/other/root, mode: \"0666\"}}}}\n"
    );
    ends(&fleet.inside("h1", "mkdir -m 755 /etc/other; rm /etc/ssh/sshd_config.d/00-keys.conf; cp /etc/keys/root ~root/.ssh/authorized_keys; systemctl reload ssh"), 0);
    let run = apply(&fleet, &moved);
    ends(&run, 5);
    assert_eq!(fleet.inside("h1", "stat -c %a /etc/other/root").out.trim(), "600", "{}", run.out);
    let again =
        fleet.steadfast(&["check", &fleet.0.dir().join("book.yml").display().to_string(), "-i", &fleet.inventory()]);
    ends(&again, 2);
}
