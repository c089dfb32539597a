// Whether its certainty can be believed; then the page is drawn.
// ---- plots
function plot(t, sub, x, y, xt, yt, xl, yl, o = {}) {
  const w = 360,
    hh = 280,
    m = [14, 12, 44, 46],
    px = v => m[3] + (w - m[3] - m[1]) * (o.log ? Math.log2(v / x[0]) / Math.log2(x[1] / x[0]) : (v - x[0]) / (x[1] -
      x[0])),
    py = v => hh - m[2] - (hh - m[0] - m[2]) * (v - y[0]) / (y[1] - y[0]),
    g = s("svg", {
      viewBox: `0 0 ${w} ${hh}`,
      role: "img",
      "aria-label": t + ". " + sub
    }, yt.map(v => [s("line", {
      class: "ax",
      x1: m[3],
      x2: w - m[1],
      y1: py(v),
      y2: py(v)
    }), s("text", {
      x: m[3] - 8,
      y: py(v) + 4,
      "text-anchor": "end"
    }, Math.round(100 * v))]), xt.map(v => s("text", {
      x: px(v),
      y: hh - m[2] + 18,
      "text-anchor": "middle"
    }, o.log ? v : Math.round(100 * v))), s("text", {
      x: (m[3] + w - m[1]) / 2,
      y: hh - 6,
      "text-anchor": "middle"
    }, xl), s("text", {
      x: 12,
      y: (m[0] + hh - m[2]) / 2,
      "text-anchor": "middle",
      transform: `rotate(-90 12 ${(m[0]+hh-m[2])/2})`
    }, yl));
  return {
    g,
    px,
    py,
    node: [h("h3", {}, t), h("p", {
      class: "sub"
    }, sub), g],
    line: (c, p) => g.append(s("polyline", {
      class: c,
      points: p.map(([a, b]) => px(a).toFixed(1) + "," + py(b).toFixed(1)).join(" ")
    }))
  }
}
const Q = [0, .25, .5, .75, 1];

function reliability() {
  const B = 10,
    p = plot("Said and true", "On the diagonal, it is right as often as it says. Bars: number of clips.", [0, 1], [0,
      1
    ], Q, Q, "stated probability, %", "right, %");
  p.line("dg", [
    [0, 0],
    [1, 1]
  ]);
  const bins = Array.from({
      length: B
    }, (_, b) => X.filter(x => Math.min(B - 1, Math.floor(x.p * B)) === b)),
    mx = Math.max(...bins.map(b => b.length));
  bins.forEach((b, i) => {
    if (!b.length) return;
    const k = b.filter(x => x.k === x.y).length,
      a = k / b.length,
      c = b.reduce((v, x) => v + x.p, 0) / b.length,
      [l, u] = wilson(k, b.length),
      x0 = p.px(i / B),
      hgt = 44 * b.length / mx;
    p.g.append(s("rect", {
      class: "hist",
      x: x0 + 1,
      y: p.py(0) - hgt,
      width: p.px(.1) - p.px(0) - 2,
      height: hgt
    }), s("line", {
      class: "wh",
      x1: p.px(c),
      x2: p.px(c),
      y1: p.py(l),
      y2: p.py(u)
    }), s("circle", {
      cx: p.px(c),
      cy: p.py(a),
      r: 5,
      tabindex: 0,
      "aria-label": `says ${pct(c)}, right ${pct(a)}, ${b.length} clips`,
      ...tips(() => `says ${pct(c)} on average\nright on ${k} of ${b.length} (${pct(l)}–${pct(u)})`)
    }))
  });
  put("rel", p.node);
  rove("rel", "circle")
}
const ranked = X.slice().sort((a, b) => b.p - a.p),
  curve = (() => {
    let k = 0;
    return ranked.map((x, i) => {
      k += x.k === x.y;
      return [(i + 1) / N, k / (i + 1)]
    })
  })();

function risk() {
  const lo = Math.min(.5, Math.floor(10 * Math.min(...curve.map(c => c[1]))) / 10),
    p = plot("Answers and rightness", "The fewer doubtful clips it answers, the more often it is right.", [0, 1], [lo,
      1
    ], Q, [.5, .6, .7, .8, .9, 1].filter(v => v >= lo), "answered, % of clips", "right among them, %"),
    n = X.filter(x => x.p >= th).length;
  const up = [],
    dn = [];
  curve.forEach(([c, a], i) => {
    const [l, u] = wilson(Math.round(a * (i + 1)), i + 1);
    up.push([c, u]);
    dn.unshift([c, Math.max(lo, l)])
  });
  p.g.append(s("polygon", {
    class: "band",
    points: [...up, ...dn].filter(q => q[0] >= .03).map(([a, b]) => p.px(a).toFixed(1) + "," + p.py(Math.max(lo,
      b)).toFixed(1)).join(" ")
  }));
  p.line("c1", curve.filter(c => c[0] >= .03));
  if (n) {
    const [c, a] = curve[n - 1];
    p.g.append(s("line", {
      class: "th",
      x1: p.px(c),
      x2: p.px(c),
      y1: p.py(lo),
      y2: p.py(1)
    }), s("circle", {
      cx: p.px(c),
      cy: p.py(a),
      r: 6
    }), s("text", {
      class: "k",
      x: p.px(.04),
      y: p.py(lo) - 14
    }, `${pct(c)} answered, ${pct(a)} right`))
  }
  put("rc", p.node)
}

