/* The inputs for the two sides of a comparison, beside the field itself: values, other fields, moments, calculations.
 *
 * What is changed is changed in place, as two inputs of one row may both be typed into before the row is drawn again.
 */
(function () {
  "use strict";

  const rules = (window.rulesEngine = window.rulesEngine || {});
  const { element, select } = rules;
  const FORMATS = { date: "yyyy-MM-dd", time: "HH:mm:ss", datetime: "yyyy-MM-ddTHH:mm:ss" };
  const OFTEN = { amount: "7", unit: "d" };
  const isMoments = (field) => field.type in FORMATS || field.type === "any";

  rules.Sides = class {
    constructor(editor) {
      this.editor = editor;
      this.words = editor.words;
    }

    /* Drawing. ``at`` is where: the key of its inputs, the field compared, the rows it stands in, the words. */

    drawRight(line, one, field, rowsOf) {
      const { form } = one;
      const put = (right, redraw) => {
        form.right = right;
        this.editor.changed(one, redraw);
      };
      const isText = rules.isPartial(form.op);
      const at = { key: one.id, field: isText ? { type: "text" } : field, rowsOf: rowsOf, words: this.words, isPlain: isText };
      const right = form.right || this.fitted(form.op, null, at.field);
      if (rules.isList(form.op)) this.drawList(line, at, right, put);
      else if (rules.isSpan(form.op)) this.drawSpan(line, at, right, put);
      else if (rules.isRange(form.op)) this.drawRange(line, at, right, put);
      else this.drawOperand(line, at, right, put);
    }

    /** What stands in for null, and what is calculated, of the field that a row is about. */
    drawLeft(line, one, field, rowsOf) {
      const put = (_, redraw) => this.editor.changed(one, redraw);
      const at = { key: `${one.id}-left`, rowsOf: rowsOf, field: field, words: this.words };
      this.drawFallback(line, at, one.form, put);
      if (one.form.calc) this.drawCalculation(line, at, one.form, put);
    }

    drawList(line, at, right, put) {
      rules.drawList(line, `${at.key}-value`, at.field, right.tokens, this.words, (tokens, redraw) => put({ ...right, tokens: tokens }, redraw));
    }

    drawRange(line, at, right, put) {
      ["low", "high"].forEach((end) => {
        if (end === "high") element("span", {}, line, this.words.and);
        const label = this.words[`${end}_value`];
        const words = { ...this.words, value: label, value_utc: `${label} (UTC)`, compared_with: `${label}: ${this.words.compared_with}` };
        this.drawOperand(line, { ...at, key: `${at.key}-${end}`, words: words, isPlain: true }, right[end], (one, redraw) => {
          right[end] = one;
          put(right, redraw);
        });
      });
    }

    drawOperand(line, at, one, put) {
      const kinds = this.kinds(at, one);
      select(line, `${at.key}-kind`, at.words.compared_with, [["", kinds]], this.kindOf(one, at.rowsOf), (kind) => put(this.made(kind, at.field), true));
      if (one.kind === "field") this.drawField(line, at, one, put);
      else if (one.kind === "moment") this.drawMoment(line, at, one, put);
      else {
        rules.drawValue(line, `${at.key}-value`, at.field, one.token, at.words, (token, redraw) => {
          one.token = token;
          put(one, redraw);
        });
      }
    }

    kinds(at, one) {
      const found = [["value", this.words.a_value], ["field", this.words.a_field]];
      if (this.editor.model()) found.push(at.rowsOf ? ["outside", this.words.a_field_outside] : ["old", this.words.a_field_before]);
      if (isMoments(at.field) || one.kind === "moment") found.push(["moment", this.words.a_moment]);
      return found;
    }

    kindOf(one, rowsOf) {
      if (one.kind !== "field") return one.kind;
      if (one.loops) return "outside";
      return !rowsOf && one.name.startsWith("old.") ? "old" : "field";
    }

    drawField(line, at, one, put) {
      const chain = this.editor.chainOf(one, at.rowsOf);
      this.editor.drawLinks(line, { id: `${at.key}-right` }, chain, (name) => {
        one.name = name;
        put(one, true);
      });
      this.drawFallback(line, at, one, put);
      if (one.calc || (!at.isPlain && chain.field.type === "number")) this.drawCalculation(line, at, one, put);
    }

    drawFallback(line, at, one, put) {
      if (one.fallback === undefined) return;
      element("span", {}, line, this.words.or_else);
      const words = { ...this.words, value: this.words.if_null, value_utc: `${this.words.if_null} (UTC)` };
      rules.drawValue(line, `${at.key}-fallback`, at.field, one.fallback, words, (token, redraw) => {
        one.fallback = token;
        put(one, redraw);
      });
    }

    drawCalculation(line, at, one, put) {
      const signs = Object.entries(this.words.signs);
      select(line, `${at.key}-sign`, this.words.calculation, [["", signs]], one.calc ? one.calc.sign : "", (sign) => {
        if (!sign) delete one.calc;
        else one.calc = { sign: sign, by: one.calc ? one.calc.by : { kind: "value", token: null } };
        put(one, true);
      });
      if (!one.calc) return;
      const words = { ...this.words, value: this.words.by_value, compared_with: this.words.calculated_with };
      const inner = { key: `${at.key}-by`, field: { type: "number" }, rowsOf: at.rowsOf, words: words, isPlain: true };
      this.drawOperand(line, inner, one.calc.by, (by, redraw) => {
        one.calc.by = by;
        put(one, redraw);
      });
    }

    drawMoment(line, at, one, put) {
      const words = one.format === FORMATS.date ? this.words.days : this.words.moments;
      if (one.shift) this.drawLength(line, at, one, put);
      const chosen = one.shift ? one.shift.way : "";
      select(line, `${at.key}-when`, this.words.when, [["", Object.entries(words)]], chosen, (way) => {
        one.shift = way ? { ...OFTEN, ...one.shift, way: way } : null;
        put(one, true);
      });
      if (one.format && one.zone !== this.words.time_zone) element("span", {}, line, `(${one.zone || "UTC"})`);
    }

    drawSpan(line, at, one, put) {
      this.drawLength(line, at, one, put);
      if (one.format && one.zone !== this.words.time_zone) element("span", {}, line, `(${one.zone || "UTC"})`);
    }

    drawLength(line, at, one, put) {
      const amount = element("input", {
        type: "number", min: "0", step: "1", "data-key": `${at.key}-amount`, "aria-label": this.words.how_long, autocomplete: "off",
      }, line);
      amount.value = one.shift.amount;
      amount.addEventListener("input", () => {
        one.shift.amount = amount.value.replace(/^0+(?=\d)/, "");
        put(one, false);
      });
      const isOffered = ([unit]) => one.format !== FORMATS.date || unit === "d" || unit === one.shift.unit;
      const units = Object.entries(this.words.units).filter(isOffered);
      select(line, `${at.key}-unit`, this.words.unit, [["", units]], one.shift.unit, (unit) => {
        one.shift.unit = unit;
        put(one, false);
      });
    }

    /* Making */

    made(kind, field) {
      if (kind === "moment") return this.moment(field, null);
      if (kind === "value") return { kind: "value", token: rules.firstToken(field) };
      return rules.makeField(kind === "old" ? "old." : "", kind === "outside" ? { loops: 1 } : {});
    }

    /** Dates, and times without a zone, are compared as the texts that they are, by the site's clock. */
    moment(field, shift) {
      const isInstant = field.type === "any" || (field.type === "datetime" && this.words.zone);
      return { kind: "moment", shift: shift, format: isInstant ? "" : FORMATS[field.type] || "", zone: isInstant ? "" : this.words.time_zone };
    }

    /** What is compared with, kept as far as the comparison and the field take it. */
    fitted(op, right, field, isOther) {
      if (rules.isBare(op)) return null;
      if (rules.isList(op)) return { kind: "list", tokens: this.tokens(right).filter((token) => !isOther || rules.suits(field, token)) };
      if (rules.isSpan(op)) return this.fittedSpan(op, right, field);
      if (rules.isRange(op)) {
        const ends = right && right.kind === "range" ? right : { kind: "range", low: right, high: null };
        return { ...ends, low: this.single(ends.low, field, isOther), high: this.single(ends.high, field, isOther) };
      }
      if (!rules.isPartial(op)) return this.single(right, field, isOther);
      const one = this.single(right, { type: "text" }, isOther);
      const isPart = one.kind === "field" ? !one.calc && one.fallback === undefined : rules.isText(one.token);
      return isPart ? one : { kind: "value", token: '""' };
    }

    fittedSpan(op, right, field) {
      const kept = right && right.kind === "moment" && right.shift;
      const way = /next$/.test(op) ? "+" : "-";
      return this.moment(field, { way: way, ...OFTEN, ...(kept ? { amount: kept.amount, unit: kept.unit } : {}) });
    }

    single(right, field, isOther) {
      if (!right) return this.made("value", field);
      if (right.kind === "range") return this.single(right.low, field, isOther);
      if (right.kind === "field") return right;
      if (right.kind === "moment") return isMoments(field) ? this.moment(field, right.shift) : this.made("value", field);
      const known = this.tokens(right).filter((token) => !isOther || rules.suits(field, token));
      return known.length ? { kind: "value", token: known[0] } : this.made("value", field);
    }

    tokens(right) {
      const found = !right ? [] : right.kind === "list" ? right.tokens : right.kind === "value" ? [right.token] : [];
      return found.filter((token) => token !== null && token !== '""');
    }
  };
})();
