"""What each judge says of a host: one function a judge, raw answers beside the numbers."""
import ftplib, json, re, socket, ssl, subprocess, sys, time
import xml.etree.ElementTree as xml
from pathlib import Path

XCCDF = "{http://checklists.nist.gov/xccdf/1.2}"
RULE = "xccdf_org.ssgproject.content_rule_"
PROFILE = "xccdf_org.ssgproject.content_profile_"
#: Why a rule that still fails does: by groups, each a title and patterns of rules with a reason.
EXCEPTIONS = json.loads((Path(__file__).parent / "exceptions.json").read_text())


def exception(rule):
    """Whose matter a rule is and why, for those that are not simply left to do."""
    for group, entry in EXCEPTIONS.items():
        for pattern, why in entry["rules"].items():
            if re.fullmatch(pattern, rule):
                return group, why
    return None, ""


def of_machine(rule):
    """Whether no run on a running host (a container, as it is measured) can change it."""
    return exception(rule)[0] in ("machine", "container")


class Host:
    """A host of a lab: its address, its tree, and a shell inside."""

    def __init__(self, program, lab, name="h1"):
        rows = json.loads(subprocess.run([program, "lab", "list", "--json"], check=True, capture_output=True).stdout)
        row = next((r for r in rows if r["lab"] == lab and r["host"] == name), None)
        if row is None:
            sys.exit(f"there is no host {name} in a lab {lab}")
        self.program, self.lab, self.name = str(program), lab, name
        self.address, self.root = row["address"], Path(row["root"])
        self.dir = self.root.parents[2]
        self.password = json.loads((self.dir / "lab.json").read_text())["password"]

    def sh(self, script, timeout=900):
        """Runs a script inside, past sshd."""
        done = subprocess.run([self.program, "lab", "exec", "--name", self.lab, self.name, "sh", "-c", script], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, errors="replace", timeout=timeout)
        return done.returncode, done.stdout, done.stderr

    def read(self, script, timeout=900):
        return self.sh(script, timeout)[1]

    def ssh(self, user, command, stdin="", timeout=60):
        """Logs in by key, as anybody would."""
        words = ["ssh", "-F", "none", "-i", self.dir / "id_ed25519", "-o", f"UserKnownHostsFile={self.dir}/known_hosts", "-o", "BatchMode=yes",
                 "-o", "ConnectTimeout=10", "-o", "IdentitiesOnly=yes", f"{user}@{self.address}", command]
        done = subprocess.run(words, input=stdin, capture_output=True, text=True, timeout=timeout)
        return done.returncode, done.stdout, done.stderr


class Box:
    """The tree with the tools that look from outside; a call sees the lab's network and leaves no trace in the tree."""

    def __init__(self, program, dress):
        done = subprocess.run([program, "lab", "base", "--dress", dress], check=True, capture_output=True, text=True)
        self.tree = Path(done.stdout.strip())

    def run(self, *words, timeout=900):
        call = ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--volatile=overlay", "--pipe", "--settings=no", "--resolv-conf=off",
                "--timezone=off", "--link-journal=no", f"--directory={self.tree}", "--", *map(str, words)]
        return subprocess.run(call, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=timeout).stdout


def keep(raw, name, text):
    if raw:
        Path(raw).mkdir(parents=True, exist_ok=True)
        (Path(raw) / name).write_text(text)


def lynis(host, source=None, raw=None):
    """Lynis inside the host: Debian's own, or the release in the directory `source`."""
    report, place, began = "/run/judge.dat", "/usr/share/judge-lynis", time.monotonic()
    run = "lynis"
    if source:
        subprocess.run(["cp", "-r", "--no-preserve=ownership", str(source), f"{host.root}{place}"], check=True)
        host.sh(f"chown -R root:root {place}; chmod -R go-w {place}")
        # Without that word it takes the tests of Debian's package where that is installed.
        run = f"cd {place} && ./lynis --usecwd"
    _, out, err = host.sh(f"umask 077; rm -f {report}; {run} audit system --quick --no-colors --report-file {report} --logfile /run/judge.log")
    text = host.read(f"cat {report}; rm -f {report}")
    keep(raw, f"lynis-{'source' if source else 'debian'}.txt", text + "\n" + out + err)
    keep(raw, f"lynis-{'source' if source else 'debian'}.log", host.read("cat /run/judge.log; rm -f /run/judge.log"))
    if source:
        host.sh(f"rm -rf {place}")
    fields = [line.split("=", 1) for line in text.splitlines() if "=" in line]
    first = dict(reversed(fields))
    tests = lambda key: [": ".join(part for part in value.split("|")[:3] if part not in ("", "-")) for name, value in fields if name == key]
    if "hardening_index" not in first:
        raise RuntimeError(f"Lynis said nothing: {(out + err)[-500:]}")
    return {"version": first.get("lynis_version"), "index": int(first["hardening_index"]), "warnings": tests("warning[]"),
            "suggestions": tests("suggestion[]"), "seconds": round(time.monotonic() - began)}


