// What both pages share: how they make nodes, write numbers, show tooltips and move the focus.
"use strict";
addEventListener("error", () => document.documentElement.classList.add("ok"));
const D = JSON.parse(document.getElementById("data").textContent),
  $ = i => document.getElementById(i),
  NS = "http://www.w3.org/2000/svg";
// Every node is made here and text enters as text: names are never parsed as HTML.
function mk(n, a, k) {
  for (const [q, v] of Object.entries(a || {}))
    if (v == null || v === false) continue;
    else if (q.startsWith("on")) n.addEventListener(q.slice(2), v);
    else if (q === "style")
      for (const [p, w] of Object.entries(v)) n.style.setProperty(p, w);
    else n.setAttribute(q, v === true ? "" : v);
  for (const c of k.flat(9))
    if (c != null && c !== false) n.append(c);
  return n
}
const h = (t, a, ...k) => mk(document.createElement(t), a, k),
  s = (t, a, ...k) => mk(document.createElementNS(NS, t), a, k);
const put = (i, ...k) => $(i).replaceChildren(...k.flat(9).filter(x => x != null && x !== false));
const pct = (p, d = 0) => p > 0 && p < .001 ? "< 0.1 %" : (100 * p).toFixed(p < .0995 && p > 0 && !d ? 1 : d) + " %",
  sg = (x, d = 3) => (x < 0 ? "−" : "+") + Math.abs(x).toFixed(d),
  cap = x => x.charAt(0).toUpperCase() + x.slice(1),
  sec = x => (+x).toFixed(1).replace(/\.0$/, "");
const tip = h("div", {
  id: "tip",
  role: "tooltip"
});
document.body.append(tip);

function tipAt(e, text) {
  tip.textContent = text;
  tip.classList.add("on");
  const r = e.currentTarget.getBoundingClientRect(),
    w = tip.offsetWidth,
    H = tip.offsetHeight,
    x = e.clientX || r.left + r.width / 2,
    y = r.top - H - 8;
  tip.style.left = Math.max(8, Math.min(innerWidth - w - 8, x - w / 2)) + "px";
  tip.style.top = (y < 4 ? r.bottom + 8 : y) + "px"
}
const untip = () => tip.classList.remove("on");
const tips = (f, on, off) => ({
  onpointerenter: e => {
    tipAt(e, f());
    on && on()
  },
  onpointerleave: () => {
    untip();
    off && off()
  },
  onfocus: e => {
    tipAt(e, f());
    on && on()
  },
  onblur: () => {
    untip();
    off && off()
  }
});
addEventListener("keydown", e => {
  if (e.key === "Escape") untip()
});
// one tab stop for a group, arrows inside it; in a flat one up and down are left to others
function rove(where, q, flat) {
  const box = where.nodeType ? where : $(where),
    n = [...box.querySelectorAll(q)],
    only = x => n.forEach(y => y.setAttribute("tabindex", x === y ? 0 : -1));
  only(n[0]);
  n.forEach(x => x.addEventListener("focus", () => only(x)));
  box.onkeydown = e => {
    const i = n.indexOf(document.activeElement),
      j = {
        ArrowRight: i + 1,
        ArrowLeft: i - 1,
        Home: 0,
        End: n.length - 1,
        ...(flat ? {} : {
          ArrowDown: i + 1,
          ArrowUp: i - 1
        })
      } [e.key];
    if (i < 0 || j == null) return;
    e.preventDefault();
    e.stopPropagation();
    if (n[j]) n[j].focus()
  }
}

function provenance(rows, note) {
  put("foot", h("h2", {}, "Where this comes from"), h("dl", {}, rows.filter(r => r[1] != null).map(([k, v]) => h(
      "div", {}, h("dt", {}, k), h("dd", {}, /^[0-9a-f]{12,}$/.test(v) ? h("code", {}, v) : String(v))))), note &&
    h("p", {}, note))
}
// links that the product writes are relative and plain; any other is left out
const plain = u => !!u && /^[\w.\-/]+$/.test(u);
