//! Kinds decide rightly: `tests/cases/kind/<kind>/<situation>.<verdict>.yml` holds a body, the facts that were found,
//! and what must follow. Facts that a case does not tell are those of a host that has nothing.
//!
//! Verdicts: `pass`, `drift`, `cannot-tell`, `missing`, `impossible`, `broken` (a mistake in the body). `rows` and `acts`
//! (and `back`, the acts of the way back, and `told`, what it tells beside) are compared whole where a case tells them; `why` must
//! be part of the reason.

use serde_json::{Value as Json, json};
use std::path::PathBuf;
use std::sync::Arc;
use steadfast::cloud::{Fence, Fenced, Flaw, Rule, Seek, Shape};
use steadfast::disk::Snapshot;
use steadfast::fact::tls::PLACES;
use steadfast::fact::{
    Accounts, Answer, AptConfig, Audit, Authorized, Connection, Connections, Content, DiskState, Effective, Entry,
    EntryKind, Facts, Gap, Group, Hand, Hidden, Holder, HostKey, KeyFiles, Known, Listener, Listeners, Login, Module,
    Mount, Os, Password, Pending, Private, Query, Ring, Said, Server, Socket, Super, Swept, Tls, TlsFile, TlsSaid,
    Unit, UnitFile, UnitFiles, Updates, User, WayBack,
};
use steadfast::fault::Source;
use steadfast::host::{Offer, PublicKey, Version};
use steadfast::probe::Reach;
use steadfast::step::{KINDS, Kind, Row, Setting, Val};
use steadfast::yaml::{parse, to_json};

fn text(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        Json::Null => String::new(),
        other => other.to_string(),
    }
}

fn texts(value: &Json) -> Vec<String> {
    value.as_array().map(|all| all.iter().map(text).collect()).unwrap_or_default()
}

fn or(value: &Json, default: &str) -> String {
    if value.is_null() { default.into() } else { text(value) }
}

fn unit(name: &str, found: &Json) -> Unit {
    if found.is_null() {
        return Unit {
            load: "not-found".into(),
            active: "inactive".into(),
            sub: "dead".into(),
            id: name.into(),
            ..Unit::default()
        };
    }
    Unit {
        load: or(&found["load"], "loaded"),
        active: or(&found["active"], "inactive"),
        sub: String::new(),
        file: or(&found["file"], "disabled"),
        triggered_by: texts(&found["triggered_by"]),
        needs_reload: found["needs_reload"] == true,
        id: or(&found["id"], name),
    }
}

fn accounts(found: &Json) -> Accounts {
    let number = |value: &Json| value.as_u64().unwrap_or(0) as u32;
    let list = |value: &Json| value.as_array().cloned().unwrap_or_default();
    let user = |user: &Json| User {
        name: text(&user["name"]),
        uid: number(&user["uid"]),
        gid: number(&user["gid"]),
        comment: text(&user["comment"]),
        home: text(&user["home"]),
        shell: text(&user["shell"]),
        password: match text(&user["password"]).as_str() {
            "empty" => Some(Password::Empty),
            "locked" => Some(Password::Locked),
            "none" => Some(Password::None),
            "set" => Some(Password::Set),
            _ => None,
        },
        expires: user["expires"].as_i64(),
    };
    let group = |group: &Json| Group {
        name: text(&group["name"]),
        gid: number(&group["gid"]),
        members: texts(&group["members"]),
    };
    Accounts {
        users: list(&found["users"]).iter().map(user).collect(),
        groups: list(&found["groups"]).iter().map(group).collect(),
        shadow_unread: found["shadow_unread"].as_str().map(Into::into),
    }
}

fn entry(found: &Json) -> Entry {
    Entry {
        path: text(&found["path"]),
        kind: if found["kind"] == "directory" { EntryKind::Directory } else { EntryKind::File },
        mode: u32::from_str_radix(&or(&found["mode"], "644"), 8).unwrap(),
        owner: or(&found["owner"], "root"),
        group: or(&found["group"], "root"),
        size: 0,
        mtime: 0,
        links: found["links"].as_u64().unwrap_or(1),
        doubt: found["doubt"].as_str().map(Into::into),
    }
}

