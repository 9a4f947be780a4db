/* A list of what a text can say of the event, searched by the names of fields; what is chosen is put, as {{ … }}, where
 * the text was being written. One list for the page, and a small button at each text.
 */
(function () {
  "use strict";

  const rules = (window.rulesEngine = window.rulesEngine || {});
  const MARGIN = 8;

  /** As if it were typed: the editor of settings hears of nothing else. */
  function type(control, text) {
    const { set } = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(control), "value");
    const isAtEnd = !control.dataset.rulesWritten;
    const [start, end] = isAtEnd ? [control.value.length, control.value.length] : [control.selectionStart, control.selectionEnd];
    set.call(control, control.value.slice(0, start) + text + control.value.slice(end));
    control.dispatchEvent(new Event("input", { bubbles: true }));
    control.focus();
    control.setSelectionRange(start + text.length, start + text.length);
  }

  /** Where somebody has written, the caret is theirs; elsewhere it stands at the beginning by chance. */
  document.addEventListener("focusin", (event) => {
    if (event.target.matches('input[type="text"], textarea')) event.target.dataset.rulesWritten = "yes";
  });

  class Values {
    constructor(words, changed) {
      const builder = document.querySelector("textarea[data-rules-condition]");
      const config = builder && JSON.parse(builder.dataset.rulesCondition);
      this.form = builder && builder.form;
      this.words = config ? { ...config.words, ...words } : words;
      this.signals = config ? config.signals : {};
      this.fields = config && rules.fieldsOf ? rules.fieldsOf(config, changed) : null;
      /** Relations that are looked into, by their paths. */
      this.opened = new Set();
    }

    get model() {
      return this.form && this.form.elements.model ? this.form.elements.model.value : "";
    }

    /** [[title, [{ path, label, leads }]]] for the rule as it stands in the form. */
    groups(each) {
      const found = this.model && this.fields ? this.fields.of(this.model) : null;
      return [
        ...this.ofRows(each),
        [found ? found.title : "", found ? this.ofModel(found, "instance.", "", 1) : []],
        [this.words.happened, this.words.of_event],
        [this.words.held, this.isHolding(each) ? this.words.of_held : []],
        [this.words.several, found ? this.counts(found) : []],
        [this.words.earlier, found ? this.before(found) : []],
        [this.words.sent_along, this.model ? [] : this.sent()],
      ].filter(([, entries]) => entries.length);
    }

    /** What was held back is known to actions, of a rule that holds back. */
    isHolding(each) {
      const value = (name) => (this.form && this.form.elements[name] ? this.form.elements[name].value : "");
      return each !== undefined && Boolean(value("throttle_count") || value("coalesce_seconds") || value("coalesce_seconds_unit") === "transaction");
    }

    /** Fields, and those of what they lead to; two steps far, and further where somebody looks. */
    ofModel(found, prefix, title, further) {
      const values = found.fields.filter((one) => !["object", "rows"].includes(one.type));
      const own = values.map((one) => ({ path: prefix + one.name, label: title + one.label }));
      return own.concat(found.fields.filter((one) => one.type === "object").flatMap((one) => {
        const path = `${prefix}${one.name}`;
        const label = `${title}${one.label} › `;
        if (!further && !this.opened.has(path)) return [{ path: path, label: `${label}…`, leads: true }];
        const beyond = this.fields.of(one.model);
        return beyond ? this.ofModel(beyond, `${path}.`, label, 0) : [];
      }));
    }

    counts(found) {
      return found.fields.filter((one) => one.type === "rows").map((one) => (
        { path: `instance.${one.name}__count`, label: this.words.how_many.replace("%(rows)s", one.label) }
      ));
    }

    before(found) {
      return found.fields.filter((one) => !["object", "rows"].includes(one.type) && !one.quiet).map((one) => (
        { path: `old.${one.name}`, label: this.words.before.replace("%(field)s", one.label) }
      ));
    }

    ofRows(each) {
      const relation = /^instance\.(\w+)$/.exec(each || "");
      const found = relation && this.model && this.fields ? this.fields.of(this.model) : null;
      const rows = found && found.fields.find((one) => one.type === "rows" && one.name === relation[1]);
      const beyond = rows && this.fields.of(rows.model);
      return beyond ? [[this.words.each.replace("%(rows)s", rows.label), this.ofModel(beyond, "each.", "", 0).filter((one) => !one.leads)]] : [];
    }

    sent() {
      const boxes = this.form ? Array.from(this.form.querySelectorAll('[name="signals"]:checked')) : [];
      return boxes.flatMap((box) => this.signals[box.value] || []).map((one) => ({ path: one.name, label: one.label }));
    }
  }

  class Picker {
    constructor(words) {
      this.words = words;
      this.values = new Values(words, () => this.isOpen && this.draw());
      this.box = rules.element("div", { class: "rules-picker", role: "dialog", "aria-label": words.pick });
      this.search = rules.element("input", {
        type: "text", role: "combobox", "aria-expanded": "true", "aria-controls": "rules-picker-list", "aria-autocomplete": "list",
        "aria-label": words.search, placeholder: words.search, autocomplete: "off", spellcheck: "false",
      }, this.box);
      this.list = rules.element("div", { id: "rules-picker-list", role: "listbox", "aria-label": words.values }, this.box);
      this.none = rules.element("p", { class: "rules-picker-none", role: "status" }, this.box);
      this.search.addEventListener("input", () => this.draw());
      this.search.addEventListener("keydown", (event) => this.keyed(event));
      this.list.addEventListener("mousedown", (event) => event.preventDefault());
      this.list.addEventListener("click", (event) => {
        const option = event.target.closest('[role="option"]');
        if (option) this.choose(option);
      });
      this.box.addEventListener("focusout", (event) => this.box.contains(event.relatedTarget) || this.close(false));
    }

    open(button, control, title, each) {
      this.control = control;
      this.each = each;
      this.isOpen = true;
      this.search.value = "";
      this.isMoved = false;
      this.box.setAttribute("aria-label", title);
      document.body.append(this.box);
      this.draw();
      const place = button.getBoundingClientRect();
      const left = Math.min(place.left, document.documentElement.clientWidth - this.box.offsetWidth - MARGIN);
      this.box.style.left = `${Math.max(left, MARGIN) + window.scrollX}px`;
      this.box.style.top = `${place.bottom + window.scrollY + 4}px`;
      this.search.focus();
    }

    close(isBack) {
      if (!this.isOpen) return;
      this.isOpen = false;
      this.box.remove();
      if (!isBack) return;
      const end = this.control.value.length;
      if (!this.control.dataset.rulesWritten) this.control.setSelectionRange(end, end);
      this.control.focus();
    }

    draw() {
      const words = this.search.value.toLowerCase().split(/\s+/).filter((one) => one);
      const isFound = (one) => words.every((word) => `${one.label} ${one.path}`.toLowerCase().includes(word));
      const groups = this.values.groups(this.each ? this.each() : undefined).map(([title, entries]) => [title, entries.filter(isFound)]);
      const kept = this.isMoved && this.current && this.current.dataset.path;
      let count = 0;
      this.list.replaceChildren();
      groups.filter(([, entries]) => entries.length).forEach(([title, entries]) => {
        const group = rules.element("div", { role: "group", "aria-label": title }, this.list);
        rules.element("span", { "aria-hidden": "true" }, group, title);
        entries.forEach((one) => {
          count += 1;
          const option = rules.element("div", { role: "option", id: `rules-picker-${count}`, "data-path": one.path, "aria-selected": "false" }, group);
          if (one.leads) option.dataset.leads = "yes";
          rules.element("span", {}, option, `${one.label} `);
          if (!one.leads) rules.element("code", { "aria-hidden": "true" }, option, one.path);
        });
      });
      this.none.textContent = count ? "" : this.words.no_value;
      const options = this.options;
      this.point(options.find((one) => one.dataset.path === kept && !words.length) || options[0]);
    }

    get options() {
      return Array.from(this.list.querySelectorAll('[role="option"]'));
    }

    point(option) {
      if (this.current) this.current.setAttribute("aria-selected", "false");
      this.current = option || null;
      if (!option) {
        this.search.removeAttribute("aria-activedescendant");
        return;
      }
      option.setAttribute("aria-selected", "true");
      this.search.setAttribute("aria-activedescendant", option.id);
      option.scrollIntoView({ block: "nearest" });
    }

    keyed(event) {
      const options = this.options;
      const place = options.indexOf(this.current);
      const to = { ArrowDown: place + 1, ArrowUp: place - 1, PageDown: place + 8, PageUp: place - 8 }[event.key];
      this.isMoved = this.isMoved || to !== undefined;
      if (to !== undefined) this.point(options[Math.max(0, Math.min(to, options.length - 1))]);
      else if (event.key === "Enter" && this.current) this.choose(this.current);
      else if (event.key === "Escape" || event.key === "Tab") this.close(true);
      else if (event.key !== "Enter") return;
      event.preventDefault();
      event.stopPropagation();
    }

    choose(option) {
      const path = option.dataset.path;
      if (option.dataset.leads) {
        this.values.opened.add(path);
        this.search.value = "";
        this.draw();
        this.point(this.options.find((one) => one.dataset.path.startsWith(`${path}.`)) || this.current);
        return;
      }
      this.close(false);
      type(this.control, `{{ ${path} }}`);
    }
  }

  /** A button behind a text; ``named`` gives the text's name, ``each`` the rows that its action is repeated for. */
  rules.offerValues = function (control, words, named, each) {
    if (control.dataset.rulesPick) return null;
    control.dataset.rulesPick = "yes";
    const title = () => words.insert_into.replace("%(field)s", named());
    const button = rules.element("button", { type: "button", class: "rules-pick", "aria-haspopup": "dialog" }, null, words.insert);
    const name = () => button.setAttribute("aria-label", title());
    name();
    button.addEventListener("focus", name);
    button.addEventListener("click", () => {
      rules.picker = rules.picker || new Picker(words);
      rules.picker.open(button, control, title(), each);
    });
    control.after(button);
    return button;
  };
})();
