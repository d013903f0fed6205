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

#[test]
fn nobody_is_locked_out_by_what_a_login_goes_by_after_sshd() {
    let fleet = Fleet::up(2);
    let h1 = "echo '@include /etc/sudoers.local' >>/etc/sudoers && echo 'Defaults !lecture' >/etc/sudoers.local && chmod 440 /etc/sudoers.local \
              && mkdir -p /opt/tools/bin && cp /bin/bash /opt/tools/bin/ksh93 && echo /opt/tools/bin/ksh93 >>/etc/shells && usermod -s /opt/tools/bin/ksh93 admin \
              && printf '[Service]\\nType=oneshot\\nRemainAfterExit=yes\\nExecStart=/bin/true\\n' >/etc/systemd/system/keysync.service \
              && mkdir -p /etc/systemd/system/ssh.service.d && printf '[Unit]\\nRequires=keysync.service\\nAfter=keysync.service\\n' >/etc/systemd/system/ssh.service.d/a.conf \
              && systemctl daemon-reload && systemctl start keysync && systemctl restart ssh";
    let h2 = "printf 'root\\nadmin\\n' >/etc/sshd.allow && sed -i '1i account required pam_listfile.so item=user sense=allow file=/etc/sshd.allow onerr=fail' /etc/pam.d/sshd \
              && groupadd -g 3999 sshusers && usermod -aG sshusers admin && mkdir -m 750 /etc/keys && cp ~root/.ssh/authorized_keys /etc/keys/admin && chgrp -R sshusers /etc/keys \
              && chmod 640 /etc/keys/admin && printf 'Match User admin\\nAuthorizedKeysFile /etc/keys/%%u\\n' >/etc/ssh/sshd_config.d/99-a.conf && systemctl reload ssh";
    ends(&fleet.inside("h1", h1), 0);
    ends(&fleet.inside("h2", h2), 0);
    let cases = [
        (
            "h1",
            vec![
                (
                    "sudo-included",
                    "admin",
                    "file: {path: /etc/sudoers.local, content: \"admin ALL=(ALL) !ALL\\n\"}".into(),
                ),
                ("own-shell", "admin", "file: {path: \"/opt/tools/bin/*\", max_mode: \"0600\"}".into()),
            ],
        ),
        (
            "h2",
            vec![
                ("pam-named", "root", "file: {path: /etc/sshd.allow, content: \"ops\\n\"}".into()),
                ("group-number", "admin", "group: {name: sshusers, gid: 4000}".into()),
            ],
        ),
    ];
    each_on_its_host(&fleet, cases);
    // A login that runs one command does not see what ends a shell.
    for (at, step) in [
        ("/etc/profile.d/bye.sh", "file: {path: /etc/profile.d/bye.sh, content: \"echo bye; exit 1\\n\"}"),
        ("/etc/bash.bashrc", "line: {path: /etc/bash.bashrc, line: exec false}"),
    ] {
        let run = apply(&fleet, &format!("  - {{id: shell, {step}}}\n"));
        ends(&run, 5);
        assert!(run.flat().contains("an interactive login ends at once"), "{at}: {}", run.out);
    }
    ends(&apply(&fleet, "  - {id: shell, file: {path: /etc/profile.d/hello.sh, content: \"echo hello\\n\"}}\n"), 0);
    // Who logs in as root is guarded without `become`; a list that does not end is taken for any path.
    ends(&fleet.inside("h1", "mkdir -p /etc/keys2 && cp ~root/.ssh/authorized_keys /etc/keys2/root && echo 'AuthorizedKeysFile /etc/keys2/%u .ssh/none' >/etc/ssh/sshd_config.d/00-k.conf && rm ~root/.ssh/authorized_keys && systemctl reload ssh"), 0);
    let book = fleet.0.dir().join("plain.yml");
    let plainly = |path: &str| {
        std::fs::write(
            &book,
            format!("hosts: h1\nsteps:\n- {{id: it, file: {{path: {path}, content: \"none\\n\"}}}}\n"),
        )
        .unwrap();
        fleet.steadfast(&["apply", &book.display().to_string(), "-i", &fleet.inventory(), "-y"])
    };
    ends(&plainly("/etc/keys2/root"), 5);
    ends(&fleet.inside("h1", "mkfifo /etc/pam.d/zz-fifo; for n in $(seq 600); do echo \"account optional pam_x.so file=/srv/a/$n\"; done >/etc/pam.d/many"), 0);
    ends(&plainly("/etc/keys2/root"), 5);
    ends(&fleet.inside("h1", "rm /etc/pam.d/zz-fifo /etc/pam.d/many"), 0);
    // Nor is it stopped by what stands between, however it stands there.
    let between = "printf '[Unit]\\nPropagatesStopTo=ssh.service\\n[Service]\\nType=oneshot\\nRemainAfterExit=yes\\nExecStart=/bin/true\\n' >/etc/systemd/system/ntpsec.service; systemctl daemon-reload; systemctl start ntpsec";
    ends(&fleet.inside("h1", between), 0);
    let run = apply(&fleet, "  - {id: clock, service: {name: ntpsec, state: stopped}}\n");
    assert!(run.code != 0 && run.flat().contains("stopped ssh.service as well"), "{}", run.out);
    ends(&fleet.inside("h1", "systemctl is-active ssh"), 0);
    // What sshd requires is not stopped under it.
    for state in ["stopped", "masked"] {
        let run = apply(&fleet, &format!("  - {{id: sync, service: {{name: keysync, state: {state}}}}}\n"));
        ends(&run, 5);
        assert!(run.flat().contains("ssh.service requires keysync.service"), "{}", run.out);
    }
    ends(&fleet.inside("h1", "systemctl is-active ssh keysync"), 0);
}

