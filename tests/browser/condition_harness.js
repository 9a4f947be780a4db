/* Opens and edits many conditions in one page; loaded by test_condition_builder.py into the page of a rule. */
(() => {
  "use strict";
  const rules = window.rulesEngine;
  const data = document.getElementById("id_condition").dataset;
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
    const value = control(opened, `${one.id}-value`);
    if (value && value.tagName === "INPUT") return [`${one.id}-value`, (element) => put(element, { number: "77", date: "2020-02-02", time: "11:11" }[element.type] || (element.type === "datetime-local" ? "2020-02-02T11:11" : "edited"))];
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
    leaves(builder).forEach((_, index) => tryEdit(text, index, complain));
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
    for (let index = 0; index < count; index += 1) {
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
    }
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

  window.tryConditions = (texts) => texts.map((text) => {
    const complaints = [];
    const found = tryOne(text, (what, got) => complaints.push(`${what}: ${got}`));
    return { ...found, complaints: complaints };
  });
})();
