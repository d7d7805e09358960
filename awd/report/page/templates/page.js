"use strict";
const root = document.documentElement;
root.classList.add("js");
try { // a browser may refuse to remember anything for files
  const kept = localStorage.getItem("awd-theme");
  if (kept === "light" || kept === "dark") root.dataset.theme = kept;
} catch {}

document.addEventListener("DOMContentLoaded", () => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const said = document.getElementById("said");

  theme(document.getElementById("theme"));
  for (const button of document.querySelectorAll("button.sort"))
    button.addEventListener("click", () => sort(button));
  for (const button of document.querySelectorAll("button.more"))
    button.addEventListener("click", () => button.setAttribute("aria-expanded",
      document.getElementById(button.getAttribute("aria-controls")).classList.toggle("open")));
  for (const button of document.querySelectorAll("button.copy"))
    button.addEventListener("click", () => copy(button));
  for (const button of document.querySelectorAll("button.enlarge"))
    button.addEventListener("click", () => enlarge(button.firstElementChild));
  for (const chart of document.querySelectorAll(".chart"))
    follow(chart, data.charts[chart.dataset.chart]);

  function theme(button) {
    const dark = () => root.dataset.theme ? root.dataset.theme === "dark"
      : matchMedia("(prefers-color-scheme: dark)").matches;
    const show = () => button.setAttribute("aria-pressed", dark());
    button.hidden = false;
    show();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show);
    button.addEventListener("click", () => {
      root.dataset.theme = dark() ? "light" : "dark";
      try { localStorage.setItem("awd-theme", root.dataset.theme); } catch {}
      show();
    });
  }

  // A row is a <tbody> of its own, so that what belongs to it moves with it.
  function sort(button) {
    const heading = button.closest("th"), table = button.closest("table");
    const up = heading.getAttribute("aria-sort") !== "ascending";
    const cells = new Map([...table.tBodies].map(body => {
      const { key } = body.rows[0].querySelectorAll("[data-key]")[button.dataset.column].dataset;
      return [body, key === "" ? null : Number(key)];
    }));
    const order = [...cells.keys()].sort((a, b) => {
      const [left, right] = [cells.get(a), cells.get(b)];
      if (left === null || right === null) return (left === null) - (right === null);
      return up ? left - right : right - left;
    });
    for (const other of table.querySelectorAll("[aria-sort]")) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", up ? "ascending" : "descending");
    table.append(...order);
    said.textContent = `sorted by ${button.textContent}, ${up ? "ascending" : "descending"}`;
  }

  async function copy(button) {
    const { suite, form } = button.dataset;
    const text = suite ? data.sources[suite][form]
      : button.closest(".command").querySelector("code").textContent;
    try {
      await navigator.clipboard.writeText(text);
    } catch { // not every browser lets a file use the clipboard
      const field = document.createElement("textarea");
      field.value = text;
      document.body.append(field);
      field.select();
      document.execCommand("copy");
      field.remove();
      button.focus();
    }
    button.classList.add("copied");
    said.textContent = "copied";
    setTimeout(() => button.classList.remove("copied"), 1500);
  }

  function enlarge(image) {
    const viewer = document.getElementById("viewer"), large = viewer.querySelector("img");
    large.src = image.src;
    large.alt = image.alt;
    viewer.querySelector("p").textContent =
      image.closest("figure").querySelector("figcaption").textContent;
    const save = document.getElementById("save");
    save.href = image.src;
    save.download = image.dataset.name;
    viewer.showModal();
    viewer.querySelector("button").focus(); // not Save, which comes first
  }

  // Names the recorded point that is nearest to the pointer, or that the arrow keys reach.
  function follow(chart, { x, y, lines }) {
    const panel = chart.querySelector(".panel"), picture = panel.querySelector("svg");
    const here = picture.querySelector(".here"), reading = panel.querySelector(".reading");
    const scale = ({ low, high, start, end, logarithmic: log }) => value => {
      const f = log ? Math.log : v => v;
      return start + (f(value) - f(low)) / (f(high) - f(low)) * (end - start);
    };
    const [left, top] = [scale(x), scale(y)];
    const points = lines.map(line => line.epoch.map((epoch, i) =>
      [left(epoch), Math.max(top(line.valid[i]), y.end)]));
    const strong = Number(chart.querySelector(".line.strong")?.dataset.line ?? 0);
    let at = [strong, points[strong].length - 1];

    const mark = line => {
      for (const each of chart.querySelectorAll("[data-line]"))
        each.classList.toggle("active", line !== null && each.dataset.line === String(line));
      const active = picture.querySelector(".line.active");
      if (active) active.parentNode.append(active); // the last one drawn lies on top
    };

    function show(line, i) {
      at = [line, i];
      const { label, epoch, valid, train, rate } = lines[line], [px, py] = points[line][i];
      here.removeAttribute("hidden");
      here.setAttribute("cx", px);
      here.setAttribute("cy", py);
      const name = document.createElement("b"), rest = document.createElement("span");
      name.textContent = label;
      const said = [`epoch ${epoch[i]}`, `perplexity ${valid[i].toLocaleString("en")}`];
      if (train?.[i] != null) said.push(`training loss ${train[i]}`);
      if (rate?.[i] != null) said.push(`rate ${rate[i]}`);
      rest.textContent = said.join(" · ");
      reading.replaceChildren(name, rest);
      reading.hidden = false;
      const share = picture.clientWidth / picture.viewBox.baseVal.width;
      const room = panel.clientWidth - reading.offsetWidth - 4;
      reading.style.left = `${Math.max(4, Math.min(px * share + 12, room))}px`;
      const above = py * share - reading.offsetHeight - 12;
      reading.style.top = `${above > 0 ? above : py * share + 14}px`;
      mark(line);
    }
    function hide() {
      here.setAttribute("hidden", "");
      reading.hidden = true;
      mark(null);
    }
    panel.addEventListener("pointermove", event => {
      const box = picture.getBoundingClientRect();
      const share = picture.viewBox.baseVal.width / box.width;
      const [px, py] = [(event.clientX - box.left) * share, (event.clientY - box.top) * share];
      let best = null, least = Infinity;
      points.forEach((line, number) => line.forEach(([qx, qy], i) => {
        const far = (qx - px) ** 2 + (qy - py) ** 2;
        if (far < least) [best, least] = [[number, i], far];
      }));
      show(...best);
    });
    panel.addEventListener("pointerleave", hide);
    panel.addEventListener("focus", () => { if (panel.matches(":focus-visible")) show(...at); });
    panel.addEventListener("blur", hide);
    panel.addEventListener("keydown", event => {
      const [line, i] = at;
      const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
      if (event.key === "Escape") return hide();
      if (!step[event.key]) return;
      event.preventDefault();
      const [down, right] = step[event.key];
      const next = (line + down + lines.length) % lines.length;
      show(next, Math.max(0, Math.min(i + right, points[next].length - 1)));
    });

    const kept = [];
    for (const button of chart.querySelectorAll(".legend button")) {
      const line = button.dataset.line;
      for (const start of ["pointerenter", "focus"]) button.addEventListener(start, () => mark(line));
      for (const end of ["pointerleave", "blur"]) button.addEventListener(end, () => mark(null));
      button.addEventListener("click", () => {
        const free = [1, 2, 3, 4].find(colour => !kept.includes(colour));
        const old = Number(button.dataset.kept);
        if (old) kept.splice(kept.indexOf(old), 1);
        else if (!free) return void (said.textContent = "four lines are marked already");
        else kept.push(free);
        for (const each of chart.querySelectorAll(`[data-line="${line}"]`))
          old ? delete each.dataset.kept : each.dataset.kept = free;
        button.setAttribute("aria-pressed", !old);
      });
    }
  }
});
