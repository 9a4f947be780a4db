/* Opens and edits many conditions in one page; loaded by test_condition_builder.py into the page of a rule. */
(() => {
  "use strict";
  const rules = window.rulesEngine;
  const data = document.getElementById("id_condition").dataset;
  const INPUTS = ["value", "amount", "low-value", "high-value", "by-value", "left-by-value", "fallback", "left-fallback"];
  // Of a condition of many rows, so many are edited and removed: each time all of it is drawn anew.
  const MOST = 6;
  const MARK = "\u0007here\u0007";

  function open(text) {
    const form = document.createElement("form");
    const model = rules.element("input", { name: "model", value: "shop.order" }, form);
    const textarea = rules.element("textarea", { id: "tried" }, form);
    textarea.dataset.rulesCondition = data.rulesCondition;
    textarea.value = text;
    const builder = new rules.Builder(textarea);
    return { builder, textarea, form, model, read: () => textarea.value };
  }

  /** Some of that many places, from the first on, with about as much between each and the next. */
  const spread = (count) => Array.from({ length: Math.min(count, MOST) }, (_, place) => Math.floor((place * count) / Math.min(count, MOST)));
  const leaves = (builder) => rules.partsOf(builder.root).filter((one) => one.type === "test" || one.type === "advanced");
  const control = (opened, key) => opened.form.querySelector(`[data-key="${key}"]`);

  function put(element, value) {
    element.value = value;
    element.dispatchEvent(new Event("input", { bubbles: true }));
    element.dispatchEvent(new Event("change", { bubbles: true }));
  }

  /** The text before and after a part, found by writing a mark in its place. */
  function around(builder, one) {
    const source = one.source;
    one.source = MARK;
    const [before, after] = rules.conditionText(builder.root, builder.fieldOf).split(MARK);
    one.source = source;
    return { before, after };
  }

  function editOf(opened, one) {
    if (one.type === "advanced") return [`${one.id}-json`, (element) => put(element, '{"edited": []}')];
    const [value] = INPUTS.map((name) => control(opened, `${one.id}-${name}`)).filter((found) => found && found.tagName === "INPUT");
    if (value) return [value.dataset.key, (element) => put(element, { number: "77", date: "2020-02-02", time: "11:11" }[element.type] || (element.type === "datetime-local" ? "2020-02-02T11:11" : "edited"))];
    const op = control(opened, `${one.id}-op`);
    const others = op ? Array.from(op.options).filter((option) => option.value !== op.value) : [];
    const other = others.find((option) => rules.isBare(option.value)) || others[0];
    return other ? [`${one.id}-op`, (element) => put(element, other.value)] : [`${one.id}-link`, (element) => put(element, "created")];
  }

  function tryOne(text, complain) {
    const opened = open(text);
    const { builder } = opened;
    opened.builder.show("json");
    opened.builder.show("drawn");
    if (opened.read() !== text) complain("opening changed it", opened.read());
    if (!builder.root) return { drawn: false };
    const written = builder.root.children.length ? rules.conditionText(builder.root, builder.fieldOf) : text;
    if (written !== text) complain("its parts do not make it up", written);
    const kinds = leaves(builder).map((one) => one.type);
    spread(kinds.length).forEach((index) => tryEdit(text, index, complain));
    tryRemovals(text, complain);
    return { drawn: true, kinds: kinds, groups: rules.partsOf(builder.root).length, rewritten: rewrite(text) };
  }

  function tryEdit(text, index, complain) {
    const opened = open(text);
    const one = leaves(opened.builder)[index];
    const source = one.source;
    const { before, after } = around(opened.builder, one);
    if (before + source + after !== text) complain(`row ${index} does not stand where it stood`, before);
    const [key, edit] = editOf(opened, one);
    const element = control(opened, key);
    const value = element && element.value;
    if (!element) { complain(`row ${index} cannot be edited`, key); return; }
    edit(element);
    const now = opened.read();
    if (now === text) complain(`row ${index} was edited, and nothing came of it`, key);
    if (!now.startsWith(before) || !now.endsWith(after) || now.length < before.length + after.length) complain(`editing row ${index} changed others`, now);
    const again = control(opened, key);
    if (again && again.tagName === "INPUT" && value !== "") {
      put(again, value);
      if (opened.read() !== text) complain(`row ${index} taken back is not as it was`, opened.read());
    }
  }

  function tryRemovals(text, complain) {
    const count = rules.partsOf(open(text).builder.root).filter((one) => one.type === "group").flatMap((group) => group.children).length;
    spread(count).forEach((index) => {
      const opened = open(text);
      const groups = rules.partsOf(opened.builder.root).filter((one) => one.type === "group");
      const child = groups.flatMap((group) => group.children)[index];
      const gone = new Set(rules.partsOf(child));
      const kept = leaves(opened.builder).filter((one) => !gone.has(one)).map((one) => one.source);
      control(opened, `${child.id}-remove`).click();
      let at = 0;
      kept.forEach((source) => {
        const found = opened.read().indexOf(source, at);
        if (found < 0) complain(`removing part ${index} lost another`, source);
        at = found + source.length;
      });
    });
  }

  const sourcesOf = (builder) => leaves(builder).map((one) => one.source).sort().join("\n");

  /** A part is moved about, copied, taken out and put back: all others stay as they are written. */
  function tryMoves(text, complain) {
    const count = rules.partsOf(open(text).builder.root).length;
    [tryUndo, trySteps, tryCopy].forEach((attempt) => {
      const opened = open(text);
      const one = rules.partsOf(opened.builder.root)[text.length % count];
      if (rules.holderOf(opened.builder.root, one)) attempt(opened, one, complain);
    });
  }

  function tryUndo(opened, one, complain) {
    const text = opened.read();
    ["remove", "undo"].forEach((name) => control(opened, `${one.id}-${name}`).click());
    if (opened.read() !== text) complain("what was removed came back otherwise", opened.read());
  }

  function trySteps(opened, one, complain) {
    const { root } = opened.builder;
    const sources = sourcesOf(opened.builder);
    ["up", "up", "down", "down", "down", "up"].forEach((name) => {
      const tool = control(opened, `${one.id}-${name}`);
      if (tool.disabled) return;
      const places = [[opened.read(), rules.holderOf(root, one)]];
      tool.click();
      places.push([opened.read(), rules.holderOf(root, one)]);
      if (sourcesOf(opened.builder) !== sources) complain(`moving ${name} changed a row`, opened.read());
      if (!rules.isJson(opened.read())) complain(`moving ${name} left no JSON`, opened.read());
      if (places[0][1] === places[1][1] && places[0][0].length !== places[1][0].length) complain(`moving ${name} lost a space`, opened.read());
    });
  }

  function tryCopy(opened, one, complain) {
    const written = rules.textOf(one, opened.builder.fieldOf);
    control(opened, `${one.id}-copy`).click();
    if (opened.read().split(written).length < 3) complain("a copy is not like what it was copied from", opened.read());
  }

  /** The condition as the builder would write all of it anew, to see that it says the same. */
  function rewrite(text) {
    const { builder } = open(text);
    rules.partsOf(builder.root).forEach((one) => {
      if (one.type === "test" && one.form.op) one.source = null;
      if (one.type === "many") { one.head = null; one.tail = null; }
      if (one.type === "group") one.frame = null;
    });
    return rules.conditionText(builder.root, builder.fieldOf);
  }

  /** ``moved``: of so many conditions one is moved about as well, which takes long. */
  window.tryConditions = (texts, moved) => texts.map((text, index) => {
    const complaints = [];
    const complain = (what, got) => complaints.push(`${what}: ${got}`);
    const found = tryOne(text, complain);
    if (found.drawn && index % moved === 0) tryMoves(text, complain);
    return { ...found, complaints: complaints };
  });
})();