/// Times in days before now; a text is the reason why a part is not known.
fn updates(found: &Json) -> Updates {
    const NOW: i64 = 1_700_000_000;
    let part = |field: &str| found[field].as_str().map_or(Ok(&found[field]), |why| Err(why.to_owned()));
    let time = |field: &str| part(field).map(|days| days.as_i64().map(|days| NOW - days * 86_400));
    let pending = |name: &Json| {
        let name = text(name);
        Pending { security: name.ends_with('!'), package: name.trim_end_matches('!').to_owned() }
    };
    Updates {
        now: NOW,
        upgraded: time("upgraded"),
        lists: time("lists"),
        pending: part("pending").map(|all| all.as_array().unwrap_or(&vec![]).iter().map(pending).collect()),
        reboot: if found["reboot_unknown"].is_null() {
            Ok(found["reboot"].as_str().map(Into::into))
        } else {
            Err(text(&found["reboot_unknown"]))
        },
    }
}

fn effective(found: &Json) -> Effective {
    let values = |value: &Json| if value.is_array() { texts(value) } else { vec![text(value)] };
    Effective(found.as_object().unwrap().iter().map(|(key, value)| (key.clone(), values(value))).collect())
}

/// What a server takes of each offer, as `[TLS 1.2, weak]`; `plain` is no TLS at all.
fn handshakes(takes: &Json) -> Vec<(Offer, TlsSaid)> {
    let takes = texts(takes);
    let one = |offer: Offer| {
        let version = match offer {
            Offer::Version(version) => version,
            Offer::Weak => Version::Tls12,
        };
        let word = if offer == Offer::Weak { "weak".to_owned() } else { version.to_string() };
        let cipher = if offer == Offer::Weak { 0x000a } else { 0xc02f };
        let takes = takes.contains(&word);
        (offer, if takes { TlsSaid::Takes { version, cipher, compresses: false } } else { TlsSaid::Refuses })
    };
    if takes == ["plain"] { vec![(Offer::ALL[0], TlsSaid::Plain)] } else { Offer::ALL.into_iter().map(one).collect() }
}

/// Files by their paths (`links` leads some elsewhere, `unread` cannot be read), servers by what they take.
fn tls(found: &Json) -> Tls {
    let server =
        |path: &str| PLACES.iter().find(|(_, place)| path.starts_with(place)).map_or("dh", |(server, _)| server);
    let file = |path: &str, text: Option<String>| TlsFile {
        server: if text.as_ref().is_some_and(|text| text.starts_with("-----BEGIN DH")) { "dh" } else { server(path) }
            .into(),
        path: path.into(),
        real: or(&found["links"][path], path),
        text,
    };
    let told = found["files"].as_object().into_iter().flatten().map(|(path, content)| file(path, Some(text(content))));
    let mut files: Vec<TlsFile> = told.chain(texts(&found["unread"]).iter().map(|path| file(path, None))).collect();
    files.sort();
    let mut hands = Vec::new();
    for hand in found["hands"].as_array().into_iter().flatten() {
        let one = |(offer, said)| Hand {
            server: text(&hand["server"]),
            address: or(&hand["address"], "0.0.0.0"),
            port: hand["port"].as_u64().unwrap() as u16,
            offer,
            said: (hand["silent"] != true).then_some(said),
        };
        hands.extend(handshakes(&hand["takes"]).into_iter().map(one));
    }
    Tls { files, hands, lack: found["lack"].as_str().map(Into::into) }
}

/// Moments are in hours since 1970.
fn disk(found: &Json) -> DiskState {
    const HOUR: u64 = 3_600_000;
    let hours = |value: &Json| value.as_u64().unwrap_or(0) * HOUR;
    let snapshot = |one: &Json| Snapshot {
        id: text(&one["id"]),
        name: or(&one["name"], &text(&one["id"])),
        made: hours(&one["made"]),
        lack: one["lack"].as_str().map(Into::into),
    };
    let last = |last: &Json| WayBack {
        snapshot: text(&last["snapshot"]),
        made: hours(&last["made"]),
        stage: serde_json::from_value(last["stage"].clone()).unwrap(),
        at: hours(&last["at"]),
        boot: String::new(),
        run: "r1".into(),
    };
    DiskState {
        now: hours(&found["now"]),
        snapshots: found["snapshots"].as_array().into_iter().flatten().map(snapshot).collect(),
        last: (!found["last"].is_null()).then(|| last(&found["last"])),
    }
}

