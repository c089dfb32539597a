// The clip: video, skeleton, and what is seen now.
// ---- video
const V = $("vid");
let stop = null;
if (C.poster) V.poster = C.poster;
if (C.video) V.src = C.video;
V.parentNode.style.aspectRatio = C.width + "/" + C.height;
const K = ["nose", "left eye", "right eye", "left ear", "right ear", "left shoulder", "right shoulder", "left elbow",
    "right elbow", "left wrist", "right wrist", "left hip", "right hip", "left knee", "right knee", "left ankle",
    "right ankle"
  ],
  BO = [
    [5, 7, "left arm"],
    [7, 9, "left arm"],
    [6, 8, "right arm"],
    [8, 10, "right arm"],
    [5, 6, "trunk"],
    [5, 11, "trunk"],
    [6, 12, "trunk"],
    [11, 12, "hip"],
    [11, 13, "left leg"],
    [13, 15, "left leg"],
    [12, 14, "right leg"],
    [14, 16, "right leg"],
    [0, 17, "head"]
  ];
const partOf = p => p === "hip" ? ["hip", "trunk"] : [p.replace("hand", "arm").replace("foot", "leg")],
  H = 1000 * C.height / C.width,
  svg = $("skel");
svg.setAttribute("viewBox", `0 0 1000 ${H}`);
const col = p => p.startsWith("left") ? "var(--l)" : p.startsWith("right") ? "var(--r)" : "#fff",
  bones = BO.map(([a, b, id]) => ({
    ab: [a, b],
    id,
    o: s("line", {
      class: "o"
    }),
    g: s("line", {
      stroke: col(id)
    })
  }));
svg.append(s("g", {}, bones.map(b => b.o)), s("g", {}, bones.map(b => b.g)));
const dots = K.map((_, k) => s("circle", {
  r: k < 5 ? 4 : 6.5
}));
svg.append(...dots);
if (D.keypoints && D.keypoints.delta) D.keypoints.frames.forEach((f, i, F) => {
  if (i) F[i] = f.map((v, k) => v + F[i - 1][k])
});
const pt = (f, k) => {
  if (k === 17) {
    const a = pt(f, 5),
      b = pt(f, 6);
    return a.map((v, i) => (v + b[i]) / 2)
  }
  const a = D.keypoints.frames[f];
  return [a[3 * k], a[3 * k + 1] * H / 1000, a[3 * k + 2]]
};

function draw() {
  const n = D.keypoints && D.keypoints.frames.length;
  if (!n) return;
  const f = Math.min(n - 1, Math.max(0, Math.floor(t * C.fps + .01)));
  svg.style.display = skel ? "" : "none";
  dots.forEach((d, k) => {
    const p = pt(f, k);
    d.setAttribute("cx", p[0]);
    d.setAttribute("cy", p[1]);
    d.style.opacity = p[2] < 4 ? .35 : ""
  });
  for (const b of bones) {
    const p = pt(f, b.ab[0]),
      q = pt(f, b.ab[1]),
      sure = Math.min(p[2], q[2]) / 9;
    for (const l of [b.o, b.g]) {
      l.setAttribute("x1", p[0]);
      l.setAttribute("y1", p[1]);
      l.setAttribute("x2", q[0]);
      l.setAttribute("y2", q[1]);
      l.style.opacity = sure < .4 ? .35 : ""
    }
  }
}

function show(x) {
  t = Math.max(0, Math.min(dur, x));
  for (const {
      m,
      n
    }
    of pills) n.classList.toggle("lit", strong(m).some(y => y[0] <= t && t < y[1]));
  $("tl").style.setProperty("--p", t / dur);
  $("tt").textContent = `${t.toFixed(2)} of ${dur.toFixed(2)} s`;
  const r = $("ruler");
  if (r) r.setAttribute("aria-valuenow", t.toFixed(2)), r.setAttribute("aria-valuetext", t.toFixed(2) +
    " seconds; seen: " + (M.filter(m => m.spans.some(y => y[2] >= .5 && y[0] <= t && t <= y[1])).map(m => m.name)
      .join(", ") || "nothing"));
  draw()
}

function seek(x) {
  stop = null;
  x = Math.max(0, Math.min(dur - .5 / C.fps, x));
  V.currentTime = x;
  show(x)
}
const step = n => {
  V.pause();
  seek((Math.floor(t * C.fps + .01) + n + .01) / C.fps)
};
(function loop() {
  if (!V.paused && !V.ended) {
    show(V.currentTime);
    if (stop != null && V.currentTime >= stop) {
      V.pause();
      stop = null
    }
  }
  requestAnimationFrame(loop)
})();
const pb = $("play"),
  pp = () => V.paused ? V.play().catch(() => {}) : V.pause();
V.onplay = V.onpause = () => {
  pb.textContent = V.paused ? "▶ Play" : "❚❚ Pause"
};
V.onseeked = () => show(V.currentTime);
pb.onclick = pp;
V.onclick = pp;
$("back").onclick = () => step(-1);
$("fwd").onclick = () => step(1);
$("slow").onclick = e => {
  const on = V.playbackRate === 1;
  V.playbackRate = on ? .25 : 1;
  e.target.setAttribute("aria-pressed", on)
};
const sk = $("sk");
document.querySelectorAll(".kp").forEach(n => n.hidden = !D.keypoints);
sk.onclick = () => {
  skel = !skel;
  sk.setAttribute("aria-pressed", skel);
  draw()
};
addEventListener("keydown", e => {
  if (e.ctrlKey || e.metaKey || e.altKey || /INPUT|SELECT/.test(e.target.tagName) || e.key === " " && /BUTTON|A/
    .test(e.target.tagName)) return;
  if (e.key === " ") {
    e.preventDefault();
    pp()
  } else if (e.key === "ArrowLeft") {
    step(-1);
    e.preventDefault()
  } else if (e.key === "ArrowRight") {
    step(1);
    e.preventDefault()
  } else if (e.key === "s") sk.click()
});
// ---- what is seen at this moment: all pills are always there, so that nothing moves
const strong = m => m.spans.filter(x => x[2] >= .5),
  pills = M.filter(m => strong(m).length).map(m => {
    const n = h("button", {
      class: "pill",
      "data-m": m.name,
      onclick: () => seek((strong(m).find(x => x[0] > t + .02) || strong(m)[0])[0]),
      ...hov(m)
    }, h("i", {
      "aria-hidden": "true"
    }), m.name);
    return {
      m,
      n
    }
  });
put("now", pills.length ? pills.map(p => p.n) : h("p", {
  class: "sub"
}, "No movement was seen clearly in this clip."));
