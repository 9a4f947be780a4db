/* The actions of a rule as rows of one line each: unfolded, moved by buttons, keys or drag, copied, added, removed.
 *
 * What is posted is Django's formset. A row keeps the number it was drawn with, wherever it is moved, and a removed one
 * stays as a line that can be taken back; the order is in the field "Place" of each. It is written when somebody moves a
 * row, and not before.
 */
(function () {
  "use strict";

  const rules = (window.rulesEngine = window.rulesEngine || {});
  const COPIED = ["kind", "enabled", "config", "timing", "for_each", "for_each_choice", "delay", "delay_unit", "at", "zone", "asks_again", "on_failure"];

  const filled = (text, values) => text.replace(/%\((\w+)\)s/g, (_all, name) => values[name]);

  class Row {
    constructor(box, all) {
      this.box = box;
      this.all = all;
      this.words = all.words;
      this.fold = box.querySelector(".rules-action-fold");
      this.line = box.querySelector(".rules-action-line");
      this.number = rules.element("span", { class: "rules-action-number", "aria-hidden": "true" });
      this.line.before(this.number);
      this.stored = this.line.textContent.trim();
      this.storedTitle = this.title;
      this.isDrawn = true;
      this.drawTools();
      this.say();
      box.addEventListener("input", () => this.changed());
      box.addEventListener("change", () => this.changed());
      box.querySelector("summary").addEventListener("keydown", (event) => this.keyed(event));
    }

    named(name) {
      return this.box.querySelector(`[name$="-${name}"]`);
    }

    get isRemoved() {
      const box = this.named("DELETE");
      return Boolean(box && box.checked);
    }

    get place() {
      const text = this.named("position") ? this.named("position").value.trim() : "";
      return /^\d+$/.test(text) ? Number(text) : null;
    }

    set place(number) {
      if (this.named("position")) this.named("position").value = String(number);
    }

    get title() {
      const kind = this.named("kind");
      const chosen = kind && kind.value && kind.selectedOptions ? kind.selectedOptions[0].textContent : "";
      return chosen || this.words.nothing;
    }

    /* Its line */

    changed() {
      this.isTouched = true;
      this.say();
    }

    /** As the server tells it in the rule's sentence; until it does, what it is called. */
    get said() {
      if (this.isRemoved) return filled(this.words.removed, { title: this.title });
      if (this.told && this.told.kind === this.title) return this.told.text;
      return this.title === this.storedTitle ? this.stored : this.title;
    }

    say() {
      const enabled = this.named("enabled");
      this.box.classList.toggle("rules-action-off", Boolean(enabled) && !enabled.checked);
      if (this.line.textContent !== this.said) this.line.textContent = this.said;
      this.tools.querySelectorAll("button[data-says]").forEach((one) => {
        one.setAttribute("aria-label", filled(one.dataset.says, { title: this.title }));
      });
    }

    tell(text) {
      this.told = { kind: this.title, text: text };
      this.say();
    }

    /* What can be done with it */

    drawTools() {
      this.tools = this.box.querySelector(".rules-action-tools");
      if (!this.named("kind") || !this.all.mayWrite) return;
      const remove = this.tools.querySelector(".delete");
      if (remove) remove.hidden = true;
      this.handle = rules.element("span", { class: "rules-action-handle", draggable: "true", "aria-hidden": "true", title: this.words.drag }, null, "⠿");
      this.tools.prepend(this.handle);
      this.button("up", "↑", this.words.up, () => this.all.move(this, -1));
      this.button("down", "↓", this.words.down, () => this.all.move(this, 1));
      this.button("copy", this.words.copy_short, this.words.copy, () => this.all.copy(this));
      if (remove) this.button("remove", "✕", this.words.remove, () => this.remove(true));
      this.back = this.button("back", this.words.take_back, this.words.take_back_this, () => this.remove(false));
      this.back.hidden = true;
      this.handle.addEventListener("dragstart", (event) => this.all.drag(this, event));
      this.handle.addEventListener("dragend", () => this.all.drop(this));
    }

    button(name, text, says, act) {
      const made = rules.button(this.tools, name, text, null, act);
      made.className = `rules-action-${name}`;
      made.dataset.says = says;
      made.title = filled(says, { title: "" }).replace(/[:\s]+$/, "");
      return made;
    }

    keyed(event) {
      if (!event.altKey || !["ArrowUp", "ArrowDown"].includes(event.key) || !this.all.mayWrite) return;
      event.preventDefault();
      this.all.move(this, event.key === "ArrowUp" ? -1 : 1, this.box.querySelector("summary"));
    }

    remove(isGone) {
      this.named("DELETE").checked = isGone;
      this.box.classList.toggle("rules-action-removed", isGone);
      if (isGone) this.fold.open = false;
      this.tools.querySelectorAll("button, .rules-action-handle").forEach((one) => { one.hidden = (one === this.back) !== isGone; });
      this.say();
      this.all.number();
      (isGone ? this.back : this.box.querySelector("summary")).focus();
      if (isGone) this.all.tell(this.line.textContent);
    }

    /** Its first input that waits for something. */
    focus() {
      const inputs = Array.from(this.fold.querySelectorAll("select, input:not([type=hidden]), textarea"));
      const seen = inputs.filter((one) => one.offsetParent && !one.disabled);
      const kind = this.named("kind");
      const inside = seen.filter((one) => one.closest(".rules-config"));
      const next = kind.value ? inside.find((one) => one.required && !one.value) || inside[0] : kind;
      if (next) next.focus();
    }
  }

  class Actions {
    constructor(group) {
      this.group = group;
      this.words = JSON.parse(group.dataset.rulesActions);
      this.prefix = group.dataset.prefix;
      this.list = group.querySelector(".rules-action-rows");
      this.empty = this.list.querySelector(".empty-form");
      this.mayWrite = Boolean(this.empty);
      this.total = group.querySelector(`[name="${this.prefix}-TOTAL_FORMS"]`);
      this.status = rules.element("p", { class: "rules-unseen", role: "status" }, group);
      this.rows = Array.from(this.list.querySelectorAll(".rules-action:not(.empty-form)")).map((box) => new Row(box, this));
      this.rows.forEach((row) => row.isRemoved && row.remove(true));
      this.sort();
      if (this.mayWrite) {
        this.drawAdding();
        this.list.addEventListener("dragover", (event) => this.over(event));
      }
      this.number();
      document.addEventListener("rules:told", (event) => this.told(event.detail.actions || []));
    }

    /** The lines of those that the rule has by now; a row in which nothing is chosen is none yet. */
    told(lines) {
      const rows = this.present.filter((row) => row.named("kind") && row.named("kind").value);
      if (rows.length === lines.length) rows.forEach((row, index) => row.tell(lines[index]));
    }

    tell(text) {
      this.status.textContent = text;
    }

    get present() {
      return this.rows.filter((row) => !row.isRemoved);
    }

    /** After a form that came back with errors, rows stand where they were moved to. */
    sort() {
      const place = (row) => (row.place === null ? Infinity : row.place);
      this.rows.sort((one, other) => place(one) - place(other) || 0);
      this.rows.forEach((row) => this.list.insertBefore(row.box, this.empty));
    }

    number() {
      this.present.forEach((row, index) => {
        row.number.textContent = `${index + 1}. `;
        row.tools.querySelectorAll(".rules-action-up").forEach((one) => { one.disabled = index === 0; });
        row.tools.querySelectorAll(".rules-action-down").forEach((one) => { one.disabled = index === this.present.length - 1; });
      });
    }

    /* Moving */

    move(row, by, focused = document.activeElement) {
      const others = this.present;
      const other = others[others.indexOf(row) + by];
      if (!other) return;
      if (by < 0) other.box.before(row.box);
      else other.box.after(row.box);
      this.moved(row);
      const kept = focused.disabled ? row.tools.querySelector("button:not(:disabled):not([hidden])") : focused;
      if (kept) kept.focus();
    }

    /** The rows as they stand now; their places are the same numbers, given out anew. */
    moved(row) {
      const boxes = Array.from(this.list.children);
      this.rows.sort((one, other) => boxes.indexOf(one.box) - boxes.indexOf(other.box));
      const taken = this.rows.map((one) => one.place).filter((place) => place !== null).sort((one, other) => one - other);
      let next = taken.length ? taken[taken.length - 1] + 1 : 0;
      const places = Array.from(new Set(taken));
      while (places.length < this.rows.length) places.push(next++);
      this.rows.forEach((one, index) => { one.place = places[index]; });
      this.number();
      const present = this.present;
      this.tell(filled(this.words.moved, { title: row.title, place: present.indexOf(row) + 1, count: present.length }));
    }

    drag(row, event) {
      this.dragged = row;
      event.dataTransfer.effectAllowed = "move";
      event.dataTransfer.setData("text/plain", row.title);
      event.dataTransfer.setDragImage(row.box, 10, 10);
      row.box.classList.add("rules-action-dragged");
      this.before = Array.from(this.list.children).indexOf(row.box);
    }

    over(event) {
      if (!this.dragged) return;
      event.preventDefault();
      const target = event.target.closest(".rules-action:not(.empty-form)");
      if (!target || target === this.dragged.box) return;
      const middle = target.getBoundingClientRect().top + target.getBoundingClientRect().height / 2;
      if (event.clientY < middle) target.before(this.dragged.box);
      else target.after(this.dragged.box);
    }

    drop(row) {
      row.box.classList.remove("rules-action-dragged");
      this.dragged = null;
      if (Array.from(this.list.children).indexOf(row.box) !== this.before) this.moved(row);
    }

    /* Adding */

    drawAdding() {
      const kinds = Array.from(this.empty.querySelector('select[name$="-kind"]').options).filter((one) => one.value);
      const usual = this.words.usual.map((kind) => kinds.find((one) => one.value === kind)).filter((one) => one);
      this.adding = rules.element("div", { class: "rules-action-adding", role: "group", "aria-label": this.words.adding });
      this.list.after(this.adding);
      rules.element("span", { "aria-hidden": "true" }, this.adding, this.words.adding);
      usual.forEach((one) => rules.button(this.adding, `add-${one.value}`, one.textContent, null, () => this.add({ kind: one.value })));
      rules.button(this.adding, "add", this.words.other, null, () => this.add({}));
    }

    /** A new row, or the empty one that is there already. */
    add(values, after) {
      const row = (!after && this.present.find((one) => !one.named("kind").value && !one.isTouched)) || this.made();
      if (!row) return null;
      // A copy has its settings before its form is drawn; a kind that is chosen brings its own.
      if (after) this.fill(row, values);
      if (!row.isDrawn) {
        row.isDrawn = true;
        row.box.dispatchEvent(new CustomEvent("formset:added", { bubbles: true, detail: { formsetName: this.prefix } }));
      }
      if (!after) this.fill(row, values);
      if (values.kind && !after) row.named("kind").dispatchEvent(new Event("change", { bubbles: true }));
      row.fold.open = true;
      if (after) {
        after.box.after(row.box);
        this.moved(row);
      }
      this.number();
      row.say();
      row.focus();
      return row;
    }

    made() {
      const index = Number(this.total.value);
      if (this.present.length >= this.words.most || index > this.words.most) {
        this.tell(this.words.too_many);
        return null;
      }
      const box = this.empty.cloneNode(true);
      box.classList.remove("empty-form", "last-related");
      const numbered = (one) => Array.from(one.attributes).forEach((attribute) => {
        if (attribute.value.includes("__prefix__")) one.setAttribute(attribute.name, attribute.value.replace(/__prefix__/g, index));
      });
      box.id = `${this.prefix}-${index}`;
      box.querySelectorAll("*").forEach(numbered);
      this.list.insertBefore(box, this.empty);
      this.total.value = String(index + 1);
      const row = new Row(box, this);
      row.isDrawn = false;
      this.rows.push(row);
      return row;
    }

    fill(row, values) {
      Object.entries(values).forEach(([name, value]) => {
        const control = row.named(name);
        if (!control) return;
        if (control.type === "checkbox") control.checked = value;
        else control.value = value;
      });
      row.isTouched = row.isTouched || Object.keys(values).length > 0;
    }

    copy(row) {
      const values = {};
      COPIED.forEach((name) => {
        const control = row.named(name);
        if (control) values[name] = control.type === "checkbox" ? control.checked : control.value;
      });
      const made = this.add(values, row);
      if (made) this.tell(filled(this.words.copied, { title: made.title }));
    }
  }

  function begin() {
    document.querySelectorAll("[data-rules-actions]").forEach((group) => new Actions(group));
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", begin);
  else begin();
})();
