
'use strict';
(() => {
  const all = (what, where = document) => [...where.querySelectorAll(what)];
  const one = (what) => document.querySelector(what);
  const bar = one('#bar'), query = one('#q'), told = one('#told'), opener = one('#all');
  const chips = all('[data-f]', bar);
  const spans = (text) => (text ? text.split(',') : []).map((span) => {
    const [from, to] = span.split('-').map(Number);
    return [from, to ?? from];
  });
  const items = all('.f').map((el) => ({ el, hosts: spans(el.dataset.h), text: null }));
  const rows = all('#map tr[data-i]').map((el) => ({
    el, i: Number(el.dataset.i), name: el.firstElementChild.textContent, fields: el.dataset.c,
  }));
  const names = [];
  for (const row of rows) names[row.i] = row.name.toLowerCase();
  const columns = all('#columns li').map((li) => li.textContent);
  const words = { g: 'kept', c: 'changed', d: 'differs', b: 'failed or reverted', o: 'unknown', a: 'not applicable', '.': 'not looked at' };
  const letters = {
    unchanged: 'g', changed: 'c', drift: 'd', manual: 'd', failed: 'b', reverted: 'b',
    stale: 'o', unknown: 'o', pending: 'o', skipped: 'ao', waived: 'a',
  };

  const pressed = (filter) => chips.filter((chip) => chip.dataset.f === filter && chip.ariaPressed === 'true').map((chip) => chip.dataset.v);
  const text = (item) => (item.text ??= item.el.textContent.toLowerCase());
  const on = (item, hosts) => item.hosts.some(([from, to]) => {
    for (let at = from; at <= to; at += 1) if (hosts.has(at)) return true;
    return false;
  });

  function filter() {
    const terms = query.value.toLowerCase().split(/\s+/).filter(Boolean);
    const hosts = terms.map((term) => new Set(names.flatMap((name, i) => (name?.includes(term) ? [i] : []))));
    const ends = pressed('w'), severities = pressed('s'), fresh = pressed('n').length > 0;
    let shown = 0;
    for (const item of items) {
      const { w, s, n } = item.el.dataset;
      const fits = (!ends.length || ends.includes(w)) && (!severities.length || severities.includes(s)) && (!fresh || n !== undefined)
        && terms.every((term, at) => text(item).includes(term) || on(item, hosts[at]));
      item.el.hidden = !fits;
      shown += fits;
    }
    const meant = hosts.filter((set) => set.size);
    const wanted = ends.map((end) => letters[end] ?? '').join('');
    let lines = 0;
    for (const row of rows) {
      const fits = meant.every((set) => set.has(row.i)) && (!wanted || [...row.fields].some((field) => wanted.includes(field)));
      row.el.hidden = !fits;
      lines += fits;
    }
    for (const part of all('#findings, #changes, #kept')) part.hidden = !all('.f', part).some((el) => !el.hidden);
    const narrow = terms.length || ends.length || severities.length || fresh;
    told.textContent = narrow ? `${shown} of ${items.length} entries, ${lines} of ${rows.length} hosts` : '';
    const link = new URLSearchParams();
    if (query.value) link.set('q', query.value);
    if (ends.length) link.set('w', ends.join());
    if (severities.length) link.set('s', severities.join());
    if (fresh) link.set('n', 'new');
    try { history.replaceState(null, '', `#${link}`); } catch { /* a frame without an address of its own */ }
  }

  function read() {
    const link = new URLSearchParams(location.hash.slice(1));
    query.value = link.get('q') ?? '';
    for (const chip of chips) {
      const on = (link.get(chip.dataset.f) ?? '').split(',').includes(chip.dataset.v);
      chip.ariaPressed = String(on);
    }
    if ([...link.keys()].some((key) => 'qwsn'.includes(key))) filter();
  }

  const open = (item) => {
    item.el.hidden = false;
    item.el.parentElement.hidden = false;
    item.el.open = true;
    const summary = item.el.querySelector('summary');
    summary.scrollIntoView({ block: 'center' });
    summary.focus({ preventScroll: true });
  };
  const openAll = (yes) => {
    for (const item of items) if (!item.el.hidden) item.el.open = yes;
    opener.ariaPressed = String(yes);
    opener.textContent = yes ? 'Close all' : 'Open all';
  };
  function step(by) {
    const seen = all('.f:not([hidden]) > summary').filter((el) => el.offsetParent);
    if (!seen.length) return;
    const at = seen.indexOf(document.activeElement);
    const next = seen[at < 0 ? (by > 0 ? 0 : seen.length - 1) : Math.min(seen.length - 1, Math.max(0, at + by))];
    next.focus({ preventScroll: true });
    next.scrollIntoView({ block: 'nearest' });
  }

  // The map: a field under the pointer, or under the cursor of the keys.
  const frame = one('#map .scroll'), here = one('#here');
  const mark = document.createElementNS('http://www.w3.org/2000/svg', 'rect');
  for (const [name, value] of [['class', 'cursor'], ['width', 1], ['height', 1], ['y', 0]]) mark.setAttribute(name, value);
  const at = { row: null, column: 0 };
  function point(row, column) {
    if (!row) return;
    Object.assign(at, { row, column: Math.max(0, Math.min(columns.length - 1, column)) });
    mark.setAttribute('x', at.column);
    row.el.querySelector('svg').append(mark);
    here.textContent = `${row.name} · ${columns[at.column] ?? ''} · ${words[row.fields[at.column]] ?? ''}`;
  }
  const enter = () => {
    if (!at.row) return;
    const meant = items.filter((item) => Number(item.el.dataset.k) === at.column && on(item, new Set([at.row.i])));
    if (meant.length) open(meant[0]);
  };
  const rowOf = (target) => rows.find((row) => row.el === target.closest('tr'));
  const columnOf = (event, svg) => {
    const box = svg.getBoundingClientRect();
    return Math.floor(((event.clientX - box.left) / box.width) * columns.length);
  };
  frame?.addEventListener('pointermove', (event) => {
    const svg = event.target.closest('tbody svg');
    if (svg) point(rowOf(svg), columnOf(event, svg));
  });
  frame?.addEventListener('click', (event) => {
    const svg = event.target.closest('tbody svg');
    if (!svg) return;
    point(rowOf(svg), columnOf(event, svg));
    enter();
  });
  frame?.addEventListener('keydown', (event) => {
    const seen = rows.filter((row) => !row.el.hidden);
    const line = seen.indexOf(at.row);
    const moves = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
    if (event.key === 'Enter') enter();
    else if (moves[event.key]) {
      const [down, right] = moves[event.key];
      point(line < 0 ? seen[0] : seen[Math.max(0, Math.min(seen.length - 1, line + down))], line < 0 ? 0 : at.column + right);
      at.row?.el.scrollIntoView({ block: 'nearest' });
    } else return;
    event.preventDefault();
  });

  function clear() {
    query.value = '';
    for (const chip of chips) chip.ariaPressed = 'false';
    filter();
  }
  query.addEventListener('input', filter);
  for (const chip of chips) {
    chip.addEventListener('click', () => {
      chip.ariaPressed = String(chip.ariaPressed !== 'true');
      filter();
    });
  }
  opener.addEventListener('click', () => openAll(opener.ariaPressed !== 'true'));
  const keys = {
    '/': () => query.focus(), j: () => step(1), k: () => step(-1), m: () => frame?.focus(),
    o: () => openAll(opener.ariaPressed !== 'true'), Escape: clear,
  };
  addEventListener('keydown', (event) => {
    const typing = event.target === query;
    if (event.ctrlKey || event.metaKey || event.altKey || (typing && event.key !== 'Escape')) return;
    const act = keys[event.key];
    if (!act) return;
    event.preventDefault();
    if (typing) query.blur();
    act();
  });
  // On paper everything is open.
  let closed = [];
  addEventListener('beforeprint', () => {
    closed = all('details:not([open])');
    for (const el of closed) el.open = true;
  });
  addEventListener('afterprint', () => {
    for (const el of closed) el.open = false;
  });
  addEventListener('hashchange', read);
  bar.hidden = false;
  one('#keys').hidden = false;
  read();
})();