/// The answer to one question, from what the case tells.
fn answer(query: &Query, facts: &Json) -> Result<Answer, String> {
    let list = |value: &Json| value.as_array().cloned().unwrap_or_default();
    let family = |name: &str| facts["unknown"][name].as_str().map_or(Ok(()), |why| Err(why.to_owned()));
    Ok(match query {
        Query::Nft(table) => {
            family("nft")?;
            Answer::Nft(facts["nft"][table].as_str().map(Into::into))
        }
        Query::Database(engine) => {
            family("database")?;
            let server = |server: &Json| Server {
                name: or(&server["name"], engine.word()),
                version: or(&server["version"], "7.0.15"),
                told: list(&server["told"]).iter().map(texts).collect(),
            };
            Answer::Database(list(&facts["database"]).iter().map(server).collect())
        }
        Query::Login => Answer::Login(facts["login"].as_object().map(|login| Login {
            from: text(&login["from"]).parse().unwrap(),
            port: login["port"].as_u64().unwrap() as u16,
        })),
        Query::Guards => Answer::Guards(vec![]),
        Query::State(_) | Query::Journal(_) => return Err("a case keeps no journal".into()),
        Query::Os => Answer::Os(Os {
            packages: or(&facts["os"]["packages"], "dpkg"),
            init: or(&facts["os"]["init"], "systemd"),
            arch: or(&facts["os"]["arch"], "x86_64"),
            virtualization: or(&facts["os"]["virtualization"], "none"),
            ..Os::default()
        }),
        Query::Clock => Answer::Clock(facts["clock"].as_i64().unwrap_or(0)),
        Query::Sysctl(key) => {
            family("sysctl")?;
            Answer::Sysctl(facts["sysctl"].get(key).filter(|value| !value.is_null()).map(text))
        }
        Query::File(path) => {
            family("file")?;
            Answer::File(match &facts["file"][path] {
                Json::Null => Content::Absent,
                Json::Object(other) => Content::Other(text(&other["other"])),
                content => Content::Regular(text(content).into_bytes()),
            })
        }
        Query::Unit(name) => {
            family("unit")?;
            Answer::Unit(unit(name, &facts["unit"][name]))
        }
        Query::Package(name) => {
            family("package")?;
            Answer::Package(facts["package"].get(name).filter(|value| !value.is_null()).map(text))
        }
        Query::Module(name) => {
            family("module")?;
            let (found, is) = (&facts["module"][name], |word: &str| facts["module"][name][word] == true);
            Answer::Module(Module {
                loaded: is("loaded"),
                builtin: is("builtin"),
                blocked: is("blocked"),
                blacklisted: is("blacklisted"),
                exists: found["exists"] != false,
            })
        }
        Query::Sshd { user } => {
            family("sshd")?;
            let told = user.as_ref().map_or(&facts["sshd"], |user| &facts["sshd_of"][user]);
            Answer::Sshd(effective(if told.is_null() { return Err("sshd is not installed".into()) } else { told }))
        }
        Query::Updates => {
            family("updates")?;
            Answer::Updates(updates(&facts["updates"]))
        }
        Query::Audit => {
            family("audit")?;
            let (found, number) = (&facts["audit"], |field: &str| facts["audit"][field].as_u64().map(|n| n as u32));
            Answer::Audit(Audit {
                enabled: number("enabled").unwrap_or(1),
                failure: number("failure").unwrap_or(1),
                backlog: number("backlog").unwrap_or(8192),
                rules: texts(&found["rules"]),
            })
        }
        Query::AptConfig => {
            family("apt")?;
            let item = |item: &Json| (text(&item[0]), text(&item[1]));
            Answer::AptConfig(AptConfig(list(&facts["apt"]).iter().map(item).collect()))
        }
        Query::Due(mark) => {
            family("due")?;
            Answer::Due(facts["due"][mark] == true)
        }
        Query::Accounts => {
            family("accounts")?;
            Answer::Accounts(Arc::new(accounts(&facts["accounts"])))
        }
        Query::Shell(_) => {
            family("shell")?;
            let said = &facts["shell"];
            Answer::Shell(Said {
                code: said["code"].as_i64().unwrap_or(0) as i32,
                out: text(&said["out"]),
                err: text(&said["err"]),
            })
        }
        Query::Stat(glob) => Answer::Stat(list(&facts["stat"][glob]).iter().map(entry).collect()),
        Query::Mounts if facts["unknown"]["mounts"].is_string() => return Err(text(&facts["unknown"]["mounts"])),
        Query::Mounts => Answer::Mounts(
            list(&facts["mounts"])
                .iter()
                .map(|mount| Mount {
                    device: String::new(),
                    path: text(&mount["path"]),
                    fs: text(&mount["fs"]),
                    options: texts(&mount["options"]),
                })
                .collect(),
        ),
        Query::Tls { .. } => {
            family("tls")?;
            Answer::Tls(tls(&facts["tls"]))
        }
        Query::Handshakes(_) => {
            family("handshakes")?;
            Answer::Handshakes(handshakes(&facts["handshakes"]))
        }
        Query::Sockets => {
            family("sockets")?;
            let socket = |socket: &Json| Socket {
                protocol: or(&socket["protocol"], "tcp"),
                address: text(&socket["address"]),
                port: socket["port"].as_u64().unwrap() as u16,
                process: socket["process"].as_str().map(Into::into),
                pid: None,
            };
            Answer::Sockets(list(&facts["sockets"]).iter().map(socket).collect())
        }
        Query::Connections => {
            family("connections")?;
            Answer::Connections(connections(facts))
        }
        Query::Listeners => {
            family("sockets")?;
            Answer::Listeners(listeners(facts))
        }
        Query::Outside(ports) => {
            family("outside")?;
            let open = texts(&facts["outside"]);
            let all = ports.iter().map(ToString::to_string).chain(open.iter().cloned());
            let reach = |port: &str| if open.iter().any(|one| one == port) { Reach::Open } else { Reach::Silent };
            Answer::Outside(all.map(|port| (port.parse().unwrap(), reach(&port))).collect())
        }
        Query::Sweep(sought) => {
            family("sweep")?;
            let entries = list(&facts["sweep"]).iter().map(entry).filter(|entry| sought.is(entry)).collect();
            Answer::Sweep(Swept { entries, lack: facts["sweep_lack"].as_str().map(Into::into) })
        }
        Query::UnitFiles => {
            family("unit")?;
            Answer::UnitFiles(Arc::new(unit_files(facts)))
        }
        Query::Ours(_) => Answer::Ours(steadfast::fact::Ours::default()),
        Query::Incident => {
            family("incident")?;
            let found = &facts["incident"];
            let told = (!found.is_null()).then(|| serde_json::from_value(found.clone()).unwrap());
            Answer::Incident(told.unwrap_or_default())
        }
        Query::Disk(_) => {
            family("disk")?;
            Answer::Disk(disk(&facts["disk"]))
        }
        Query::Fence(fence) => {
            family("fence")?;
            let rules = |side: &Json| {
                // `accept tcp 22 10.0.0.0/8 how it came`
                let one = |words: &Json| {
                    let words = text(words);
                    let parts: Vec<&str> = words.splitn(4, ' ').collect();
                    let [action, protocol, port, net] = parts.as_slice() else { panic!("{words} is no rule") };
                    Rule::new(*action == "accept", protocol, Some(port).filter(|port| **port != "all").copied(), net)
                };
                list(side).iter().map(one).collect()
            };
            let found = &facts["fence"];
            let shape = match fence {
                Fence::SecurityGroup { id, .. } | Fence::NetworkAcl { id, .. } => {
                    let group = if found[id].is_null() { found } else { &found[id] };
                    Shape::Rules { ingress: rules(&group["in"]), egress: rules(&group["out"]) }
                }
                Fence::Instance { .. } => Shape::Groups(texts(&found["groups"])),
            };
            let before = found["before"].as_array().map(|_| Shape::Groups(texts(&found["before"])));
            Answer::Fence(Fenced { version: "7".into(), shape, before })
        }
        Query::HostScan(_) => {
            family("host_scan")?;
            let seek = |one: &Json| match one["seek"].as_str() {
                Some("vulnerabilities") => Seek::Vulnerabilities,
                Some("baseline") => Seek::Baseline,
                _ => Seek::Malware,
            };
            let one = |one: &Json| Flaw {
                seek: seek(one),
                object: text(&one["path"]),
                name: text(&one["name"]),
                level: one["level"].as_u64().unwrap(),
            };
            Answer::HostScan(list(&facts["host_scan"]).iter().map(one).collect())
        }
        Query::Ring(user) => {
            family("ring")?;
            const DAY: u64 = 86_400_000;
            let key = |key: &Json| Known {
                public: PublicKey::of_line(&text(&key["key"])).unwrap(),
                made: key["made"].as_u64().map(|days| days * DAY),
                at: key["at"].as_u64().or(key["made"].as_u64()).unwrap_or(0) * DAY,
                word: serde_json::from_value(key["word"].clone()).unwrap(),
                file: or(&key["file"], "/keys/id"),
                lock: text(&key["lock"]),
                lack: key["lack"].as_str().map(Into::into),
            };
            let now = facts["ring"]["now"].as_u64().unwrap_or(0) * DAY;
            Answer::Ring(Ring { now, keys: list(&facts["ring"][user]).iter().map(key).collect() })
        }
        Query::Baseline => {
            family("baseline")?;
            Answer::Baseline(serde_json::from_value(facts["baseline"].clone()).unwrap())
        }
        Query::Signs(_) => {
            family("signs")?;
            Answer::Signs(Box::new(serde_json::from_value(facts["signs"].clone()).unwrap()))
        }
        Query::HostKeys => {
            family("host_keys")?;
            let key = |told: &Json| HostKey {
                path: text(&told["path"]),
                made: told["made"].as_u64().unwrap_or(0) * 86_400_000,
                public: PublicKey::of_line(&text(&told["key"])).unwrap(),
            };
            Answer::HostKeys(list(&facts["host_keys"]).iter().map(key).collect())
        }
        Query::KnownHosts => {
            family("known_hosts")?;
            Answer::KnownHosts(
                texts(&facts["known_hosts"]).iter().filter_map(|line| PublicKey::of_line(line)).collect(),
            )
        }
        Query::Scan(_) => {
            family("scan")?;
            Answer::Scan(serde_json::from_value(facts["scan"].clone()).unwrap())
        }
        Query::KeyFiles => {
            let file = |(user, lines): (&String, &Json)| Authorized {
                user: user.clone(),
                path: format!("/home/{user}/.ssh/authorized_keys"),
                keys: texts(lines).iter().map(|line| PublicKey::of_line(line).unwrap()).collect(),
                ..Authorized::default()
            };
            let private = |path: &String| Private { path: path.clone(), mode: 0o644, ..Private::default() };
            Answer::KeyFiles(KeyFiles {
                authorized: facts["keys"].as_object().into_iter().flatten().map(file).collect(),
                private: texts(&facts["open_keys"]).iter().map(private).collect(),
            })
        }
        Query::Elements(table) => {
            family("nft")?;
            Answer::Elements(steadfast::fact::elements(facts["nft"][table].as_str().unwrap_or_default()))
        }
        Query::Leftover(name) => Answer::Leftover(texts(&facts["leftover"][name])),
    })
}