def profiles(stream):
    ids = re.findall(r'<(?:[\w.-]+:)?Profile [^>]*id="' + PROFILE + r'([\w-]+)"', Path(stream).read_text(errors="replace"))
    return sorted(set(ids))


def oscap(host, stream, profile, raw=None):
    """OpenSCAP inside the host, on the running system."""
    inside, results, began = "/run/judge-ds.xml", "/run/judge-results.xml", time.monotonic()
    with open(stream, "rb") as file:
        subprocess.run([host.program, "lab", "exec", "--name", host.lab, host.name, "sh", "-c", f"cat >{inside}"], stdin=file, check=True)
    code, out, err = host.sh(f"oscap xccdf eval --profile {PROFILE}{profile} --results {results} {inside} >/run/judge.out 2>&1; rc=$?; tail -c 600 /run/judge.out; exit $rc")
    text = host.read(f"cat {results}; rm -f {results} {inside} /run/judge.out")
    if code not in (0, 2) or not text:
        raise RuntimeError(f"oscap {profile}: {(out + err)[-600:]}")
    keep(raw, f"oscap-{profile}.xml", text)
    found = {r.get("idref").removeprefix(RULE): r.find(XCCDF + "result").text for r in xml.fromstring(text).iter(XCCDF + "rule-result")}
    told = {}
    for rule, result in found.items():
        told.setdefault(result, []).append(rule)
    passed, failed = told.get("pass", []), told.get("fail", [])
    host_failed = [rule for rule in failed if not of_machine(rule)]
    host_passed = [rule for rule in passed if not of_machine(rule)]
    share = lambda good, bad: round(100 * len(good) / max(1, len(good) + len(bad)), 1)
    return {"profile": profile, "passed": len(passed), "failed": sorted(failed), "share": share(passed, failed),
            "host_share": share(host_passed, host_failed), "host_failed": sorted(host_failed),
            "not_told": sorted(told.get("error", []) + told.get("unknown", []) + told.get("notchecked", [])),
            "not_applicable": len(told.get("notapplicable", [])), "seconds": round(time.monotonic() - began)}


def ssh_audit(host, tool, raw=None):
    """ssh-audit from outside: what it fails and warns of, and its policy for this release."""
    told = subprocess.run([tool, "-j", host.address], capture_output=True, text=True)
    keep(raw, "ssh-audit.json", told.stdout + told.stderr)
    scan = json.loads(told.stdout)
    fails, warns = [], []
    for part in ("kex", "key", "enc", "mac"):
        for entry in scan.get(part, []):
            notes = entry.get("notes", {})
            fails += [f"{part} {entry['algorithm']}: {note}" for note in notes.get("fail", [])]
            warns += [f"{part} {entry['algorithm']}: {note}" for note in notes.get("warn", [])]
    policies = subprocess.run([tool, "-L"], capture_output=True, text=True).stdout
    names = re.findall(r'"?(Hardened Debian 12 \(version \d+\))"?', policies)
    policy = names[-1] if names else "Hardened Debian 12 (version 1)"
    judged = subprocess.run([tool, "-j", "-P", policy, host.address], capture_output=True, text=True)
    keep(raw, "ssh-audit-policy.json", judged.stdout + judged.stderr)
    verdict = json.loads(judged.stdout)
    return {"fails": fails, "warns": warns, "banner": scan.get("banner", {}).get("raw"), "policy": policy, "policy_passed": verdict.get("passed"),
            "policy_misses": [error.get("mismatched_field") for error in verdict.get("errors", [])]}


