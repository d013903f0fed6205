"""Prints what Ansible makes of inventories: cases as JSON on stdin, answers as JSON on stdout.

A case is {"name", "sources", "patterns"}. Its answer has what `ansible-inventory --list` and `--graph` print, and for
each pattern the hosts, or null where Ansible reports an error.
"""

import json
import multiprocessing
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
os.environ |= {"ANSIBLE_CONFIG": os.path.join(HERE, "ansible.cfg"), "ANSIBLE_DEPRECATION_WARNINGS": "0"}

from ansible.cli.inventory import InventoryCLI  # noqa: E402
from ansible.errors import AnsibleError  # noqa: E402


def hosts(inventory, pattern):
    try:
        return [str(host) for host in inventory.list_hosts(pattern)]
    except AnsibleError:
        return None


def answer(case):
    sources = [word for source in case["sources"] for word in ("-i", source)]
    cli = InventoryCLI(["ansible-inventory", *sources, "--list"])
    cli.parse()
    cli.loader, cli.inventory, cli.vm = cli._play_prereqs()
    return case["name"], {
        "list": json.loads(cli.dump(cli.json_inventory(cli._get_group("all")))),
        "graph": "\n".join(cli._graph_group(cli._get_group("all"))),
        "patterns": {pattern: hosts(cli.inventory, pattern) for pattern in case["patterns"]},
    }


if __name__ == "__main__":
    # One process a case, because Ansible keeps caches and options for the life of a process.
    with multiprocessing.get_context("fork").Pool(2, maxtasksperchild=1) as pool:
        print(json.dumps(dict(pool.imap(answer, json.load(sys.stdin)))))
