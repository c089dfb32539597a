// What is taken for what, and action by action.
// ---- order of the matrix: greedy chain that puts what is confused side by side
const C0 = Array.from({
  length: K
}, () => Array(K).fill(0));
for (const x of X) x.top.forEach(([k, p]) => C0[x.y][k] += p);
const chain = (() => {
  const left = new Set(AC.keys()),
    w = (a, b) => C0[a][b] + C0[b][a];
  let best = [0, 1],
    bw = -1;
  for (let a = 0; a < K; a++)
    for (let b = 0; b < a; b++)
      if (w(a, b) > bw) {
        bw = w(a, b);
        best = [a, b]
      }
  const out = best.slice();
  best.forEach(a => left.delete(a));
  while (left.size) {
    let pick, v = -1,
      front;
    for (const a of left)
      for (const [e, f] of [
          [out[0], true],
          [out[out.length - 1], false]
        ])
        if (w(a, e) > v) {
          v = w(a, e);
          pick = a;
          front = f
        }
    front ? out.unshift(pick) : out.push(pick);
    left.delete(pick)
  }
  return out
})();
// Of hundreds of actions, the page begins with groups that are confused; one at a time has its matrix.
const G = (D.groups || []).map(a => {
    const own = new Set(a),
      l = X.filter(x => own.has(x.y));
    return {
      a,
      own,
      n: l.length,
      ok: l.filter(x => x.k === x.y).length,
      inside: l.filter(x => x.k !== x.y && own.has(x.k)).length
    }
  }),
  ELSE = K + 1,
  // of many actions without any group: those with most mistakes
  MOST = 40;
let group = null;
const wrong = k => X.reduce((n, x) => n + (x.k !== x.y && (x.y === k || x.k === k)), 0),
  shown = D.groups && D.groups.length || K <= 60 ? null : new Set([...AC.keys()].map(k => [wrong(k), k]).sort((a, b) =>
    b[0] - a[0]).slice(0, MOST).map(([, k]) => k)),
  order = () => group ? sorted ? group.a : group.a.slice().sort((a, b) => a - b) : (sorted ? chain : [...AC.keys()])
  .filter(k => !shown || shown.has(k));
if (shown) $("cms").append(` It has the ${MOST} of ${K} actions with most mistakes.`);
const named = (a, n = 3) => a.slice(0, n).map(k => AC[k]).join(", ") + (a.length > n ? ` and ${a.length - n} more` : "");

function groups() {
  if (!G.length) return;
  const most = Math.max(1, ...G.map(g => g.n - g.ok)),
    lone = K - G.reduce((n, g) => n + g.a.length, 0),
    few = G.filter((g, i) => every || i < 12 || g === group);
  put("groups", h("p", {
    class: "sub"
  }, `${K} actions: ${G.length} group${G.length > 1 ? "s" : ""} of actions that are taken for each other, those with` +
    ` most confusion first; ${lone} are confused with none. Open one to see its matrix.`), few.map(g => h("button", {
    class: "gr" + (g === group ? " on" : ""),
    "aria-pressed": g === group ? "true" : "false",
    "aria-label": `${g.a.length} actions, ${named(g.a)}: ${g.n - g.ok} of ${g.n} clips wrong, ${g.inside} inside`,
    onclick: () => {
      group = g;
      const worst = pairs().find(([r, c]) => g.own.has(r) && g.own.has(c)) || [g.a[0], g.a[0]];
      sel = worst.slice(0, 2);
      all();
      $("groups").querySelector(".on").focus()
    },
    ...tips(() => named(g.a, 16))
  }, h("span", {}, named(g.a)), h("span", {
    class: "b"
  }, h("i", {
    class: "no",
    style: {
      width: 100 * g.inside / most + "%"
    }
  }), h("i", {
    class: "un",
    style: {
      width: 100 * (g.n - g.ok - g.inside) / most + "%"
    }
  })), h("span", {
    class: "num"
  }, `${g.n - g.ok} of ${g.n} wrong`))));
  rove("groups", ".gr");
  if (G.length > 12) $("groups").append(h("button", {
    class: "noprint",
    "aria-expanded": every ? "true" : "false",
    onclick: () => {
      every = !every;
      groups();
      $("groups").lastChild.focus()
    }
  }, every ? "Show the first 12" : `Show all ${G.length} groups`))
}
let every = false;

// inside a group, all other actions are one column
const saidHere = x => {
  const k = said(x);
  return group && k < K && group.own.has(x.y) && !group.own.has(k) ? ELSE : k
};