def tls(host, box, sslyze, raw=None, port=443):
    """sslscan and sslyze from outside: versions, ciphers, Mozilla's intermediate profile (certificate aside)."""
    scan = box.run("sslscan", "--no-colour", "--no-check-certificate", f"{host.address}:{port}")
    keep(raw, "sslscan.txt", scan)
    versions = re.findall(r"^((?:TLS|SSL)v[\d.]+)\s+enabled", scan, re.M)
    ciphers = re.findall(r"^(?:Preferred|Accepted)\s+(\S+)\s+(\d+) bits\s+(\S+)", scan, re.M)
    strong = re.compile(r"GCM|CHACHA20")
    bad = [f"{version} {name}" for version, bits, name in ciphers if version != "TLSv1.3" and (not strong.search(name) or not name.startswith(("ECDHE", "DHE")))]
    groups = re.findall(r"^TLSv\S+\s+\d+ bits\s+(\S+)", scan, re.M)
    told = subprocess.run([sslyze, "--mozilla_config", "intermediate", f"{host.address}:{port}"], capture_output=True, text=True)
    keep(raw, "sslyze.txt", told.stdout + told.stderr)
    part = told.stdout.split("COMPLIANCE AGAINST")[-1]
    lines = [line.strip(" *") for line in part.splitlines() if re.match(r"\s+\* ", line)]
    return {"versions": versions, "weak_ciphers": bad, "groups": groups,
            "mozilla": [line for line in lines if not line.lower().startswith(("certificate", "maximum_certificate"))],
            "mozilla_certificate": [line for line in lines if line.lower().startswith(("certificate", "maximum_certificate"))],
            "mozilla_ran": "COMPLIANCE AGAINST" in told.stdout}


def web(host, raw=None):
    """What nginx tells and shows to anybody."""
    context = ssl._create_unverified_context()
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED

    def get(path):
        with socket.create_connection((host.address, 443), 10) as plain, context.wrap_socket(plain, server_hostname="shop.example") as line:
            line.sendall(f"GET {path} HTTP/1.0\r\nHost: shop.example\r\n\r\n".encode())
            data = b""
            while more := line.recv(65536):
                data += more
        return data.decode(errors="replace")
    try:
        first, listing = get("/"), get("/files/")
    except OSError as error:
        return {"error": str(error)}
    keep(raw, "web.txt", first + listing)
    head = first.split("\r\n\r\n")[0].lower()
    wanted = ["strict-transport-security", "x-frame-options", "x-content-type-options", "content-security-policy", "referrer-policy", "permissions-policy"]
    return {"headers": [name for name in wanted if f"\n{name}:" in head], "version_shown": bool(re.search(r"server: nginx/\d", head)),
            "listing": "prices.txt" in listing}


def ports(host, box, raw=None):
    """nmap from outside, and who is let in without being asked."""
    scan = box.run("nmap", "-n", "-Pn", "-p-", "-T4", "--open", host.address)
    keep(raw, "nmap.txt", scan)
    answer = lambda *words: box.run("timeout", "8", *words)
    redis = answer("redis-cli", "-h", host.address, "PING")
    mariadb = [user for user in ("root", "nobody-known") if "1" in answer("mariadb", "--connect-timeout=5", "-h", host.address, "-u", user, "-N", "-e", "SELECT 1")]
    ftp = False
    try:
        with ftplib.FTP(host.address, timeout=8) as line:
            ftp = line.login().startswith("230")
    except (OSError, EOFError, ftplib.Error):
        pass
    return {"tcp": [int(port) for port in re.findall(r"^(\d+)/tcp\s+open ", scan, re.M)], "redis_open": "PONG" in redis, "mariadb_open": mariadb,
            "ftp_open": ftp, "tftp_open": tftp(host.address)}


def tftp(address):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        line.settimeout(3)
        for _ in range(2):
            try:
                line.sendto(b"\0\1pxelinux.0\0octet\0", (address, 69))
                return line.recv(600)[:2] == b"\0\3"
            except OSError:
                continue
    return False


COUNTS = {
    "uid 0 accounts": "awk -F: '$3==0{print $1}' /etc/passwd",
    "empty passwords": "awk -F: '$2==\"\"{print $1}' /etc/shadow",
    "NOPASSWD sudo rules": "grep -hrE '^[^#]*NOPASSWD' /etc/sudoers /etc/sudoers.d",
    "private keys that others may read": "find /etc/ssh /etc/ssl/private /root /home -xdev -type f \\( -name 'id_*' -o -name '*.key' -o -name '*_key' \\) ! -name '*.pub' -perm /044",
    "files that everybody may write": "find / -xdev -type f -perm -0002 -not -path '/proc/*' -not -path '/sys/*'",
    "directories that everybody may write, not sticky": "find / -xdev -type d -perm -0002 ! -perm -1000 -not -path '/proc/*' -not -path '/sys/*'",
    "files of nobody": "find / -xdev \\( -nouser -o -nogroup \\) -not -path '/proc/*' -not -path '/sys/*'",
    "SUID and SGID files": "find / -xdev -type f -perm /6000 -not -path '/proc/*' -not -path '/sys/*'",
    "SUID and SGID files of no package": "find / -xdev -type f -perm /6000 -not -path '/proc/*' -not -path '/sys/*' | while read -r f; do dpkg -S \"$f\" >/dev/null 2>&1 || dpkg -S \"${f#/usr}\" >/dev/null 2>&1 || echo \"$f\"; done",
    "pending security updates": "apt-get -s -q dist-upgrade 2>/dev/null | grep '^Inst.*Debian-Security'",
}


