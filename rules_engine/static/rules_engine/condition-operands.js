/* What stands at the two sides of a comparison, read from JSON and written to it. Nothing here knows of the page.
 *
 *   value    token: a text, a number, true or false, as it is written
 *   field    name; loops, where rows read past themselves; fallback, a token that stands in for null; calc, a sign and
 *            the value or field that it is calculated with
 *   moment   shift from now (way, amount, unit) or null; format and zone, where it is compared as a text
 *   list     tokens
 *   range    low and high, each a value, a field or a moment; isFalling, where the greater stands first
 */
(function () {
  "use strict";

  const rules = (window.rulesEngine = window.rulesEngine || {});
  const SIGNS = ["+", "-", "*", "/"];
  const EITHER_WAY = ["+", "*"];
  const SPAN = /^(0|[1-9][0-9]{0,6})([dhms])$/;
  const FORMATS = ["yyyy-MM-dd", "HH:mm:ss", "yyyy-MM-ddTHH:mm:ss"];
  const ZONE = /^[A-Za-z0-9_+\/-]+$/;
  const OUTSIDE = "2";

  /** The operator and the arguments of {"op": [...]} or {"op": one}; null for anything else. */
  rules.callOf = function (node) {
    if (node.type !== "object" || node.members.length !== 1) return null;
    const { key, node: value } = node.members[0];
    return { op: key, value: value, args: value.type === "list" ? value.items : [value] };
  };

  /** The name that {"var": "name"} reads, or null. */
  rules.nameOf = function (node) {
    const found = rules.callOf(node);
    if (!found || found.op !== "var" || found.args.length !== 1) return null;
    return found.args[0].type === "text" && found.args[0].value !== "" ? found.args[0].value : null;
  };

  /** Inputs of one line would lose line breaks. */
  rules.isOneLine = (node) => node.type !== "text" || !/[\r\n]/.test(node.value);

  rules.makeField = (name, more) => ({ kind: "field", name: name, ...more });

  /* Reading */

  function readValue(node) {
    return node.token === undefined || node.token === "null" || !rules.isOneLine(node) ? null : { kind: "value", token: node.token };
  }

  /** {"val": [[2], "instance", "total"]}: in a condition on rows, what is read of the event. */
  function readOutside(found) {
    if (found.op !== "val" || found.value.type !== "list" || found.args.length < 2) return null;
    const [level, ...names] = found.args;
    const isLevel = level.type === "list" && level.items.length === 1 && level.items[0].token === OUTSIDE;
    const isPath = names.every((one) => one.type === "text" && one.value !== "" && !one.value.includes("."));
    return isLevel && isPath ? rules.makeField(names.map((one) => one.value).join("."), { loops: 1 }) : null;
  }

  function readField(node) {
    const name = rules.nameOf(node);
    if (name !== null) return rules.makeField(name);
    const found = rules.callOf(node);
    if (!found) return null;
    if (found.op !== "??" || found.args.length !== 2) return readOutside(found);
    const field = readField(found.args[0]);
    const stand = readValue(found.args[1]);
    return field && stand && field.fallback === undefined ? rules.makeField(field.name, { ...field, fallback: stand.token }) : null;
  }

  function readCalculation(node) {
    const found = rules.callOf(node);
    if (!found || !SIGNS.includes(found.op) || found.args.length !== 2) return null;
    const [first, second] = EITHER_WAY.includes(found.op) && found.args[0].type === "number" ? [found.args[1], found.args[0]] : found.args;
    const field = readField(first);
    const by = second.type === "number" ? readValue(second) : readField(second);
    return field && by ? rules.makeField(field.name, { ...field, calc: { sign: found.op, by: by } }) : null;
  }

  const isNow = (found) => found.op === "now" && found.value.type === "list" && !found.args.length;

  function readShift(node) {
    const found = rules.callOf(node);
    if (!found) return undefined;
    if (isNow(found)) return null;
    if ((found.op !== "+" && found.op !== "-") || found.args.length !== 2) return undefined;
    const [now, span] = found.args.map(rules.callOf);
    if (!now || !isNow(now) || !span || span.op !== "timestamp" || span.args.length !== 1) return undefined;
    const parts = span.args[0].type === "text" ? SPAN.exec(span.args[0].value) : null;
    return parts ? { way: found.op, amount: parts[1], unit: parts[2] } : undefined;
  }

  function readMoment(node) {
    const shift = readShift(node);
    if (shift !== undefined) return { kind: "moment", shift: shift, format: "", zone: "" };
    const found = rules.callOf(node);
    if (!found || found.op !== "format_date" || found.args.length < 2 || found.args.length > 3) return null;
    const inner = readShift(found.args[0]);
    const [format, zone] = found.args.slice(1).map((one) => (one.type === "text" ? one.value : null));
    const isKnown = inner !== undefined && FORMATS.includes(format) && (zone === undefined || (zone !== null && ZONE.test(zone)));
    return isKnown ? { kind: "moment", shift: inner, format: format, zone: zone || "" } : null;
  }

  /** A field, also one that is calculated with: the side of a comparison that gives a row its name. */
  rules.readLeft = function (node) {
    const field = readField(node) || readCalculation(node);
    if (!field || field.loops) return null;
    const { kind, ...form } = field;
    return form;
  };

  /** Whatever a field can be compared with. */
  rules.readOperand = (node) => readField(node) || readMoment(node) || readCalculation(node) || readValue(node);

  rules.readList = function (node) {
    const isPlain = node.type === "list" && node.items.length > 0 && node.items.every((item) => (
      item.type === "number" || (item.type === "text" && item.value.trim() && rules.isOneLine(item))));
    const isOneKind = isPlain && node.items.every((item) => item.type === node.items[0].type);
    return isOneKind ? { kind: "list", tokens: node.items.map((item) => item.token) } : null;
  };

  const isSameClock = (one, other) => one.format === other.format && one.zone === other.zone;

  /** "next" or "last" of a range that begins or ends now; else "". */
  rules.spanOf = function (low, high) {
    if (low.kind !== "moment" || high.kind !== "moment" || !isSameClock(low, high)) return "";
    if (!low.shift && high.shift && high.shift.way === "+") return "next";
    return !high.shift && low.shift && low.shift.way === "-" ? "last" : "";
  };

  /** The fields of an operand, itself one or not, that read past the rows they stand in. */
  rules.readsOutside = (one) => Boolean(one) && (Boolean(one.loops) || ["low", "high"].some((end) => rules.readsOutside(one[end]))
    || Boolean(one.calc) && rules.readsOutside(one.calc.by));

  /* Writing */

  rules.variable = (name) => `{"var": ${JSON.stringify(name)}}`;

  function fieldText(field) {
    const names = field.name.split(".").map((one) => JSON.stringify(one)).join(", ");
    const read = field.loops ? `{"val": [[${OUTSIDE}], ${names}]}` : rules.variable(field.name);
    const sure = field.fallback === undefined ? read : `{"??": [${read}, ${field.fallback}]}`;
    return field.calc ? `{"${field.calc.sign}": [${sure}, ${rules.operandText(field.calc.by)}]}` : sure;
  }

  function momentText({ shift, format, zone }) {
    const moment = shift ? `{"${shift.way}": [{"now": []}, {"timestamp": "${shift.amount}${shift.unit}"}]}` : '{"now": []}';
    if (!format) return moment;
    return `{"format_date": [${moment}, ${[format, zone].filter(Boolean).map((one) => JSON.stringify(one)).join(", ")}]}`;
  }

  rules.operandText = function (one) {
    if (one.kind === "list") return `[${one.tokens.join(", ")}]`;
    if (one.kind === "moment") return momentText(one);
    return one.kind === "field" ? fieldText(one) : one.token;
  };

  /** Written as it was read, falling or rising: what is compared first decides whether the rest is looked at. */
  rules.rangeText = function (sign, range, left) {
    const [first, last] = range.isFalling ? [range.high, range.low] : [range.low, range.high];
    return `{"${sign}": [${rules.operandText(first)}, ${left}, ${rules.operandText(last)}]}`;
  };

  /* What is lacking */

  /** Whether a name leads to something, and does not stop at a relation that leads on. */
  rules.isWhole = (name) => name !== "" && !/(?:\.|__)$/.test(name);

  rules.isFinished = function (one) {
    if (!one) return false;
    if (one.kind === "field") {
      return rules.isWhole(one.name) && one.fallback !== null && (!one.calc || rules.isFinished(one.calc.by));
    }
    if (one.kind === "moment") return !one.shift || SPAN.test(one.shift.amount + one.shift.unit);
    if (one.kind === "range") return rules.isFinished(one.low) && rules.isFinished(one.high);
    return one.kind === "list" ? one.tokens.length > 0 : one.token !== null;
  };
})();