/// `{port: 22, from: 10.0.0.2}` came in, `{port: 443, to: 10.0.0.2}` goes out.
fn connections(facts: &Json) -> Connections {
    let one = |told: &Json| {
        let (incoming, port) = (!told["from"].is_null(), told["port"].as_u64().unwrap() as u16);
        Connection {
            udp: told["protocol"] == "udp",
            incoming,
            address: or(&told["address"], "10.0.0.1").parse().unwrap(),
            port: if incoming { port } else { told["local"].as_u64().unwrap_or(40_000) as u16 },
            peer: text(&told[if incoming { "from" } else { "to" }]).parse().unwrap(),
            peer_port: if incoming { 50_000 } else { port },
            process: told["process"].as_str().map(Into::into),
        }
    };
    Connections {
        all: facts["connections"].as_array().into_iter().flatten().map(one).collect(),
        tracked: facts["tracked"] != false,
        lack: facts["connections_lack"].as_str().map(Into::into),
    }
}

fn listeners(facts: &Json) -> Listeners {
    let list = |value: &Json| value.as_array().cloned().unwrap_or_default();
    let port = |told: &Json| told["port"].as_u64().unwrap() as u16;
    let holder = |told: &Json| Holder {
        name: text(&told["name"]),
        pid: 1,
        exe: told["exe"].as_str().map(Into::into),
        package: told["package"].as_str().map(Into::into),
    };
    let listener = |told: &Json| Listener {
        protocol: or(&told["protocol"], "tcp"),
        address: or(&told["address"], "0.0.0.0"),
        port: port(told),
        holders: list(&told["holders"]).iter().map(holder).collect(),
    };
    let hidden = |told: &Json| Hidden {
        protocol: or(&told["protocol"], "tcp"),
        address: or(&told["address"], "0.0.0.0"),
        port: port(told),
        from: text(&told["from"]),
    };
    Listeners {
        all: list(&facts["listeners"]).iter().map(listener).collect(),
        hidden: list(&facts["hidden"]).iter().map(hidden).collect(),
        veil: facts["veil"].as_str().map(Into::into),
    }
}

