#!/bin/sh
[ "$1" = --list ] || exit 9
cat <<'END'
{"web": {"hosts": ["w1", "w2"], "vars": {"a": 1, "s": "text"}, "children": ["inner"]}, "inner": {"hosts": ["i1"]},
 "bare": ["b1", "w1"], "later": {"children": ["web"]}, "_meta": {"hostvars": {"w1": {"ansible_host": "10.0.0.1", "n": null}, "unknown": {"x": 1}}}}
END
