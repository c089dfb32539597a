// What would change the answer; then the page is drawn.
// ---- what would change it
const wi = M.map((m, i) => i).filter(i => Math.abs(con(M[i], 0) - con(M[i], 1)) > .006 || share(M[i], 1) > .2 ||
    share(M[i], 0) > .2).slice(0, 9),
  say = (m, v) => m.phrase ? m.phrase[v ? "if" : "if_not"] : `“${m.name}” were ${v?"":"not "}seen`;
const best = p => p.indexOf(Math.max(...p)),
  verdict = p => {
    const b = best(p);
    return p[b] < TH ? `unknown (${A[b].action} ${pct(p[b])})` : `${A[b].action} ${pct(p[b])}`
  };

function tries() {
  const one = (i, v) => {
      const e = E0.slice();
      e[i] = v;
      return {
        set: [
          [i, v]
        ],
        p: model(e).p
      }
    },
    cand = wi.flatMap(i => [con(M[i], 0) > .01 && M[i].spans.length ? one(i, 0) : null, share(M[i], 1) >
      .2 && M[i].evidence < share(M[i], 1) * .6 ? one(i, share(M[i], 1)) : null
    ]).filter(Boolean).sort((a, b) => a.p[0] - b.p[0]),
    out = cand.slice(0, U.unknown ? 2 : 3);
  if (U.unknown) {
    const up = wi.filter(i => share(M[i], 0) > .2 && M[i].evidence < share(M[i], 0)).map(i => one(i, share(M[i], 0)))
      .sort((a, b) => b.p[0] - a.p[0]);
    let e = E0.slice(),
      set = [];
    for (const c of up) {
      const [i, v] = c.set[0];
      e[i] = v;
      set.push([i, v]);
      const p = model(e).p;
      if (p[0] >= TH || set.length === up.length) {
        out.unshift({
          set,
          p,
          as: 1
        });
        break
      }
    }
    return out
  }
  let e = E0.slice(),
    set = [];
  for (const c of cand) {
    const [i, v] = c.set[0];
    e[i] = v;
    set.push([i, v]);
    const p = model(e).p;
    if (best(p) !== 0 || (!U.unknown && p[0] < TH)) {
      if (set.length > 1) out.push({
        set,
        p
      });
      break
    }
  }
  return out
}

function liveUp() {
  const p = model(ev).p;
  put("live", rank(p, 4, {
    rest: false
  }), h("p", {
    class: "sub",
    style: {
      margin: "8px 0 0"
    },
    role: "status"
  }, ev.every((x, i) => x === E0[i]) ? "As seen in the clip." : "Now: " + verdict(p) + "."))
}

function sliders() {
  put("sl", wi.map(i => {
    const m = M[i],
      o = h("span", {
        class: "num"
      }, pct(Math.max(0, ev[i]))),
      row = h("div", {
        class: "sl" + (ev[i] !== E0[i] ? " ch" : ""),
        "data-m": m.name
      }, h("label", {
        for: "w" + i
      }, m.name), h("input", {
        id: "w" + i,
        type: "range",
        min: 0,
        max: 1,
        step: .01,
        value: Math.max(0, ev[i]),
        oninput: e => {
          ev[i] = +e.target.value;
          o.textContent = pct(ev[i]);
          row.classList.add("ch");
          liveUp()
        },
        onfocus: () => hot(m.name),
        onblur: () => hot()
      }), o);
    return row
  }), h("p", {}, h("button", {
    class: "noprint",
    onclick: () => {
      ev = E0.slice();
      sliders();
      liveUp()
    }
  }, "Back to what was seen")))
}

function whatIf() {
  put("wi", h("ul", {
    class: "wi"
  }, tries().map(c => h("li", {}, h("p", {}, "If ", join(c.set.map(([i, v]) => [say(M[i], v > 0 && v >= E0[
    i])])), c.as ? ` as clearly as in other clips of ${W}` : null, h("br"), h("span", {
    class: "res"
  }, h("span", {
    class: "mini",
    "aria-hidden": "true"
  }, h("i", {
    style: {
      width: 100 * Math.max(...c.p) + "%",
      background: best(c.p) === 0 ? "var(--forb)" : "var(--agb)"
    }
  }), h("span", {
    class: "thr",
    style: {
      left: 100 * TH + "%"
    }
  })), " " + verdict(c.p) + (best(c.p) === 0 && c.p[0] >= TH && !U.unknown ?
    ", the answer stays" : ""))), h("button", {
    class: "noprint",
    onclick: () => {
      ev = E0.slice();
      c.set.forEach(([i, v]) => ev[i] = v);
      sliders();
      liveUp()
    },
    "aria-label": "Try this on the sliders"
  }, "Try")))));
  sliders();
  liveUp()
}
if (M.length) {
  lanes();
  sums();
  duel();
  graph();
  whatIf()
} else document.querySelectorAll(".mv").forEach(n => n.hidden = true);
let lastW = innerWidth;
addEventListener("resize", () => {
  if (M.length && innerWidth !== lastW) {
    lastW = innerWidth;
    graph()
  }
});
const P = D.provenance;
provenance([
    ["Model", P.model],
    ["Graph", P.graph],
    ["Split", P.split],
    ["Clip (SHA-256)", P.clip_sha256],
    ["Frames read", `${P.frames_read} of ${C.frames}, ${C.fps} fps`],
    ["Backbone", P.backbone],
    ["Data", P.data],
    ["Version", P.product],
    ["Graph holds", P.graph_size],
    ["Labels, seed", `${P.labels}, ${P.seed}`]
  ]);
for (const [i, k] of [
    ["idx", "index"],
    ["prev", "previous"],
    ["next", "next"]
  ]) {
  const u = D.links && D.links[k];
  $(i).hidden = !plain(u);
  if (plain(u)) $(i).href = u
}
// deep links: #t=1.2&m=left%20leg%20step
function hash() {
  const q = new URLSearchParams(location.hash.slice(1));
  seek(q.has("t") ? +q.get("t") || 0 : U.start_s || 0);
  if (q.has("m") && by(q.get("m"))) hot(q.get("m"))
}
addEventListener("hashchange", hash);
hash();
V.onloadeddata = () => {
  if (t && Math.abs(V.currentTime - t) > .02) V.currentTime = t
};
document.documentElement.classList.add("ok");
