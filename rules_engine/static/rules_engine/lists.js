// On a narrow page the filters of a list fold away above it, and rows that are drawn as cards stay rows of a table to
// whoever listens. Nothing here is needed to use the list.
"use strict";
(() => {
  const NARROW = matchMedia("(max-width: 1024px)");
  // Four columns speak for themselves.
  const SPEAKING = "[class*='_told'], .action-checkbox";

  function keepTable(table) {
    const roles = { table: "table", thead: "rowgroup", tbody: "rowgroup", tr: "row", td: "cell" };
    for (const [name, role] of Object.entries(roles)) {
      const parts = name === "table" ? [table] : table.querySelectorAll(name);
      parts.forEach((part) => part.setAttribute("role", role));
    }
    table.querySelectorAll("thead th").forEach((part) => part.setAttribute("role", "columnheader"));
    table.querySelectorAll("tbody th").forEach((part) => part.setAttribute("role", "rowheader"));
  }

  function label(table, unlabelled) {
    const titles = Array.from(table.querySelectorAll("thead th"), (head) => (head.querySelector(".text") || head).textContent.trim());
    for (const row of table.tBodies[0].rows) {
      Array.from(row.cells).forEach((cell, index) => {
        if (index >= unlabelled && titles[index] && !cell.matches(SPEAKING)) {
          cell.dataset.label = titles[index];
        }
      });
    }
  }

  function fold(filters) {
    const title = filters.querySelector("h2");
    const button = document.createElement("button");
    button.type = "button";
    button.className = "rules-fold";
    const chosen = Array.from(filters.querySelectorAll("li.selected:not(:first-child)"), (item) => item.textContent.trim());
    button.textContent = (title ? title.textContent : filters.id) + (chosen.length ? `: ${chosen.join(", ")}` : "");
    button.setAttribute("aria-controls", filters.id);
    button.setAttribute("aria-expanded", "false");
    button.addEventListener("click", () => {
      button.setAttribute("aria-expanded", String(button.getAttribute("aria-expanded") === "false"));
    });
    const place = document.createComment("filters");
    filters.before(place);
    const move = () => {
      if (NARROW.matches) {
        filters.parentElement.prepend(button, filters);
      } else {
        button.remove();
        place.after(filters);
      }
    };
    NARROW.addEventListener("change", move);
    move();
  }

  function begin() {
    const table = document.getElementById("result_list");
    if (table) {
      keepTable(table);
      label(table, 2);
    }
    for (const part of document.querySelectorAll(".rules-overview table")) {
      keepTable(part);
      label(part, 1);
      part.classList.add("rules-cards");
    }
    const filters = document.getElementById("changelist-filter");
    if (filters) {
      fold(filters);
    }
  }

  if (document.readyState === "loading") {
    document.addEventListener("DOMContentLoaded", begin);
  } else {
    begin();
  }
})();
