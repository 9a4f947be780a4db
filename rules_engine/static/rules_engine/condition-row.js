/* One comparison as a row: the selects that lead to its field, how it is compared, and what is done when one is chosen. */
(function () {
  "use strict";

  const rules = (window.rulesEngine = window.rulesEngine || {});
  const { select } = rules;
  const CHANGE = ["changed", "unchanged"];
  const isChange = (op) => CHANGE.includes(op);

  rules.RowEditor = class extends rules.Editor {
    constructor(textarea, config) {
      super(textarea, config);
      this.operators = config.operators;
      this.happening = config.happening;
      this.signals = config.signals;
      this.sides = new rules.Sides(this);
      this.fieldOf = (column) => this.fields.fieldOf(this.model(), column.replace(/^instance\./, ""));
    }

    followed() {
      return ["signals", "changes"];
    }

    /* What there is to choose from */

    /** What the first select of a row offers. Behind "old." are the fields that the object had before. */
    choices(rowsOf) {
      if (rowsOf) return this.fields.options(rowsOf, "", true);
      const model = this.model();
      const mine = model ? this.fields.options(model, "instance.", false) : [];
      const signals = this.named("signals").filter((one) => one.checked).map((one) => one.value);
      const happening = this.happening.filter((one) => model || !one.of_model).map((one) => this.happened(one, signals));
      const sent = signals.flatMap((one) => this.signals[one] || []);
      const entry = (one) => ({ value: one.name, label: one.label, field: one });
      return [...mine, [this.words.happening, happening.map(entry)], [this.words.signal, sent.map(entry)]];
    }

    /** What is told of many-to-many changes only is offered where they are heard. */
    happened(one, signals) {
      if (!one.of_m2m) return one;
      const told = { ...one, quiet: signals.length > 0 && !signals.includes("m2m_changed") };
      return one.type === "rows" ? { ...told, model: this.modelOfOthers() } : told;
    }

    /** What is at the other end of the many-to-many changes, where that is known: the list of changes may say it. */
    modelOfOthers() {
      const found = this.fields.of(this.model());
      const all = found ? found.fields.filter((field) => field.changes) : [];
      const named = this.named("changes").map((one) => one.value).join("");
      const wanted = all.filter((field) => named.includes(JSON.stringify(field.changes)));
      const models = new Set((wanted.length ? wanted : all).map((field) => field.model));
      return models.size === 1 ? [...models][0] : rules.NO_MODEL;
    }

    /** The own columns of the model, as they were. */
    before() {
      const found = this.fields.of(this.model());
      const own = found ? found.fields.filter((field) => field.field) : [];
      return [[this.words.before, own.map((field) => ({ value: `old.${field.name}`, label: field.label, field: field }))]];
    }

    /** The selects that lead to a field that is compared with. */
    chainOf(one, rowsOf) {
      const isOld = !rowsOf && one.name.startsWith("old.");
      const outside = one.loops ? [...this.choices(null), ...this.before()] : null;
      const offered = outside || (isOld ? this.before() : this.choices(rowsOf));
      const plain = offered.map(([title, entries]) => [title, entries.filter((entry) => !entry.field || entry.field.type !== "rows")]);
      return this.fields.chain(plain, one.name, Boolean(rowsOf) && !one.loops);
    }

    /** The name as the selects show it: what a field was, or that it changed, is said by the comparison beside it. */
    shownName(form, rowsOf) {
      if (rowsOf) return form.name;
      if (isChange(form.op)) return `instance.${this.fields.columnOf(this.model(), form.name.replace(/^instance\./, ""))}`;
      return form.name.replace(/^old\./, "instance.");
    }

    /* Drawing */

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

    chain(one, rowsOf) {
      return this.fields.chain(this.choices(rowsOf), this.shownName(one.form, rowsOf), Boolean(rowsOf));
    }

    drawTest(line, one, rowsOf) {
      const form = one.form;
      const chain = this.chain(one, rowsOf);
      this.drawLinks(line, one, chain, (name) => this.choose(one, name, rowsOf));
      if (!form.name || (!form.op && !chain.entry)) return;
      this.sides.drawLeft(line, one, chain.field, rowsOf);
      this.drawComparison(line, one, chain, rowsOf);
      if (!rules.isBare(form.op) && form.op) this.sides.drawRight(line, one, chain.field, rowsOf);
    }

    drawComparison(line, one, chain, rowsOf) {
      const form = one.form;
      const type = this.typeOf(chain.field);
      const wasOld = !rowsOf && form.name.startsWith("old.");
      const ops = this.operators[type] || this.operators.any;
      const isOwn = !rowsOf && chain.links.length === 1 && chain.field.field;
      const now = ops.map((op) => [op, this.opWords(type, op, "now")]);
      const before = ops.map((op) => [`old:${op}`, this.opWords(type, op, "was")]).filter(([, text]) => text);
      const change = CHANGE.map((op) => [op, this.opWords(type, op, "now")]);
      const chosen = (wasOld ? "old:" : "") + form.op;
      const groups = isOwn ? [["", now], [this.words.over_time, change], [this.words.before, before]] : [["", now]];
      const offered = groups.some(([, entries]) => entries.some(([value]) => value === chosen));
      const others = offered ? [] : [["", [[chosen, this.opWords(type, form.op, wasOld ? "was" : "now")]]]];
      select(line, `${one.id}-op`, this.words.comparison, [...groups, ...others], chosen, (op) => this.compare(one, op, chain, rowsOf));
    }

    typeOf(field) {
      return field.choices && field.type !== "boolean" ? "choice" : field.type;
    }

    opWords(type, op, tense) {
      const own = this.words.ops[`${type}:${op}`] || this.words.ops[op];
      return own ? own[tense] : "";
    }

    /* What somebody does to a row */

    choose(one, name, rowsOf) {
      const leads = name.endsWith(".") || name.endsWith("__");
      const { field } = this.fields.chain(this.choices(rowsOf), name, Boolean(rowsOf));
      if (field.type === "rows") this.becomeMany(one, name);
      else {
        one.type = "test";
        this.begin(one, name, field, leads);
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
    begin(one, name, field, leads) {
      if (one.body) one.bodies = { ...one.bodies, [one.form.name]: one.body };
      one.body = null;
      const form = one.form;
      const wasOld = form.name.startsWith("old.") && field.field && name.split(".").length === 2;
      const ops = this.operators[this.typeOf(field)] || this.operators.any;
      form.name = wasOld ? name.replace(/^instance\./, "old.") : name;
      if (form.fallback && !rules.suits(field, form.fallback)) delete form.fallback;
      if (field.type !== "number") delete form.calc;
      if (leads) form.op = "";
      else if (!ops.includes(form.op) && !ops.includes(rules.kinOf(form.op))) form.op = ops[0];
      form.right = this.sides.fitted(form.op, form.right, field, true);
    }

    compare(one, chosen, chain, rowsOf) {
      const form = one.form;
      const shown = this.shownName(form, rowsOf);
      form.op = chosen.replace(/^old:/, "");
      form.name = chosen.startsWith("old:") ? shown.replace(/^instance\./, "old.") : shown;
      if (isChange(form.op)) {
        form.name = `instance.${this.fieldOf(shown)}`;
        delete form.fallback;
        delete form.calc;
      }
      form.right = this.sides.fitted(form.op, form.right, chain.field, false);
      rules.retake(one);
      this.write(true);
    }
  };
})();
