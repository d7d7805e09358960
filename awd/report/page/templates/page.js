"use strict";
const root = document.documentElement;
root.classList.add("js");
try { // a browser may refuse to remember anything for files
  const kept = localStorage.getItem("awd-theme");
  if (kept === "light" || kept === "dark") root.dataset.theme = kept;
} catch {}

document.addEventListener("DOMContentLoaded", () => {
  const sources = JSON.parse(document.getElementById("sources").textContent);
  const message = document.getElementById("message");

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
    message.textContent = `sorted by ${button.textContent}, ${up ? "ascending" : "descending"}`;
  }

  async function copy(button) {
    const { suite, form } = button.dataset;
    const text = suite ? sources[suite][form]
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
    message.textContent = "copied";
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
});
