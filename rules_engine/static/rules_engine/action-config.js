/* Draws the form of an action's kind over the JSON textarea of its settings, by django-jsonform's editor.
 *
 * The textarea is what is posted. It is written to only when somebody changes something in the form, and then only the
 * keys that were changed: what was stored stays as it was. What the form cannot show is edited as JSON.
 */
(function () {
  "use strict";

  let count = 0;

  function typeOf(value) {
    if (value === null) return "null";
    if (Array.isArray(value)) return "array";
    if (Number.isInteger(value)) return "integer";
    return typeof value;
  }

  function same(one, other) {
    return JSON.stringify(one) === JSON.stringify(other);
  }

  function choicesOf(schema) {
    const listed = schema.choices || schema.enum;
    return listed && listed.map((one) => (one !== null && typeof one === "object" ? one.value : one));
  }

  /** Whether the form for a schema shows all of a value, so that nothing is lost by editing it there. */
  function isDrawable(schema, value) {
    const type = { list: "array", dict: "object" }[schema.type] || schema.type;
    const found = typeOf(value);
    if (type === "object") {
      const keys = schema.keys || schema.properties || {};
      return found === "object" && Object.keys(value).every((key) => key in keys && isDrawable(keys[key], value[key]));
    }
    if (type === "array") return found === "array" && value.every((item) => isDrawable(schema.items, item));
    if (type !== found && !(type === "number" && found === "integer")) return false;
    const choices = choicesOf(schema);
    return !choices || choices.includes(value);
  }

  /** The schema as it is for a value: each stored value among the choices of its setting, where those are open to
   *  others, and settings called what they are beside the others' values (``variant``). */
  function opened(schema, value) {
    const keys = {};
    Object.entries(schema.keys || {}).forEach(([key, described]) => {
      const variant = described.variant;
      const field = variant && value && variant.values.includes(value[variant.of])
        ? { ...described, title: variant.title, helpText: variant.helpText } : described;
      const isOther = field.open && value && typeof value[key] === "string" && !choicesOf(field).includes(value[key]);
      keys[key] = isOther ? { ...field, choices: [...field.choices, value[key]] } : field;
    });
    return schema.keys ? { ...schema, keys: keys } : schema;
  }

  function parsed(text) {
    if (!text.trim()) return {};
    try {
      return JSON.parse(text);
    } catch (error) {
      return undefined;
    }
  }

  /** Numbers that JavaScript would write differently (1.0, 12345678901234567890) must not pass through it. */
  function survives(text, value) {
    const squeezed = (json) => json.replace(/"(?:[^"\\]|\\.)*"/g, '""').match(/-?\d[\d.eE+-]*/g) || [];
    return same(squeezed(text), squeezed(JSON.stringify(value)));
  }

  function element(name, attributes, parent) {
    const made = document.createElement(name);
    Object.entries(attributes).forEach(([key, value]) => made.setAttribute(key, value));
    if (parent) parent.append(made);
    return made;
  }

  class ActionRow {
    constructor(textarea) {
      this.textarea = textarea;
      this.kinds = JSON.parse(textarea.dataset.rulesKinds);
      this.words = JSON.parse(textarea.dataset.rulesWords);
      this.errors = JSON.parse(textarea.dataset.rulesErrors);
      this.row = textarea.closest(".inline-related") || textarea.form;
      this.kind = this.row.querySelector('select[name$="-kind"]');
      this.timing = this.row.querySelector('select[name$="-timing"]');
      this.texts = {};
      this.byHand = false;
      if (!this.kind || textarea.disabled) return;
      this.before = this.kind.value;
      this.addParts();
      this.kind.addEventListener("change", () => this.changeKind());
      this.limitTimings();
      this.draw();
    }

    addParts() {
      this.box = element("div", { class: "rules-config" });
      this.textarea.after(this.box);
      this.box.append(this.textarea);
      // What is said of a setting below it, in the form, is not said above all of them as well.
      const said = document.getElementById(`${this.textarea.id}_error`);
      this.said = Object.keys(this.errors).every((place) => place) ? said : null;
      this.holder = element("div", { class: "rules-config-form", role: "group" }, this.box);
      const label = document.querySelector(`label[for="${this.textarea.id}"]`);
      if (label) this.holder.setAttribute("aria-label", label.textContent.replace(/:\s*$/, ""));
      this.note = element("p", { class: "rules-config-note help", role: "status" }, this.box);
      this.button = element("button", { class: "rules-config-switch", type: "button" }, this.box);
      this.button.addEventListener("click", () => this.switchSides());
    }

    switchSides() {
      this.byHand = !this.byHand;
      this.draw();
      if (this.byHand) this.textarea.focus();
    }

    changeKind() {
      const text = this.textarea.value;
      this.texts[this.before] = text;
      this.before = this.kind.value;
      const known = this.kinds[this.before];
      const value = parsed(text);
      const fits = known && value !== undefined && isDrawable(opened(known.schema, value), value);
      // What was filled in for the kind before, and left as it was, goes with it.
      const isUntouched = !text.trim() || text === this.filledIn;
      if (this.before in this.texts) this.textarea.value = this.texts[this.before];
      else if (known && (isUntouched || !fits)) this.textarea.value = this.text(known.initial || {});
      this.filledIn = this.textarea.value;
      this.errors = {};
      this.byHand = false;
      this.limitTimings();
      this.draw();
    }

    limitTimings() {
      const known = this.kinds[this.kind.value];
      if (!this.timing || !known) return;
      Array.from(this.timing.options).forEach((option) => {
        option.hidden = option.disabled = !known.timings.includes(option.value);
      });
      const holder = this.timing.closest(".fieldBox, .form-row");
      if (!known.timings.includes(this.timing.value)) this.timing.value = known.timings[0];
      if (holder) holder.hidden = known.timings.length === 1;
    }

    draw() {
      const known = this.kinds[this.kind.value];
      const value = parsed(this.textarea.value);
      const schema = known && opened(known.schema, value);
      const drawable = Boolean(known && window.reactJsonForm && value !== undefined) &&
        isDrawable(schema, value) && survives(this.textarea.value || "{}", value);
      const asForm = drawable && !this.byHand;
      this.clear();
      if (this.said) this.said.hidden = asForm && Object.keys(this.errors).length > 0;
      this.textarea.hidden = asForm || (!this.kind.value && !this.textarea.value.trim());
      this.button.hidden = !known || (!drawable && !this.byHand);
      this.button.textContent = asForm ? this.words.as_json : this.words.as_form;
      this.note.textContent = !known || drawable || !window.reactJsonForm
        ? "" : value === undefined ? this.words.broken : this.words.undrawable;
      if (asForm) this.drawForm(schema, value);
    }

    clear() {
      if (this.observer) this.observer.disconnect();
      if (this.container && window.ReactDOM) window.ReactDOM.unmountComponentAtNode(this.container);
      this.holder.replaceChildren();
      this.container = null;
    }

    drawForm(schema, stored) {
      count += 1;
      this.container = element("div", { id: `rules-config-${count}`, class: "django-jsonform-container" }, this.holder);
      // The editor fills in every key as soon as it is drawn; it writes to this input, and never to the textarea.
      element("input", { id: `rules-config-${count}-data`, type: "hidden" }, this.holder);
      const form = window.reactJsonForm.createForm({
        containerId: this.container.id,
        dataInputId: `rules-config-${count}-data`,
        schema: schema,
        data: JSON.parse(JSON.stringify(stored)),
        errorMap: this.errors,
      });
      const text = this.textarea.value;
      let filled = null;
      form.addEventListener("change", (change) => {
        filled = filled || change.prevData;
        this.write(text, stored, filled, change.data);
        this.redrawVariants(schema);
      });
      this.observer = new MutationObserver(() => this.tieLabels());
      this.observer.observe(this.container, { childList: true, subtree: true });
      form.render();
      this.tieLabels();
    }

    /** Keys the editor only filled in are left out; keys that are as they were drawn keep what was stored. */
    write(text, stored, filled, now) {
      const kept = {};
      const keys = [...Object.keys(stored), ...Object.keys(now).filter((key) => !(key in stored))];
      keys.forEach((key) => {
        if (!(key in now)) return;
        const untouched = same(now[key], filled[key]);
        if (untouched && key in stored) kept[key] = stored[key];
        else if (!untouched) kept[key] = now[key];
      });
      this.textarea.value = same(kept, stored) ? text : this.text(kept);
    }

    /** Draws the form again where a setting is called otherwise by now, with the focus where it was. */
    redrawVariants(drawn) {
      const now = opened(this.kinds[this.kind.value].schema, parsed(this.textarea.value));
      if (!Object.keys(now.keys || {}).some((key) => now.keys[key].title !== drawn.keys[key].title)) return;
      const controls = () => Array.from(this.holder.querySelectorAll("input, select, textarea"));
      const place = controls().indexOf(document.activeElement);
      this.draw();
      if (place >= 0 && controls()[place]) controls()[place].focus();
    }

    text(value) {
      return Object.keys(value).length ? JSON.stringify(value, null, 2) : "";
    }

    /** The editor's labels stand beside their inputs without naming them. */
    tieLabels() {
      this.container.querySelectorAll("label").forEach((label) => {
        const control = label.parentElement.querySelector("input, select, textarea");
        if (!control || label.contains(control) || label.htmlFor) return;
        count += 1;
        control.id = control.id || `rules-config-${count}`;
        label.htmlFor = control.id;
      });
      this.container.querySelectorAll(".rjf-form-group").forEach((group) => this.nameItems(group));
      this.container.querySelectorAll('input[type="text"], textarea').forEach((control) => this.offerValues(control));
    }

    /** Values of the event for each setting that is a text, and not the name of something. */
    offerValues(control) {
      const steps = control.name.split("§").slice(1);
      const inside = (schema, step) => schema && ((schema.keys || schema.properties || {})[step] || schema.items);
      const schema = steps.reduce(inside, this.kinds[this.kind.value].schema);
      if (!schema || schema.plain || schema.type !== "string") return;
      const named = () => control.getAttribute("aria-label") || (control.labels[0] ? control.labels[0].textContent : "");
      window.rulesEngine.offerValues(control, this.words, named, () => this.each());
    }

    each() {
      const [choice, own] = ["for_each_choice", "for_each"].map((name) => this.row.querySelector(`[name$="-${name}"]`));
      return choice && choice.value !== "own" ? choice.value : own ? own.value : "";
    }

    nameItems(group) {
      const heading = group.querySelector(":scope > .rjf-form-group-inner > .rjf-form-group-title");
      if (!heading) return;
      // Behind the title, in brackets, stands the help of the whole list.
      const title = heading.firstChild.textContent.replace(/\s*\(.*\)\s*$/s, "").trim();
      const controls = group.querySelectorAll("input, select, textarea");
      Array.from(controls).filter((one) => !one.labels.length).forEach((control, index) => {
        control.setAttribute("aria-label", this.words.row.replace("%(title)s", title).replace("%(number)s", index + 1));
      });
    }
  }

  function begin(root) {
    root.querySelectorAll("textarea[data-rules-kinds]").forEach((textarea) => {
      if (textarea.id.includes("__prefix__") || textarea.dataset.rulesDrawn) return;
      textarea.dataset.rulesDrawn = "yes";
      new ActionRow(textarea);
    });
  }

  document.addEventListener("formset:added", (event) => begin(event.target));
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", () => begin(document));
  else begin(document);
})();