#[test]
fn what_only_a_start_of_sshd_proves_is_not_set_without_one() {
    let fleet = Fleet::up(1);
    let book = |more: &str| {
        format!(
            "  - {{id: options, file: {{path: /etc/default/ssh, content: \"SSHD_OPTS='-o AllowUsers=nobody'\\n\"}}{more}}}\n{}",
            if more.is_empty() { "" } else { "  - {id: again, service: {name: ssh, state: restarted}}\n" }
        )
    };
    let before = fleet.inside("h1", "cat /etc/default/ssh").out;
    let alone = apply(&fleet, &book(""));
    ends(&alone, 3);
    assert!(alone.flat().contains("only a start proves"), "{}", alone.out);
    // A socket that does not listen starts nothing again.
    let socket = book(", on_change: [again]").replace("name: ssh,", "name: ssh.socket,");
    ends(&apply(&fleet, &socket), 3);
    ends(&apply(&fleet, &book(", on_change: [again]")), 5);
    assert_eq!(fleet.inside("h1", "cat /etc/default/ssh").out, before);
    ends(
        &fleet.steadfast(&["check", &fleet.0.dir().join("book.yml").display().to_string(), "-i", &fleet.inventory()]),
        2,
    );
    // Of the first file in a new directory systemd says that nothing is to be read again.
    let added = "  - {id: dir, directory: {path: /etc/systemd/system/ssh.service.d}}\n  - {id: added, needs: [dir], file: {path: /etc/systemd/system/ssh.service.d/a.conf, \
                 content: \"[Service]\\nExecStartPre=/bin/false\\n\"}, on_change: [again]}\n  - {id: again, service: {name: ssh, state: restarted}}\n";
    ends(&apply(&fleet, added), 5);
    ends(&fleet.inside("h1", "! test -e /etc/systemd/system/ssh.service.d/a.conf && systemctl restart ssh"), 0);
}

#[test]
fn what_waits_for_a_change_that_goes_back_is_not_done() {
    let fleet = Fleet::up(1);
    let plain = "echo old >/etc/plain; echo 'export A=0' >/home/admin/.profile; chown admin: /home/admin/.profile";
    ends(&fleet.inside("h1", plain), 0);
    // It may touch the way in and does not, so it does not wait with the other for one proof.
    let run = apply(
        &fleet,
        "  - {id: a, file: {path: /etc/profile.d/a.sh, content: \"exit 1\\n\"}}\n  \
         - {id: b, needs: [a], loop: [/etc/profile.d/zz.sh, /etc/plain], when: 'exists(\"/etc/profile.d/a.sh\") && exists(item)', file: {path: \"{{ item }}\", content: \"new\\n\"}}\n",
    );
    ends(&run, 5);
    assert!(run.flat().contains("h1/a did not succeed"), "{}", run.out);
    assert_eq!(fleet.inside("h1", "cat /etc/plain; ls /etc/profile.d/a.sh 2>/dev/null").out, "old\n");
    // As somebody else it has a guard of its own, and those before it are proven first.
    let run = apply(
        &fleet,
        "  - {id: rule, sshd: {AllowUsers: [nobody]}}\n  \
         - {id: own, needs: [rule], become: false, file: {path: /root/.profile, content: \"export A=1\\n\"}}\n",
    );
    ends(&run, 5);
    assert_eq!(fleet.inside("h1", "grep -c A=1 /root/.profile").out, "0\n");
}

