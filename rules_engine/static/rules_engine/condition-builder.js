/* Draws a rule's condition: groups of rows, which can be added, removed, moved and copied. */
(function () {
  "use strict";

  const rules = window.rulesEngine;
  const { element, button, select } = rules;
  const ROWS = ["some", "all", "none"];
  const STEPS = [["up", -1, "↑"], ["down", 1, "↓"]];

  class Builder extends rules.RowEditor {
    constructor(textarea) {
      super(textarea, JSON.parse(textarea.dataset.rulesCondition));
      this.show("drawn");
    }

    read(text) {
      return rules.readCondition(text);
    }

    written() {
      return rules.conditionText(this.root, this.fieldOf);
    }

    lacks(one) {
      if (one.type === "advanced") return this.lacksJson(one);
      if (one.type === "group") return one !== this.root && !one.children.length ? this.words.empty_group : "";
      if (one.type === "test" && one.source !== null && one.form.op) return "";
      const missing = one.type === "many" ? "" : rules.lacking(one.form);
      return { field: this.words.choose_field, value: this.words.give_value }[missing] || "";
    }

    draw(panel) {
      this.drawGroup(panel, this.root, "", "");
      if (this.fields.refused[this.model()]) element("p", { class: "rules-note" }, panel, this.words.no_fields);
    }

    /* Groups */

    drawGroup(parent, group, name, rowsOf) {
      const label = name || this.words.group;
      const box = element("div", { class: "rules-group", role: "group", "aria-label": label, "data-group": group.id }, parent);
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
      if (name) this.drawTools(head, group, name);
      this.drawErrors(box, group);
      if (!group.children.length && group === this.root) element("p", { class: "rules-note" }, box, this.words.always);
      this.drawChildren(box, group, (child, index) => this.drawChild(box, child, index, rowsOf));
    }

    drawChild(parent, child, index, rowsOf) {
      const words = child.type === "group" ? this.words.numbered_group : this.words.row;
      const label = words.replace("%(number)s", index + 1);
      if (child.type === "group") {
        this.drawGroup(parent, child, label, rowsOf);
        return;
      }
      const { box, line } = this.drawRow(parent, child, label);
      if (child.type === "advanced") this.drawAdvanced(line, box, child);
      else if (child.type === "many") this.drawMany(line, box, child, rowsOf);
      else this.drawTest(line, child, rowsOf);
      this.drawTools(line, child, label);
      this.drawErrors(box, child);
    }

    drawMany(line, box, one, rowsOf) {
      const chain = this.chain(one, rowsOf);
      this.drawLinks(line, one, chain, (name) => this.choose(one, name, rowsOf));
      const kinds = ROWS.map((op) => [op, this.words.many[op]]);
      select(line, `${one.id}-op`, this.words.comparison, [["", kinds]], one.form.op, (op) => {
        one.form.op = op;
        one.head = null;
        one.tail = one.tail || "]}";
        one.errors = [];
        this.write(true);
      });
      // Of rows of which nothing is known nothing is offered, and nothing of the event either.
      const model = chain.field.type === "rows" ? chain.field.model : rules.NO_MODEL;
      this.drawGroup(element("div", { class: "rules-body" }, box), one.body, "", model);
    }

    /* Moving and copying */

    drawTools(line, one, label) {
      const tools = element("div", { class: "rules-tools" }, line);
      STEPS.forEach(([name, way, sign]) => {
        const tool = button(tools, `${one.id}-${name}`, sign, `${this.words[name]}: ${label}`, () => this.move(one, way));
        tool.disabled = !rules.stepOf(this.root, one, way);
      });
      button(tools, `${one.id}-copy`, "❐", `${this.words.copy}: ${label}`, () => this.copy(one));
      this.drawRemove(tools, one, `${this.words.remove}: ${label}`);
    }

    move(one, way) {
      const { holder, index } = rules.stepOf(this.root, one, way);
      rules.moveTo(one, rules.holderOf(this.root, one), holder, index);
      this.write(true);
      const said = { place: index + 1, count: holder.children.length, group: this.words.groups[holder.op] };
      this.tabs.say(this.words.moved.replace(/%\((\w+)\)s/g, (_, name) => said[name]));
      const [near, far] = way < 0 ? ["up", "down"] : ["down", "up"];
      rules.focusOn(this.tabs.drawn, `${one.id}-${near}`, `${one.id}-${far}`);
    }

    copy(one) {
      const copied = rules.copyOf(one);
      const holder = rules.holderOf(this.root, one);
      holder.children.splice(holder.children.indexOf(one) + 1, 0, copied);
      this.write(true);
      this.tell("copied", one);
      this.focus(copied);
    }
  }

  rules.Builder = Builder;

  rules.begin("textarea[data-rules-condition]", Builder);
})();
