//! nginx: its blocks with all that they include, and what each says about TLS.

use super::braces::{Directive, parse};
use super::look::{Found, Look, Server, text};
use super::text::line_number;
use super::wish::{CIPHERS, CURVES, Headers, Wish, good_ciphers, good_curves};
use crate::fact::TlsFile;
use std::ops::Range;

pub struct Nginx;

const MAIN: &str = "/etc/nginx/nginx.conf";
const DROP_IN: &str = "/etc/nginx/conf.d/00-steadfast-tls.conf";
const DH: &str = "/etc/nginx/steadfast-ffdhe2048.pem";
const HEAD: &str = "# kept by steadfast: what no other file says\n";

/// A directive where it counts: what is included stands in the place of its `include`.
struct Node<'t> {
    file: &'t TlsFile,
    name: String,
    args: Vec<String>,
    start: usize,
    args_at: Range<usize>,
    inner: Option<Inner<'t>>,
}

struct Inner<'t> {
    /// After the opening brace, in the directive's own file.
    opening: usize,
    nodes: Vec<Node<'t>>,
    /// Our own file would be included here.
    takes_drop_in: bool,
}

fn whole(path: &str) -> String {
    if path.starts_with('/') { path.to_owned() } else { format!("/etc/nginx/{path}") }
}

fn is_drop_in(pattern: &str) -> bool {
    let glob = globset::GlobBuilder::new(pattern).literal_separator(true).build();
    glob.is_ok_and(|glob| glob.compile_matcher().is_match(DROP_IN))
}

/// A file with all that it includes.
fn read<'t>(found: &Found<'t>, file: &'t TlsFile, deep: usize) -> Result<(Vec<Node<'t>>, bool), String> {
    if deep > 12 {
        return Err(format!("{} includes itself", file.path));
    }
    let text = text(file)?;
    let items = parse(text).map_err(|at| format!("{}:{} is not understood", file.path, line_number(text, at)))?;
    expand(found, file, items, deep)
}

fn expand<'t>(
    found: &Found<'t>,
    file: &'t TlsFile,
    items: Vec<Directive>,
    deep: usize,
) -> Result<(Vec<Node<'t>>, bool), String> {
    let (mut nodes, mut takes_drop_in) = (Vec::new(), false);
    for item in items {
        let Directive { name, args, start, args_at, block } = item;
        if let ("include", [pattern]) = (name.as_str(), args.as_slice()) {
            let pattern = whole(pattern);
            takes_drop_in |= is_drop_in(&pattern);
            let files = found.matching(&pattern);
            if files.is_empty() && !pattern.contains(['*', '?', '[']) {
                return Err(format!("{} includes {pattern}, which could not be read", file.path));
            }
            for file in files {
                nodes.extend(read(found, file, deep + 1)?.0);
            }
            continue;
        }
        let inner = match block {
            Some(block) => {
                let (nodes, takes_drop_in) = expand(found, file, block.items, deep)?;
                Some(Inner { opening: block.start, nodes, takes_drop_in })
            }
            None => None,
        };
        nodes.push(Node { file, name, args, start, args_at, inner });
    }
    Ok((nodes, takes_drop_in))
}

/// What a directive should say.
struct Rule {
    name: &'static str,
    wanted: String,
    good: Box<dyn Fn(&str) -> bool>,
    unset: Unset,
    /// In `http` alone, or in `stream` and `mail` as well.
    http_only: bool,
}

#[derive(PartialEq, Eq)]
enum Unset {
    Fine,
    Bad,
    /// Where a server speaks TLS.
    BadWithTls,
}

fn rules(wish: &Wish) -> Vec<Rule> {
    let versions = wish.clone();
    let rule = |name, wanted: &str, unset, good: Box<dyn Fn(&str) -> bool>| {
        let http_only = matches!(name, "server_tokens" | "ssl_session_cache");
        Rule { name, wanted: wanted.to_owned(), good, unset, http_only }
    };
    let protocols = move |value: &str| versions.allows(&value.split(' ').collect::<Vec<_>>());
    vec![
        rule("ssl_protocols", &wish.words(" "), Unset::BadWithTls, Box::new(protocols)),
        rule("ssl_ciphers", CIPHERS, Unset::BadWithTls, Box::new(good_ciphers)),
        rule("ssl_ecdh_curve", CURVES, Unset::Fine, Box::new(good_curves)),
        rule("ssl_session_tickets", "off", Unset::BadWithTls, Box::new(|value| value == "off")),
        // Without tickets and without a cache each connection would begin anew.
        rule("ssl_session_cache", "shared:steadfast:10m", Unset::BadWithTls, Box::new(|_| true)),
        rule("server_tokens", "off", Unset::Bad, Box::new(|value| value == "off")),
    ]
}

