#!/usr/bin/env python3
"""steadfast against plain ssh, Ansible and pyinfra, on one fleet in one run.

    benches/fleet.py [--hosts 10] [--runs 5] [--rtt 50] [--peers] [--out docs/benchmark.md]

Makes a lab of its own (root), measures in turns, prints medians and ratios as Markdown, and takes the lab away. The work
is 40 facts of a hardened host: 12 kernel parameters, 10 keywords of sshd, 6 modes and owners, 4 services, 4 packages,
2 files, 1 user, 1 authorized key. The limit is one hand-written script that reads the same 40 facts, sent over plain
`ssh HOST sh` to all hosts at once.
"""
import argparse, asyncio, datetime, json, multiprocessing, os, re, resource, socket, statistics, subprocess, sys, tempfile, time
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
PROGRAM = TOP / "target/release/steadfast"
NAME = "bench"
PORTS = 23500

SYSCTLS = {
    "kernel.kptr_restrict": 2, "kernel.dmesg_restrict": 1, "kernel.randomize_va_space": 2, "fs.suid_dumpable": 0,
    "fs.protected_hardlinks": 1, "fs.protected_symlinks": 1, "net.ipv4.conf.all.accept_redirects": 0,
    "net.ipv4.conf.all.send_redirects": 0, "net.ipv4.conf.all.accept_source_route": 0,
    "net.ipv4.conf.all.log_martians": 1, "net.ipv4.tcp_syncookies": 1, "net.ipv4.icmp_echo_ignore_broadcasts": 1,
}
SSHD = {
    "PasswordAuthentication": "no", "PermitEmptyPasswords": "no", "X11Forwarding": "no", "MaxAuthTries": "3",
    "LoginGraceTime": "60", "ClientAliveInterval": "15", "ClientAliveCountMax": "3", "IgnoreRhosts": "yes",
    "HostbasedAuthentication": "no", "AllowAgentForwarding": "no",
}
MODES = {"/etc/passwd": "0644", "/etc/group": "0644", "/etc/shadow": "0640", "/etc/gshadow": "0640",
         "/etc/crontab": "0600", "/etc/ssh/sshd_config": "0600"}
GROUPS = {"/etc/shadow": "shadow", "/etc/gshadow": "shadow"}
SERVICES = ["rpcbind", "avahi-daemon", "cups", "vsftpd"]
PACKAGES = ["telnet", "rsh-client", "talk", "nis"]
FILES = {"/etc/issue": "Authorised use only.\n", "/etc/issue.net": "Authorised use only.\n"}
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBrhkEKp6Y4Zz7kBlsSL5vNFyBOn0vJzXIPSrNYuuT5x bench"


# Puts a host back to where all 40 facts differ.
DRIFT = "set -e; " + "".join(f"sysctl -qw {k}={v + 1 if v < 1 else 0} || true; " for k, v in SYSCTLS.items()) + """
rm -f /etc/sysctl.d/*steadfast* /etc/ssh/sshd_config.d/00-steadfast.conf
for f in /etc/passwd /etc/group /etc/shadow /etc/gshadow; do chmod u+x "$f"; done
chmod 0640 /etc/crontab /etc/ssh/sshd_config
for s in rpcbind avahi-daemon cups vsftpd; do systemctl -q unmask "$s.service" "$s.socket" 2>/dev/null || true; done
echo drifted | tee /etc/issue >/etc/issue.net
usermod -U games 2>/dev/null || usermod -p x games
sed -i '/bench$/d' /home/admin/.ssh/authorized_keys
systemctl reload ssh
"""


def playbook(extra=0):
    steps = [f"  - sysctl: {{key: {k}, value: \"{v}\"}}" for k, v in SYSCTLS.items()]
    steps += [f"  - id: sshd-{k}\n    sshd: {{{k}: \"{v}\"}}" for k, v in SSHD.items()]
    steps += [f"  - file: {{path: {p}, mode: \"{m}\", owner: root, group: {GROUPS.get(p, 'root')}}}" for p, m in MODES.items()]
    steps += [f"  - id: off-{s}\n    service: {{name: {s}, state: masked}}" for s in SERVICES]
    steps += [f"  - id: no-{p}\n    package: {{name: {p}, state: absent}}" for p in PACKAGES]
    steps += [f"  - file: {{path: {p}, content: {json.dumps(c)}, mode: \"0644\"}}" for p, c in FILES.items()]
    steps += ["  - id: games-locked\n    user: {name: games, locked: true}"]
    steps += [f"  - id: key\n    authorized_key: {{user: admin, key: \"{KEY}\"}}"]
    steps += [f"  - id: more-{n}\n    file: {{path: /etc/bench/{n}, content: \"{n}\\n\", mode: \"0644\"}}" for n in range(extra)]
    if extra:
        steps.insert(0, "  - directory: {path: /etc/bench, mode: \"0755\"}")
    return "name: hardening\nhosts: all\nsteps:\n" + "\n".join(steps) + "\n"