fn unit_files(facts: &Json) -> UnitFiles {
    let list = |value: &Json| value.as_array().cloned().unwrap_or_default();
    let unit = |told: &Json| UnitFile {
        name: text(&told["name"]),
        file: or(&told["file"], "enabled"),
        preset: text(&told["preset"]),
        active: or(&told["active"], "inactive"),
        also: texts(&told["also"]),
    };
    let super_server = |(path, content): (&String, &Json)| Super {
        path: path.clone(),
        lines: text(content).lines().map(Into::into).collect(),
    };
    let supers = facts["supers"].as_object().cloned().unwrap_or_default();
    UnitFiles {
        units: list(&facts["unit_files"]).iter().map(unit).collect(),
        supers: supers.iter().map(super_server).collect(),
    }
}

fn facts(kind: &dyn Kind, told: &Json) -> Facts {
    kind.facts().into_iter().map(|query| (query.clone(), answer(&query, told))).collect()
}

fn row(row: &Row) -> String {
    let val = |val: &Val| match val {
        Val::Data(data) => format!("{:?}", String::from_utf8_lossy(data)),
        other => other.to_string().replace('\n', "\\n"),
    };
    format!("{} {}: {} → {}", row.object, row.field, val(&row.found), val(&row.wanted))
}

fn acts(kind: &dyn Kind, to: &[Setting], facts: &Facts) -> Json {
    serde_json::to_value(kind.set(to, facts)).unwrap()
}