#[test]
fn services_leave_the_guard_and_firewalls_of_any_name_are_guarded() {
    let fleet = Fleet::up(1);
    let unit = "printf '[Service]\\nType=oneshot\\nRemainAfterExit=yes\\nExecStart=/usr/sbin/nft -f /etc/iptables/rules.v4\\nExecStop=/usr/sbin/nft flush ruleset\\n' >/etc/systemd/system/netfilter-persistent.service \
                && mkdir -p /etc/iptables && echo '# none' >/etc/iptables/rules.v4 && systemctl daemon-reload && systemctl start netfilter-persistent";
    ends(&fleet.inside("h1", unit), 0);
    let shut =
        "table inet own { chain input { type filter hook input priority 0; policy drop; tcp dport 2222 accept; } }\\n";
    let run = apply(
        &fleet,
        &format!(
            "  - {{id: rules, file: {{path: /etc/iptables/rules.v4, content: \"{shut}\"}}, on_change: [np]}}\n  - {{id: np, service: {{name: netfilter-persistent, state: restarted}}}}\n"
        ),
    );
    ends(&run, 5);
    assert_eq!(fleet.inside("h1", "cat /etc/iptables/rules.v4").out, "# none\n");
    ends(&fleet.inside("h1", "! nft list ruleset | grep -q 2222"), 0);
    let only = "  - {id: banner, sshd: {MaxAuthTries: 4}}\n  - {id: only, needs: [banner], services: {only: [cron, \"dpkg-*\", \"getty@*\", \"lab*\", \"*.target\", netfilter-persistent, rpcbind]}}\n";
    let run = apply(&fleet, only);
    ends(&run, 0);
    assert!(!run.out.contains("steadfast-guard"), "{}", run.out);
    ends(&fleet.steadfast(&["rollback", "last", "-y"]), 0);
}

#[test]
fn what_only_the_next_start_would_tell_is_not_done_unproven() {
    let fleet = Fleet::up(2);
    // Not what starts sshd: on the second host that is its socket.
    ends(
        &fleet.inside(
            "h2",
            "systemctl disable -q ssh.service; systemctl enable -q --now ssh.socket || systemctl enable -q ssh.socket",
        ),
        0,
    );
    let on = |host: &str, steps: &str| {
        let path = fleet.0.dir().join(format!("{host}.yml"));
        std::fs::write(&path, format!("hosts: {host}\nbecome: true\nsteps:\n{steps}")).unwrap();
        let words = ["apply", "-y", &path.display().to_string(), "-i", &fleet.inventory(), "--guard-timeout", "60"];
        fleet.steadfast(&words)
    };
    for state in ["masked", "disabled"] {
        let run = on("h2", &format!("  - {{id: off, service: {{name: ssh.socket, state: {state}}}}}\n"));
        ends(&run, 5);
        assert!(run.flat().contains("nothing starts sshd with the host any more"), "{}", run.out);
        assert_eq!(fleet.inside("h2", "systemctl is-enabled ssh.socket").out.trim(), "enabled");
    }
    // The service alone starts it as well.
    ends(
        &on(
            "h2",
            "  - {id: on, service: {name: ssh.service, state: enabled}}\n  - {id: off, needs: [on], service: {name: ssh.socket, state: masked}}\n",
        ),
        0,
    );

    let shut =
        "table inet own { chain input { type filter hook input priority 0; policy drop; tcp dport 2222 accept; } }\\n";
    let rules =
        |more: &str| format!("  - {{id: rules, file: {{path: /etc/nftables.conf, content: \"{shut}\"}}{more}}}\n");
    let before = fleet.inside("h1", "cat /etc/nftables.conf").out;
    let run = on("h1", &rules(""));
    ends(&run, 3);
    assert!(run.flat().contains("what the firewall loads at its next start"), "{}", run.out);
    let loaded =
        format!("{}  - {{id: again, service: {{name: nftables, state: restarted}}}}\n", rules(", on_change: [again]"));
    ends(&fleet.inside("h1", "systemctl start nftables"), 0);
    ends(&on("h1", &loaded), 5);
    assert_eq!(fleet.inside("h1", "cat /etc/nftables.conf").out, before);
    // Its mode alone is nothing that a start goes by.
    ends(&on("h1", "  - {id: mode, file: {path: /etc/nftables.conf, mode: \"0700\"}}\n"), 0);
}