def script():
    """The same 40 facts by hand, as thrifty as one would write it."""
    keys = "|".join(k.lower() for k in SSHD)
    return f"""sysctl {' '.join(SYSCTLS)}
sshd -T | grep -E '^({keys}) '
stat -c '%n %a %U %G' {' '.join(MODES)}
systemctl show -p Id,ActiveState,UnitFileState {' '.join(s + '.service ' + s + '.socket' for s in SERVICES)}
dpkg-query -W -f '${{Package}} ${{Status}}\\n' {' '.join(PACKAGES)} 2>/dev/null
cat {' '.join(FILES)}
grep ^games: /etc/passwd /etc/shadow
cat /home/admin/.ssh/authorized_keys
"""


def naive(extra):
    lines = [f"sysctl -n {k}" for k in SYSCTLS] + [f"sshd -T | grep -i '^{k} '" for k in SSHD]
    lines += [f"stat -c '%a %U %G' {p}" for p in MODES] + [f"systemctl is-enabled {s}; systemctl is-active {s}" for s in SERVICES]
    lines += [f"dpkg-query -W {p}" for p in PACKAGES] + [f"cat {p}" for p in FILES]
    lines += ["grep ^games: /etc/shadow", "cat /home/admin/.ssh/authorized_keys"]
    lines += [f"stat -c '%a %U' /etc/bench/{n}; cat /etc/bench/{n}" for n in range(extra)]
    return "\n".join(lines) + "\n"


def ansible_playbook():
    tasks = [{"ansible.posix.sysctl" if False else "command": f"sysctl -n {k}", "changed_when": False} for k in SYSCTLS]
    tasks += [{"lineinfile": {"path": "/etc/ssh/sshd_config.d/00-steadfast.conf", "regexp": f"^{k} ", "line": f"{k} {v}"}} for k, v in SSHD.items()]
    tasks += [{"file": {"path": p, "mode": m, "owner": "root", "group": GROUPS.get(p, "root")}} for p, m in MODES.items()]
    tasks += [{"systemd_service": {"name": "rpcbind", "masked": True, "state": "stopped"}}] * len(SERVICES)
    tasks += [{"package_facts": {"manager": "apt"}}] + [{"assert": {"that": f"'{p}' not in ansible_facts.packages"}} for p in PACKAGES[1:]]
    tasks += [{"copy": {"dest": p, "content": c, "mode": "0644"}} for p, c in FILES.items()]
    tasks += [{"user": {"name": "games", "password_lock": True}}]
    tasks += [{"lineinfile": {"path": "/home/admin/.ssh/authorized_keys", "line": KEY}}]
    return json.dumps([{"hosts": "all", "gather_facts": False, "tasks": tasks}])


def pyinfra_deploy():
    lines = ["from pyinfra.operations import files, server, systemd, apt"]
    lines += [f"server.sysctl(key={k!r}, value={v!r})" for k, v in SYSCTLS.items()]
    lines += [f"files.line(path='/etc/ssh/sshd_config.d/00-steadfast.conf', line={f'^{k} .*'!r}, replace={f'{k} {v}'!r})" for k, v in SSHD.items()]
    lines += [f"files.file(path={p!r}, mode={m.lstrip('0')!r}, user='root', group={GROUPS.get(p, 'root')!r})" for p, m in MODES.items()]
    lines += [f"systemd.service(service={s + '.service'!r}, running=False)" for s in ["rpcbind"] * len(SERVICES)]
    lines += [f"apt.packages(packages=[{p!r}], present=False)" for p in PACKAGES]
    lines += [f"files.block(path={p!r}, content={c.strip()!r}) if False else files.line(path={p!r}, line={c.strip()!r})" for p, c in FILES.items()]
    lines += ["server.user(user='games')", f"files.line(path='/home/admin/.ssh/authorized_keys', line={KEY!r})"]
    return "\n".join(lines) + "\n"


