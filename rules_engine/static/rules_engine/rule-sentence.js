"use strict";
/* The sentence above a rule's form grows as the form is filled in: the server tells what is in the form just now. */
(() => {
  const WAIT = 500;

  function piece(part, gapWords) {
    if (part.kind === "text") {
      return document.createTextNode(part.text);
    }
    const element = document.createElement(part.kind === "gap" ? "span" : "code");
    if (part.kind === "code") {
      element.dir = "auto";
      element.textContent = part.text;
      return element;
    }
    element.className = "rules-gap";
    const [shown, spoken] = [document.createElement("span"), document.createElement("span")];
    shown.setAttribute("aria-hidden", "true");
    shown.textContent = part.text;
    spoken.className = "visually-hidden";
    spoken.textContent = gapWords;
    element.append(shown, spoken);
    return element;
  }

  function typed(form) {
    const entries = [...new FormData(form)].filter(([name, value]) => typeof value === "string" && name !== "_save");
    return new URLSearchParams(entries);
  }

  function grow(sentence, form) {
    let [timer, asked] = [0, ""];
    const latest = { number: 0 };

    async function ask() {
      const body = typed(form);
      if (body.toString() === asked) {
        return;
      }
      asked = body.toString();
      const number = ++latest.number;
      let told;
      try {
        const response = await fetch(sentence.dataset.rulesSentence, {
          method: "POST",
          body,
          credentials: "same-origin",
          headers: { "X-Requested-With": "XMLHttpRequest" },
        });
        told = response.ok ? await response.json() : null;
      } catch {
        told = null; // No network: what was said last stands.
      }
      if (told === null) {
        asked = "";
        return;
      }
      if (number === latest.number) {
        document.dispatchEvent(new CustomEvent("rules:told", { detail: told }));
      }
      const drawn = document.createElement("p");
      drawn.append(...told.parts.map((part) => piece(part, sentence.dataset.gap)));
      if (number === latest.number && drawn.innerHTML !== sentence.innerHTML) {
        sentence.replaceChildren(...drawn.childNodes);
      }
    }

    function later() {
      clearTimeout(timer);
      timer = setTimeout(ask, WAIT);
    }

    // Some widgets write into the form's fields by script, after a click or a key.
    for (const event of ["input", "change", "click", "keyup", "formset:added", "formset:removed"]) {
      document.addEventListener(event, (happened) => {
        if (form.contains(happened.target) || happened.target === document) {
          later();
        }
      });
    }
    const schedule = form.elements.schedule;
    if (document.querySelector(".errornote") || (schedule && schedule.value)) {
      later(); // What stands in the form is not what is stored; or when it acts next is to be told.
    }
  }

  const [sentence, form] = [document.querySelector("[data-rules-sentence]"), document.getElementById("rule_form")];
  if (sentence && form) {
    grow(sentence, form);
  }
})();