def own(host, raw=None):
    """What the judges above do not count, counted here in the open: one shell command a row."""
    told = {what: sorted(host.read(script).splitlines()) for what, script in COUNTS.items()}
    keep(raw, "counts.json", json.dumps(told, indent=1))
    numbers = {what: len(lines) for what, lines in told.items()}
    periodic = host.read("apt-config dump APT::Periodic::Unattended-Upgrade; systemctl is-enabled apt-daily-upgrade.timer; systemctl is-active apt-daily-upgrade.timer; command -v unattended-upgrade")
    numbers["automatic updates"] = '"1"' in periodic and "enabled" in periodic and "\nactive" in periodic and "/unattended-upgrade" in periodic
    numbers["host firewall drops by default"] = bool(re.search(r"hook input[^}]*policy drop", host.read("nft list ruleset 2>/dev/null")))
    return numbers


UNITS = ["ssh", "nginx", "redis-server", "mariadb", "cron"]


def exposure(host, raw=None):
    """systemd-analyze security for the services that have to stay."""
    text = host.read("systemd-analyze security --no-pager")
    keep(raw, "exposure.txt", text)
    rows = {name: float(value) for name, value in re.findall(r"^(\S+)\.service\s+([\d.]+) ", text, re.M)}
    unsafe = re.findall(r"UNSAFE", text)
    return {"mean": round(sum(rows.values()) / max(1, len(rows)), 2), "units": len(rows), "unsafe": len(unsafe), "kept": {unit: rows.get(unit) for unit in UNITS}}


def works(host, raw=None, reboot=True):
    """Whether the server still does what it is for: what, and whether it does."""
    told, why = {}, {}

    def note(what, good, said=""):
        told[what] = bool(good)
        if not good:
            why[what] = str(said)[-600:]

    def login():
        code, out, err = host.ssh("pwadmin", "sudo -S -p '' id -u", host.password + "\n")
        return code == 0 and out.strip() == "0", out + err

    def page(version):
        context = ssl._create_unverified_context()
        context.minimum_version = context.maximum_version = version
        try:
            with socket.create_connection((host.address, 443), 10) as plain, context.wrap_socket(plain, server_hostname="shop.example") as line:
                line.sendall(b"GET / HTTP/1.0\r\nHost: shop.example\r\n\r\n")
                data = b""
                while more := line.recv(65536):
                    data += more
            return b"the shop is open" in data, data
        except OSError as error:
            return False, error

    def app():
        code, out, err = host.sh("runuser -u shop -- /usr/local/bin/shop visit")
        return code == 0 and re.match(r"rows=\d+ hits=\d+$", out.strip()), out + err

    def ticks():
        return host.read("wc -l </var/lib/shop/ticks").strip() or "0"

    def all_ways(when):
        note(f"login by key with sudo{when}", *login())
        note(f"page over TLS 1.2{when}", *page(ssl.TLSVersion.TLSv1_2))
        note(f"page over TLS 1.3{when}", *page(ssl.TLSVersion.TLSv1_3))
        note(f"MariaDB and Redis for the local application{when}", *app())

    def cron(when):
        before, deadline = ticks(), time.monotonic() + 75
        while ticks() == before and time.monotonic() < deadline:
            time.sleep(1)
        note(f"cron job{when}", ticks() != before, host.read("systemctl status cron --no-pager | tail -n 5"))

    all_ways("")
    cron("")
    code, out, err = host.sh("apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -q -y install tree && tree --version && DEBIAN_FRONTEND=noninteractive apt-get -q -y purge tree")
    note("apt installs a package", code == 0, out + err)
    code, out, err = host.sh("unattended-upgrade --dry-run")
    note("unattended-upgrades runs", code == 0, out + err)
    if reboot:
        boot = "cat /proc/sys/kernel/random/boot_id"
        before, deadline = host.read(boot), time.monotonic() + 120
        host.sh("systemctl reboot")
        came = lambda: host.read(boot) not in ("", before) and host.read("systemctl is-system-running") .strip() in ("running", "degraded")
        while not came() and time.monotonic() < deadline:
            time.sleep(0.5)
        note("a reboot", came(), host.read("systemctl list-jobs --no-pager"))
        all_ways(" after it")
        failed = host.read("systemctl --failed --no-legend --plain | cut -d' ' -f1").split()
        told["units failed after the reboot"] = failed
    keep(raw, "works.json", json.dumps({"works": told, "why not": why}, indent=1))
    return {"works": told, "why_not": why}