function matrix() {
  const o = order(),
    cols = [...o, ...(group ? [ELSE] : []), ...(useU ? [K] : [])],
    cnt = {};
  for (const x of X) {
    const q = x.y + "," + saidHere(x);
    cnt[q] = (cnt[q] || 0) + 1
  }
  const tot = AC.map((_, k) => X.filter(x => x.y === k).length),
    g = $("cm");
  g.style.setProperty("--n", cols.length);
  const cell = (r, c, i, j) => {
    const n = cnt[r + "," + c] || 0,
      v = n / (tot[r] || 1),
      base = c === K ? "--neu" : c === r ? "--forb" : "--agb",
      u = c === r || c === K ? v : v * 1.8,
      step = u > .75 ? 100 : u > .5 ? 58 : u > .25 ? 38 : 22;
    return h("button", {
      role: "gridcell",
      class: c >= K ? "u" : "",
      tabindex: sel && sel[0] === r && sel[1] === c || !sel && !i && !j ? 0 : -1,
      "aria-selected": sel && sel[0] === r && sel[1] === c ? "true" : "false",
      "data-r": i,
      "data-c": j,
      style: n ? {
        background: `color-mix(in srgb,var(${base}) ${step}%,var(--bg))`,
        color: step < 100 ? "var(--ink)" : c === r ? "var(--onf)" : "#0f1317",
        "font-weight": c !== r && n > 1 ? "700" : ""
      } : {},
      "aria-label": `${AC[r]} said to be ${name(c)}: ${n} of ${tot[r]}`,
      onclick: () => pick(r, c, "#cm [aria-selected=true]"),
      ...tips(() => `${AC[r]} → ${name(c)}\n${n} of ${tot[r]} clips`)
    }, n || "")
  };
  const rw = (...k) => h("div", {
    role: "row",
    class: "rw"
  }, ...k);
  g.replaceChildren(rw(h("span", {}), cols.map(c => h("span", {
    class: "ch" + (sel && sel[1] === c ? " hl" : ""),
    role: "columnheader"
  }, h("span", {}, name(c))))), ...o.map((r, i) => rw(h("span", {
    class: "r" + (sel && sel[0] === r ? " hl" : ""),
    role: "rowheader",
    title: AC[r]
  }, AC[r]), cols.map((c, j) => cell(r, c, i, j)))));
  g.onkeydown = e => {
    const b = e.target.closest("button"),
      d = {
        ArrowLeft: [0, -1],
        ArrowRight: [0, 1],
        ArrowUp: [-1, 0],
        ArrowDown: [1, 0]
      } [e.key];
    if (!b || !d) return;
    const n = g.querySelector(`[data-r="${+b.dataset.r+d[0]}"][data-c="${+b.dataset.c+d[1]}"]`);
    if (n) {
      b.tabIndex = -1;
      n.tabIndex = 0;
      n.focus()
    }
    e.preventDefault()
  }
}

function pick(r, c, back) {
  sel = [r, c];
  if (G.length && !group.own.has(r)) {
    group = G.find(g => g.own.has(r)) || group;
    groups()
  }
  matrix();
  panel();
  classes();
  const b = back && document.querySelector(back);
  if (b) b.focus({
    preventScroll: true
  });
  history.replaceState(null, "", `#true=${encodeURIComponent(AC[r])}` + (c == null ? "" :
    `&said=${encodeURIComponent(name(c))}`))
}

function panel() {
  const [r, c] = sel, l = X.filter(x => x.y === r && (c == null || saidHere(x) === c || said(x) === c)).sort((a, b) => b.p - a.p);
  $("ph").textContent = c == null ? cap(AC[r]) : c === r ? `${cap(AC[r])}, recognized` : `${cap(AC[r])} → ${name(c)}`;
  $("ps").textContent = `${l.length} clip${l.length===1?"":"s"}, surest first.`;
  put("panel", l.length ? [l.slice(0, 60).map(strip), l.length > 60 && h("p", {
    class: "mut"
  }, `and ${l.length-60} more`)] : h("p", {
    class: "mut"
  }, "No clip is here: choose another cell."));
  $("panel").scrollTop = 0
}

function quick() {
  put("quick", pairs().slice(0, 6).map(([r, c, n]) => h("button", {
    onclick: () => pick(r, c)
  }, AC[r], " → ", h("b", {}, AC[c]), " ", n)));
  if (pairs().length) rove("quick", "button")
}
// ---- classes: of hundreds, the best ten and the worst thirty
const LONG = 40;
let long = false;

function classes() {
  const rows = AC.map((a, k) => {
    const l = X.filter(x => x.y === k),
      ok = l.filter(x => x.k === k && x.p >= th).length,
      un = l.filter(x => x.p < th).length,
      any = l.filter(x => x.k === k).length;
    return {
      k,
      n: l.length,
      ok,
      un,
      any
    }
  }).filter(r => r.n).sort((a, b) => b.ok / b.n - a.ok / a.n || b.any / b.n - a.any / a.n);
  const many = rows.length > LONG,
    part = many && !long ? [...rows.slice(0, 10), ...rows.slice(10 - LONG)] : rows;
  put("pc", part.map(({
    k,
    n,
    ok,
    un,
    any
  }) => {
    const [l, u] = wilson(any, n), w = v => ({
      width: 100 * v / n + "%"
    });
    return h("button", {
      class: "pc" + (sel && sel[0] === k && sel[1] == null ? " on" : ""),
      onclick: () => {
        pick(k, null, "#pc .on");
        $("ph").scrollIntoView({
          block: "nearest"
        })
      },
      "aria-label": `${AC[k]}: ${ok} right, ${un} unknown, ${n-ok-un} wrong of ${n}`
    }, h("span", {}, AC[k]), h("span", {
      class: "b"
    }, h("i", {
      class: "ok",
      style: w(ok)
    }), h("i", {
      class: "un",
      style: w(un)
    }), h("i", {
      class: "no",
      style: w(n - ok - un)
    })), h("span", {
      class: "num"
    }, `${ok} / ${n-ok-un} of ${n}`, h("span", {
      class: "mut w"
    }, ` · ${Math.round(100*l)}–${Math.round(100*u)} %`)))
  }));
  rove("pc", ".pc");
  if (many) $("pc").append(h("button", {
    class: "noprint more",
    "aria-expanded": long ? "true" : "false",
    onclick: () => {
      long = !long;
      classes();
      $("pc").lastChild.focus()
    }
  }, long ? "Show the best 10 and the worst 30" : `Show all ${rows.length} actions (now: the best 10 and the worst 30)`))
}
