"use strict";
/* Ready templates: the gallery is searched as one types, a model is taken as it is chosen, and what a text may hold
 * besides is put into it by a click. Without this each is a button or can be typed. */
(() => {
  const folded = (text) => text.toLocaleLowerCase();

  function search(form) {
    const input = form.querySelector('input[type="search"]');
    const none = document.querySelector(".rules-template-none");
    const groups = Array.from(document.querySelectorAll(".rules-template-group"));
    function filter() {
      const words = folded(input.value).split(/\s+/).filter(Boolean);
      let found = 0;
      groups.forEach((group) => {
        const cards = Array.from(group.querySelectorAll("li"));
        cards.forEach((card) => {
          const text = folded(card.dataset.words);
          card.hidden = !words.every((word) => text.includes(word));
        });
        const shown = cards.filter((card) => !card.hidden).length;
        group.hidden = !shown;
        found += shown;
      });
      none.hidden = found > 0;
    }
    input.addEventListener("input", filter);
  }

  function takeModel(form) {
    form.querySelector('input[type="submit"]').hidden = true;
    form.querySelector("select").addEventListener("change", (event) => {
      if (event.target.value) form.requestSubmit();
    });
  }

  /** Buttons in place of the values that could be typed: a click adds one on a line of its own, another takes it away. */
  function insertable(box) {
    const text = document.getElementById(box.dataset.for);
    const lines = () => text.value.split("\n").map((line) => line.trim()).filter(Boolean);
    box.querySelectorAll("li").forEach((item) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = item.dataset.label;
      const mark = () => button.setAttribute("aria-pressed", String(lines().includes(item.dataset.value)));
      button.addEventListener("click", () => {
        const there = lines();
        const without = there.filter((line) => line !== item.dataset.value);
        text.value = (without.length < there.length ? without : [...there, item.dataset.value]).join("\n");
        text.dispatchEvent(new Event("input", { bubbles: true }));
      });
      text.addEventListener("input", mark);
      item.replaceChildren(button);
      mark();
    });
  }

  document.querySelectorAll("form[data-rules-templates]").forEach(search);
  document.querySelectorAll("form.rules-template-model").forEach(takeModel);
  document.querySelectorAll(".rules-insertable").forEach(insertable);
})();
