// A data set: the sentence, the figures, film strips.
const AC = D.actions,
  K = AC.length,
  X = D.clips.map(([id, y, top], i) => ({
    id,
    y,
    top,
    i,
    p: top[0][1],
    k: top[0][0]
  })),
  N = X.length,
  S = D.strips;
let th = D.threshold ? D.threshold.value : 0,
  useU = false,
  sel = null,
  sorted = true;
// 95 % Wilson interval of k of n
function wilson(k, n) {
  if (!n) return [0, 1];
  const z = 1.96,
    p = k / n,
    d = 1 + z * z / n,
    c = (p + z * z / 2 / n) / d,
    e = z * Math.sqrt(p * (1 - p) / n + z * z / 4 / n / n) / d;
  return [Math.max(0, c - e), Math.min(1, c + e)]
}
const said = x => useU && x.p < th ? K : x.k,
  name = k => k === K ? "unknown" : k > K ? "any other" : AC[k],
  P0 = x => pct(x);
document.title = "Evaluation – " + D.title;
$("ttl").textContent = D.title;
const HL = k => D.headline.find(x => x.key === k),
  pairs = () => {
    const m = new Map;
    for (const x of X) {
      const k = said(x);
      if (k !== x.y && k < K) m.set(x.y * K + k, (m.get(x.y * K + k) || 0) + 1)
    }
    return [...m].sort((a, b) => b[1] - a[1]).map(([q, n]) => [Math.floor(q / K), q % K, n])
  };
const first = pairs()[0];
{
  const a = HL("top1"),
    b = HL("answered_top1"),
    c = HL("coverage");
  put("say", h("b", {}, "Right on " + P0(a.value)), " of ", N, " clips it never saw", b ? [
    ". Left to answer only when sure, it answers ", P0(c.value), " of them and is right on ", h("b", {}, P0(b.value))
  ] : null, first ? ["; it most often takes ", AC[first[0]], " for ", h("i", {}, AC[first[1]]),
    ` (${first[2]}\u00a0of\u00a0${X.filter(x => x.y === first[0]).length}).`
  ] : ".")
}
// A fitted model says more in words.
if (D.notes && D.notes.length) {
  $("words").hidden = false;
  put("notes", D.notes.map(x => h("li", {}, x)))
}
$("kn").textContent = "Whiskers and brackets: " + D.interval_note + ".";
put("kpi", D.headline.map(({
  label,
  value,
  interval: [l, u],
  what
}) => h("div", {}, h("dt", {}, label), h("dd", {}, pct(value, 1), s("svg", {
  viewBox: "0 0 200 16",
  preserveAspectRatio: "none",
  role: "img",
  "aria-label": `${pct(l,1)} to ${pct(u,1)}`
}, s("rect", {
  x: 0,
  y: 6,
  width: 200,
  height: 4,
  style: {
    fill: "var(--soft)"
  }
}), s("rect", {
  x: 200 * l,
  y: 4,
  width: Math.max(2, 200 * (u - l)),
  height: 8,
  style: {
    fill: "var(--forb)",
    opacity: .35
  }
}), s("rect", {
  x: 200 * value - 1.5,
  y: 0,
  width: 3,
  height: 16,
  style: {
    fill: "var(--forb)"
  }
})), h("small", {}, `${(100*l).toFixed(1)}–${(100*u).toFixed(1)} %`), h("small", {}, what)))));
// ---- film strips: clip i is the i-th tile of the sheet, and its page the i-th
const PR = S && S.per_row * S.frames;

function film(x) {
  const col = (x.i % S.per_row) * S.frames,
    row = Math.floor(x.i / S.per_row);
  return h("div", {
    class: "im",
    role: "img",
    "aria-label": `${S.frames} frames of clip ${x.id}`
  }, Array.from({
    length: S.frames
  }, (_, j) => h("i", {
    style: {
      "background-size": `${PR * 100}% ${S.rows * 100}%`,
      "background-position": `${100 * (col + j) / (PR - 1)}% ${S.rows > 1 ? 100 * row / (S.rows - 1) : 0}%`
    }
  })))
}

function strip(x) {
  const ok = x.k === x.y,
    href = D.pages && `${D.pages}${x.i}.html`,
    two = x.top[1];
  return h("figure", {
      class: "fs"
    }, S && film(x),
    h("figcaption", {}, h("b", {}, AC[x.y]), ok ? " ✓ " : [" ✗ said ", h("b", {
      class: "ag"
    }, AC[x.k]), " "], pct(x.p), x.p < th ? " (unknown)" : "", two ? h("span", {
      class: "mut"
    }, `, then ${AC[two[0]]} ${pct(two[1])}`) : null, h("br"), h("span", {
      class: "id"
    }, x.id, " ", plain(href) ? h("a", {
      href
    }, "explanation") : null)))
}
if (S) document.documentElement.style.setProperty("--film", `url(${S.src})`);
