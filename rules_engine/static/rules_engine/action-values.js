/* Chooses a value of the event and puts it, as {{ … }}, into the text of an action's form that was written in last. */
(function () {
  "use strict";

  const rules = (window.rulesEngine = window.rulesEngine || {});
  const TEXTS = 'input[type="text"], textarea';

  /** As if it were typed: the editor hears of nothing else. */
  function type(control, text) {
    const { set } = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(control), "value");
    const [start, end] = [control.selectionStart, control.selectionEnd];
    set.call(control, control.value.slice(0, start) + text + control.value.slice(end));
    control.dispatchEvent(new Event("input", { bubbles: true }));
    control.focus();
    control.setSelectionRange(start + text.length, start + text.length);
  }

  rules.ValuePicker = class {
    /** ``holder`` is where the form is drawn; the picker stands behind it. */
    constructor(holder, words) {
      this.holder = holder;
      this.words = words;
      this.name = "";
      this.target = null;
      this.isShown = false;
      const builder = document.querySelector("textarea[data-rules-condition]");
      if (!builder || !rules.fieldsOf) return;
      const config = JSON.parse(builder.dataset.rulesCondition);
      this.words = { ...config.words, ...words };
      this.model = builder.form.querySelector('[name="model"]');
      this.box = rules.element("div", { class: "rules-insert", role: "group", "aria-label": words.insert_into });
      holder.after(this.box);
      this.fields = rules.fieldsOf(config, () => this.draw());
      this.model.addEventListener("change", () => {
        this.name = "";
        this.draw();
      });
      holder.addEventListener("focusin", (event) => {
        if (event.target.matches(TEXTS)) this.target = event.target;
      });
    }

    show(isShown) {
      this.isShown = isShown;
      this.draw();
    }

    draw() {
      if (!this.box) return;
      const label = this.isShown ? this.model.value : "";
      const groups = label ? this.fields.options(label, "instance.", false) : [];
      this.box.hidden = !groups.length || !this.holder.querySelector(TEXTS);
      if (this.box.hidden) return;
      rules.keepingFocus(this.box, (box) => {
        rules.element("span", { "aria-hidden": "true" }, box, this.words.insert_into);
        this.drawLinks(box, groups);
        const made = rules.button(box, "insert", this.words.insert, null, () => this.insert());
        made.disabled = !rules.isWhole(this.name);
      });
    }

    drawLinks(box, groups) {
      this.fields.chain(groups, this.name, false).links.forEach((link, index) => {
        const entries = link.groups.map(([title, all]) => [title, all.map((one) => [one.value, one.label])]);
        const chosen = link.chosen ? link.chosen.value : "";
        const offered = chosen ? entries : [["", [["", this.words.choose]]], ...entries];
        rules.select(box, `link-${index}`, this.words.to_insert, offered, chosen, (name) => {
          this.name = name;
          this.draw();
        });
      });
    }

    insert() {
      const isThere = this.target && this.holder.contains(this.target);
      type(isThere ? this.target : this.holder.querySelector("textarea") || this.holder.querySelector(TEXTS), `{{ ${this.name} }}`);
    }
  };
})();
