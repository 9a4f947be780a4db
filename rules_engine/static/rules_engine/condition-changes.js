/* Draws a rule's change conditions as rows (field, from, to) over their JSON textarea; each row keeps its own text. */
(function () {
  "use strict";

  const rules = window.rulesEngine;
  const { element, button, select } = rules;
  const KEYS = ["field", "from", "to"];

  function readRow(node, text) {
    const source = text.slice(node.start, node.end);
    const advanced = () => rules.newPart("advanced", node.pointer, { source: source });
    if (node.type !== "object") return advanced();
    const form = {};
    for (const { key, node: value } of node.members) {
      if (!KEYS.includes(key) || key in form || value.token === undefined || value.token.startsWith("\"") && /[\r\n]/.test(value.value)) return advanced();
      form[key] = value.token;
    }
    if (!form.field || !form.field.startsWith('"')) return advanced();
    return rules.newPart("change", node.pointer, { form: form, source: source, stored: { source: source, form: rules.meaningOf(form) } });
  }

  function readRows(text) {
    if (!text.trim()) return { rows: [], head: "[", tail: "]" };
    const list = rules.parseJson(text);
    if (list.type !== "list") throw new rules.NotJson(text, list.start);
    const items = list.items;
    const rows = items.map((item, index) => Object.assign(readRow(item, text), {
      before: index ? text.slice(items[index - 1].end, item.start) : undefined,
    }));
    const first = items.length ? items[0].start : list.start + 1;
    const last = items.length ? items[items.length - 1].end : list.end - 1;
    return { rows: rows, head: text.slice(0, first), tail: text.slice(last) };
  }

  function rowText(row) {
    if (row.source !== null) return row.source;
    const written = KEYS.filter((key) => row.form[key] !== undefined).map((key) => `"${key}": ${row.form[key]}`);
    return `{${written.join(", ")}}`;
  }

  class Changes {
    constructor(textarea) {
      const config = JSON.parse(textarea.dataset.rulesChanges);
      this.textarea = textarea;
      this.words = config.words;
      this.problems = JSON.parse(textarea.dataset.rulesProblems || "[]");
      this.fields = rules.fieldsOf(config, () => this.redraw());
      this.tabs = new rules.Tabs(textarea, this.words, this.words.builder, (name) => this.show(name));
      if (textarea.form) {
        textarea.form.addEventListener("submit", (event) => this.hold(event));
        textarea.form.addEventListener("change", (event) => event.target.name === "model" && this.redraw());
      }
      this.show("drawn");
    }

    model() {
      const found = this.textarea.form && this.textarea.form.elements.model;
      return found ? found.value : "";
    }

    show(name) {
      if (name === "drawn" && !this.take()) name = "json";
      this.tab = name;
      this.tabs.show(name);
      this.redraw();
    }

    take() {
      if (this.list && this.textarea.value === this.text) return true;
      try {
        this.list = readRows(this.textarea.value);
      } catch (error) {
        if (!(error instanceof rules.NotJson)) throw error;
        this.list = null;
        this.tabs.say(this.words.not_json.replace("%(line)s", error.line).replace("%(column)s", error.column));
        return false;
      }
      this.text = this.textarea.value;
      this.said = this.problems.filter((problem) => {
        const row = this.list.rows.find((one) => `${problem.pointer}/`.startsWith(`${one.pointer}/`));
        if (row) row.errors.push(problem.message);
        return Boolean(row);
      }).map((problem) => problem.text);
      this.problems = [];
      this.tabs.say("");
      return true;
    }

    hold(event) {
      if (this.tab !== "drawn" || !this.list) return;
      const open = this.list.rows.filter((row) => this.lacks(row));
      if (!open.length) return;
      event.preventDefault();
      open.forEach((row) => { row.errors = [this.lacks(row)]; });
      this.redraw();
      this.tabs.say(this.words.unfinished);
      rules.focusOn(this.tabs.drawn, `${open[0].id}-field`, `${open[0].id}-json`);
    }

    lacks(row) {
      if (row.type === "advanced") return rules.isJson(row.source) ? "" : this.words.no_json;
      if (row.form.field === '""') return this.words.choose_field;
      return KEYS.some((key) => row.form[key] === "") ? this.words.give_value : "";
    }

    write(redraw) {
      const { rows, head, tail } = this.list;
      const space = head.match(/\s*$/)[0] || " ";
      const written = rows.map((row, index) => {
        if (index && row.before === undefined) row.before = `,${space}`;
        return (index ? row.before : "") + rowText(row);
      });
      this.text = rows.length ? head + written.join("") + tail : "";
      this.textarea.value = this.text;
      this.textarea.dispatchEvent(new Event("change", { bubbles: true }));
      if (redraw) this.redraw();
    }

    changed(row, redraw) {
      row.source = row.stored && row.stored.form === rules.meaningOf(row.form) ? row.stored.source : null;
      row.errors = [];
      this.write(redraw);
      const box = this.tabs.drawn.querySelector(`[data-part="${row.id}"]`);
      if (!redraw && box) this.drawErrors(box, row);
    }

    redraw() {
      rules.hideSaid(this.textarea, this.tab === "drawn" ? this.said || [] : []);
      if (this.tab !== "drawn" || !this.list) return;
      rules.keepingFocus(this.tabs.drawn, (panel) => {
        const { rows } = this.list;
        if (!rows.length) element("p", { class: "rules-note" }, panel, this.words.any_change);
        rows.forEach((row, index) => this.drawRow(panel, row, index));
        const foot = element("div", { class: "rules-row-line rules-foot" }, panel);
        button(foot, "add", `+ ${this.words.add_change}`, null, () => this.add());
      });
    }

    add() {
      const row = rules.newPart("change", null, { form: { field: '""' }, source: null, stored: null });
      this.list.rows.push(row);
      this.write(true);
      this.tabs.say(this.words.added);
      rules.focusOn(this.tabs.drawn, `${row.id}-field`);
    }

    remove(row) {
      const { rows } = this.list;
      const index = rows.indexOf(row);
      rows.splice(index, 1);
      const next = rows[index] || rows[index - 1];
      this.write(true);
      this.tabs.say(this.words.removed);
      rules.focusOn(this.tabs.drawn, `${next && next.id}-field`, `${next && next.id}-json`, "add");
    }

    drawRow(panel, row, index) {
      const label = this.words.change_row.replace("%(number)s", index + 1);
      const box = element("div", { class: "rules-row", role: "group", "aria-label": label, "data-part": row.id }, panel);
      const line = element("div", { class: "rules-row-line" }, box);
      if (row.type === "advanced") rules.drawAdvanced(line, row, this.words, () => this.write(false), () => this.drawErrors(box, row));
      else this.drawForm(line, row);
      button(line, `${row.id}-remove`, "✕", `${this.words.remove}: ${label}`, () => this.remove(row)).className = "rules-remove";
      this.drawErrors(box, row);
    }

    drawErrors(box, row) {
      rules.drawErrors(box, row, `${this.textarea.id}-errors-${row.id}`);
    }

    drawForm(line, row) {
      const found = this.fields.of(this.model());
      const own = found ? found.fields.filter((field) => field.field || field.changes) : [];
      const name = JSON.parse(row.form.field);
      const field = own.find((one) => (one.field || one.changes) === name) || { type: "any" };
      const listed = own.map((one) => [one.field || one.changes, one.label]);
      const groups = name ? [["", listed]] : [["", [["", this.words.choose], ...listed]]];
      select(line, `${row.id}-field`, this.words.field, groups, name, (chosen) => {
        row.form = { field: JSON.stringify(chosen) };
        this.changed(row, true);
      });
      if (name && !field.changes) ["from", "to"].forEach((key) => this.drawSide(line, row, key, field));
    }

    drawSide(line, row, key, field) {
      const words = { ...this.words, value: this.words[`${key}_value`] };
      const token = row.form[key];
      const kinds = [["any", this.words[`${key}_any`]], ["value", this.words[key]], ["null", this.words[`${key}_null`]]];
      const chosen = token === undefined ? "any" : token === "null" ? "null" : "value";
      const put = (value, redraw) => {
        if (value === undefined) delete row.form[key];
        else row.form[key] = value;
        this.changed(row, redraw);
      };
      const starts = { any: undefined, null: "null", value: rules.firstToken(field) || "" };
      select(line, `${row.id}-${key}`, this.words[key], [["", kinds]], chosen, (kind) => put(starts[kind], true));
      if (chosen === "value") {
        rules.drawValue(line, `${row.id}-${key}-value`, field, token || null, words, (value, redraw) => put(value === null ? "" : value, redraw));
      }
    }
  }

  rules.Changes = Changes;
  rules.begin("textarea[data-rules-changes]", Changes);
})();
