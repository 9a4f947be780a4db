/* A condition as groups and rows, and back to text. Nothing here knows of the page or of the models.
 *
 * A part that was read keeps the text that it was read from, and gives back just that until it is changed:
 *   group     op (all, any, none, not_all), children, and the frame of text around and between them
 *   test      one comparison: name, op, right
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
  const NEGATED = {
    changed: "unchanged", one_of: "not_one_of", contains: "not_contains", starts: "not_starts", ends: "not_ends",
  };
  const POSITIVE = Object.fromEntries(Object.entries(NEGATED).map(([op, negated]) => [negated, op]));
  const MANY = ["some", "all", "none"];
  const BARE = ["set", "unset", "null", "not_null", "changed", "unchanged"];
  const PARTIAL = ["contains", "not_contains", "starts", "not_starts", "ends", "not_ends"];
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

  /** The operator and the arguments of {"op": [...]} or {"op": one}; null for anything else. */
  function call(node) {
    if (node.type !== "object" || node.members.length !== 1) return null;
    const { key, node: value } = node.members[0];
    return { op: key, value: value, args: value.type === "list" ? value.items : [value] };
  }

  /** The name that {"var": "name"} reads, or null. */
  function nameOf(node) {
    const found = call(node);
    if (!found || found.op !== "var" || found.args.length !== 1) return null;
    return found.args[0].type === "text" && found.args[0].value !== "" ? found.args[0].value : null;
  }

  /** Inputs of one line would lose line breaks. */
  const isOneLine = (node) => node.type !== "text" || !/[\r\n]/.test(node.value);

  function rightOf(node) {
    const name = nameOf(node);
    if (name !== null) return { kind: "field", name: name };
    return node.token === undefined || node.token === "null" || !isOneLine(node) ? null : { kind: "value", token: node.token };
  }

  function listOf(node) {
    const isPlain = node.type === "list" && node.items.length > 0 && node.items.every((item) => (
      item.type === "number" || (item.type === "text" && item.value.trim() && isOneLine(item))));
    const isOneKind = isPlain && node.items.every((item) => item.type === node.items[0].type);
    return isOneKind ? { kind: "list", tokens: node.items.map((item) => item.token) } : null;
  }

  function readMembership(args) {
    if (args.length !== 2) return null;
    const name = nameOf(args[1]);
    if (args[0].type === "text" && args[0].value !== "" && name !== null) {
      if (name === "changed") return { name: `instance.${args[0].value}`, op: "changed", right: null };
      if (!isOneLine(args[0])) return null;
      return { name: name, op: "contains", right: { kind: "value", token: args[0].token } };
    }
    const list = nameOf(args[0]) !== null && listOf(args[1]);
    return list ? { name: nameOf(args[0]), op: "one_of", right: list } : null;
  }

  function readNegation(args) {
    if (args.length !== 1) return null;
    if (nameOf(args[0]) !== null) return { name: nameOf(args[0]), op: "unset", right: null };
    const inner = readTest(args[0]);
    return inner && NEGATED[inner.op] ? { ...inner, op: NEGATED[inner.op] } : null;
  }

  function readComparison(op, args) {
    const name = args.length === 2 ? nameOf(args[0]) : null;
    if (name === null) return null;
    if (args[1].token === "null") {
      return op === "same" ? { name, op: "null", right: null } : op === "not_same" ? { name, op: "not_null", right: null } : null;
    }
    const right = rightOf(args[1]);
    const isText = right && (right.kind === "field" || args[1].type === "text");
    if (!right || ((op === "starts" || op === "ends") && !isText)) return null;
    return { name: name, op: op, right: right };
  }

  function readUnfinished(args) {
    if (!args.length) return { name: "", op: "", right: null };
    return args.length === 1 && nameOf(args[0]) !== null ? { name: nameOf(args[0]), op: "", right: null } : null;
  }

  function readTest(node) {
    const found = call(node);
    if (!found) return null;
    if (found.op === "var") return nameOf(node) === null ? null : { name: nameOf(node), op: "set", right: null };
    if (found.op === "!!" && found.args.length === 1 && nameOf(found.args[0]) !== null) {
      return { name: nameOf(found.args[0]), op: "set", right: null };
    }
    if (found.op === "!") return readNegation(found.args);
    if (found.op === "in") return readMembership(found.args);
    if (Object.hasOwn(COMPARED, found.op)) return readComparison(COMPARED[found.op], found.args);
    return found.op === "" && found.value.type === "list" ? readUnfinished(found.args) : null;
  }

  function readGroup(node, text) {
    const found = call(node);
    if (!found) return null;
    if ((found.op === "and" || found.op === "or") && found.value.type === "list") {
      return framed(node, found.op === "and" ? "all" : "any", found.value, text);
    }
    if (found.op !== "!" || found.args.length !== 1) return null;
    const inner = call(found.args[0]);
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
    const last = items.length ? items[items.length - 1].end : list.end - 1;
    const children = items.map((item, index) => {
      const child = read(item, text);
      child.before = index ? text.slice(items[index - 1].end, item.start) : undefined;
      return child;
    });
    const frame = { head: text.slice(node.start, first), tail: text.slice(last, node.end) };
    return part("group", node.pointer, { op: op, explicit: true, children: children, frame: frame });
  }

  function readMany(node, text) {
    const found = call(node);
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

  /** The group of a whole textarea, empty or not; throws NotJson. */
  rules.readCondition = function (text) {
    if (!text.trim()) return Object.assign(rules.newGroup(false, []), { lead: "", trail: "", pointer: "" });
    const node = rules.parseJson(text);
    return Object.assign(asGroup(node, text), { lead: text.slice(0, node.start), trail: text.slice(node.end) });
  };

  /* Making */

  rules.newTest = () => part("test", null, { form: { name: "", op: "", right: null }, source: null, stored: null });
  rules.newGroup = (explicit, children) => part("group", null, { op: "all", explicit: explicit, children: children, frame: null });
  rules.newMany = (name, op) => part("many", null, {
    form: { name: name, op: op }, head: null, tail: null, body: rules.newGroup(false, [rules.newTest()]),
  });

  /* Writing */

  const variable = (name) => `{"var": ${JSON.stringify(name)}}`;

  /** Whether a name leads to something, and does not stop at a relation that leads on. */
  const isWhole = (name) => name !== "" && !/(?:\.|__)$/.test(name);

  /** What a test lacks: "field", "value" or nothing. Such a row is written so that it cannot be saved. */
  rules.lacking = function (form) {
    if (!isWhole(form.name)) return "field";
    if (!form.op) return "value";
    if (BARE.includes(form.op)) return "";
    const right = form.right;
    if (!right) return "value";
    if (right.kind === "field") return isWhole(right.name) ? "" : "value";
    if (right.kind === "list") return right.tokens.length ? "" : "value";
    return right.token === null || (right.token === '""' && PARTIAL.includes(form.op)) ? "value" : "";
  };

  function rightText(right) {
    if (right.kind === "field") return variable(right.name);
    return right.kind === "list" ? `[${right.tokens.join(", ")}]` : right.token;
  }

  /** ``fieldOf`` turns a column's name into its field's, as the list of changes has it. */
  function testText(form, fieldOf) {
    const missing = rules.lacking(form);
    if (missing) return form.name ? `{"": [${variable(form.name)}]}` : UNFINISHED;
    const left = variable(form.name);
    const op = POSITIVE[form.op] || form.op;
    if (op !== form.op) return `{"!": [${testText({ ...form, op: op }, fieldOf)}]}`;
    if (op === "set") return `{"!!": [${left}]}`;
    if (op === "unset") return `{"!": [${left}]}`;
    if (op === "null" || op === "not_null") return `{"${op === "null" ? "===" : "!=="}": [${left}, null]}`;
    if (op === "changed") return `{"in": [${JSON.stringify(fieldOf(form.name))}, {"var": "changed"}]}`;
    if (op === "contains") return `{"in": [${rightText(form.right)}, ${left}]}`;
    if (op === "one_of") return `{"in": [${left}, ${rightText(form.right)}]}`;
    return `{"${OPERATORS[op]}": [${left}, ${rightText(form.right)}]}`;
  }

  function groupText(group, fieldOf, isRoot) {
    const fits = group.frame && (!group.frame.single || group.children.length === 1);
    if (group.isEmptied && !isRoot && !group.children.length) return UNFINISHED;
    const isPlain = group.op === "all" || group.op === "any";
    if (!group.explicit && !group.frame && isPlain && group.children.length === 1) return rules.textOf(group.children[0], fieldOf);
    if (!fits) {
      const [head, tail] = GROUPS[group.op];
      group.frame = isRoot ? { head: `${head}\n  `, tail: `\n${tail}` } : { head: head, tail: tail };
    }
    const space = group.frame.head.match(/\s*$/)[0] || " ";
    const joined = group.children.map((child, index) => {
      if (index && child.before === undefined) child.before = `,${space}`;
      return (index ? child.before : "") + rules.textOf(child, fieldOf);
    });
    return group.frame.head + joined.join("") + group.frame.tail;
  }

  rules.textOf = function (one, fieldOf, isRoot) {
    if (one.type === "advanced") return one.source;
    if (one.type === "group") return groupText(one, fieldOf, isRoot);
    if (one.type === "test") return one.source === null ? testText(one.form, fieldOf) : one.source;
    const head = one.head === null ? `{"${one.form.op}": [${variable(one.form.name)}, ` : one.head;
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

  rules.isPartial = (op) => PARTIAL.includes(op);
  rules.isList = (op) => op === "one_of" || op === "not_one_of";
  rules.isBare = (op) => BARE.includes(op);
  rules.isNumber = (text) => WRITABLE.test(text);
})();
