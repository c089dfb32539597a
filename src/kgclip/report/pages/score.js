// The score taken apart, and the comparison with another action.
// ---- contributions
function sums() {
  const r3 = x => Math.round(1000 * x) / 1000,
    list = M.map(m => [m.name, con(m, 0), m]).filter(x => Math.abs(x[1]) >= .0005).sort((a, b) => b[1] - a[1]),
    app = looks(A[0]),
    sum = R.S[0],
    mv = r3(sum) - r3(app),
    rest = r3(r3(sum) - r3(app) - list.reduce((x, l) => x + r3(l[1]), 0)),
    rows = [...list, [`${D.fusion.others} other movements, less the average action`, rest, null]],
    lo = Math.min(0, ...rows.map(x => x[1])),
    hi = Math.max(1e-9, ...rows.map(x => x[1])),
    w = v => 100 * v / (hi - lo),
    z = w(-lo);
  put("sums", h("div", {
    class: "sum",
    role: "img",
    "aria-label": `Appearance ${app.toFixed(3)} plus movements ${mv.toFixed(3)}`
  }, h("i", {
    style: {
      width: 100 * Math.max(0, app) / (Math.max(0, app) + Math.max(1e-9, mv)) + "%"
    }
  }), h("i", {
    class: "p",
    style: {
      flex: 1
    }
  })), h("p", {
    class: "eq"
  }, h("b", {}, sum.toFixed(3)), " = ", app.toFixed(3), ` from ${LK} (grey) `, mv < 0 ? "− " : "+ ", h("b", {
    class: "for"
  }, Math.abs(mv).toFixed(3)), " from movements, which are:"), rows.map(([n, v, m]) => h("div", {
    class: "dv",
    "data-m": m && m.name,
    ...(m ? {
      tabindex: 0,
      ...hov(m)
    } : {})
  }, h("span", {
    class: m ? "" : "mut"
  }, n), h("span", {
    class: "x",
    "aria-hidden": "true",
    style: {
      "--z": z + "%"
    }
  }, h("i", {
    class: v < 0 ? "neg" : "",
    style: {
      left: (v < 0 ? z - w(-v) : z) + "%",
      width: Math.max(.4, w(Math.abs(v))) + "%"
    }
  })), h("span", {
    class: "num " + (v < 0 ? "ag" : "for")
  }, sg(v)))), h("div", {
    class: "dv tot"
  }, h("span", {}, "Movements together"), h("span", {}), h("span", {
    class: "num"
  }, sg(mv))));
  rove("sums", ".dv[data-m]")
}
// ---- runner-up
function duel() {
  const rows = M.map(m => [m, con(m, 0) - con(m, rival)]).sort((a, b) => Math.abs(b[1]) - Math.abs(a[1])).slice(0, 9),
    lead = R.S[0] - R.S[rival],
    la = looks(A[0]) - looks(A[rival]),
    sel = h("select", {
      "aria-label": "Compare with",
      onchange: e => {
        rival = +e.target.value;
        duel();
        lanes();
        graph();
        show(t)
      }
    }, A.slice(1, 5).map((a, i) => h("option", {
      value: i + 1,
      selected: i + 1 === rival
    }, a.action)));
  const half = (m, k, c) => h("span", {
    class: "h " + c,
    "aria-hidden": "true"
  }, h("i", {
    style: {
      width: 100 * share(m, k) + "%"
    }
  }), h("u", {
    style: {
      [c === "a" ? "right" : "left"]: 100 * Math.max(0, m.evidence) + "%"
    }
  }));
  $("duel").style.minHeight = $("duel").offsetHeight + "px";
  put("duel", h("p", {
      class: "eq"
    }, `${cap(W)} leads `, sel, " by ", h("b", {}, lead.toFixed(3)),
    `: ${LK} ${sg(la)}, movements ${sg(lead-la)}.`), h("div", {
    class: "bf bh"
  }, h("span", {}), h("span", {
    class: "for num"
  }, W), h("span", {
    class: "ag"
  }, N()), h("span", {
    class: "num mut"
  }, "favours")), rows.map(([m, d]) => h("div", {
    class: "bf",
    "data-m": m.name,
    tabindex: 0,
    "aria-label": `${m.name}: ${pct(share(m,0))} of ${W}, ${pct(share(m,rival))} of ${N()}, this clip ${pct(Math.max(0,m.evidence))}, ${sg(d)} for ${d<0?N():W}`,
    ...hov(m)
  }, h("span", {}, m.name), half(m, 0, "a"), half(m, rival, "b"), h("span", {
    class: "num " + (d < 0 ? "ag" : "for")
  }, (d < 0 ? "▸ " : "◂ ") + Math.abs(d).toFixed(3)))), h("p", {
      class: "note"
    }, "Bars: how much of an action’s training clips shows the movement. ", h("b", {}, "Tick: this clip."),
    ` ◂ favours ${W}, ▸ ${N()}.`));
  rove("duel", ".bf[data-m]")
}
