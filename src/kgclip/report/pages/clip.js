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
// Base-64 digits of five bits, the last digit of a number below 32, the sign first; each pose is less the one before.
function unpack(text) {
  const out = [];
  let v = 0,
    f = 1;
  for (const c of text) {
    const d = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".indexOf(c);
    v += d % 32 * f;
    f *= 32;
    if (d < 32) {
      out.push(v % 2 ? -(v - 1) / 2 : v / 2);
      v = 0;
      f = 1
    }
  }
  return out
}
const col = p => p.startsWith("left") ? "var(--l)" : p.startsWith("right") ? "var(--r)" : "#fff",
  people = (D.keypoints || []).map((q, n) => {
    const F = unpack(q.frames);
    for (let i = 51; i < F.length; i++) F[i] += F[i - 51];
    const P = {
      T: q.times_s,
      F: Array.from(q.times_s, (_, i) => F.slice(51 * i, 51 * i + 51)),
      bones: BO.map(([a, b, id]) => ({
        ab: [a, b],
        id,
        o: s("line", {
          class: "o"
        }),
        g: s("line", {
          stroke: col(id)
        })
      })),
      dots: K.map((_, k) => s("circle", {
        r: k < 5 ? 4 : 6.5
      })),
      mark: n ? null : s("path", {
        class: "who"
      })
    };
    P.g = s("g", {
      class: n ? "other" : ""
    }, P.bones.map(b => b.o), P.bones.map(b => b.g), P.dots, P.mark);
    return P
  }),
  // The subject alone takes part in the highlight.
  bones = people.length ? people[0].bones : [];
// Who comes first is drawn last, over the others.
svg.append(...people.map(p => p.g).reverse());
const GAP = .5;
// The joints of a person at a time, linear between two observations; none before, after, and in long gaps.
function joints(P, x) {
  const T = P.T;
  let i = T.findIndex(v => v > x + 1e-3);
  if (i < 0) i = T.length;
  const a = Math.max(0, i - 1),
    b = Math.min(T.length - 1, i),
    w = T[b] - T[a];
  if (x < T[0] - .1 || x > T[T.length - 1] + .2 || w > GAP) return null;
  const q = w ? Math.min(1, Math.max(0, (x - T[a]) / w)) : 0,
    at = k => [0, 1, 2].map(c => P.F[a][3 * k + c] + q * (P.F[b][3 * k + c] - P.F[a][3 * k + c])),
    J = K.map((_, k) => at(k)).map(([u, v, c]) => [u, v * H / 1000, c]);
  J.push(J[5].map((v, c) => (v + J[6][c]) / 2));
  return J
}

function draw() {
  svg.style.display = skel ? "" : "none";
  for (const P of people) {
    const J = joints(P, t);
    P.g.style.display = J ? "" : "none";
    if (!J) continue;
    P.dots.forEach((d, k) => {
      d.setAttribute("cx", J[k][0]);
      d.setAttribute("cy", J[k][1]);
      d.style.opacity = J[k][2] < 4 ? .35 : ""
    });
    for (const b of P.bones) {
      const p = J[b.ab[0]],
        q = J[b.ab[1]];
      for (const l of [b.o, b.g]) {
        l.setAttribute("x1", p[0]);
        l.setAttribute("y1", p[1]);
        l.setAttribute("x2", q[0]);
        l.setAttribute("y2", q[1]);
        l.style.opacity = Math.min(p[2], q[2]) < 3.6 ? .35 : ""
      }
    }
    if (P.mark && people.length > 1) {
      const y = Math.max(34, Math.min(...J.slice(0, 5).map(j => j[1])) - 26);
      P.mark.setAttribute("d", `M${J[0][0] - 18},${y - 30}h36l-18,26z`)
    }
  }
}
if (people.length > 1) $("who").textContent =
  `${people.length} people were followed. All that is said here is of the one under the mark ▼, who moves most.`;

function show(x) {
  t = Math.max(0, Math.min(dur, x));
  for (const {
      m,
      n
    }
    of pills) n.classList.toggle("lit", strong(m).some(y => y[0] <= t && t < y[1]));
  if (M.length) {
    if (!V.paused) axis.reveal(t);
    axis.place(t)
  }
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