/// What a case gets wrong, if anything.
fn judge(kind: &str, verdict: &str, path: &str) -> Result<(), String> {
    let source = Source::new(path, std::fs::read_to_string(path).unwrap());
    let case = parse(&source).map_err(|faults| faults.to_string())?;
    let whole = to_json(&case);
    let body = case.get(kind).ok_or("there is no body")?;
    let entry = KINDS.iter().find(|entry| entry.name == kind).ok_or("there is no such kind")?;
    let why = |why: &str| match whole["why"].as_str() {
        Some(wanted) if !why.contains(wanted) => Err(format!("says `{why}`, not `{wanted}`")),
        _ => Ok(()),
    };
    let made = match (entry.parse(body), verdict) {
        (Err(faults), "broken") => return why(&faults.to_string()),
        (Err(faults), _) => return Err(faults.to_string()),
        (Ok(made), _) => made,
    };
    let facts = facts(made.as_ref(), &whole["facts"]);
    let plan = made.plan(&facts);
    if plan != made.plan(&facts) {
        return Err("it wants something else the second time".into());
    }
    let told: Vec<String> = made.tells(&facts).iter().map(row).collect();
    if !whole["told"].is_null() && whole["told"] != json!(told) {
        return Err(format!("told is {told:#?}"));
    }
    match (plan, verdict) {
        (Ok(rows), "pass") if rows.is_empty() => Ok(()),
        (Ok(rows), "drift") if !rows.is_empty() => {
            let forward: Vec<Setting> = rows.iter().map(Row::forward).collect();
            let back: Vec<Setting> = rows.iter().rev().map(Row::back).collect();
            let told: Vec<String> = rows.iter().map(row).collect();
            for (field, found) in [
                ("rows", json!(told)),
                ("acts", acts(made.as_ref(), &forward, &facts)),
                ("back", acts(made.as_ref(), &back, &facts)),
            ] {
                if !whole[field].is_null() && whole[field] != found {
                    return Err(format!("{field} are {found:#}"));
                }
            }
            let silent = made.set(&forward, &facts).is_empty() && made.orders(&forward, &facts).is_empty();
            if silent == made.read_only() || made.rotates() || made.disk().is_some() || made.gathers().is_some() {
                Ok(())
            } else {
                Err("acts and `read_only` do not fit".into())
            }
        }
        (Err(Gap::Unknown(reason)), "cannot-tell")
        | (Err(Gap::Missing(reason)), "missing")
        | (Err(Gap::Impossible(reason)), "impossible") => why(&reason),
        (other, _) => Err(format!("is {other:?}")),
    }
}

