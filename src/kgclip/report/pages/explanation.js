// One prediction: the model's own sum, the answer as a sentence, and the ranking.
const C = D.clip,
  A = D.actions,
  M = D.movements,
  U = D.answer,
  dur = C.duration_s,
  E0 = M.map(m => m.evidence);
let ev = E0.slice(),
  rival = Math.min(1, A.length - 1),
  t = 0,
  skel = true;
const W = A[0].action,
  N = () => A[rival].action;
// The model's own sum: S = looks + pose + rest + Σ (evidence − baseline) · weight; p = softmax(S / T).
// Of hundreds of actions the last are held as they are: unlisted is the logarithm of their part of the softmax.
function model(e) {
  const S = A.map((a, k) => looks(a) + a.rest + M.reduce((x, m, i) => x + (e[i] - m.baseline) * m.weights[k], 0)),
    z = S.map(v => v / D.fusion.temperature),
    last = D.fusion.unlisted ?? -Infinity,
    q = Math.max(last, ...z),
    x = z.map(v => Math.exp(v - q)),
    n = x.reduce((a, b) => a + b, Math.exp(last - q));
  return {
    S,
    p: x.map(v => v / n)
  }
}
const LK = A.some(a => a.s_pose != null) ? "looks and pose" : "looks";
const looks = a => a.appearance + (a.s_pose ?? 0),
  con = (m, k) => (m.evidence - m.baseline) * m.weights[k],
  // A model for which no threshold was chosen never says "unknown".
  TH = U.threshold ?? 0,
  R = model(E0);
const share = (m, k) => m.shares[k] ?? 0;
// one highlight for all views
function hot(name) {
  document.querySelectorAll("[data-m]").forEach(n => n.classList.toggle("on", n.dataset.m === name));
  const m = M.find(x => x.name === name);
  bones.forEach(b => {
    const on = m && partOf(m.part).includes(b.id);
    b.g.setAttribute("class", m ? on ? "hot" : "dim" : "");
    b.o.setAttribute("class", m && !on ? "o dim" : "o")
  });
  const g = $("graph");
  g.classList.toggle("h", !!m);
  g.querySelectorAll("[data-p]").forEach(n => n.classList.toggle("k", n.dataset.p.split("\u0001").includes(name)))
}
const hov = (m, f, on) => tips(f || (() => about(m)), () => {
  hot(m.name);
  on && on()
}, () => hot());
const about = m =>
  `${cap(m.name)}\nread in ${pct(Math.max(0, m.evidence))} of the clip, an estimate from ${m.source}` +
  ` (average clip: ${pct(m.baseline)})\nin ${W} clips: ${pct(share(m, 0))}, in ${N()} clips: ${pct(share(m, rival))}` +
  `\ncontribution to ${W}: ${sg(con(m, 0))}, to ${N()}: ${sg(con(m, rival))}`;
// ---- answer
const why = U.reasons;
const chip = m => m.spans.filter(x => x[2] >= .5).slice(0, 2).map(x => h("button", {
  class: "chip",
  onclick: () => {
    seek(x[0]);
    V.play().catch(() => {});
    stop = x[1]
  },
  "aria-label": `Play ${m.name}, ${sec(x[0])} to ${sec(x[1])} seconds`
}, sec(x[0]) + "–" + sec(x[1]) + " s"));
const by = n => M.find(m => m.name === n),
  reason = r => [r.text, " ", r.movements.length ? chip(by(r.movements[0])) : null],
  join = a => a.flatMap((x, i) => i ? [i === a.length - 1 ? " and " : ", ", x] : [x]);
document.title = (U.unknown ? "Not sure" : `${cap(W)}, ${pct(U.probability)}`) + " – explained";
const act = (a, c = "act") => h("span", {
  class: c
}, a);
const because = why.length ? [U.unknown ? ": " : " – because ", join(why.map(reason))] : M.length ?
  "; no movement that speaks for it was seen clearly" : null;
put("say", U.unknown ? ["Not sure – ", act(W), " (", pct(A[0].probability), ") or ", act(A[1].action), " (",
  pct(A[1].probability), ")", because, "."
] : [act(cap(W)), ", ", pct(U.probability), because, U.rival ? ["; not ", act(U.rival.action, "rv"), ", because ",
  U.rival.text
] : null, "."]);
document.body.classList.toggle("unk", U.unknown);
put("truth", C.truth == null ? `Clip ${C.file}` : [`Clip ${C.file}, labelled “${C.truth}”: `, h("b", {}, U.unknown ? (
    W === C.truth ? "the first guess is right, but not sure enough to be an answer" : "not recognized") : W ===
  C.truth ? "✓ right" : "✗ wrong")]);
// ---- ranking
// Of hundreds of actions the page has the last ones by name alone.
const ALL = [...A, ...(D.others || []).map(([action, probability]) => ({
  action,
  probability
}))];
function rank(p, n, o = {}) {
  const idx = p.map((_, i) => i).sort((a, b) => p[b] - p[a]),
    top = idx.slice(0, n),
    rest = 1 - top.reduce((x, i) => x + p[i], 0),
    un = p[idx[0]] < TH,
    count = ALL.length,
    row = (nm, v, c, th) => h("li", {
      class: c
    }, h("span", {
      class: "n"
    }, nm), h("span", {
      class: "trk",
      "aria-hidden": "true"
    }, h("i", {
      style: {
        width: 100 * v + "%"
      }
    }), th && TH > 0 && h("span", {
      class: "thr",
      style: {
        left: 100 * TH + "%"
      }
    })), h("span", {
      class: "num"
    }, pct(v)));
  return h("ol", {
    class: "rk"
  }, top.map((i, j) => row((un && j === 0 ? "? " : "") + A[i].action, p[i], i === 0 ? "first" : i === rival ?
    "second" : "", true)), o.rest !== false && count > n && row(`${count - n} others together`, rest,
    "hollow", true))
}
let listed = false;

function ranking() {
  const more = ALL.length > 6;
  put("rank", listed ? h("ol", {
    class: "every",
    tabindex: 0,
    "aria-label": `All ${ALL.length} actions`
  }, ALL.map(a => h("li", {}, h("span", {}, a.action), h("span", {
    class: "num"
  }, pct(a.probability))))) : rank(A.map(a => a.probability), 5), more && h("button", {
    class: "noprint more",
    "aria-expanded": listed ? "true" : "false",
    onclick: () => {
      listed = !listed;
      ranking();
      $("rank").querySelector(".more").focus()
    }
  }, listed ? "Show the first five" : `Show all ${ALL.length} actions`), h("p", {
    class: "note"
  }, U.threshold == null ? "No threshold was chosen for these candidates: the first is given as the answer." : [
    h("b", {}, U.unknown ? "Below the dashed line: unknown. " : "Past the dashed line: an answer. "),
    `First places under ${pct(TH)} are left as “unknown”, ${U.threshold_from}.`
  ]))
}
ranking();