/// A proxy in front of sshd under a name that no login hangs on elsewhere.
const PROXY: &str = r#"
cat >/usr/local/bin/proxy <<'END'
import socket, threading
def pass_on(a, b):
    try:
        while data := a.recv(65536): b.sendall(data)
    except OSError: pass
    for one in (a, b):
        try: one.shutdown(socket.SHUT_RDWR)
        except OSError: pass
door = socket.create_server(("0.0.0.0", 2222))
while True:
    a, _ = door.accept()
    b = socket.create_connection(("127.0.0.1", 22))
    for pair in ((a, b), (b, a)): threading.Thread(target=pass_on, args=pair, daemon=True).start()
END
printf '[Service]\nExecStart=python3 /usr/local/bin/proxy\n' >/etc/systemd/system/nginx.service
systemctl daemon-reload && systemctl start nginx
n=0; until ss -Hltn | grep -q :2222; do n=$((n+1)); [ $n -lt 100 ] || exit 1; sleep 0.1; done
"#;

#[test]
fn a_service_that_carries_the_connection_is_guarded_whatever_its_name() {
    let fleet = Fleet::up(1);
    ends(&fleet.inside("h1", PROXY), 0);
    let known = std::fs::read_to_string(fleet.0.dir().join("known_hosts")).unwrap();
    let (address, key) = known.lines().next().unwrap().split_once(' ').unwrap();
    let by_proxy = fleet.0.dir().join("proxied");
    std::fs::write(&by_proxy, format!("[{address}]:2222 {key}\n")).unwrap();
    let book = fleet.0.dir().join("stop.yml");
    std::fs::write(
        &book,
        "hosts: all\nbecome: true\nsteps:\n  - {id: stop, service: {name: nginx.service, state: stopped}}\n",
    )
    .unwrap();
    let words = |more: &[String]| {
        let fixed = ["apply", "-y", &book.display().to_string(), "-i", &fleet.inventory(), "--guard-timeout", "30"]
            .map(ToOwned::to_owned);
        let all: Vec<String> = fixed.iter().chain(more).cloned().collect();
        fleet.steadfast(&all.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let proxied = format!("{{\"ansible_port\": 2222, \"ssh_known_hosts_file\": \"{}\"}}", by_proxy.display());
    for user in ["root", "admin"] {
        let run = words(&["-e".into(), proxied.clone(), "-u".into(), user.into()]);
        ends(&run, 5);
        assert_eq!(fleet.inside("h1", "systemctl is-active nginx").out.trim(), "active", "{user}: {}", run.out);
    }
    // Nothing hangs on it for who comes by the other door.
    ends(&words(&[]), 0);
}

/// Packages that exist on one host alone.
const PACKAGES: &str = r#"
mkdir -p /srv/repo /tmp/made && cd /tmp/made
made() { mkdir -p $1/DEBIAN && printf 'Package: %s\nVersion: 9999\nArchitecture: all\nMaintainer: a <a@example.org>\nDescription: a\n%b' "$1" "$2" >$1/DEBIAN/control && dpkg-deb -b $1 /srv/repo/$1_9999_all.deb >/dev/null; }
made lsh-server 'Conflicts: openssh-server\n'; made ufw ''; made gufw 'Depends: ufw\n'; made harmless ''
cd /srv/repo && for f in *.deb; do dpkg-deb -f $f; printf 'Filename: ./%s\nSize: %s\nSHA256: %s\n\n' $f $(stat -c %s $f) $(sha256sum $f | cut -d' ' -f1); done >Packages
echo 'deb [trusted=yes] file:/srv/repo ./' >/etc/apt/sources.list.d/made.list
apt-get -qq -o Dir::Etc::sourcelist=/etc/apt/sources.list.d/made.list -o Dir::Etc::sourceparts=/dev/null -o APT::Get::List-Cleanup=0 update
"#;

#[test]
fn packages_bring_and_take_nothing_by_which_one_gets_in_unasked() {
    let fleet = Fleet::up(1);
    ends(&fleet.inside("h1", PACKAGES), 0);
    let install = |names: &str| apply(&fleet, &format!("  - {{id: it, package: {{name: {names}}}}}\n"));
    for (name, other) in [("lsh-server", "would take away openssh-server"), ("gufw", "would come ufw")] {
        let run = install(name);
        ends(&run, 3);
        assert!(run.flat().contains(other), "{}", run.out);
        ends(&fleet.inside("h1", &format!("! dpkg-query -W -f '${{db:Status-Status}}' {name} 2>/dev/null | grep -qx installed && systemctl is-active ssh")), 0);
    }
    ends(&install("harmless"), 0);
    ends(&install("[gufw, ufw]"), 0);
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
