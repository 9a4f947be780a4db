/* The When card in plain words: what happens is chosen, and written into the fields that a rule stores.
 *
 * Nothing is written before somebody chooses. What is stored and has no plain choice is "something else": its fields
 * stand open under Advanced, and stay as they are.
 */
(function () {
  "use strict";

  const rules = window.rulesEngine;
  const { element, select } = rules;
  const isSameSet = (one, other) => one.length === other.length && one.every((name) => other.includes(name));

  class When {
    constructor(card, textarea) {
      this.card = card;
      Object.assign(this, JSON.parse(card.dataset.rulesWhen));
      this.form = textarea.form;
      this.textarea = textarea;
      this.editor = textarea.rulesEditor;
      this.model = this.form.elements.model;
      const schedule = this.form.querySelector("textarea[data-rules-schedule]");
      this.schedule = new rules.Schedule(schedule, () => this.draw());
      /** Change conditions as they were, by model, for whoever goes back to it. */
      this.left = {};
      this.isNew = !this.model.value && !this.ticked("signals").length && !this.schedule.kind;
      if (this.isNew) this.model.prepend(new Option(this.words.choose, "", true, true));
      this.shownModel = this.model.value;
      this.rows = element("div", { class: "rules-when" });
      card.querySelector(".form-row.field-model").after(this.rows);
      this.rows.after(this.schedule.next);
      this.after = element("div", { class: "rules-when" });
      card.querySelector(".form-row.field-changes").after(this.after);
      this.few = element("div", { class: "rules-when" });
      card.querySelector("details > summary").after(this.few);
      this.chosen = this.read();
      this.drawFields();
      this.draw();
      this.fold();
      this.model.addEventListener("change", () => this.moved());
      this.form.addEventListener("change", (event) => this.heard(event));
    }

    /* What is stored */

    boxes(name) {
      return Array.from(this.form.querySelectorAll(`input[name="${name}"]`));
    }

    ticked(name) {
      return this.boxes(name).filter((box) => box.checked).map((box) => box.value);
    }

    tick(name, values) {
      const wrong = this.boxes(name).filter((box) => box.checked !== values.includes(box.value));
      wrong.forEach((box) => { box.checked = values.includes(box.value); });
      if (wrong.length) wrong[0].dispatchEvent(new Event("change", { bubbles: true }));
    }

    changes() {
      return this.editor.root ? this.editor.root.children : null;
    }

    write(text) {
      if (this.textarea.value === text) return;
      this.textarea.value = text;
      this.editor.show("drawn");
      this.textarea.dispatchEvent(new Event("change", { bubbles: true }));
    }

    /** The plain choice that means just what is stored; "" where nothing is, "other" where there is none. */
    read() {
      const signals = this.ticked("signals");
      const changes = this.changes();
      if (changes === null) return "other";
      if (!signals.length) return this.ticked("operations").length || changes.length ? "other" : "";
      if (!this.model.value || this.signals.some((one) => one.name === signals[0])) return this.readSignal(changes);
      const names = Object.keys(this.happenings).filter((name) => isSameSet(this.happenings[name].signals || [], signals));
      return names.find((name) => this.means(name, changes)) || "other";
    }

    readSignal(changes) {
      const isPlain = !this.ticked("operations").length && !changes.length && this.ticked("signals").length === 1;
      return isPlain && this.signals.some((one) => one.name === this.ticked("signals")[0]) ? "signal" : "other";
    }

    means(name, changes) {
      if (name === "related") return this.relatedHow() !== undefined && this.isOneRelation(changes);
      const isMeant = this.happenings[name].operations.some((one) => isSameSet(one, this.ticked("operations")));
      const isPlainChange = (row) => row.type === "change";
      return isMeant && (name === "becomes" ? changes.length > 0 && changes.every(isPlainChange) : !changes.length);
    }

    isOneRelation(changes) {
      return changes.length < 2 && changes.every((row) => row.type === "change" && !("from" in row.form) && !("to" in row.form));
    }

    relatedHow() {
      return Object.keys(this.related).find((how) => this.related[how].some((one) => isSameSet(one, this.ticked("operations"))));
    }

    /* What somebody does */

    /** Another model: what was said of fields was about the one before. */
    moved() {
      this.schedule.follow(Boolean(this.model.value));
      if (!["other", ""].includes(this.chosen) || this.changes() === null) this.follow();
      this.shownModel = this.model.value;
      if (!this.schedule.isAlone()) this.chosen = this.model.value ? this.chosen : this.chosen === "other" ? "other" : "signal";
      this.draw();
      this.fold();
    }

    follow() {
      this.left[this.shownModel] = this.textarea.value;
      const isSignal = this.chosen === "signal";
      if (isSignal || !this.model.value) this.tick("signals", []);
      if (!this.model.value) this.tick("operations", []);
      this.write(this.left[this.model.value] || "");
      if (isSignal || !this.model.value) this.chosen = "";
      if (this.chosen === "becomes" && !this.changes().length) this.addRow();
    }

    /** What happens, or a kind of time; which may count what happens. */
    choose(name) {
      const kind = this.schedule.kinds[name];
      if (!kind) {
        if (this.schedule.kind && name !== "other") this.schedule.write(null);
        this.happen(name);
        return;
      }
      this.schedule.begin(name, Boolean(this.model.value));
      this.happen(!kind.happens ? "" : this.model.value ? kind.happens : "signal");
    }

    happen(name) {
      this.chosen = name;
      this.card.querySelectorAll(".rules-when-missing").forEach((one) => one.remove());
      const { signals, operations } = this.happenings[name] || {};
      if (name !== "other") {
        this.tick("signals", signals || []);
        this.tick("operations", (operations && operations[0]) || []);
        if (name !== "becomes") this.setAside();
        else this.takeUp();
      }
      this.draw();
      this.fold();
      if (name === "other") this.card.querySelector("details").open = true;
    }

    setAside() {
      if (this.changes().some((row) => row.type !== "change" || row.form.field !== '""')) this.left[this.model.value] = this.textarea.value;
      this.write("");
    }

    takeUp() {
      const before = this.left[this.model.value];
      if (before && !this.changes().length) this.write(before);
      if (!this.changes().length) this.addRow();
    }

    addRow() {
      const { root } = this.editor;
      root.children.push(rules.newPart("change", null, { form: { field: '""', to: "" }, source: null, stored: null }));
      this.editor.write(true);
    }

    /** Under Advanced, or in the rows of changes, something else was said. */
    heard(event) {
      if (!["signals", "operations", "changes", "schedule"].includes(event.target.name)) return;
      const details = this.card.querySelector("details");
      if (event.target.name === "schedule" && this.schedule.isWriting) return;
      if (event.target.name === "schedule") {
        this.schedule.read();
        this.draw();
        return;
      }
      if (event.target.name !== "changes" && !details.contains(document.activeElement)) return;
      const read = this.read();
      const isStillOpen = event.target.name === "changes" && (this.chosen === "becomes" || this.chosen === "other");
      if (isStillOpen || read === this.chosen) return;
      this.chosen = read;
      this.draw();
    }

    /* What is drawn */

    drawFields() {
      this.editor.fields.changed = ((told) => () => { told(); this.draw(); })(this.editor.fields.changed);
    }

    line(name, label) {
      const row = element("div", { class: `form-row field-${name}` }, this.drawn);
      const box = element("div", { class: "flex-container" }, element("div", {}, row));
      const id = `rules-when-${name}`;
      element("label", { for: id }, box, `${label}:`);
      return { box, id, row };
    }

    choice(name, label, groups, chosen, act) {
      const { box, id, row } = this.line(name, label);
      select(box, name, null, groups, chosen, act).id = id;
      return row;
    }

    draw() {
      const fields = this.editor.fields.of(this.model.value);
      rules.keepingFocus(this.rows, (holder) => {
        this.drawn = holder;
        if (this.model.value || !this.isFresh()) this.drawHappening();
        this.schedule.draw(this, fields, (model) => this.editor.fields.of(model));
        if (this.schedule.isAlone()) return;
        if (this.schedule.kind && this.isCountedApart()) this.drawCounted();
        if (this.chosen === "related") this.drawRelated(fields);
        if (this.chosen === "signal" || (!this.model.value && this.chosen === "" && !this.isFresh())) this.drawSignal();
      });
      rules.keepingFocus(this.after, (holder) => this.chosen === "becomes" && this.drawAlso(holder));
      rules.keepingFocus(this.few, (holder) => {
        this.drawn = holder;
        this.schedule.drawAdvanced(this);
      });
      this.arrange();
    }

    /** A rule that waits whether something stays so begins to wait at any save, and says no more of it. */
    isCountedApart() {
      return Boolean(this.schedule.value) && this.chosen !== "signal" && !(this.schedule.kind === "stays" && this.chosen === "save");
    }

    isFresh() {
      return this.isNew && this.model.selectedIndex === 0;
    }

    plainChoices() {
      const fields = this.editor.fields.of(this.model.value);
      const names = this.model.value ? ["create", "update", "save", "becomes", "delete", "any"] : [];
      if (this.chosen === "related" || (fields && fields.fields.some((field) => field.changes))) names.push("related");
      if (this.chosen === "signal" || this.offered().length) names.push("signal");
      return [...names, "other"].map((name) => [name, this.words[name]]);
    }

    drawHappening() {
      const kinds = Object.keys(this.schedule.kinds).filter((name) => this.model.value || !["date", "stays"].includes(name));
      const chosen = this.schedule.kind || this.chosen || (this.model.value ? "" : "signal");
      const groups = [
        ["", [...(chosen ? [] : [["", this.words.choose]]), ...this.plainChoices()]],
        [this.schedule.words.on_time, kinds.map((name) => [name, this.schedule.words[name]])],
      ];
      const row = this.choice("happens", this.words.happens, groups, chosen, (name) => this.choose(name));
      if (!chosen && this.card.querySelector(".field-signals .errorlist")) {
        const list = element("ul", { class: "errorlist rules-when-missing" });
        element("li", {}, list, this.words.missing);
        row.prepend(list);
      }
    }

    drawCounted() {
      const words = { often: "counted", silent: "missed", stays: "since" };
      const label = this.schedule.words[words[this.schedule.kind]];
      this.choice("counted", label, [["", this.plainChoices()]], this.chosen, (name) => this.happen(name));
    }

    drawAlso(holder) {
      const row = element("div", { class: "form-row field-also" }, holder);
      const box = element("div", { class: "flex-container checkbox-row" }, element("div", {}, row));
      const also = element("input", { type: "checkbox", id: "rules-when-also", "data-key": "also" }, box);
      element("label", { for: "rules-when-also", class: "vCheckboxLabel" }, box, this.words.also_created);
      also.checked = !isSameSet(this.ticked("operations"), ["update"]);
      also.addEventListener("change", () => this.tick("operations", also.checked ? [] : ["update"]));
    }

    drawRelated(found) {
      const row = this.changes()[0];
      const chosen = row ? JSON.parse(row.form.field) : "";
      const relations = found ? found.fields.filter((field) => field.changes).map((field) => [field.changes, field.label]) : [];
      const listed = [["", this.words.any_relation], ...relations];
      this.choice("which", this.words.which, [["", listed]], chosen, (name) => {
        this.write(name ? JSON.stringify([{ field: name }]) : "");
        this.draw();
      });
      const hows = Object.keys(this.related).map((how) => [how, this.words[how]]);
      this.choice("how", this.words.how, [["", hows]], this.relatedHow() || "both", (how) => this.tick("operations", this.related[how][0]));
    }

    /** The signals that rules on this model want, and what is chosen already. */
    offered() {
      const app = this.model.value.split(".")[0];
      const chosen = this.ticked("signals");
      const isWanted = (one) => !this.model.value || (one.has_object && !one.is_of_site && (!one.app || one.app === app));
      return this.signals.filter((one) => isWanted(one) || chosen.includes(one.name));
    }

    drawSignal() {
      const chosen = this.ticked("signals")[0] || "";
      const group = (isOfSite) => this.offered().filter((one) => one.is_of_site === isOfSite).map((one) => [one.name, one.label]);
      const first = chosen ? [] : [["", [["", this.words.choose]]]];
      const groups = [...first, [this.words.of_project, group(false)], [this.words.of_site, group(true)]];
      this.choice("which-signal", this.words.which_signal, groups, chosen, (name) => {
        this.tick("operations", []);
        this.tick("signals", [name]);
        this.chosen = "signal";
        this.draw();
      });
    }

    /** The rows of changes below, where they are asked for; and of the boxes only those that this model can have. */
    arrange() {
      const row = this.form.querySelector(".form-row.field-changes");
      const isAlone = this.schedule.isAlone();
      row.hidden = isAlone || !["becomes", "other"].includes(this.chosen);
      this.card.querySelectorAll(".form-row:is(.field-signals, .field-operations)").forEach((one) => { one.hidden = isAlone && !this.ticked("signals").length; });
      row.classList.toggle("rules-when-rows", this.chosen === "becomes");
      const label = row.querySelector("label");
      label.dataset.stored = label.dataset.stored || label.textContent;
      label.textContent = this.chosen === "becomes" ? `${this.words.field}:` : label.dataset.stored;
      const known = Object.fromEntries(this.signals.map((one) => [one.name, one]));
      const offered = this.offered().map((one) => one.name);
      this.boxes("signals").forEach((box) => {
        const isWanted = known[box.value] ? offered.includes(box.value) : Boolean(this.model.value) || !this.isKnownToModels(box.value);
        box.closest("label").parentElement.hidden = !isWanted && !box.checked;
      });
      this.card.querySelectorAll("#id_signals > *").forEach((group) => {
        group.hidden = !group.querySelector("div:not([hidden]) > label");
      });
    }

    isKnownToModels(name) {
      return ["pre_save", "post_save", "pre_delete", "post_delete", "m2m_changed"].includes(name);
    }

    fold() {
      const details = this.card.querySelector("details");
      const isShownAbove = (list) => this.schedule.value && list.closest(".field-schedule");
      const errors = Array.from(details.querySelectorAll(".errorlist")).filter((list) => !isShownAbove(list));
      details.open = this.chosen === "other" || this.schedule.kind === "other" || (errors.length > 0 && this.chosen !== "");
    }
  }

  function begin() {
    const card = document.querySelector("[data-rules-when]");
    const textarea = document.querySelector("textarea[data-rules-changes]");
    if (card && textarea && textarea.rulesEditor && textarea.form.elements.model) new When(card, textarea);
  }

  rules.When = When;
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", begin);
  else begin();
})();