fn speaks_tls(server: &Node<'_>) -> bool {
    let word = |node: &Node<'_>, word: &str| node.args.iter().any(|arg| arg == word);
    server.name == "server"
        && server.inner.iter().flat_map(|inner| &inner.nodes).any(|node| match node.name.as_str() {
            "listen" => word(node, "ssl") || word(node, "quic"),
            "ssl" => word(node, "on"),
            "starttls" => word(node, "on") || word(node, "only"),
            _ => false,
        })
}

fn own<'n, 't>(nodes: &'n [Node<'t>], name: &str) -> Option<&'n Node<'t>> {
    nodes.iter().find(|node| node.name == name)
}

/// A block in words (`server example.com`).
fn called(node: &Node<'_>) -> String {
    let name = match node.name.as_str() {
        "server" => {
            let nodes = node.inner.as_ref().map_or(&[][..], |inner| &inner.nodes);
            let names = own(nodes, "server_name").or_else(|| own(nodes, "listen"));
            names.and_then(|names| names.args.first().cloned()).unwrap_or_default()
        }
        _ => node.args.join(" "),
    };
    format!("{} {name}", node.name).trim().to_owned()
}

/// A walk through one of the blocks `http`, `stream`, `mail`.
struct Walk<'t, 'w> {
    look: Look<'t>,
    rules: &'w [Rule],
    wish: &'w Wish,
    found: &'w Found<'t>,
    /// Lines for our own file.
    lines: Vec<String>,
    /// The value of Strict-Transport-Security, where a server of the block speaks TLS.
    hsts: Option<String>,
}

