// A lane for each movement: when it was read.
const JA = {
  arm: ["shoulder", "elbow", "wrist"],
  leg: ["hip", "knee", "ankle"]
};

function angle(m) {
  const w = m.part.split(" "),
    j = JA[w[1]];
  if (!D.keypoints || !j) return null;
  const k = j.map(x => K.indexOf(w[0] + " " + x));
  return D.keypoints.frames.map((_, f) => {
    const [a, b, c] = k.map(i => pt(f, i)), u = [a[0] - b[0], a[1] - b[1]], v = [c[0] - b[0], c[1] - b[1]];
    return Math.acos(Math.max(-1, Math.min(1, (u[0] * v[0] + u[1] * v[1]) / Math.hypot(...u) / Math.hypot(...
      v)))) * 180 / Math.PI
  })
}
const drag = n => {
  const at = e => {
    const r = n.getBoundingClientRect();
    seek(dur * (e.clientX - r.left) / r.width)
  };
  n.onpointerdown = e => {
    if (e.target.closest(".sp")) return;
    V.pause();
    at(e);
    n.setPointerCapture(e.pointerId);
    n.onpointermove = at
  };
  n.onpointerup = n.onpointercancel = () => n.onpointermove = null;
  return n
};
const st = dur > 8 ? 2 : dur > 4 ? 1 : .5,
  ticks = [];
for (let x = 0; x <= dur - st / 4; x += st) ticks.push(h("span", {
  class: "tick",
  style: {
    left: 100 * x / dur + "%"
  }
}, sec(x) + (x ? "" : " s")));
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
    e.preventDefault();
    e.stopPropagation()
  }
}, ticks));
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
      left: 100 * x / dur + "%",
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
      style: {
        left: 100 * x[0] / dur + "%",
        width: 100 * (x[1] - x[0]) / dur + "%"
      },
      onclick: () => seek(x[0]),
      "aria-label": `${m.name}, ${x[2]<.5?"faint, ":""}${sec(x[0])} to ${sec(x[1])} seconds, contribution ${sg(c)}; go there`,
      ...hov(m)
    })) : h("div", {
      class: "none"
    }, h("span", {}, absent(m))), an && m.spans
    .some(x => x[2] >= .5) && s("svg", {
      viewBox: `0 0 ${an.length-1} 160`,
      preserveAspectRatio: "none",
      "aria-hidden": "true"
    }, s("polyline", {
      class: "ang",
      points: an.map((a, i) => i + "," + (a - 20).toFixed(0)).join(" ")
    })))), h("span", {
    class: "nn"
  }, h("span", {}, pct(Math.max(0, m.evidence))), h("span", {
    class: neg ? "ag" : "for"
  }, sg(c))))
}

if (M.some(m => m.source === "pose")) $("how").textContent =
  "a written rule held on the joints; of a movement that no rule reads, four of five training clips that were read as clearly show it";

function lanes() {
  const order = M.slice().sort((a, b) => con(b, 0) - con(a, 0));
  put("tl", h("div", {
    class: "ln hd"
  }, h("span", {
    class: "lb"
  }), ruler, h("span", {
    class: "nn"
  }, h("span", {}, "read"), h("span", {}, "adds"))), film, order.map(lane), h("div", {
    class: "ph"
  }));
  $("tl").querySelectorAll(".ln[data-m]").forEach(n => {
    n.onmouseenter = () => hot(n.dataset.m);
    n.onmouseleave = () => hot()
  })
}
