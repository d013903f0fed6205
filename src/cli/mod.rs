//! The command line: one file a command; here what they share.

use crate::fault::{Fault, Faults};
use crate::secret::redact;
use crate::store::Call;
use clap::{Args, Parser, Subcommand};
use std::io::{IsTerminal, Write};
use std::path::PathBuf;

mod approve;
mod audit;
mod cloud;
mod complete;
mod controls;
mod ear;
mod evidence;
mod explain;
mod fields;
mod graph;
mod import;
mod init;
mod inventory;
mod key_list;
mod keys;
mod lab;
mod load;
mod man;
mod report;
mod resume;
mod rollback;
mod run;
mod runs;
mod saved;
mod schema;
mod secret;
mod session;
mod terminal;
mod unlock;
mod validate;
mod way;
mod who;

/// Brings a fleet of Linux servers to a hardened state over SSH and keeps it there.
#[derive(Debug, Parser)]
#[command(name = "steadfast", version, propagate_version = true, max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    look: Look,
    #[command(subcommand)]
    command: Command,
}

/// How things are told.
#[derive(Debug, Clone, Args)]
struct Look {
    /// Plain text without colours (as the variable NO_COLOR).
    #[arg(long, global = true)]
    no_color: bool,
    /// More detail: -v what is in order as well, -vv what the program does.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make an empty folder a working project: playbook, inventory, waivers, CI.
    Init(init::Init),
    /// Read playbooks and inventory and tell every mistake; no host is contacted.
    Validate(validate::Validate),
    /// Dry run: read every host, tell what differs (exit 2), change nothing.
    Check(run::Check),
    /// Show what `apply` would do; change nothing.
    Plan(run::Plan),
    /// Plan, show, ask, change, read again.
    Apply(run::Apply),
    /// Take back what a run changed, from the journals of the hosts.
    Rollback(rollback::Rollback),
    /// Go on with a run that was broken off.
    Resume(resume::Resume),
    /// Show which run holds a host, and take it away from it.
    Unlock(unlock::Unlock),
    /// The runs that this controller remembers; what differs between two; hosts that nobody has looked at.
    Runs(runs::Runs),
    /// What is remembered of a run.
    Show(report::Show),
    /// Tell again what a run came to, in any format.
    Report(report::Report),
    /// The chain of runs: sign it, see that nothing in it was changed.
    Audit(audit::Audit),
    /// See that evidence is as it was taken.
    Evidence(evidence::Evidence),
    /// Keys by which users log in: what is known of them, and their rotation.
    Keys(keys::Keys),
    /// What concerns the account in a cloud: the policy that playbooks need there.
    Cloud(cloud::Cloud),
    /// Make and edit files encrypted by age, as `{secret: age:FILE}` reads them.
    Secret(secret::Secret),
    /// Translate a playbook of Ansible, as far as it means exactly the same.
    Import(import::Import),
    /// The graph of tasks, as dot, mermaid or json.
    Graph(graph::Graph),
    /// What the inventory says, in the forms of `ansible-inventory`.
    Inventory(inventory::Inventory),
    /// The handbook page of a kind of step, or the list of all; what an error means, by its code.
    Explain(explain::Explain),
    /// The JSON Schema of playbooks or inventories, for editors, or of JSON reports.
    Schema(schema::Schema),
    /// Throw-away real hosts to try playbooks on.
    Lab(lab::Lab),
    /// Manual pages.
    Man(man::Man),
    /// Completions for a shell, with the names of your hosts, steps, tags and runs, to standard output.
    Completions { shell: clap_complete::Shell },
}

/// Which playbooks, on which hosts, with which variables.
#[derive(Debug, Clone, Args)]
struct Scope {
    /// Playbook files.
    #[arg(required = true, value_name = "PLAYBOOK")]
    playbooks: Vec<PathBuf>,
    /// Inventory file, directory, executable or `host1,host2,`; may be given again.
    #[arg(short, long, value_name = "INVENTORY", env = "STEADFAST_INVENTORY", value_delimiter = '\0',
        value_parser = clap::builder::NonEmptyStringValueParser::new())]
    inventory: Vec<String>,
    /// Only hosts within this pattern.
    #[arg(short, long, value_name = "PATTERN", value_parser = clap::builder::NonEmptyStringValueParser::new(),
        add = complete::hosts())]
    limit: Option<String>,
    /// Only steps with one of these tags, and what they need.
    #[arg(short, long, value_name = "TAG", value_delimiter = ',', add = complete::tags())]
    tags: Vec<String>,
    /// No steps with one of these tags.
    #[arg(long, value_name = "TAG", value_delimiter = ',', add = complete::tags())]
    skip_tags: Vec<String>,
    /// Variables that win over all others: `name=value` (a text, or true or false), a JSON or YAML map, or
    /// `@FILE`.
    #[arg(short, long, value_name = "VARS")]
    extra_vars: Vec<String>,
    /// Act as root by sudo where neither playbook nor inventory says.
    #[arg(short = 'b', long = "become")]
    become_root: bool,
    /// File of waivers; may be given again [default: waivers.yml beside the inventory and the playbooks].
    #[arg(long, value_name = "FILE")]
    waivers: Vec<PathBuf>,
}

impl Scope {
    /// What was called once, with the values that were not kept.
    fn of(call: &Call, extra_vars: Vec<String>) -> Self {
        Self {
            playbooks: call.playbooks.clone(),
            inventory: call.inventory.clone(),
            limit: call.limit.clone(),
            tags: call.tags.clone(),
            skip_tags: call.skip_tags.clone(),
            extra_vars,
            become_root: call.become_root,
            waivers: call.waivers.clone(),
        }
    }