fn cases() -> Vec<(String, String, PathBuf)> {
    let mut all = Vec::new();
    for kind in std::fs::read_dir("tests/cases/kind").unwrap().flatten() {
        for case in std::fs::read_dir(kind.path()).unwrap().flatten() {
            let name = case.file_name().into_string().unwrap();
            let verdict = name.split('.').rev().nth(1).unwrap().to_owned();
            all.push((kind.file_name().into_string().unwrap(), verdict, case.path()));
        }
    }
    all.sort();
    all
}

#[test]
fn every_case_ends_as_its_name_says() {
    let wrong: Vec<String> = cases()
        .iter()
        .filter_map(|(kind, verdict, path)| {
            let path = path.display().to_string();
            judge(kind, verdict, &path).err().map(|why| format!("{path}: {why}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What a kind can never say, and why.
const NEVER: [(&str, &str, &str); 4] = [
    ("approve", "drift", "a gate finds nothing that differs: it asks, and the run waits"),
    ("approve", "cannot-tell", "it asks a person, never the host"),
    ("evidence", "pass", "what was taken before is not what is there now"),
    ("evidence", "cannot-tell", "nothing is read before it is taken"),
];

/// Every kind has all three: true already, different, and not to be known.
#[test]
fn every_kind_has_its_cases() {
    let cases = cases();
    let has = |kind: &str, verdict: &str| cases.iter().any(|(of, is, _)| of == kind && is == verdict);
    for entry in KINDS {
        for verdict in ["pass", "drift", "cannot-tell"] {
            let never = NEVER.iter().any(|(kind, is, _)| (*kind, *is) == (entry.name, verdict));
            let kind = entry.name;
            assert!(has(kind, verdict) || never, "{kind} has no case that ends in {verdict}");
            assert!(!(has(kind, verdict) && never), "{kind} has a case that ends in {verdict}, which it never can");
        }
    }
    for (kind, verdict, _) in NEVER {
        assert!(KINDS.iter().any(|entry| entry.name == kind), "{kind}, which never ends in {verdict}, is no kind");
    }
    for (kind, _, path) in &cases {
        assert!(KINDS.iter().any(|entry| entry.name == kind), "{}: there is no such kind", path.display());
    }
}

#[test]
fn every_example_of_a_page_can_be_read() {
    for entry in KINDS {
        for example in entry.examples() {
            let node =
                parse(&Source::new(entry.name, example)).unwrap_or_else(|faults| panic!("{}: {faults}", entry.name));
            let steadfast::yaml::Value::List(steps) = &node.value else { panic!("{}: no list of steps", entry.name) };
            for step in steps {
                let body = step.get(entry.name).unwrap_or_else(|| panic!("{}: an example of another kind", entry.name));
                entry.parse(body).unwrap_or_else(|faults| panic!("{}: {faults}", entry.name));
                let schema = jsonschema::validator_for(&entry.schema()).unwrap();
                let body = to_json(body);
                assert!(schema.is_valid(&body), "{}: the schema refuses its own example {body}", entry.name);
            }
        }
    }
}