def proxy(routes, delay):
    """Carries each direction of each connection with a delay, in order."""
    async def carry(reader, writer):
        loop, line = asyncio.get_running_loop(), asyncio.Queue()
        async def drain():
            while (item := await line.get()) is not None:
                await asyncio.sleep(max(0, item[0] - loop.time()))
                writer.write(item[1])
                await writer.drain()
            writer.close()
        task = asyncio.create_task(drain())
        try:
            while data := await reader.read(65536):
                line.put_nowait((loop.time() + delay, data))
        except OSError:
            pass
        line.put_nowait(None)
        await asyncio.gather(task, return_exceptions=True)

    async def serve():
        def route(address):
            async def met(reader, writer):
                await asyncio.sleep(2 * delay)
                there, back = await asyncio.open_connection(address, 22)
                await asyncio.gather(carry(reader, back), carry(there, writer), return_exceptions=True)
            return met
        for port, address in routes:
            await asyncio.start_server(route(address), "127.0.0.1", port)
        await asyncio.Event().wait()
    asyncio.run(serve())


class Lab:
    def __init__(self, hosts):
        subprocess.run([PROGRAM, "lab", "down", "--name", NAME], capture_output=True)
        subprocess.run([PROGRAM, "lab", "up", "-n", str(hosts), "--name", NAME], check=True, stdout=subprocess.DEVNULL)
        rows = json.loads(subprocess.run([PROGRAM, "lab", "list", "--json"], check=True, capture_output=True).stdout)
        self.hosts = [r for r in rows if r["lab"] == NAME]
        self.dir = Path(self.hosts[0]["root"]).parents[2]
        self.inventory = self.dir / "inventory.yml"

    def far(self, ms, work):
        """The same hosts behind a proxy of our own on loopback that keeps every byte for half the round-trip time."""
        far = object.__new__(Lab)
        far.hosts = [dict(h, address="127.0.0.1", port=PORTS + n) for n, h in enumerate(self.hosts)]
        far.dir = work / "far"
        far.dir.mkdir()
        keys = dict(line.split(" ", 1) for line in (self.dir / "known_hosts").read_text().splitlines())
        (far.dir / "known_hosts").write_text("".join(f"[127.0.0.1]:{PORTS + n} {keys[h['address']]}\n" for n, h in enumerate(self.hosts)))
        (far.dir / "id_ed25519").symlink_to(self.dir / "id_ed25519")
        far.inventory = far.dir / "inventory.yml"
        hosts = {h["host"]: {"ansible_host": "127.0.0.1", "ansible_port": h["port"]} for h in far.hosts}
        variables = {"ansible_user": "root", "ansible_ssh_private_key_file": str(self.dir / "id_ed25519"),
                     "ansible_ssh_common_args": f"-o UserKnownHostsFile={far.dir}/known_hosts"}
        far.inventory.write_text(json.dumps({"all": {"hosts": hosts, "vars": variables}}))
        far.proxy = multiprocessing.Process(target=proxy, args=([(PORTS + n, h["address"]) for n, h in enumerate(self.hosts)], ms / 2000), daemon=True)
        far.proxy.start()
        for host in far.hosts:
            while socket.socket().connect_ex(("127.0.0.1", host["port"])):
                time.sleep(0.05)
        return far

    def ssh(self, host, *more):
        return ["ssh", "-i", str(self.dir / "id_ed25519"), "-o", f"UserKnownHostsFile={self.dir}/known_hosts", "-o", "BatchMode=yes",
                "-p", str(host.get("port", 22)), *more, f"root@{host['address']}"]

    def down(self):
        subprocess.run([PROGRAM, "lab", "down", "--name", NAME], check=True)


def timed(run):
    began = time.monotonic()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    bad = run()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.monotonic() - began, cpu, bad


