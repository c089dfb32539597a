// The stretch of time that lanes show: all of it, or the part that was zoomed to.
const clock = x => {
  const r = Math.round(10 * x) / 10,
    m = Math.floor(r / 60),
    q = (r % 60).toFixed(r < 60 ? 1 : 0).padStart(r < 60 ? 1 : 2, "0");
  return r < 60 ? q + " s" : m < 60 ? m + ":" + q : Math.floor(m / 60) + ":" + String(m % 60).padStart(2, "0") + ":" + q
};
const STEPS = [.1, .2, .5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200];
// What lies at a time has --x and --w, its start and length in seconds: the style sheet places it by --a and --s.
const at = (x, w = 0) => ({
  "--x": +x.toFixed(3),
  "--w": +w.toFixed(3)
});

// root: holds the lanes; rule: the node that gets the ticks; least: the shortest stretch, in seconds.
function timeAxis(root, rule, from, to, least, moved) {
  const whole = to - from,
    few = Math.min(whole, least);
  let a = from,
    w = whole,
    now = from;
  const set = (na, nw = w) => {
      w = Math.max(few, Math.min(whole, nw));
      a = Math.max(from, Math.min(to - w, na));
      root.style.setProperty("--a", a);
      root.style.setProperty("--s", w);
      const most = root.clientWidth && root.clientWidth < 600 ? 4 : 8,
        st = STEPS.find(x => w / x <= most) || w / most,
        ticks = [];
      for (let x = Math.ceil(a / st - 1e-6) * st; x <= a + w - st / 4; x += st) ticks.push(h("span", {
        class: "tick" + (x - a < w / 50 ? " e" : ""),
        style: at(x)
      }, x || w < 60 ? clock(x) : "0"));
      rule.replaceChildren(...ticks);
      const all = w > whole - 1e-6;
      [tool.out, tool.all, tool.l, tool.r].forEach(b => b.disabled = all);
      tool.in.disabled = w < few + 1e-6;
      place(now);
      moved && moved()
    },
    zoom = (f, x = now >= a && now <= a + w ? now : a + w / 2) => set(x - (x - a) * f, w * f),
    place = x => {
      now = x;
      const p = (x - a) / w;
      root.style.setProperty("--p", p);
      root.classList.toggle("away", p < -1e-6 || p > 1 + 1e-6)
    },
    button = (text, label, f) => h("button", {
      "aria-label": label,
      title: label,
      onclick: f
    }, text),
    tool = {
      out: button("−", "Show more time", () => zoom(2)),
      in: button("+", "Zoom in", () => zoom(.5)),
      l: button("‹", "Earlier", () => set(a - w / 2)),
      r: button("›", "Later", () => set(a + w / 2)),
      all: button("All", "Show all the time", () => set(from, whole))
    };
  root.addEventListener("wheel", e => {
    if (!e.ctrlKey && !e.shiftKey) return;
    e.preventDefault();
    const r = rule.getBoundingClientRect(),
      d = e.deltaY || e.deltaX;
    e.ctrlKey ? zoom(d < 0 ? .8 : 1.25, a + w * Math.max(0, Math.min(1, (e.clientX - r.left) / r.width))) : set(a +
      Math.sign(d) * w / 8)
  }, {
    passive: false
  });
  root.addEventListener("keydown", e => {
    const f = {
      "+": () => zoom(.5),
      "=": () => zoom(.5),
      "-": () => zoom(2),
      "0": () => set(from, whole)
    } [e.key];
    if (!f || e.ctrlKey || e.metaKey || e.altKey) return;
    f();
    e.preventDefault()
  });
  return {
    tools: whole > 2 * few && h("div", {
      class: "zoom noprint",
      role: "group",
      "aria-label": "Zoom the time axis"
    }, Object.values(tool), h("span", {
      class: "mut keys"
    }, "keys + − 0; Ctrl and wheel zoom, Shift and wheel move")),
    place,
    redraw: () => set(a),
    time: e => {
      const r = rule.getBoundingClientRect();
      return a + w * (e.clientX - r.left) / r.width
    },
    // brings a time into view, where it is not
    reveal: x => (x < a || x > a + w) && set(x - w / 20)
  }
}
// a lane is one tab stop: arrows go from span to span in it
const laneKeys = root => root.querySelectorAll(".ln").forEach(n => {
  if (n.querySelector(".sp")) rove(n, ".sp", true)
});
