// A watched film: lanes of actions over time, folded into parts, and a list of the spans with pictures.
const F = D.film,
  S = D.spans,
  dur = Math.max(F.duration_s, ...S.map(x => x.end_s), .1),
  V = $("vid");
const count = (n, w) => n + " " + w + (n === 1 ? "" : "s"),
  names = [...new Set(S.map(x => x.action))],
  // a person who is nobody in particular comes first
  crowd = [...new Set(S.map(x => x.person))].sort((a, b) => (a ?? 0) - (b ?? 0)),
  who = p => p == null ? crowd.length > 1 ? "The whole picture" : "" : crowd.length > 1 ? "Person " + p : "",
  of = x => who(x.person) && x.person != null ? `person ${x.person}: ` : "",
  seen = S.reduce((a, x) => a + x.end_s - x.start_s, 0);
document.title = F.name + " – watched";
const told = crowd.filter(p => p != null).length,
  people = crowd.length > 1 ? ` of ${told === 1 ? "one person" : told + " people"}` : `, ${clock(seen)}`;
put("say", S.length ? [h("span", {
    class: "act"
  }, count(names.length, "action")), ` in ${count(S.length + D.unlisted, "span")}`, people,
  (crowd.length > 1 ? ", in " : " of ") + clock(dur), "."
] : [`Nothing was seen surely enough in ${clock(dur)}.`]);
put("truth", "Film ", plain((F.link || "").replace(/%/g, "")) ? h("a", {
  href: F.link
}, F.name) : F.name, D.unlisted ? `; the page lists the first ${S.length} spans` : "");
put("how",
  `An action starts where its probability in ${sec(D.rule.window_s)} s of film reaches ${pct(D.rule.enter)}` +
  ` and ends where it falls below ${pct(D.rule.leave)}. Press a span to see it.` + (crowd.length > 1 ? " Each person was followed by their joints; where they leave for more than a" +
    " second, they come back as another." : ""));
if (F.video) V.src = F.video;
else V.closest(".a7").hidden = true;
const go = (x, play = true) => {
  document.querySelectorAll("[data-n]").forEach(n => n.classList.toggle("on", S[n.dataset.n] === x));
  put("one", h("p", {}, cap(of(x)), h("b", {
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
const axes = [];
V.addEventListener("timeupdate", () => {
  if (end != null && V.currentTime >= end) {
    V.pause();
    end = null
  }
  axes.forEach(a => a.place(V.currentTime))
});
// ---- parts: a long film is folded, and a part is drawn when it is opened
const LEN = [60, 120, 300, 600, 1800, 3600, 14400].find(x => dur / x <= 24) || dur / 24,
  parts = dur <= 90 ? [
    [0, dur]
  ] : Array.from({
    length: Math.ceil(dur / LEN)
  }, (_, i) => [i * LEN, Math.min(dur, (i + 1) * LEN)]);
const button = (x, style, on, ...k) => h("button", {
  class: style ? "sp" : "row",
  style,
  "data-n": S.indexOf(x),
  "aria-label": `${of(x)}${x.action}, ${pct(x.probability)}, ${clock(x.start_s)} to ${clock(x.end_s)}`,
  onclick: () => go(x),
  ...tips(() => `${cap(of(x) + x.action)}, ${pct(x.probability)}\n${clock(x.start_s)} – ${clock(x.end_s)}` + (x.reasons.length ?
    "\nbecause " + x.reasons.join(" and ") : ""), on)
}, k);

// Of a person who does many things in a part, beyond so many lanes those with least time are folded.
const FOLD = 12;

function part([a, b], list) {
  const rule = h("div", {
      class: "tk",
      "aria-hidden": "true"
    }),
    root = h("div", {
      class: "lanes"
    }),
    axis = timeAxis(root, rule, a, b, Math.max(1, 2 * D.rule.step_s)),
    box = h("div", {}),
    clip = x => Math.max(a, Math.min(b, x)),
    time = n => list.reduce((v, x) => v + (x.action === n ? x.end_s - x.start_s : 0), 0);
  axes.push(axis);
  let open = false;
  const draw = () => {
    const own = [...new Set(list.map(x => x.action))],
      most = new Set(own.slice().sort((p, q) => time(q) - time(p)).slice(0, open || own.length <= FOLD + 2 ? own.length :
        FOLD));
    root.replaceChildren(h("div", {
      class: "ln ax"
    }, h("span"), rule), ...crowd.flatMap(p => {
      const mine = list.filter(x => x.person === p && most.has(x.action));
      return mine.length ? [who(p) && h("div", {
        class: "ppl"
      }, who(p)), ...new Set(mine.map(x => x.action))].map(n => n && (n.nodeType ? n : h("div", {
        class: "ln"
      }, h("span", {
        class: "lb"
      }, n), h("div", {
        class: "tk"
      }, mine.filter(x => x.action === n).map(x => button(x, {
        ...at(clip(x.start_s), clip(x.end_s) - clip(x.start_s)),
        opacity: .45 + .55 * x.probability
      }, () => axis.reveal(x.start_s))))))).filter(Boolean) : []
    }), ...(F.video ? [h("i", {
      class: "ph",
      "aria-hidden": "true"
    })] : []));
    box.replaceChildren(...(own.length > FOLD + 2 ? [h("button", {
      class: "noprint",
      "aria-expanded": open ? "true" : "false",
      onclick: () => {
        open = !open;
        draw();
        box.firstChild.focus()
      }
    }, open ? `Show the ${FOLD} longest` : `Show all ${own.length} actions`)] : []));
    laneKeys(root);
    axis.redraw()
  };
  draw();
  const films = h("ol", {
    class: "list"
  }, list.map(x => h("li", {}, button(x, null, null, x.picture ? h("img", {
    src: x.picture,
    alt: ""
  }) : h("span", {
    class: "no"
  }), h("span", {}, of(x), h("b", {}, x.action), `, ${pct(x.probability)}`, h("br"), h("span", {
    class: "mut"
  }, `${clock(x.start_s)} – ${clock(x.end_s)}`))))));
  if (list.length) rove(films, "button");
  return [axis.tools, root, box, films].filter(Boolean)
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