def plain(lab, text, *options):
    def run():
        jobs = [subprocess.Popen([*lab.ssh(h, *options), "sh"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
                for h in lab.hosts]
        for job in jobs:
            job.stdin.write(text.encode())
            job.stdin.close()
        outs = [job.stdout.read() for job in jobs]
        for job in jobs:
            job.wait()
        return sum(len(out) < 200 for out in outs)
    return run


def call(words, good=(0,), env=None):
    def run():
        done = subprocess.run([str(w) for w in words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env and {**os.environ, **env}, cwd=TOP)
        if done.returncode not in good:
            sys.stderr.write(done.stdout.decode()[-1500:])
        return int(done.returncode not in good)
    return run


def table(title, rows, runs, base):
    results = {name: [] for name, _, _ in rows}
    for turn in range(runs):
        # In another order each time: what runs next pays for the goodbyes of who ran before.
        for name, run, every in rows[turn % len(rows):] + rows[:turn % len(rows)]:
            if turn < every:
                results[name].append(timed(run))
    limit = statistics.median(t for t, _, _ in results[base])
    out = [f"### {title}", "", "| what | n | wall s | min to max | ratio | controller CPU s | failed |", "|---|---|---|---|---|---|---|"]
    for name, _, _ in rows:
        walls = [t for t, _, _ in results[name]]
        cpu = statistics.median(c for _, c, _ in results[name])
        wall = statistics.median(walls)
        bad = sum(b for _, _, b in results[name])
        out.append(f"| {name} | {len(walls)} | {wall:.2f} | {min(walls):.2f} to {max(walls):.2f} | {wall / limit:.2f} | {cpu:.2f} | {bad or ''} |")
    text = "\n".join(out) + "\n"
    print(text, flush=True)
    return text


def guarded(lab, book, ours, runs):
    """The same changes with and without the guard; before each the hosts are made to drift again, which is not timed."""
    walls = {"guarded (the default)": [], "--allow-unguarded": []}
    bad, counts = 0, set()

    def changed(words):
        def run():
            done = subprocess.run([str(w) for w in words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=TOP)
            counts.update(int(n) for n in re.findall(rb"changed=(\d+)", done.stdout))
            if done.returncode:
                sys.stderr.write(done.stdout.decode()[-1500:])
            return int(done.returncode != 0)
        return run

    for _ in range(runs):
        for name, words in (("guarded (the default)", ()), ("--allow-unguarded", ("--allow-unguarded",))):
            for host in lab.hosts:
                inside = [PROGRAM, "lab", "exec", "--name", NAME, host["host"], "sh", "-c", DRIFT + "rm -rf /etc/bench\n"]
                bad += call(inside)()
            wall, _, failed = timed(changed(ours("apply", book, "-y", *words)))
            walls[name].append(wall)
            bad += failed
    middle = {name: statistics.median(all) for name, all in walls.items()}
    base = middle["--allow-unguarded"]
    out = [f"### {len(lab.hosts)} hosts, {' to '.join(str(n) for n in sorted({min(counts), max(counts)}))} changed steps each, {len(SSHD)} of them settings of sshd", "", "| apply | n | wall s | min to max | ratio |", "|---|---|---|---|---|"]
    for name, all in walls.items():
        out.append(f"| {name} | {len(all)} | {middle[name]:.2f} | {min(all):.2f} to {max(all):.2f} | {middle[name] / base:.2f} |")
    text = "\n".join(out) + ("\n" if not bad else f"\n\n{bad} failed\n")
    print(text, flush=True)
    return text


def memory(words):
    done = subprocess.run(["/usr/bin/env", "python3", "-c",
        "import resource,subprocess,sys; subprocess.run(sys.argv[1:],stdout=subprocess.DEVNULL,stderr=subprocess.DEVNULL); print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)",
        *[str(w) for w in words]], capture_output=True, text=True)
    return int(done.stdout) / 1024


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--hosts", type=int, default=10)
    args.add_argument("--runs", type=int, default=7)
    args.add_argument("--rtt", type=int, default=50)
    args.add_argument("--peers", action="store_true", help="Ansible and pyinfra too (slow)")
    args.add_argument("--guarded", action="store_true", help="only what the guard costs; the table is printed")
    args.add_argument("--out")
    args = args.parse_args()
    subprocess.run(["cargo", "build", "--release", "--quiet"], check=True, cwd=TOP)
    lab = Lab(args.hosts)
    tables = []
    try:
        work = Path(tempfile.mkdtemp(prefix="steadfast-bench."))
        small, large = work / "small.yml", work / "large.yml"
        small.write_text(playbook())
        large.write_text(playbook(160))
        ours = lambda verb, book, *more: [PROGRAM, verb, book, "-i", lab.inventory, *more]
        first = timed(call(ours("apply", small, "-y")))
        print(f"first apply of 40 steps on {args.hosts} hosts: {first[0]:.2f} s\n")
        # With as many further files as make it 40 changes.
        changes = work / "changes.yml"
        changes.write_text(playbook(13))
        if args.guarded:
            guarded(lab, changes, ours, args.runs)
            return
        rows = [
            ("plain ssh, one script by hand", plain(lab, script()), 99),
            ("steadfast check", call(ours("check", small)), 99),
            ("steadfast second apply", call(ours("apply", small, "-y")), 99),
        ]
        if args.peers:
            rows += peers(lab, work)
        tables.append(table(f"{args.hosts} hosts, 40 steps, fresh logins", rows, args.runs, rows[0][0]))
        mux = ["-o", "ControlMaster=auto", "-o", f"ControlPath={work}/%h", "-o", "ControlPersist=60"]
        plain(lab, script(), *mux)(), call(ours("check", small, "--persist", "60s"))()
        warm = [("plain ssh, warm masters", plain(lab, script(), *mux), 99),
                ("steadfast check --persist 60s", call(ours("check", small, "--persist", "60s")), 99),
                ("steadfast second apply --persist 60s", call(ours("apply", small, "-y", "--persist", "60s")), 99)]
        tables.append(table(f"{args.hosts} hosts, 40 steps, warm masters", warm, args.runs, warm[0][0]))
        call(ours("apply", large, "-y"))()
        many = [("plain ssh, 200 facts one by one", plain(lab, naive(160)), 99), ("steadfast check, 200 steps", call(ours("check", large)), 99),
                ("steadfast second apply, 200 steps", call(ours("apply", large, "-y")), 99)]
        tables.append(table(f"{args.hosts} hosts, 200 steps, fresh logins", many, args.runs, many[0][0]))
        tables.append(guarded(lab, changes, ours, args.runs))
        if args.rtt:
            far = lab.far(args.rtt, work)
            rows = [("plain ssh, one script by hand", plain(far, script()), 99),
                    ("steadfast check", call([PROGRAM, "check", small, "-i", far.inventory]), 99),
                    ("steadfast second apply", call([PROGRAM, "apply", small, "-i", far.inventory, "-y"]), 99)]
            tables.append(table(f"{args.hosts} hosts, 40 steps, fresh logins, {args.rtt} ms round trip", rows, args.runs, rows[0][0]))
            far.proxy.terminate()
        peak = memory(ours("check", small))
        tables.append(f"Controller's peak memory for the check of {args.hosts} hosts: {peak:.0f} MiB.\n")
        print(tables[-1])
    finally:
        lab.down()
    if args.out:
        commit = subprocess.run(["git", "-C", TOP, "rev-parse", "--short", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
        head = f"# Benchmark\n\nMade by `benches/fleet.py --peers --out docs/benchmark.md` on {datetime.date.today():%Y-%m-%d} of {commit}, {os.cpu_count()} processors. One machine carries the controller and all hosts, so read ratios, not seconds.\n"
        Path(args.out).write_text(head + "\n" + "\n".join(tables))


def peers(lab, work):
    """Ansible, tuned as its users do, and pyinfra; both from PyPI into cached environments."""
    venv = subprocess.run([TOP / "tests/tools/ansible-venv"], check=True, capture_output=True, text=True).stdout.strip()
    book = work / "ansible.json"
    book.write_text(ansible_playbook())
    env = {"ANSIBLE_PIPELINING": "1", "ANSIBLE_FORKS": "10", "ANSIBLE_SSH_ARGS": "-o ControlMaster=auto -o ControlPersist=60s", "ANSIBLE_HOST_KEY_CHECKING": "1"}
    rows = [("ansible-core, pipelining, forks, ControlPersist", call([f"{venv}/bin/ansible-playbook", "-i", lab.inventory, book], (0, 2), env), 1)]
    home = Path(venv).parent / "pyinfra"
    if not (home / "bin/pyinfra").exists():
        subprocess.run([sys.executable, "-m", "venv", home], check=True)
        subprocess.run([home / "bin/pip", "install", "--quiet", "pyinfra"], check=True)
    deploy, inventory = work / "deploy.py", work / "hosts.py"
    deploy.write_text(pyinfra_deploy())
    data = {"ssh_user": "root", "ssh_key": str(lab.dir / "id_ed25519"), "ssh_known_hosts_file": str(lab.dir / "known_hosts")}
    inventory.write_text(f"hosts = {[(h['address'], data) for h in lab.hosts]!r}\n")
    rows.append(("pyinfra", call([home / "bin/pyinfra", "-y", inventory, deploy]), 3))
    return rows


if __name__ == "__main__":
    main()
