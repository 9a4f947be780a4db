/* The frame around rows: two tabs, the focus that stays where it is, and what is wrong with a row. */
(function () {
  "use strict";

  const rules = (window.rulesEngine = window.rulesEngine || {});

  /** A row that cannot be drawn, as its JSON. */
  rules.drawAdvanced = function (line, one, words, write, drawErrors) {
    rules.element("span", { class: "rules-advanced" }, line, words.advanced);
    const area = rules.element("textarea", {
      class: "rules-code", rows: Math.min(one.source.split("\n").length, 8), "data-key": `${one.id}-json`,
      "aria-label": words.advanced_json, spellcheck: "false",
    }, line);
    area.value = one.source;
    area.addEventListener("input", () => {
      one.source = area.value;
      one.errors = rules.isJson(area.value) ? [] : [words.no_json];
      write();
      drawErrors();
    });
  };

  /** What is wrong with a row, below it and told with each of its inputs. */
  rules.drawErrors = function (box, one, id) {
    box.querySelectorAll(":scope > .rules-row-errors").forEach((old) => old.remove());
    const controls = box.querySelectorAll(":scope > .rules-row-line :is(select, input, textarea)");
    controls.forEach((control) => ["aria-invalid", "aria-describedby"].forEach((name) => control.removeAttribute(name)));
    if (!one.errors.length) return;
    const list = rules.element("ul", { class: "rules-row-errors errorlist", id: id }, box);
    one.errors.forEach((text) => rules.element("li", {}, list, text));
    controls.forEach((control) => {
      control.setAttribute("aria-invalid", "true");
      control.setAttribute("aria-describedby", id);
    });
  };

  rules.begin = function (selector, Kind) {
    const each = () => document.querySelectorAll(selector).forEach((textarea) => {
      if (!textarea.disabled && !textarea.readOnly) new Kind(textarea);
    });
    if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", each);
    else each();
  };

  const isSame = (one, other) => one.tagName === other.tagName && one.type === other.type;
  const offered = (one) => Array.from(one.options || []).filter((option) => option.value).map((option) => option.value).join("\n");

  function copyAttributes(old, fresh) {
    Array.from(old.attributes).forEach((one) => fresh.hasAttribute(one.name) || old.removeAttribute(one.name));
    Array.from(fresh.attributes).forEach((one) => old.setAttribute(one.name, one.value));
  }

  /** Put what was drawn afresh around the control that has the focus, which itself stays in the page. */
  function graft(old, fresh, kept, twin) {
    if (old !== kept) {
      const [inner, other] = [[old, kept], [fresh, twin]].map(([one, target]) => Array.from(one.children).find((child) => child.contains(target)));
      Array.from(old.childNodes).forEach((child) => child !== inner && child.remove());
      const nodes = Array.from(fresh.childNodes);
      inner.before(...nodes.slice(0, nodes.indexOf(other)));
      inner.after(...nodes.slice(nodes.indexOf(other) + 1));
      copyAttributes(inner, other);
      graft(inner, other, kept, twin);
    } else if (offered(kept) !== offered(twin)) {
      const value = twin.value;
      kept.replaceChildren(...twin.childNodes);
      kept.value = value;
    } else if (kept.value !== twin.value) kept.value = twin.value;
  }

  /** Draw again without taking the keyboard from where it is: letters typed into a select go on spelling a word. */
  rules.keepingFocus = function (holder, draw) {
    const kept = holder.contains(document.activeElement) ? document.activeElement : null;
    const fresh = document.createElement("div");
    draw(fresh);
    const twin = kept && fresh.querySelector(`[data-key="${kept.dataset.key}"]`);
    if (twin && kept !== holder && isSame(kept, twin) && kept.tagName !== "BUTTON") {
      graft(holder, fresh, kept, twin);
      return;
    }
    holder.replaceChildren(...fresh.childNodes);
    if (twin) twin.focus();
  };

  rules.focusOn = function (holder, ...keys) {
    const found = keys.map((key) => holder.querySelector(`[data-key="${key}"]:not(:disabled)`)).find((one) => one);
    if (found) found.focus();
  };

  /** The first input of a row that has nothing in it, or else its last one. */
  rules.focusOnGap = function (box) {
    const controls = Array.from(box.querySelectorAll(":scope > .rules-row-line :is(select, input, textarea)"));
    const gap = controls.find((one) => one.value === "") || controls[controls.length - 1];
    if (gap) gap.focus();
  };

  /** A textarea behind two tabs: one that is drawn, and the JSON itself. */
  rules.Tabs = class {
    constructor(textarea, words, drawnTitle, chosen) {
      const id = textarea.id;
      this.chosen = chosen;
      this.box = rules.element("div", { class: "rules-builder" });
      textarea.after(this.box);
      const list = rules.element("div", { class: "rules-tabs", role: "tablist", "aria-label": words.title }, this.box);
      this.tabs = ["drawn", "json"].map((name) => this.tab(list, id, name, name === "json" ? "JSON" : drawnTitle));
      this.drawn = this.panel(id, "drawn");
      this.json = this.panel(id, "json");
      this.json.append(textarea);
      const help = document.getElementById(`${id}_helptext`);
      if (help) this.json.append(help);
      this.status = rules.element("p", { class: "rules-status", role: "status", "aria-live": "polite" }, this.box);
    }

    tab(list, id, name, title) {
      const tab = rules.element("button", { type: "button", role: "tab", id: `${id}-${name}-tab`, "aria-controls": `${id}-${name}` }, list, title);
      tab.addEventListener("click", () => this.chosen(name));
      tab.addEventListener("keydown", (event) => {
        if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
        event.preventDefault();
        const other = this.tabs.find((one) => one !== tab);
        other.click();
        if (other.getAttribute("aria-selected") === "true") other.focus();
      });
      return tab;
    }

    panel(id, name) {
      return rules.element("div", { id: `${id}-${name}`, role: "tabpanel", class: `rules-panel-${name}`, "aria-labelledby": `${id}-${name}-tab` }, this.box);
    }

    show(name) {
      this.tabs.forEach((tab, index) => {
        const isChosen = (index === 1) === (name === "json");
        tab.setAttribute("aria-selected", String(isChosen));
        tab.tabIndex = isChosen ? 0 : -1;
      });
      this.drawn.hidden = name === "json";
      this.json.hidden = name !== "json";
    }

    say(text) {
      this.status.textContent = text;
    }
  };

  /** The list that Django puts above a field: what is said at a row is not said there as well. */
  rules.hideSaid = function (textarea, said) {
    const field = textarea.closest(".form-row") || document;
    field.querySelectorAll(".errorlist:not(.rules-row-errors)").forEach((list) => {
      const items = Array.from(list.querySelectorAll("li"));
      items.forEach((item) => { item.hidden = said.includes(item.textContent.trim()); });
      list.hidden = items.every((item) => item.hidden);
    });
  };
})();
