#!/usr/bin/env python3
"""Lays what apt has fetched as an archive on disk: archive.py DIRECTORY ARCHIVE.

The indexes are Debian's own with Debian's signature; only those packages are there that apt has in its cache.
"""
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

LISTS, CACHE = Path("/var/lib/apt/lists"), Path("/var/cache/apt/archives")


def place(index):
    """`deb.debian.org_debian_dists_bookworm_main_binary-amd64_Packages` as (`debian`, `dists/bookworm/main/…/Packages`)."""
    archive, rest = index.name.split("_dists_", 1)
    name = "debian-security" if archive.endswith("debian-security") else "debian"
    return name, "dists/" + rest.replace("_", "/")


def compressed(release, archive):
    """Fetches the index as the archive has it compressed: apt wants the very bytes that the release file names."""
    name = "main/binary-amd64/Packages.xz"
    digest = re.search(rf"^ ([0-9a-f]{{64}}) +\d+ {re.escape(name)}$", release.read_text(), re.M).group(1)
    target = release.parent / name
    target.parent.mkdir(parents=True, exist_ok=True)
    url = f"{archive}/dists/{release.parent.name}/main/binary-amd64/by-hash/SHA256/{digest}"
    subprocess.run(["/usr/lib/apt/apt-helper", "download-file", url, target, f"SHA256:{digest}"], check=True, stdout=subprocess.DEVNULL)


def main():
    top = Path(sys.argv[1])
    fetched = {}
    for deb in CACHE.glob("*.deb"):
        field = subprocess.run(["dpkg-deb", "-f", deb, "Package", "Version", "Architecture"], capture_output=True, text=True, check=True)
        key = tuple(line.split(": ", 1)[1] for line in sorted(field.stdout.splitlines()))
        fetched[key] = deb
    laid = 0
    for index in sorted(LISTS.iterdir()):
        if not re.search(r"_(InRelease|Packages)$", index.name):
            continue
        name, path = place(index)
        target = top / name / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if not index.name.endswith("_Packages"):
            shutil.copyfile(index, target)
            compressed(target, sys.argv[2].removesuffix("debian") + name)
            continue
        for text in index.read_text().split("\n\n"):
            field = dict(re.findall(r"^(Package|Version|Architecture|Filename): (.*)$", text, re.M))
            deb = fetched.get((field.get("Architecture"), field.get("Package"), field.get("Version")))
            if deb:
                pool = top / name / field["Filename"]
                pool.parent.mkdir(parents=True, exist_ok=True)
                if not pool.exists():
                    shutil.copyfile(deb, pool)
                    laid += 1
    for path in [top, *top.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    print(f"{laid} of {len(fetched)} packages laid in {top}")
    if laid < len(fetched):
        sys.exit("some packages are in no index")


main()