    /// What is remembered of it: paths that hold from everywhere, and no values that may be secrets.
    fn call(&self) -> Call {
        let absolute = |path: &PathBuf| std::path::absolute(path).unwrap_or_else(|_| path.clone());
        let whole = |source: &String| {
            let path = PathBuf::from(source);
            if path.exists() { absolute(&path).display().to_string() } else { source.clone() }
        };
        let inventory = load::sources(&self.inventory, &self.playbooks);
        Call {
            playbooks: self.playbooks.iter().map(absolute).collect(),
            inventory: inventory.iter().map(whole).collect(),
            limit: self.limit.clone(),
            tags: self.tags.clone(),
            skip_tags: self.skip_tags.clone(),
            extra_vars: self.extra_vars.iter().map(|word| named(word)).collect(),
            become_root: self.become_root,
            waivers: load::waivers(self).iter().map(absolute).collect(),
            ..Call::default()
        }
    }
}

/// ` -e …` for each that was given, as it must be given again; without its values.
fn words_again(extra_vars: &[String]) -> String {
    let blank = |name: &str| format!("{name}=…");
    let one = |word: &String| match named(word) {
        name if name.starts_with(['@', '{']) => name,
        names => names.split(' ').map(blank).collect::<Vec<_>>().join(" "),
    };
    let quoted = |word: String| if word.contains([' ', '{']) { format!(" -e '{word}'") } else { format!(" -e {word}") };
    extra_vars.iter().map(one).map(quoted).collect()
}

/// `-e` without its values: a file by its path, else the names.
fn named(word: &str) -> String {
    if word.starts_with('@') {
        return word.to_owned();
    }
    if word.trim_start().starts_with('{') {
        return "{…}".to_owned();
    }
    let names = word.split_whitespace().filter_map(|pair| pair.split_once('=')).map(|(name, _)| name);
    names.collect::<Vec<_>>().join(" ")
}

/// How many mistakes are shown at once: whoever has more looks at the first.
const MOST_FAULTS: usize = 100;

/// Reads the command line, does what it says, gives the exit code.
pub fn main() -> u8 {
    keep_memory_private();
    complete::answer();
    crate::secret::ask_by(terminal::ask_hidden);
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // clap's own code for a usage error is 2, which here means drift.
            let code = u8::from(error.use_stderr());
            let _ = error.print();
            return code;
        }
    };
    let color = !cli.look.no_color && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let look = Told { color, verbose: cli.look.verbose };
    diagnostics(cli.look.verbose);
    let done = match cli.command {
        Command::Init(command) => command.run(),
        Command::Validate(command) => command.run(look),
        Command::Check(command) => command.run(look),
        Command::Plan(command) => command.run(look),
        Command::Apply(command) => command.run(look),
        Command::Rollback(command) => command.run(look),
        Command::Resume(command) => command.run(look),
        Command::Unlock(command) => command.run(look),
        Command::Runs(command) => command.run(),
        Command::Show(command) => command.run(look),
        Command::Report(command) => command.run(look),
        Command::Audit(command) => command.run(),
        Command::Evidence(command) => command.run(),
        Command::Keys(command) => command.run(look),
        Command::Secret(command) => command.run(),
        Command::Import(command) => command.run(),
        Command::Graph(command) => command.run(),
        Command::Cloud(command) => command.run(),
        Command::Inventory(command) => command.run(),
        Command::Explain(command) => command.run(),
        Command::Schema(command) => command.run(),
        Command::Lab(command) => command.run(),
        Command::Man(command) => command.run(),
        Command::Completions { shell } => complete::registration(shell).and_then(|text| say(&text)).map(|()| 0),
    };
    done.unwrap_or_else(|faults| {
        for fault in faults.iter().take(MOST_FAULTS) {
            say_error(&crate::report::fault::render(fault, color && std::io::stderr().is_terminal()));
        }
        let more = faults.iter().count().saturating_sub(MOST_FAULTS);
        if more > 0 {
            say_error(&format!("… and {more} more; mend these first, many may have the same cause"));
        }
        1
    })
}

/// No core dump, and nobody but root looks into our memory or environment: secrets are there.
fn keep_memory_private() {
    use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
    // What a kernel does not let us do is no reason to stop.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
}

/// Standard error without secrets; a line of diagnostics comes as one piece.
struct Redacted;

impl Write for Redacted {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        std::io::stderr().write_all(redact(&String::from_utf8_lossy(bytes)).as_bytes())?;
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        std::io::stderr().flush()
    }
}

/// What the program does, for those who ask with `-vv` or RUST_LOG; to standard error.
fn diagnostics(verbose: u8) {
    use tracing_subscriber::EnvFilter;
    let level = match verbose {
        0 | 1 => "steadfast=warn",
        2 => "steadfast=debug",
        _ => "steadfast=trace",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let color = std::io::stderr().is_terminal();
    // A second subscriber would be a mistake of ours alone, and no reason to stop.
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(|| Redacted).with_ansi(color).try_init();
}

/// How this call tells things.
#[derive(Debug, Clone, Copy)]
struct Told {
    /// Colours are wanted, where there is a terminal.
    color: bool,
    verbose: u8,
}

/// Writes a result to standard output. A reader who went away is no fault.
fn say(text: &str) -> Result<(), Faults> {
    let mut out = std::io::stdout().lock();
    match out.write_all(redact(text).as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Fault::new("cannot write to standard output").why(error.to_string()).into())
        }
        _ => Ok(()),
    }
}

/// Writes a line to standard error.
fn say_error(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{}", redact(text.trim_end()));
}
