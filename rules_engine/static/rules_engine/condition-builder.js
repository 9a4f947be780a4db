/* Draws a rule's condition as rows over the JSON textarea, which is what is posted.
 *
 * The textarea is written to only when somebody changes something, and then all other parts keep their own text.
 */
(function () {
  "use strict";

  const rules = window.rulesEngine;
  const { element, button, select } = rules;
  const ROWS = ["some", "all", "none"];

  class Builder {
    constructor(textarea) {
      const config = JSON.parse(textarea.dataset.rulesCondition);
      this.textarea = textarea;
      this.words = config.words;
      this.operators = config.operators;
      this.happening = config.happening;
      this.signals = config.signals;
      this.problems = JSON.parse(textarea.dataset.rulesProblems || "[]");
      this.fields = rules.fieldsOf(config, () => this.redraw());
      this.fieldOf = (column) => this.fields.fieldOf(this.model(), column.replace(/^instance\./, ""));
      this.tabs = new rules.Tabs(textarea, this.words, this.words.builder, (name) => this.show(name));
      this.follow(textarea.form);
      this.show("drawn");
    }

    follow(form) {
      if (!form) return;
      form.addEventListener("submit", (event) => this.hold(event));
      form.addEventListener("change", (event) => {
        if (["model", "signals"].includes(event.target.name)) this.redraw();
      });
    }

    named(name) {
      const found = this.textarea.form && this.textarea.form.elements[name];
      return found ? (found instanceof RadioNodeList ? Array.from(found) : [found]) : [];
    }

    model() {
      return this.named("model").map((one) => one.value).join("");
    }

    /* Between the tabs */

    show(name) {
      if (name === "drawn" && !this.take()) name = "json";
      this.tab = name;
      this.tabs.show(name);
      this.redraw();
    }

    /** Read the textarea, unless it is as it was last read or written; whether it could be read. */
    take() {
      if (this.root && this.textarea.value === this.text) return true;
      try {
        this.root = rules.readCondition(this.textarea.value);
      } catch (error) {
        if (!(error instanceof rules.NotJson)) throw error;
        this.root = null;
        this.tabs.say(this.words.not_json.replace("%(line)s", error.line).replace("%(column)s", error.column));
        return false;
      }
      this.text = this.textarea.value;
      this.said = this.problems;
      const left = rules.placeProblems(this.root, this.problems);
      this.said = this.problems.filter((one) => !left.includes(one)).map((one) => one.text);
      this.problems = [];
      this.tabs.say("");
      return true;
    }

    /** Nothing half-made is sent: the rows that lack something say so. */
    hold(event) {
      if (this.tab !== "drawn" || !this.root) return;
      const open = rules.partsOf(this.root).filter((one) => this.lacks(one));
      if (!open.length) return;
      event.preventDefault();
      open.forEach((one) => { one.errors = [this.lacks(one)]; });
      this.redraw();
      this.tabs.say(this.words.unfinished);
      rules.focusOn(this.tabs.drawn, `${open[0].id}-value`, `${open[0].id}-link`);
    }

    lacks(one) {
      if (one.type === "advanced") return rules.isJson(one.source) ? "" : this.words.no_json;
      if (one.type === "group") return one !== this.root && !one.children.length ? this.words.empty_group : "";
      if (one.type === "test" && one.source !== null && one.form.op) return "";
      const missing = one.type === "many" ? "" : rules.lacking(one.form);
      return { field: this.words.choose_field, value: this.words.give_value }[missing] || "";
    }

    /** Write what was changed, and draw it again where rows came or went. */
    write(redraw) {
      this.text = rules.conditionText(this.root, this.fieldOf);
      this.textarea.value = this.text;
      this.textarea.dispatchEvent(new Event("change", { bubbles: true }));
      if (redraw) this.redraw();
    }

    redraw() {
      rules.hideSaid(this.textarea, this.tab === "drawn" ? this.said || [] : []);
      if (this.tab !== "drawn" || !this.root) return;
      rules.keepingFocus(this.tabs.drawn, (panel) => {
        this.drawGroup(panel, this.root, null, "");
        if (this.fields.refused[this.model()]) element("p", { class: "rules-note" }, panel, this.words.no_fields);
      });
    }

    /* Groups */

    drawGroup(parent, group, holder, rowsOf) {
      const box = element("div", { class: "rules-group", role: "group", "aria-label": this.words.group }, parent);
      const head = element("div", { class: "rules-row-line" }, box);
      const kinds = [["", Object.entries(this.words.groups)]];
      select(head, `${group.id}-op`, this.words.group, kinds, group.op, (op) => {
        group.op = op;
        group.frame = null;
        this.write(true);
      });
      button(head, `${group.id}-add`, `+ ${this.words.add}`, null, () => this.add(group, rules.newTest()));
      button(head, `${group.id}-add-group`, `+ ${this.words.add_group}`, null, () => (
        this.add(group, rules.newGroup(true, [rules.newTest()]))));
      if (holder) this.drawRemove(head, group, holder, this.words.remove_group);
      this.drawErrors(box, group);
      if (!group.children.length && group === this.root) element("p", { class: "rules-note" }, box, this.words.always);
      group.children.forEach((child, index) => this.drawChild(box, child, group, index, rowsOf));
    }

    drawChild(parent, child, group, index, rowsOf) {
      if (child.type === "group") {
        this.drawGroup(parent, child, group, rowsOf);
        return;
      }
      const label = this.words.row.replace("%(number)s", index + 1);
      const box = element("div", { class: "rules-row", role: "group", "aria-label": label, "data-part": child.id }, parent);
      const line = element("div", { class: "rules-row-line" }, box);
      if (child.type === "advanced") rules.drawAdvanced(line, child, this.words, () => this.write(false), () => this.drawErrors(box, child));
      else this.drawTest(line, box, child, rowsOf);
      this.drawRemove(line, child, group, `${this.words.remove}: ${label}`);
      this.drawErrors(box, child);
    }

    drawRemove(parent, child, group, label) {
      button(parent, `${child.id}-remove`, "✕", label, () => this.remove(child, group)).className = "rules-remove";
    }

    add(group, child) {
      group.children.push(child);
      group.errors = [];
      this.write(true);
      this.tabs.say(child.type === "group" ? this.words.added_group : this.words.added);
      rules.focusOn(this.tabs.drawn, `${child.id}-link`, `${child.id}-op`);
    }

    remove(child, group) {
      const index = group.children.indexOf(child);
      group.children.splice(index, 1);
      group.isEmptied = true;
      const next = group.children[index] || group.children[index - 1];
      this.write(true);
      this.tabs.say(child.type === "group" ? this.words.removed_group : this.words.removed);
      const id = next && next.id;
      rules.focusOn(this.tabs.drawn, `${id}-link`, `${id}-op`, `${id}-json`, `${group.id}-add`);
    }

    drawErrors(box, one) {
      rules.drawErrors(box, one, `${this.textarea.id}-errors-${one.id}`);
    }

    /* Rows */

    /** What the first select of a row offers. Behind "old." are the fields that the object had before. */
    choices(rowsOf) {
      if (rowsOf) return this.fields.options(rowsOf, "", true);
      const model = this.model();
      const mine = model ? this.fields.options(model, "instance.", false) : [];
      const happening = this.happening.filter((one) => model || !one.of_model);
      const sent = this.named("signals").filter((one) => one.checked).flatMap((one) => this.signals[one.value] || []);
      const entry = (one) => ({ value: one.name, label: one.label, field: one });
      return [...mine, [this.words.happening, happening.map(entry)], [this.words.signal, sent.map(entry)]];
    }

    /** The name as the selects show it: what a field was, or that it changed, is said by the comparison beside it. */
    shownName(form, rowsOf) {
      if (rowsOf) return form.name;
      if (form.op === "changed" || form.op === "unchanged") {
        return `instance.${this.fields.columnOf(this.model(), form.name.replace(/^instance\./, ""))}`;
      }
      return form.name.replace(/^old\./, "instance.");
    }

    drawLinks(line, one, chain, act) {
      chain.links.forEach((link, index) => {
        const groups = link.groups.map(([title, entries]) => [
          title, entries.filter((entry) => !entry.field || !entry.field.quiet || entry === link.chosen).map((entry) => [entry.value, entry.label]),
        ]);
        const isOpen = !link.chosen && (link.name === "" || link.name.endsWith(".") || link.name.endsWith("__"));
        const chosen = link.chosen ? link.chosen.value : isOpen ? "" : link.name;
        const all = isOpen ? [["", [["", this.words.choose]]], ...groups] : groups;
        const key = index ? `${one.id}-link-${index}` : `${one.id}-link`;
        select(line, key, index ? this.words.field_of : this.words.field, all, chosen, act);
      });
    }

    drawTest(line, box, one, rowsOf) {
      const form = one.form;
      const chain = this.fields.chain(this.choices(rowsOf), this.shownName(form, rowsOf), Boolean(rowsOf));
      this.drawLinks(line, one, chain, (name) => this.choose(one, name, rowsOf));
      if (one.type === "many") {
        const kinds = ROWS.map((op) => [op, this.words.many[op]]);
        select(line, `${one.id}-op`, this.words.comparison, [["", kinds]], form.op, (op) => {
          form.op = op;
          one.head = null;
          one.tail = one.tail || "]}";
          one.errors = [];
          this.write(true);
        });
        this.drawGroup(element("div", { class: "rules-body" }, box), one.body, null, this.rowsModel(chain));
        return;
      }
      if (!form.name || (!form.op && !chain.entry)) return;
      this.drawComparison(line, one, chain, rowsOf);
      if (!rules.isBare(form.op) && form.op) this.drawRight(line, one, chain.field, rowsOf);
    }

    /** Of rows of which nothing is known nothing is offered, and nothing of the event either. */
    rowsModel(chain) {
      return chain.field.type === "rows" ? chain.field.model : rules.NO_MODEL;
    }

    drawComparison(line, one, chain, rowsOf) {
      const form = one.form;
      const type = chain.field.choices && chain.field.type !== "boolean" ? "choice" : chain.field.type;
      const ops = this.operators[type] || this.operators.any;
      const wasOld = !rowsOf && form.name.startsWith("old.");
      const known = ["changed", "unchanged"];
      const isOwn = !rowsOf && chain.links.length === 1 && chain.field.field;
      const now = ops.map((op) => [op, this.opWords(type, op, "now")]);
      const before = ops.map((op) => [`old:${op}`, this.opWords(type, op, "was")]).filter(([, text]) => text);
      const change = known.map((op) => [op, this.opWords(type, op, "now")]);
      const chosen = (wasOld ? "old:" : "") + form.op;
      const groups = isOwn ? [["", now], [this.words.over_time, change], [this.words.before, before]] : [["", now]];
      const offered = groups.some(([, entries]) => entries.some(([value]) => value === chosen));
      const others = offered ? [] : [["", [[chosen, this.opWords(type, form.op, wasOld ? "was" : "now")]]]];
      select(line, `${one.id}-op`, this.words.comparison, [...groups, ...others], chosen, (op) => this.compare(one, op, chain, rowsOf));
    }

    opWords(type, op, tense) {
      const own = this.words.ops[`${type}:${op}`] || this.words.ops[op];
      return own ? own[tense] : "";
    }

    drawRight(line, one, field, rowsOf) {
      const form = one.form;
      const key = `${one.id}-value`;
      const put = (right, redraw) => {
        form.right = right;
        this.changed(one, redraw);
      };
      if (rules.isList(form.op)) {
        const tokens = form.right && form.right.kind === "list" ? form.right.tokens : [];
        rules.drawList(line, key, field, tokens, this.words, (list, redraw) => put({ kind: "list", tokens: list }, redraw));
        return;
      }
      const right = form.right || { kind: "value", token: null };
      if (!rules.isPartial(form.op)) this.drawKind(line, one, right, rowsOf, field, put);
      if (right.kind === "field") {
        this.drawOther(line, one, right, rowsOf, put);
        return;
      }
      const asked = rules.isPartial(form.op) ? { type: "text" } : field;
      rules.drawValue(line, key, asked, right.token, this.words, (token, redraw) => put({ kind: "value", token: token }, redraw));
    }

    drawKind(line, one, right, rowsOf, field, put) {
      const isOld = right.kind === "field" && right.name.startsWith("old.") && !rowsOf;
      const kinds = [["value", this.words.a_value], ["field", this.words.a_field]];
      if (!rowsOf && this.model()) kinds.push(["old", this.words.a_field_before]);
      const chosen = right.kind === "value" ? "value" : isOld ? "old" : "field";
      select(line, `${one.id}-kind`, this.words.compared_with, [["", kinds]], chosen, (kind) => put(
        kind === "value" ? { kind: "value", token: rules.firstToken(field) } : { kind: "field", name: kind === "old" ? "old." : "" }, true));
    }

    drawOther(line, one, right, rowsOf, put) {
      const isOld = !rowsOf && right.name.startsWith("old.");
      const named = { id: `${one.id}-right` };
      const offered = isOld ? this.before() : this.choices(rowsOf);
      const plain = offered.map(([title, entries]) => [title, entries.filter((entry) => !entry.field || entry.field.type !== "rows")]);
      const chain = this.fields.chain(plain, right.name, Boolean(rowsOf));
      this.drawLinks(line, named, chain, (name) => put({ kind: "field", name: name }, true));
    }

    /** The own columns of the model, as they were. */
    before() {
      const found = this.fields.of(this.model());
      const own = found ? found.fields.filter((field) => field.field) : [];
      return [[this.words.before, own.map((field) => ({ value: `old.${field.name}`, label: field.label, field: field }))]];
    }

    /* What somebody does to a row */

    changed(one, redraw) {
      rules.retake(one);
      this.write(redraw);
      const box = this.tabs.drawn.querySelector(`[data-part="${one.id}"]`);
      if (!redraw && box) this.drawErrors(box, one);
    }

    choose(one, name, rowsOf) {
      const leads = name.endsWith(".") || name.endsWith("__");
      const { field } = this.fields.chain(this.choices(rowsOf), name, Boolean(rowsOf));
      if (field.type === "rows") this.becomeMany(one, name);
      else {
        one.type = "test";
        this.begun(one, name, field, leads);
        rules.retake(one);
      }
      this.write(true);
    }

    /** In place, as somebody may go on typing in the select; whoever only passes by another field finds the rows again. */
    becomeMany(one, name) {
      one.bodies = one.bodies || {};
      if (one.type === "many") one.bodies[one.form.name] = one.body;
      const made = rules.newMany(name, one.type === "many" ? one.form.op : "some");
      Object.assign(one, { ...made, id: one.id, body: one.bodies[name] || made.body });
    }

    /** A row whose field was just chosen: the comparison and the value stay where they suit the field. */
    begun(one, name, field, leads) {
      if (one.body) one.bodies = { ...one.bodies, [one.form.name]: one.body };
      one.body = null;
      const form = one.form;
      const wasOld = form.name.startsWith("old.") && field.field && name.split(".").length === 2;
      const type = field.choices && field.type !== "boolean" ? "choice" : field.type;
      const ops = this.operators[type] || this.operators.any;
      form.name = wasOld ? name.replace(/^instance\./, "old.") : name;
      if (leads) form.op = "";
      else if (!ops.includes(form.op)) form.op = ops[0];
      const right = form.right;
      if (rules.isList(form.op)) form.right = { kind: "list", tokens: [] };
      else if (rules.isBare(form.op)) form.right = null;
      else if (!right || right.kind === "list" || (right.kind === "value" && !rules.suits(field, right.token))) {
        form.right = { kind: "value", token: rules.firstToken(field) };
      }
      return one;
    }

    compare(one, chosen, chain, rowsOf) {
      const form = one.form;
      const shown = this.shownName(form, rowsOf);
      const op = chosen.replace(/^old:/, "");
      form.name = chosen.startsWith("old:") ? shown.replace(/^instance\./, "old.") : shown;
      form.op = op;
      if (op === "changed" || op === "unchanged") form.name = `instance.${this.fieldOf(shown)}`;
      form.right = this.rightFor(op, form.right, chain.field);
      rules.retake(one);
      this.write(true);
    }

    /** What is compared with, kept as far as the comparison takes it. */
    rightFor(op, right, field) {
      if (rules.isBare(op)) return null;
      const tokens = !right || right.kind === "field" ? [] : right.kind === "list" ? right.tokens : [right.token];
      const known = tokens.filter((token) => token !== null && token !== '""');
      if (rules.isList(op)) return { kind: "list", tokens: known };
      if (right && right.kind === "field" && !rules.isPartial(op)) return right;
      const first = known.length ? known[0] : rules.firstToken(field);
      const isText = first !== null && first.startsWith('"');
      return { kind: "value", token: rules.isPartial(op) && !isText ? '""' : first };
    }
  }

  rules.Builder = Builder;

  rules.begin("textarea[data-rules-condition]", Builder);
})();
