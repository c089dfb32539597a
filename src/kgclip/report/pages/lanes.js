// A lane for each movement: when it was read.
const JA = {
  arm: ["shoulder", "elbow", "wrist"],
  leg: ["hip", "knee", "ankle"]
};

// the angle at a joint over the subject's observations: [seconds, degrees]
function angle(m) {
  const w = m.part.split(" "),
    j = JA[w[1]],
    P = people[0];
  if (!P || !j) return null;
  const k = j.map(x => K.indexOf(w[0] + " " + x));
  return P.T.map((x, f) => {
    const [a, b, c] = k.map(i => [P.F[f][3 * i], P.F[f][3 * i + 1] * H / 1000]), u = [a[0] - b[0], a[1] - b[1]],
      v = [c[0] - b[0], c[1] - b[1]];
    return [x, Math.acos(Math.max(-1, Math.min(1, (u[0] * v[0] + u[1] * v[1]) / Math.hypot(...u) / Math.hypot(...
      v) || 0))) * 180 / Math.PI]
  })
}
const drag = n => {
  const to = e => seek(axis.time(e));
  n.onpointerdown = e => {
    if (e.target.closest(".sp")) return;
    V.pause();
    to(e);
    n.setPointerCapture(e.pointerId);
    n.onpointermove = to
  };
  n.onpointerup = n.onpointercancel = () => n.onpointermove = null;
  return n
};
const ruler = drag(h("div", {
  id: "ruler",
  class: "tk",
  tabindex: 0,
  role: "slider",
  "aria-label": "Time in the clip",
  "aria-valuemin": 0,
  "aria-valuemax": dur.toFixed(2),
  "aria-valuenow": 0,
  onkeydown: e => {
    const d = {
      ArrowLeft: -1,
      ArrowDown: -1,
      ArrowRight: 1,
      ArrowUp: 1,
      PageUp: 10,
      PageDown: -10
    } [e.key];
    if (d) step(d);
    else if (e.key === "Home") seek(0);
    else if (e.key === "End") seek(dur);
    else return;
    axis.reveal(t);
    e.preventDefault();
    e.stopPropagation()
  }
}));
const axis = timeAxis($("tl"), ruler, 0, dur, Math.max(.4, 8 / C.fps));
if (C.strip) document.documentElement.style.setProperty("--film", `url(${C.strip.src})`);
const T = C.strip && C.strip.times_s,
  film = T && h("div", {
    class: "ln"
  }, h("span", {
    class: "lb mut"
  }, `The ${T.length} frames the model looked at`), drag(h("div", {
    class: "film tk",
    role: "img",
    "aria-label": "Frames at " + T.map(x => x.toFixed(1)).join(", ") + " seconds"
  }, T.map((x, i) => h("i", {
    style: {
      ...at(x),
      width: `min(${(94/T.length).toFixed(2)}%,78px)`,
      "background-size": T.length * 100 + "% 100%",
      "background-position": 100 * i / Math.max(1, T.length - 1) + "% 0"
    }
  })))), h("span", {}));

// A movement that no reading was reliable enough for is never said to be seen, nor to be absent.
function absent(m) {
  if (m.seen_from == null) return "cannot be told from this model’s readings";
  if (share(m, rival) > .1 && share(m, 0) < .1) return `not seen – ${N()} would show it`;
  if (share(m, 0) > .1) return `not seen – ${W} ${share(m, 0) > .3 ? "often" : "sometimes"} shows it`;
  return "not seen"
}

function lane(m) {
  const c = con(m, 0),
    an = /bend|unbend|step|lift|kneel|swing|raise|stand/.test(m.name) ? angle(m) : null,
    neg = c < 0;
  return h("div", {
    class: "ln" + (strong(m).length ? "" : " q"),
    "data-m": m.name
  }, h("span", {
    class: "lb"
  }, m.name), drag(h("div", {
      class: "tk"
    }, m.spans.length ? m.spans.map(x => h("button", {
      class: "sp" + (neg ? " neg" : "") + (x[2] < .5 ? " weak" : ""),
      style: at(x[0], x[1] - x[0]),
      onclick: () => seek(x[0]),
      "aria-label": `${m.name}, ${x[2]<.5?"faint, ":""}${sec(x[0])} to ${sec(x[1])} seconds, contribution ${sg(c)}; go there`,
      ...hov(m, null, () => axis.reveal(x[0]))
    })) : h("div", {
      class: "none"
    }, h("span", {}, absent(m))), an && m.spans
    .some(x => x[2] >= .5) && s("svg", {
      viewBox: `0 0 ${dur} 160`,
      preserveAspectRatio: "none",
      style: at(0, dur),
      "aria-hidden": "true"
    }, s("polyline", {
      class: "ang",
      points: an.map(([x, a]) => x + "," + (a - 20).toFixed(0)).join(" ")
    })))), h("span", {
    class: "nn"
  }, h("span", {}, pct(Math.max(0, m.evidence))), h("span", {
    class: neg ? "ag" : "for"
  }, sg(c))))
}

if (M.some(m => m.source === "pose")) $("how").textContent =
  "a written rule held on the joints; of a movement that no rule reads, four of five training clips that were read as clearly show it";

// Beyond so many lanes, those that count least are folded.
const FOLD = 10;
let unfolded = M.length <= FOLD + 2;

function lanes() {
  const first = M.slice().sort((a, b) => Math.abs(con(b, 0)) - Math.abs(con(a, 0))).slice(0, FOLD),
    order = M.filter(m => unfolded || first.includes(m)).sort((a, b) => con(b, 0) - con(a, 0));
  put("tl", h("div", {
    class: "ln hd"
  }, h("span", {
    class: "lb"
  }), ruler, h("span", {
    class: "nn"
  }, h("span", {}, "read"), h("span", {}, "adds"))), film, order.map(lane), h("div", {
    class: "ph"
  }));
  put("tools", axis.tools);
  put("more", M.length > FOLD + 2 && h("button", {
    class: "noprint",
    "aria-expanded": unfolded ? "true" : "false",
    onclick: () => {
      unfolded = !unfolded;
      lanes();
      $("more").firstChild.focus()
    }
  }, unfolded ? `Show the ${FOLD} that count most` : `Show all ${M.length} movements`));
  axis.redraw();
  laneKeys($("tl"));
  $("tl").querySelectorAll(".ln[data-m]").forEach(n => {
    n.onmouseenter = () => hot(n.dataset.m);
    n.onmouseleave = () => hot()
  })
}
