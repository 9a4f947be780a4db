/* Draws a rule's change conditions as rows (field, from, to); each row keeps its own text. */
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
      if (!KEYS.includes(key) || key in form || value.token === undefined || !rules.isOneLine(value)) return advanced();
      form[key] = value.token;
    }
    if (!form.field || !form.field.startsWith('"')) return advanced();
    return rules.newPart("change", node.pointer, { form: form, source: source, stored: { source: source, form: rules.meaningOf(form) } });
  }

  function readRows(text) {
    if (!text.trim()) return rules.newPart("group", "", { children: [], frame: { head: "[", tail: "]" } });
    const list = rules.parseJson(text);
    if (list.type !== "list") throw new rules.NotJson(text, list.start);
    const items = list.items;
    const children = items.map((item, index) => Object.assign(readRow(item, text), {
      before: index ? text.slice(items[index - 1].end, item.start) : undefined,
    }));
    const first = items.length ? items[0].start : list.start + 1;
    const last = items.length ? items[items.length - 1].end : first;
    return rules.newPart("group", "", { children: children, frame: { head: text.slice(0, first), tail: text.slice(last) } });
  }

  function rowText(row) {
    if (row.source !== null) return row.source;
    // A value that is not given yet is none to write.
    const written = KEYS.filter((key) => row.form[key] !== undefined && row.form[key] !== "").map((key) => `"${key}": ${row.form[key]}`);
    return `{${written.join(", ")}}`;
  }

  class Changes extends rules.Editor {
    kindOf() {
      return "field";
    }

    constructor(textarea) {
      super(textarea, JSON.parse(textarea.dataset.rulesChanges));
      this.show("drawn");
    }

    read(text) {
      return readRows(text);
    }

    written() {
      const { children, frame } = this.root;
      return children.length ? frame.head + rules.joined(children, frame, rowText) + frame.tail : "";
    }

    lacks(row) {
      if (row.type === "group") return "";
      if (row.type === "advanced") return this.lacksJson(row);
      if (row.form.field === '""') return this.words.choose_field;
      return KEYS.some((key) => row.form[key] === "") ? this.words.give_value : "";
    }

    draw(panel) {
      if (!this.root.children.length) element("p", { class: "rules-note" }, panel, this.words.any_change);
      this.drawChildren(panel, this.root, (row, index) => this.drawChange(panel, row, index));
      const foot = element("div", { class: "rules-row-line rules-foot" }, panel);
      button(foot, `${this.root.id}-add`, `+ ${this.words.add_change}`, null, () => (
        this.add(this.root, rules.newPart("change", null, { form: { field: '""' }, source: null, stored: null }))));
    }

    drawChange(panel, row, index) {
      const label = this.words.change_row.replace("%(number)s", index + 1);
      const { box, line } = this.drawRow(panel, row, label);
      if (row.type === "advanced") this.drawAdvanced(line, box, row);
      else this.drawForm(line, row);
      this.drawRemove(line, row, `${this.words.remove}: ${label}`);
      this.drawErrors(box, row);
    }

    drawForm(line, row) {
      const found = this.fields.of(this.model());
      const own = found ? found.fields.filter((field) => field.field || field.changes) : [];
      const name = JSON.parse(row.form.field);
      const field = own.find((one) => (one.field || one.changes) === name) || { type: "any" };
      const listed = own.map((one) => [one.field || one.changes, one.label]);
      const groups = name ? [["", listed]] : [["", [["", this.words.choose], ...listed]]];
      select(line, `${row.id}-field`, this.words.field, groups, name, (chosen) => {
        const next = own.find((one) => (one.field || one.changes) === chosen);
        const asksForValue = row.form.to !== undefined && row.form.to !== "null" && !(next && next.changes);
        row.form = { field: JSON.stringify(chosen) };
        if (asksForValue) row.form.to = rules.firstToken(next || { type: "any" }) || "";
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
