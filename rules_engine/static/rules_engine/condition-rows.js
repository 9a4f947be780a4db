/* A condition as groups and rows, and back to text. Nothing here knows of the page or of the models.
 *
 * A part that was read keeps the text that it was read from, and gives back just that until it is changed:
 *   group     op (all, any, none, not_all), children, and the frame of text around and between them
 *   test      one comparison: name (with fallback and calc as operands have them), op, right
 *   many      some, all or none of the rows of a relation, and the group that is asked of each
 *   advanced  anything else, as it is written
 */
(function () {
  "use strict";

  const rules = (window.rulesEngine = window.rulesEngine || {});
  const COMPARED = {
    "==": "is", "!=": "is_not", "===": "same", "!==": "not_same",
    ">": "more", ">=": "at_least", "<": "less", "<=": "at_most",
    "starts_with": "starts", "ends_with": "ends",
  };
  const OPERATORS = Object.fromEntries(Object.entries(COMPARED).map(([sign, op]) => [op, sign]));
  /** The same comparison with its sides exchanged. */
  const MIRRORED = { "==": "==", "!=": "!=", "===": "===", "!==": "!==", ">": "<", ">=": "<=", "<": ">", "<=": ">=" };
  const NULLS = { "===": "null", "!==": "not_null", "==": "blank", "!=": "not_blank" };
  const RANGES = { "<=": "between", "<": "inside", ">=": "between", ">": "inside" };
  const NEGATED = {
    changed: "unchanged", one_of: "not_one_of", contains: "not_contains", starts: "not_starts", ends: "not_ends",
    between: "not_between", inside: "not_inside", next: "not_next", last: "not_last",
  };
  const POSITIVE = Object.fromEntries(Object.entries(NEGATED).map(([op, negated]) => [negated, op]));
  /** Comparisons that are not offered, and those that are offered for the same types. */
  const KIN = { same: "is", not_same: "is_not", inside: "between", blank: "null", not_blank: "not_null" };
  const MANY = ["some", "all", "none"];
  const BARE = ["set", "unset", ...Object.values(NULLS), "changed", "unchanged"];
  const isOf = (...ops) => (op) => ops.includes(POSITIVE[op] || op);
  const isPartial = isOf("contains", "starts", "ends");
  const isRange = isOf("between", "inside");
  const isSpan = isOf("next", "last");
  const GROUPS = {
    all: ['{"and": [', "]}"], any: ['{"or": [', "]}"],
    none: ['{"!": [{"or": [', "]}]}"], not_all: ['{"!": [{"and": [', "]}]}"],
  };
  const UNFINISHED = '{"": []}';
  const WRITABLE = /^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$/;
  let count = 0;

  function part(type, pointer, own) {
    count += 1;
    return Object.assign({ id: count, type: type, pointer: pointer, errors: [] }, own);
  }

  rules.newPart = part;

  /** A form with texts as they read, however they were escaped. */
  function meaning(form) {
    const read = (key, value) => (typeof value === "string" && /^"/.test(value) && key !== "name" ? JSON.stringify(JSON.parse(value)) : value);
    return JSON.stringify(form, read);
  }
  rules.meaningOf = meaning;

  /* Reading */

  const { callOf, nameOf } = rules;

  function readContained(part, whole) {
    const name = nameOf(whole);
    if (name === null || !rules.isOneLine(part)) return null;
    const found = rules.readOperand(part);
    if (name === "changed") {
      const isName = part.type === "text" && part.value !== "";
      return isName ? { name: `instance.${part.value}`, op: "changed", right: null } : null;
    }
    const isPart = found && found.token !== '""' && !["true", "false"].includes(found.token);
    return isPart && isPlain(found) ? { name: name, op: "contains", right: found } : null;
  }

  const isPlain = (one) => one.kind === "value" || (one.kind === "field" && !one.calc && one.fallback === undefined);

  function readMembership(args) {
    if (args.length !== 2) return null;
    const list = rules.readList(args[1]);
    if (!list) return readContained(...args);
    const left = rules.readLeft(args[0]);
    return left && !left.calc ? { ...left, op: "one_of", right: list } : null;
  }

  function readNegation(args) {
    if (args.length !== 1) return null;
    if (nameOf(args[0]) !== null) return { name: nameOf(args[0]), op: "unset", right: null };
    const inner = readTest(args[0]);
    return inner && NEGATED[inner.op] ? { ...inner, op: NEGATED[inner.op] } : null;
  }

  function readComparison(sign, args) {
    if (args.length === 3 && Object.hasOwn(RANGES, sign)) return readRange(sign, args);
    if (args.length !== 2) return null;
    return readPair(sign, ...args) || (Object.hasOwn(MIRRORED, sign) ? readPair(MIRRORED[sign], args[1], args[0]) : null);
  }

  function readPair(sign, one, other) {
    const left = rules.readLeft(one);
    if (!left) return null;
    if (other.token === "null") return Object.hasOwn(NULLS, sign) ? { ...left, op: NULLS[sign], right: null } : null;
    const op = COMPARED[sign];
    const right = rules.readOperand(other);
    const isWrong = !right || (isPartial(op) && (left.calc || !isPlain(right) || (right.kind === "value" && other.type !== "text")));
    return isWrong ? null : { ...left, op: op, right: right };
  }

  function readRange(sign, [first, middle, last]) {
    const left = rules.readLeft(middle);
    const isFalling = sign.startsWith(">");
    const [low, high] = (isFalling ? [last, first] : [first, last]).map(rules.readOperand);
    if (!left || !low || !high || low.calc || high.calc) return null;
    const span = sign === "<=" ? rules.spanOf(low, high) : "";
    if (span) return { ...left, op: span, right: span === "next" ? high : low };
    return { ...left, op: RANGES[sign], right: { kind: "range", low: low, high: high, ...(isFalling ? { isFalling: true } : {}) } };
  }

  function readUnfinished(args) {
    if (!args.length) return { name: "", op: "", right: null };
    return args.length === 1 && nameOf(args[0]) !== null ? { name: nameOf(args[0]), op: "", right: null } : null;
  }

  function readTest(node) {
    const found = callOf(node);
    if (!found) return null;
    if (found.op === "var") return nameOf(node) === null ? null : { name: nameOf(node), op: "set", right: null };
    if (found.op === "!!" && found.args.length === 1 && nameOf(found.args[0]) !== null) {
      return { name: nameOf(found.args[0]), op: "set", right: null };
    }
    if (found.op === "!") return readNegation(found.args);
    if (found.op === "in") return readMembership(found.args);
    if (Object.hasOwn(COMPARED, found.op)) return readComparison(found.op, found.args);
    return found.op === "" && found.value.type === "list" ? readUnfinished(found.args) : null;
  }

  function readGroup(node, text) {
    const found = callOf(node);
    if (!found) return null;
    if ((found.op === "and" || found.op === "or") && found.value.type === "list") {
      return framed(node, found.op === "and" ? "all" : "any", found.value, text);
    }
    if (found.op !== "!" || found.args.length !== 1) return null;
    const inner = callOf(found.args[0]);
    if (inner && (inner.op === "and" || inner.op === "or") && inner.value.type === "list") {
      return framed(node, inner.op === "and" ? "not_all" : "none", inner.value, text);
    }
    const group = part("group", node.pointer, { op: "none", explicit: true, children: [read(found.args[0], text)] });
    group.frame = { head: text.slice(node.start, found.args[0].start), tail: text.slice(found.args[0].end, node.end), single: true };
    return group;
  }

  function framed(node, op, list, text) {
    const items = list.items;
    const first = items.length ? items[0].start : list.start + 1;
    const last = items.length ? items[items.length - 1].end : first;
    const children = items.map((item, index) => {
      const child = read(item, text);
      child.before = index ? text.slice(items[index - 1].end, item.start) : undefined;
      return child;
    });
    const frame = { head: text.slice(node.start, first), tail: text.slice(last, node.end) };
    return part("group", node.pointer, { op: op, explicit: true, children: children, frame: frame });
  }

  function readMany(node, text) {
    const found = callOf(node);
    if (!found || !MANY.includes(found.op) || found.value.type !== "list" || found.args.length !== 2) return null;
    const name = nameOf(found.args[0]);
    if (name === null) return null;
    const head = text.slice(node.start, found.args[1].start);
    const tail = text.slice(found.args[1].end, node.end);
    const form = { name: name, op: found.op };
    return part("many", node.pointer, { form: form, head: head, tail: tail, body: asGroup(found.args[1], text) });
  }

  function read(node, text) {
    const source = text.slice(node.start, node.end);
    const form = readTest(node);
    if (form) return part("test", node.pointer, { form: form, source: source, stored: { source: source, form: meaning(form) } });
    return readMany(node, text) || readGroup(node, text) || part("advanced", node.pointer, { source: source });
  }

  /** What stands where a group is drawn: that group, or one around a single row, of which nothing is written. */
  function asGroup(node, text) {
    const found = read(node, text);
    return found.type === "group" ? found : part("group", node.pointer, { op: "all", explicit: false, children: [found], frame: null });
  }

  /** What reads past the rows can be drawn inside of one relation, and is shown as it is written elsewhere. */
  function settled(one, loops) {
    const isAstray = one.type === "test" && loops !== 1 && (rules.readsOutside(one.form) || rules.readsOutside(one.form.right));
    if (isAstray) one.type = "advanced";
    (one.children || []).forEach((child) => settled(child, loops));
    if (one.body) settled(one.body, loops + 1);
    return one;
  }

  /** The group of a whole textarea, empty or not; throws NotJson. */
  rules.readCondition = function (text) {
    if (!text.trim()) return Object.assign(rules.newGroup(false, []), { lead: "", trail: "", pointer: "" });
    const node = rules.parseJson(text);
    return Object.assign(settled(asGroup(node, text), 0), { lead: text.slice(0, node.start), trail: text.slice(node.end) });
  };

  /* Making */

  rules.newTest = () => part("test", null, { form: { name: "", op: "", right: null }, source: null, stored: null });
  rules.newGroup = (explicit, children) => part("group", null, { op: "all", explicit: explicit, children: children, frame: null });
  rules.newMany = (name, op) => part("many", null, {
    form: { name: name, op: op }, head: null, tail: null, body: rules.newGroup(false, [rules.newTest()]),
  });

  /* Writing */

  /** What a test lacks: "field", "value" or nothing. Such a row is written so that it cannot be saved. */
  rules.lacking = function (form) {
    if (!rules.isWhole(form.name)) return "field";
    if (!form.op) return "value";
    const isLeft = form.fallback !== null && (!form.calc || rules.isFinished(form.calc.by));
    if (!isLeft) return "value";
    if (BARE.includes(form.op)) return "";
    const isEmpty = form.right && form.right.token === '""' && isPartial(form.op);
    return rules.isFinished(form.right) && !isEmpty ? "" : "value";
  };

  /** ``fieldOf`` turns a column's name into its field's, as the list of changes has it. */
  function testText(form, fieldOf) {
    const missing = rules.lacking(form);
    if (missing) return form.name ? `{"": [${rules.variable(form.name)}]}` : UNFINISHED;
    const left = rules.operandText({ ...form, kind: "field" });
    const op = POSITIVE[form.op] || form.op;
    if (op !== form.op) return `{"!": [${testText({ ...form, op: op }, fieldOf)}]}`;
    if (op === "set") return `{"!!": [${left}]}`;
    if (op === "unset") return `{"!": [${left}]}`;
    if (op === "changed") return `{"in": [${JSON.stringify(fieldOf(form.name))}, {"var": "changed"}]}`;
    if (BARE.includes(op)) return `{"${Object.keys(NULLS).find((sign) => NULLS[sign] === op)}": [${left}, null]}`;
    return pairText(op, left, form.right);
  }

  function pairText(op, left, right) {
    const now = { ...right, shift: null };
    if (isRange(op)) return rules.rangeText((right.isFalling ? ">" : "<") + (op === "between" ? "=" : ""), right, left);
    if (op === "next") return rules.rangeText("<=", { low: now, high: right }, left);
    if (op === "last") return rules.rangeText("<=", { low: right, high: now }, left);
    const written = rules.operandText(right);
    if (op === "contains") return `{"in": [${written}, ${left}]}`;
    return op === "one_of" ? `{"in": [${left}, ${written}]}` : `{"${OPERATORS[op]}": [${left}, ${written}]}`;
  }

  /** Parts with the text that stands between them; what has none yet gets the space that the first one has. */
  rules.joined = function (parts, frame, textOf) {
    const space = frame.head.match(/\s*$/)[0] || " ";
    return parts.map((one, index) => {
      if (index && one.before === undefined) one.before = `,${space}`;
      return (index ? one.before : "") + textOf(one);
    }).join("");
  };

  function groupText(group, fieldOf, isRoot) {
    const fits = group.frame && (!group.frame.single || group.children.length === 1);
    if (group.isEmptied && !isRoot && !group.children.length) return UNFINISHED;
    // One condition of which ANY is to hold is kept as that: more may come, and they would be read as ALL.
    if (!group.explicit && !group.frame && group.op === "all" && group.children.length === 1) return rules.textOf(group.children[0], fieldOf);
    if (!fits) {
      const [head, tail] = GROUPS[group.op];
      group.frame = isRoot ? { head: `${head}\n  `, tail: `\n${tail}` } : { head: head, tail: tail };
    }
    return group.frame.head + rules.joined(group.children, group.frame, (child) => rules.textOf(child, fieldOf)) + group.frame.tail;
  }

  rules.textOf = function (one, fieldOf, isRoot) {
    if (one.type === "advanced") return one.source;
    if (one.type === "group") return groupText(one, fieldOf, isRoot);
    if (one.type === "test") return one.source === null ? testText(one.form, fieldOf) : one.source;
    const head = one.head === null ? `{"${one.form.op}": [${rules.variable(one.form.name)}, ` : one.head;
    return head + rules.textOf(one.body, fieldOf) + (one.tail === null ? "]}" : one.tail);
  };

  rules.conditionText = function (root, fieldOf) {
    if (!root.children.length) return "";
    return root.lead + rules.textOf(root, fieldOf, true) + root.trail;
  };

  /** Take a change of a test: what is again as it was read is written again as it was read. */
  rules.retake = function (test) {
    test.source = test.stored && test.stored.form === meaning(test.form) ? test.stored.source : null;
    test.errors = [];
  };

  rules.partsOf = function (one) {
    const inner = one.type === "group" ? one.children : one.type === "many" ? [one.body] : [];
    return [one, ...inner.flatMap(rules.partsOf)];
  };

  /** Put each problem at the innermost part it is about; gives back those that are about no row. */
  rules.placeProblems = function (root, problems) {
    const parts = rules.partsOf(root).filter((one) => one !== root && one.pointer !== null);
    return problems.filter((problem) => {
      const around = parts.filter((one) => `${problem.pointer}/`.startsWith(`${one.pointer}/`));
      const innermost = around.sort((one, other) => one.pointer.length - other.pointer.length).pop();
      if (innermost) innermost.errors.push(problem.message);
      return !innermost;
    });
  };

  rules.isPartial = isPartial;
  rules.kinOf = (op) => KIN[POSITIVE[op] || op] || POSITIVE[op] || op;
  rules.isRange = isRange;
  rules.isSpan = isSpan;
  rules.isList = (op) => op === "one_of" || op === "not_one_of";
  rules.isBare = (op) => BARE.includes(op);
  rules.isNumber = (text) => WRITABLE.test(text);
})();
