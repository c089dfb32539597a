// A watched film: lanes of actions over time, folded into parts, and a list of the spans with pictures.
const F = D.film,
  S = D.spans,
  dur = Math.max(F.duration_s, ...S.map(x => x.end_s), .1),
  V = $("vid");
const clock = x => {
  const r = Math.round(10 * x) / 10,
    m = Math.floor(r / 60),
    q = (r % 60).toFixed(r < 60 ? 1 : 0).padStart(r < 60 ? 1 : 2, "0");
  return r < 60 ? q + " s" : m < 60 ? m + ":" + q : Math.floor(m / 60) + ":" + String(m % 60).padStart(2, "0") + ":" + q
};
const count = (n, w) => n + " " + w + (n === 1 ? "" : "s"),
  names = [...new Set(S.map(x => x.action))],
  seen = S.reduce((a, x) => a + x.end_s - x.start_s, 0);
document.title = F.name + " – watched";
put("say", S.length ? [h("span", {
  class: "act"
}, count(names.length, "action")), ` in ${count(S.length + D.unlisted, "span")}, ${clock(seen)} of ${clock(dur)}.`] : [
  `Nothing was seen surely enough in ${clock(dur)}.`
]);
put("truth", "Film ", plain((F.link || "").replace(/%/g, "")) ? h("a", {
  href: F.link
}, F.name) : F.name, D.unlisted ? `; the page lists the first ${S.length} spans` : "");
put("how",
  `An action starts where its probability in ${sec(D.rule.window_s)} s of film reaches ${pct(D.rule.enter)}` +
  ` and ends where it falls below ${pct(D.rule.leave)}. Press a span to see it.`);
if (F.video) V.src = F.video;
else V.closest(".a7").hidden = true;
const go = (x, play = true) => {
  document.querySelectorAll("[data-n]").forEach(n => n.classList.toggle("on", S[n.dataset.n] === x));
  put("one", h("p", {}, h("b", {
      class: "act"
    }, x.action), `, ${pct(x.probability)}, ${clock(x.start_s)} – ${clock(x.end_s)}`), x.reasons.length ? h("p", {},
      "because " + x.reasons.join(" and ")) : null, x.movements.length ? h("ul", {
      class: "mvs"
    }, x.movements.map(m => h("li", {}, h("span", {}, m[0]), h("span", {
      class: "num"
    }, sg(m[1]))))) : null, !F.video && plain((F.link || "").replace(/%/g, "")) ? h("a", {
      href: F.link + "#t=" + x.start_s
    }, "Open the film there") : null);
  if (F.video && play) {
    V.currentTime = x.start_s;
    V.play().catch(() => {});
    end = x.end_s
  }
};
let end = null;
V.addEventListener("timeupdate", () => {
  if (end != null && V.currentTime >= end) {
    V.pause();
    end = null
  }
  document.querySelectorAll(".lanes").forEach(n => n.style.setProperty("--p", (V.currentTime - n.dataset.a) / n.dataset.w))
});
// ---- parts: a long film is folded, and a part is drawn when it is opened
const LEN = [60, 120, 300, 600, 1800, 3600, 14400].find(x => dur / x <= 24) || dur / 24,
  parts = dur <= 90 ? [
    [0, dur]
  ] : Array.from({
    length: Math.ceil(dur / LEN)
  }, (_, i) => [i * LEN, Math.min(dur, (i + 1) * LEN)]);
const button = (x, style, ...k) => h("button", {
  class: style ? "sp" : "row",
  style,
  "data-n": S.indexOf(x),
  "aria-label": `${x.action}, ${pct(x.probability)}, ${clock(x.start_s)} to ${clock(x.end_s)}`,
  onclick: () => go(x),
  ...tips(() => `${cap(x.action)}, ${pct(x.probability)}\n${clock(x.start_s)} – ${clock(x.end_s)}` + (x.reasons.length ?
    "\nbecause " + x.reasons.join(" and ") : ""))
}, k);

function part([a, b], list) {
  const w = b - a,
    own = [...new Set(list.map(x => x.action))],
    st = [.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600].find(x => w / x <= 8) || w / 8,
    at = x => 100 * (x - a) / w + "%",
    ticks = [];
  for (let x = Math.ceil(a / st) * st; x < b - st / 4; x += st) ticks.push(h("span", {
    class: "tick",
    style: {
      left: at(x)
    }
  }, clock(x)));
  return [h("div", {
    class: "lanes",
    "data-a": a,
    "data-w": w
  }, h("div", {
    class: "ln"
  }, h("span"), h("div", {
    class: "tk ax",
    "aria-hidden": "true"
  }, ticks)), own.map(n => h("div", {
    class: "ln"
  }, h("span", {
    class: "lb"
  }, n), h("div", {
    class: "tk"
  }, list.filter(x => x.action === n).map(x => button(x, {
    left: at(Math.max(a, x.start_s)),
    width: 100 * (Math.min(b, x.end_s) - Math.max(a, x.start_s)) / w + "%",
    opacity: .45 + .55 * x.probability
  }))))), F.video ? h("i", {
    class: "ph",
    "aria-hidden": "true"
  }) : null), h("ol", {
    class: "list"
  }, list.map(x => h("li", {}, button(x, null, x.picture ? h("img", {
    src: x.picture,
    alt: ""
  }) : h("span", {
    class: "no"
  }), h("span", {}, h("b", {}, x.action), `, ${pct(x.probability)}`, h("br"), h("span", {
    class: "mut"
  }, `${clock(x.start_s)} – ${clock(x.end_s)}`))))))]
}
put("parts", parts.map((p, i) => {
  const list = S.filter(x => x.start_s < p[1] && x.end_s > p[0]);
  if (parts.length === 1) return part(p, list);
  const d = h("details", {
    ontoggle: () => {
      if (d.open && !d.querySelector(".lanes")) d.append(...part(p, list))
    }
  }, h("summary", {}, `${clock(p[0])} – ${clock(p[1])}: `, list.length ? count(list.length, "span") + ", " + [...
    new Set(list.map(x => x.action))
  ].slice(0, 4).join(", ") : h("span", {
    class: "mut"
  }, "nothing")));
  if (list.length && !S.some(x => x.start_s < p[0])) d.open = true;
  return d
}));
if (S.length) go(S[0], false);
else put("one", h("p", {
  class: "sub"
}, "There is none."));
provenance([
  ["Model", D.provenance.model],
  ["Graph", D.provenance.graph],
  ["Encoder", D.provenance.backbone],
  ["Trained on", D.provenance.data],
  ["Graph size", D.provenance.graph_size],
  ["Window, step", `${sec(D.rule.window_s)} s, ${D.rule.step_s.toFixed(2)} s`],
  ["Made with", D.provenance.product]
]);
document.documentElement.classList.add("ok");
