//! The lab's network: one namespace with a bridge, one namespace a host, one link from this machine to the bridge.

use super::{Lab, tool};
use crate::fault::{Fault, Result};
use std::path::Path;

fn bridge_space(lab: &str) -> String {
    format!("sf-{lab}")
}

/// The network namespace of a host.
pub fn space(lab: &str, host: &str) -> String {
    format!("sf-{lab}-{host}")
}

/// Our own end of the link into the lab. Names of links have at most 15 characters.
fn link(lab: &str) -> String {
    format!("sf-{lab}")
}

/// A `10.90.N` that no route of this machine touches.
///
/// # Errors
/// All are taken.
pub fn free_subnet() -> Result<String> {
    let routes = tool::run("ip", &["-4", "route", "show", "table", "all"])?;
    let free = (1..=250).map(|n| format!("10.90.{n}")).find(|subnet| !routes.contains(&format!("{subnet}.")));
    free.ok_or_else(|| {
        Fault::new("no subnet is free for another lab").hint("`steadfast lab list`, then `steadfast lab down`")
    })
}

/// Makes namespaces, bridge and links.
pub fn raise(lab: &Lab) -> Result<()> {
    let (space_name, link) = (bridge_space(&lab.name), link(&lab.name));
    let mut all = vec![
        format!("netns add {space_name}"),
        format!("-n {space_name} link set lo up"),
        format!("-n {space_name} link add br0 type bridge"),
        format!("-n {space_name} link set br0 up"),
        format!("link add {link} type veth peer name out0 netns {space_name}"),
        format!("-n {space_name} link set out0 master br0 up"),
        format!("addr add {}.1/24 dev {link}", lab.subnet),
        format!("link set {link} up"),
    ];
    for host in &lab.hosts {
        let (own, port) = (space(&lab.name, &host.name), format!("v-{}", host.name));
        all.extend([
            format!("netns add {own}"),
            format!("-n {own} link set lo up"),
            format!("link add host0 netns {own} type veth peer name {port} netns {space_name}"),
            format!("-n {space_name} link set {port} master br0 up"),
            format!("-n {own} addr add {}/24 dev host0", host.address),
            format!("-n {own} link set host0 up"),
            format!("-n {own} route add default via {}.1", lab.subnet),
        ]);
    }
    for words in all {
        tool::run("ip", &words.split(' ').collect::<Vec<_>>())?;
    }
    Ok(())
}

/// Whether anything of a lab's network is still there.
pub fn remains(lab: &str) -> bool {
    !spaces(lab).is_empty() || Path::new("/sys/class/net").join(link(lab)).exists()
}

fn spaces(lab: &str) -> Vec<String> {
    let own = bridge_space(lab);
    let prefix = format!("{own}-h");
    let Ok(entries) = std::fs::read_dir("/run/netns") else { return Vec::new() };
    let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    names
        .filter(|name| {
            *name == own || name.strip_prefix(&prefix).is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit()))
        })
        .collect()
}

/// Takes all of it away.
pub fn lower(lab: &str) -> Result<()> {
    let link = link(lab);
    if Path::new("/sys/class/net").join(&link).exists() {
        tool::run("ip", &["link", "del", &link])?;
    }
    for space in spaces(lab) {
        tool::run("ip", &["netns", "del", &space])?;
    }
    Ok(())
}