impl<'t> Walk<'t, '_> {
    /// Corrects what is said here and in all blocks below.
    fn said(&mut self, nodes: &[Node<'t>], block: &str, is_http: bool) -> Result<(), String> {
        for node in nodes {
            let what = format!("{block} {}", node.name);
            for rule in self.rules.iter().filter(|rule| rule.name == node.name && (is_http || !rule.http_only)) {
                let value = node.args.join(" ");
                if !(rule.good)(&value) {
                    self.look.wrong(node.file, node.args_at.clone(), &what, [&value, &rule.wanted], &rule.wanted);
                }
            }
            if let ("ssl_dhparam", [path]) = (node.name.as_str(), node.args.as_slice()) {
                match self.found.is_large(&whole(path)) {
                    Some(true) => {}
                    Some(false) => {
                        self.look.wrong(node.file, node.args_at.clone(), &what, [path, DH], DH);
                        self.look.bring_dh(DH);
                    }
                    None => return Err(format!("the size of the group in {path} cannot be told")),
                }
            }
            if let Some(inner) = &node.inner {
                let block = if block == "http" { called(node) } else { format!("{block} {}", called(node)) };
                self.said(&inner.nodes, &block, is_http)?;
                self.headers_of_block(&inner.nodes, &block, is_http);
            }
        }
        Ok(())
    }

    /// What nobody says comes into our own file, or beside the others.
    fn unsaid(&mut self, top: &Node<'t>, inner: &Inner<'t>) {
        let tls: Vec<&Node<'_>> = inner.nodes.iter().filter(|node| speaks_tls(node)).collect();
        let lacks = |server: &&&Node<'_>, name| server.inner.iter().all(|inner| own(&inner.nodes, name).is_none());
        for rule in self.rules.iter().filter(|rule| top.name == "http" || !rule.http_only) {
            let needed = match rule.unset {
                Unset::Fine => false,
                Unset::Bad => true,
                Unset::BadWithTls => tls.iter().any(|server| lacks(&server, rule.name)),
            };
            if needed && own(&inner.nodes, rule.name).is_none() {
                let what = format!("{} {}", top.name, rule.name);
                self.put(top, inner, &what, &rule.wanted, format!("{} {};", rule.name, rule.wanted));
            }
        }
        if top.name == "http" {
            self.headers(top, inner);
        }
    }

    fn put(&mut self, top: &Node<'t>, inner: &Inner<'t>, what: &str, wanted: &str, line: String) {
        if top.name == "http" && inner.takes_drop_in {
            self.look.unset(top.file, top.start, what, wanted);
            self.lines.push(line);
        } else {
            self.look.edits(top.file).add_to_block(inner.opening, &line);
            self.look.unset(top.file, top.start, what, wanted);
        }
    }

    fn wanted_headers(&self) -> Vec<(&'static str, String)> {
        let plain = self.wish.headers.iter().flat_map(Headers::plain);
        let mut all: Vec<_> = plain.map(|(name, value)| (name, format!("\"{value}\""))).collect();
        // Nothing is sent where the variable is empty: over plain HTTP.
        all.extend(self.hsts.iter().map(|_| ("Strict-Transport-Security", "$steadfast_hsts".to_owned())));
        all
    }

    fn headers(&mut self, top: &Node<'t>, inner: &Inner<'t>) {
        if let Some(value) = self.hsts.clone() {
            let is_map =
                |node: &&Node<'_>| node.name == "map" && node.args.get(1).is_some_and(|to| to == "$steadfast_hsts");
            let map = inner.nodes.iter().find(is_map).and_then(|map| own(&map.inner.as_ref()?.nodes, "on"));
            match map {
                Some(on) if on.args.first() == Some(&value) => {}
                Some(on) => {
                    let (was, with) = (on.args.join(" "), format!("\"{value}\""));
                    self.look.wrong(
                        on.file,
                        on.args_at.clone(),
                        "http Strict-Transport-Security",
                        [&was, &value],
                        &with,
                    );
                }
                None => {
                    let line = format!("map $https $steadfast_hsts {{ on \"{value}\"; }}");
                    self.put(top, inner, "http Strict-Transport-Security", &value, line);
                }
            }
        }
        for (name, value) in self.wanted_headers() {
            if !has_header(&inner.nodes, name) {
                self.put(
                    top,
                    inner,
                    &format!("http add_header {name}"),
                    &value,
                    format!("add_header {name} {value} always;"),
                );
            }
        }
    }

    /// A block that adds headers gets none of those around it.
    fn headers_of_block(&mut self, nodes: &[Node<'t>], block: &str, is_http: bool) {
        let Some(first) = own(nodes, "add_header").filter(|_| is_http) else { return };
        for (name, value) in self.wanted_headers() {
            if !has_header(nodes, name) {
                self.look.edits(first.file).before(first.start, &format!("add_header {name} {value} always;"));
                self.look.unset(first.file, first.start, &format!("{block} add_header {name}"), &value);
            }
        }
    }
}

fn has_header(nodes: &[Node<'_>], name: &str) -> bool {
    let is = |node: &Node<'_>| {
        node.name == "add_header" && node.args.first().is_some_and(|own| own.eq_ignore_ascii_case(name))
    };
    nodes.iter().any(is)
}

impl Server for Nginx {
    fn word(&self) -> &'static str {
        "nginx"
    }
    fn packages(&self) -> &'static [&'static str] {
        &["nginx", "nginx-light", "nginx-core", "nginx-full", "nginx-extras"]
    }
    fn units(&self) -> &'static [&'static str] {
        &["nginx.service"]
    }
    fn trial(&self) -> Option<&'static str> {
        Some("PATH=$PATH:/usr/sbin:/sbin; ! command -v nginx >/dev/null || nginx -t -q")
    }
    fn own(&self) -> &'static [&'static str] {
        &[DROP_IN, DH]
    }

    fn look<'t>(&self, found: &Found<'t>, wish: &Wish) -> Result<Look<'t>, String> {
        let Some(main) = found.file(MAIN) else { return Ok(Look::default()) };
        let rules = rules(wish);
        let (nodes, _) = read(found, main, 0)?;
        let mut walk = Walk { look: Look::default(), rules: &rules, wish, found, lines: vec![], hsts: None };
        for top in nodes.iter().filter(|node| matches!(node.name.as_str(), "http" | "stream" | "mail")) {
            let Some(inner) = &top.inner else { continue };
            let hsts = wish.headers.as_ref().and_then(Headers::hsts);
            walk.hsts = hsts.filter(|_| inner.nodes.iter().any(speaks_tls));
            walk.said(&inner.nodes, &top.name, top.name == "http")?;
            walk.unsaid(top, inner);
        }
        let Walk { mut look, lines, .. } = walk;
        match found.file(DROP_IN) {
            _ if lines.is_empty() => {}
            Some(file) => look.edits(file).at_end(&lines),
            None => {
                let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
                look.made.insert(DROP_IN.into(), format!("{HEAD}{text}"));
            }
        }
        look.rows.dedup();
        Ok(look)
    }
}
