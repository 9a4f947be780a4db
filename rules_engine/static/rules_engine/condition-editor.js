/* Rows over a JSON textarea, which is what is posted: what the editors of conditions and of changes have in common.
 *
 * The textarea is written to only when somebody changes something, and then all other parts keep their own text. An
 * editor says how the text is read and written (``read``, ``written``), what a part lacks (``lacks``), and draws.
 */
(function () {
  "use strict";

  const rules = (window.rulesEngine = window.rulesEngine || {});
  const { element, button } = rules;

  rules.Editor = class {
    constructor(textarea, config) {
      this.textarea = textarea;
      textarea.rulesEditor = this;
      this.words = config.words;
      this.problems = JSON.parse(textarea.dataset.rulesProblems || "[]");
      this.said = [];
      /** What was removed last, where it stood, and how it comes back; gone with the next change. */
      this.removed = null;
      this.fields = rules.fieldsOf(config, () => this.redraw());
      this.tabs = new rules.Tabs(textarea, this.words, this.words.builder, (name) => this.show(name));
      this.follow(textarea.form, ["model", ...this.followed()]);
    }

    /** Inputs of the form, besides the model, that decide what is offered. */
    followed() {
      return [];
    }

    follow(form, names) {
      if (!form) return;
      form.addEventListener("submit", (event) => this.hold(event));
      form.addEventListener("change", (event) => names.includes(event.target.name) && this.redraw());
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
      this.removed = null;
      try {
        this.root = this.read(this.textarea.value);
      } catch (error) {
        if (!(error instanceof rules.NotJson)) throw error;
        this.root = null;
        this.tabs.say(this.words.not_json.replace("%(line)s", error.line).replace("%(column)s", error.column));
        return false;
      }
      this.text = this.textarea.value;
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
      rules.focusOnGap(this.boxOf(open[0]));
    }

    boxOf(one) {
      return this.tabs.drawn.querySelector(`:is([data-part="${one.id}"], [data-group="${one.id}"])`);
    }

    /** Write what was changed, and draw it again where rows came or went. */
    write(redraw) {
      const hadRemoved = this.removed !== null;
      this.removed = null;
      this.text = this.written();
      this.textarea.value = this.text;
      this.textarea.dispatchEvent(new Event("change", { bubbles: true }));
      if (redraw) this.redraw();
      else if (hadRemoved) this.tabs.drawn.querySelectorAll(".rules-undo").forEach((one) => one.remove());
    }

    /** A row was changed; where it is not drawn again, at least what was wrong with it goes. */
    changed(one, redraw) {
      rules.retake(one);
      this.write(redraw);
      const box = this.boxOf(one);
      if (!redraw && box) this.drawErrors(box, one);
    }

    redraw() {
      rules.hideSaid(this.textarea, this.tab === "drawn" ? this.said : []);
      if (this.tab !== "drawn" || !this.root) return;
      rules.keepingFocus(this.tabs.drawn, (panel) => this.draw(panel));
    }

    drawErrors(box, one) {
      rules.drawErrors(box, one, `${this.textarea.id}-errors-${one.id}`);
    }

    /** A row's box and its first line, for what can be chosen in it. */
    drawRow(parent, part, label) {
      const box = element("div", { class: "rules-row", role: "group", "aria-label": label, "data-part": part.id }, parent);
      return { box, line: element("div", { class: "rules-row-line" }, box) };
    }

    lacksJson(part) {
      return rules.isJson(part.source) ? "" : this.words.no_json;
    }

    drawAdvanced(line, box, one) {
      rules.drawAdvanced(line, one, this.words, () => this.write(false), () => this.drawErrors(box, one));
    }

    /* What is done to whole rows */

    kindOf(one) {
      return one.type === "group" ? "group" : "row";
    }

    tell(what, one) {
      this.tabs.say(this.words[`${what}_${this.kindOf(one)}`]);
    }

    focus(one, ...others) {
      const own = one ? ["link", "field", "op", "json"].map((name) => `${one.id}-${name}`) : [];
      rules.focusOn(this.tabs.drawn, ...own, ...others);
    }

    add(holder, one) {
      holder.children.push(one);
      holder.errors = [];
      this.write(true);
      this.tell("added", one);
      this.focus(one);
    }

    /** It leaves a line in its place, by which it comes back to the byte. */
    remove(one) {
      const holder = rules.holderOf(this.root, one);
      const index = holder.children.indexOf(one);
      const before = { children: [...holder.children], frame: holder.frame, isEmptied: holder.isEmptied };
      holder.children.splice(index, 1);
      holder.isEmptied = true;
      this.write(false);
      this.removed = { one: one, holder: holder, index: index, undo: () => Object.assign(holder, before) };
      this.redraw();
      this.tell("removed", one);
      this.focus(holder.children[index] || holder.children[index - 1], `${holder.id}-add`);
    }

    undo() {
      const { one, undo } = this.removed;
      undo();
      this.write(true);
      this.tell("restored", one);
      this.focus(one);
    }

    /** The rows of a list, and the line where one was. */
    drawChildren(parent, holder, draw) {
      const gone = this.removed && this.removed.holder === holder ? this.removed : null;
      [...holder.children, null].forEach((child, index) => {
        if (gone && gone.index === index) this.drawGone(parent, gone.one);
        if (child) draw(child, index);
      });
    }

    drawGone(parent, one) {
      const line = element("div", { class: "rules-row-line rules-undo" }, parent);
      element("span", {}, line, this.words[`removed_${this.kindOf(one)}`]);
      button(line, `${one.id}-undo`, this.words.undo, null, () => this.undo());
    }

    drawRemove(line, one, label) {
      button(line, `${one.id}-remove`, "✕", label, () => this.remove(one)).className = "rules-remove";
    }
  };
})();