function frames() {
  const all = D.frames_accuracy;
  if (!all.length) return;
  const T = all[0].points.map(q => q[0]),
    lo = Math.floor(10 * Math.min(...all.flatMap(a => a.points.map(q => q[2])))) / 10,
    hi = Math.ceil(10 * Math.max(...all.flatMap(a => a.points.map(q => q[3])))) / 10,
    ys = [];
  for (let v = lo; v <= hi + .001; v += .1) ys.push(+v.toFixed(1));
  const p = plot("Frames and accuracy",
    "Top-1 by how many frames of a clip are read; the line marks what this evaluation used.", [T[0], T[T.length -
      1]], [lo, hi], T, ys, "frames read", "top-1, %", {
      log: true
    });
  p.g.append(s("line", {
    class: "th",
    x1: p.px(D.frames_used),
    x2: p.px(D.frames_used),
    y1: p.py(lo),
    y2: p.py(hi)
  }));
  all.slice(0, 2).forEach((a, i) => {
    const o = i ? 4 : -4;
    a.points.forEach(([t, v, l, u]) => p.g.append(s("line", {
      class: i ? "wh2" : "wh",
      x1: p.px(t) + o,
      x2: p.px(t) + o,
      y1: p.py(l),
      y2: p.py(u)
    })));
    p.line(i ? "c2" : "c1", a.points);
    a.points.forEach(([t, v, l, u]) => {
      const at = {
        tabindex: 0,
        "aria-label": `${a.arm}, ${t} frames: ${pct(v,1)}`,
        ...tips(() => `${a.arm}, ${t} frame${t>1?"s":""}\n${pct(v,1)} (${pct(l)}–${pct(u)})`)
      };
      p.g.append(i ? s("rect", {
        class: "sq",
        x: p.px(t) - 4.5,
        y: p.py(v) - 4.5,
        width: 9,
        height: 9,
        ...at
      }) : s("circle", {
        cx: p.px(t),
        cy: p.py(v),
        r: 5,
        ...at
      }))
    });
    p.g.append(i ? s("rect", {
      class: "sq",
      x: p.px(T[0]) + 10,
      y: p.py(hi) + 26,
      width: 9,
      height: 9
    }) : s("circle", {
      cx: p.px(T[0]) + 14,
      cy: p.py(hi) + 12,
      r: 5
    }), s("text", {
      x: p.px(T[0]) + 26,
      y: p.py(hi) + (i ? 35 : 16)
    }, a.arm))
  });
  put("fr", p.node);
  rove("fr", "[tabindex]")
}

function state() {
  const n = X.filter(x => x.p >= th),
    k = n.filter(x => x.k === x.y).length;
  $("tho").textContent = pct(th);
  $("thr").value = th;
  $("tsay").textContent =
    `With “unknown” below ${pct(th)} it answers ${n.length} of ${N} clips and is right on ${k} of those` + (n.length ?
      ` (${pct(k / n.length)}). ` : ". ") + (!D.threshold ? "No threshold was chosen at training." : th === D.threshold
      .value ? `${pct(th)} was chosen at training as ${D.threshold.from}.` :
      `Chosen at training was ${pct(D.threshold.value)}.`)
}

function all() {
  groups();
  matrix();
  quick();
  panel();
  classes();
  risk();
  state()
}

function worst() {
  put("worst", X.filter(x => x.k !== x.y).sort((a, b) => b.p - a.p).slice(0, 9).map(x => strip(x)))
}
$("thr").oninput = e => {
  th = +e.target.value;
  all()
};
$("thb").onclick = () => {
  th = D.threshold.value;
  all()
};
$("thb").hidden = !D.threshold;
$("useu").onchange = e => {
  useU = e.target.checked;
  if (!useU && sel[1] === K) sel[1] = sel[0];
  all()
};
$("ord").onchange = e => {
  sorted = e.target.checked;
  matrix()
};
const q = new URLSearchParams(location.hash.slice(1)),
  qi = AC.indexOf(q.get("true")),
  qj = q.has("said") ? q.get("said") === "unknown" ? K : AC.indexOf(q.get("said")) : null,
  p0 = pairs()[0] || [0, 0];
if (G.length) group = G.find(g => g.own.has(qi)) || G[0];
const inside = group && qi < 0 && pairs().find(([r, c]) => group.own.has(r) && group.own.has(c));
sel = qi >= 0 ? [qi, qj] : (inside || p0).slice(0, 2);
all();
reliability();
frames();
worst();
const P = D.provenance;
provenance([
    ["Model", P.model],
    ["Graph", P.graph],
    ["Split", P.split],
    ["Clips, sources", `${P.clips} of ${P.sources}`],
    ["Frames read", P.frames_read],
    ["Backbone", P.backbone],
    ["Data", P.data],
    ["Version", P.product],
    ["Labels, seed", `${P.labels}, ${P.seed}`]
  ], "No clip that trained the model is among these; the temperature and the threshold were chosen at training.");
document.documentElement.classList.add("ok");
