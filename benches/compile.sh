#!/bin/sh
# How long and how much memory 1,000 hosts with 60 steps take to become a plan: `validate`, no host is contacted.
set -eu
cd "$(dirname "$0")/.."
cargo build --release --quiet
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
hosts=$(seq -f 'h%04g' -s, 1000),
{
  printf 'name: scale\nhosts: all\nsteps:\n'
  for n in $(seq 60); do printf '  - id: s%s\n    sysctl: {key: net.scale.k%s, value: 1}\n' "$n" "$n"; done
} >"$dir/static.yml"
{
  printf 'name: scale\nhosts: all\nsteps:\n'
  for n in $(seq 60); do printf '  - id: s%s\n    file: {path: /srv/%s, content: "{{ inventory_hostname }} %s", mode: "0600"}\n' "$n" "$n" "$n"; done
} >"$dir/templated.yml"
for book in static templated; do
  python3 - "$dir/$book.yml" "$hosts" "$book" <<'P'
import resource, subprocess, sys, time
began = time.monotonic()
out = subprocess.run(["target/release/steadfast", "validate", sys.argv[1], "-i", sys.argv[2]], check=True, capture_output=True, text=True).stdout
wall = time.monotonic() - began
print(f"{sys.argv[3]:10} {out.strip()}: {wall:.2f} s, {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024:.0f} MiB")
P
done
