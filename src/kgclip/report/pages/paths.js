// The graph from the clip over movements to actions.
// ---- graph
function graph() {
  const w = $("graph").clientWidth || 1000,
    small = w < 620,
    ak = [0, rival, ...[1, 2, 3].filter(i => i !== rival && i < A.length)].slice(0, small ? 3 : 4),
    ms = M.slice().sort((a, b) => Math.max(Math.abs(con(b, 0)), Math.abs(con(b, rival))) - Math.max(Math.abs(con(a,
      0)), Math.abs(con(a, rival)))).slice(0, 9).sort((a, b) => (con(b, 0) - con(b, rival)) - (con(a, 0) - con(a,
      rival))),
    rh = small ? 40 : 38,
    Hh = ms.length * rh + 10,
    mw = small ? 132 : 210,
    mx = small ? w * .47 - mw / 2 : w * .45 - mw / 2,
    aw = small ? 86 : 190,
    ax = w - aw,
    cw = small ? 34 : 132,
    y = (i, n) => Hh * (i + .5) / n,
    big = Math.max(...M.map(m => Math.abs(con(m, 0)))),
    curve = (x0, y0, x1, y1) => {
      const c = (x0 + x1) / 2;
      return `M${x0},${y0}C${c},${y0} ${c},${y1} ${x1},${y1}`
    },
    edges = [],
    nodes = [];
  const L = ms.map((m, i) => ({
      m,
      y: y(i, ms.length),
      w: 1 + Math.max(0, m.evidence) * 22
    })),
    Q = [];
  L.forEach(l => ak.forEach((k, n) => {
    const c = con(l.m, k);
    if (share(l.m, k) >= .02 && Math.abs(c) >= .001) Q.push({
      l,
      k,
      c,
      y: y(n, ak.length),
      w: 1 + 13 * Math.abs(c) / big
    })
  }));
  const fit = Math.min(1, ...L.map(l => 24 / Q.filter(e => e.l === l).reduce((x, e) => x + e.w + 1, .1)));
  Q.forEach(e => e.w = Math.max(1, e.w * fit));
  // each edge has its own port, in the order in which edges arrive, so that they do not pile up
  const ports = (E, mid, key, out) => {
      const sum = E.reduce((x, e) => x + e.w + 1, 0);
      let p = mid - sum / 2;
      E.sort((a, b) => key(a) - key(b)).forEach(e => {
        e[out] = p + e.w / 2;
        p += e.w + 1
      });
      return sum
    },
    ch = Math.max(28, ports(L, Hh / 2, e => e.y, "o") + 6);
  L.forEach(l => ports(Q.filter(e => e.l === l), l.y, e => e.y, "o"));
  const ah = ak.map((k, n) => Math.max(28, ports(Q.filter(e => e.k === k), y(n, ak.length), e => e.l.y, "i") + 4));
  const node = (x, yy, ww, text, p, label, tipf, on, hh = 28) => s("g", {
    class: "nd",
    tabindex: 0,
    role: "button",
    "aria-label": label,
    "data-p": p,
    ...tips(tipf, on, () => hot())
  }, s("rect", {
    x,
    y: yy - hh / 2,
    width: ww,
    height: hh,
    rx: 6
  }), ...wrap(text, x + ww / 2, yy, ww));
  const wrap = (txt, x, yy, ww) => {
    const max = Math.floor(ww / (small ? 6.7 : 7.8)),
      L = [""];
    for (const w of txt.split(" ")) {
      const i = L.length - 1;
      if (L[i] && (L[i] + " " + w).length > max && i < 1) L.push(w);
      else L[i] += (L[i] ? " " : "") + w
    }
    return L.map((l, i) => s("text", {
      x,
      y: yy + 4.5 + (i - (L.length - 1) / 2) * 12.5,
      "text-anchor": "middle",
      style: {
        "font-size": L.length > 1 ? "11px" : ""
      }
    }, l.length > max + 3 ? l.slice(0, max + 2) + "…" : l))
  };
  const hotA = k => () => {
    hot();
    const g = $("graph");
    g.classList.add("h");
    g.querySelectorAll("[data-a]").forEach(n => n.classList.toggle("k", n.dataset.a === "" + k));
    g.querySelectorAll(`[data-a="${k}"]`).forEach(e => g.querySelectorAll(".nd,.l").forEach(n => {
      if ((n.dataset.p || "").split("\u0001").includes(e.dataset.p) && !("a" in n.dataset)) n.classList.add(
        "k")
    }));
    g.querySelectorAll(".nd")[0].classList.add("k")
  };
  L.forEach(({
    m,
    y: my,
    w: lw,
    o
  }) => {
    edges.push(s("path", {
      class: "e l",
      "data-p": m.name,
      d: curve(cw, o, mx, my),
      "stroke-width": lw.toFixed(1),
      "stroke-dasharray": m.spans.length ? null : "1 5"
    }));
    nodes.push(node(mx, my, mw, m.name, m.name, about(m), () => about(m), () => hot(m.name)))
  });
  Q.forEach(e => edges.push(s("path", {
    class: "e " + (e.c < 0 ? "q" : "p"),
    "data-p": e.l.m.name,
    "data-a": e.k,
    d: curve(mx + mw, e.o, ax, e.i),
    "stroke-width": e.w.toFixed(1)
  })));
  ak.forEach((k, j) => {
    const n = node(ax, y(j, ak.length), aw, A[k].action + (small ? "" : `  ${pct(A[k].probability)}`), Q.filter(
        e => e.k === k).map(e => e.l.m.name).join("\u0001"), `${A[k].action}, ${pct(A[k].probability)}`, () =>
      `${cap(A[k].action)}: ${pct(A[k].probability)}\nmovements add ${sg(R.S[k] - looks(A[k]))}, ${LK} ${looks(A[k]).toFixed(3)}`,
      hotA(k), ah[j]);
    n.dataset.a = k;
    nodes.push(n)
  });
  put("graph", s("svg", {
    viewBox: `0 0 ${w} ${Hh}`,
    height: Hh,
    role: "group",
    "aria-label": "Graph from the clip over movements to actions"
  }, edges, node(0, Hh / 2, cw, small ? "clip" : "this clip", ms.map(m => m.name).join("\u0001"),
    "This clip shows these movements", () => `Clip ${C.file}`, () => hot(), ch), nodes));
  rove("graph", ".nd")
}
