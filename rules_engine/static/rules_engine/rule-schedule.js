/* A rule on time in plain words, over the JSON of its schedule.
 *
 * As in rule-when.js nothing is written before somebody chooses, and what has no plain choice stays as it stands.
 */
(function () {
  "use strict";

  const rules = window.rulesEngine;
  const { element, select } = rules;
  const STEPS = [1, 2, 3, 4, 6];
  const SECONDS = { days: 86400, hours: 3600, minutes: 60 };

  rules.Schedule = class {
    /** ``moved`` is called once something was chosen by which other things are drawn. */
    constructor(textarea, moved) {
      Object.assign(this, JSON.parse(textarea.dataset.rulesSchedule));
      this.textarea = textarea;
      this.moved = moved;
      this.told = Array.from(textarea.closest(".form-row").querySelectorAll(".errorlist"));
      this.read();
      this.hearTimes();
    }

    /** When it acts next, as the server tells it of the form; one line that stays where it is while others are drawn. */
    hearTimes() {
      this.next = element("div", { class: "form-row rules-schedule-next", hidden: "" });
      const said = element("div", { class: "help", role: "status" }, this.next);
      document.addEventListener("rules:told", (event) => {
        said.textContent = event.detail.times || "";
        this.next.hidden = !said.textContent;
      });
    }

    /* What is stored */

    /** Its kind: one of those that have words, "" for a rule on signals, and "other" for what has no plain choice. */
    read() {
      const text = this.textarea.value.trim();
      this.value = null;
      this.kind = "";
      if (!text) return;
      try {
        const value = JSON.parse(text);
        if (value && typeof value === "object" && Object.hasOwn(this.kinds, value.kind)) this.value = value;
      } catch { /* Said under Advanced. */ }
      this.kind = this.value ? this.value.kind : "other";
    }

    /** Whether it acts by the clock alone, and hears no signals. */
    isAlone() {
      return this.kind !== "" && this.kind !== "other" && !this.kinds[this.kind].happens;
    }

    begin(kind, hasModel) {
      const of = kind === "every" && hasModel ? { of: "each" } : {};
      this.write({ kind: kind, ...this.kinds[kind].begin, ...of });
    }

    write(value) {
      this.told = [];
      this.textarea.value = value ? JSON.stringify(value, null, 2) : "";
      this.read();
      this.isWriting = true;
      this.textarea.dispatchEvent(new Event("change", { bubbles: true }));
      this.isWriting = false;
    }

    /** Change some of it; what is undefined goes. */
    set(changes, isDrawnAgain = true) {
      this.write({ ...this.value, ...changes });
      if (isDrawnAgain) this.moved();
    }

    /** Another model: its dates are others, and without one there are no objects. */
    follow(hasModel) {
      if (!this.value) return;
      if (this.kind === "date") this.write({ ...this.value, path: "" });
      if ("by" in this.value) this.write({ ...this.value, by: undefined });
      if (this.kind === "every") this.write({ ...this.value, of: hasModel ? this.value.of || "each" : undefined });
    }

    /* What is drawn */

    draw(when, fields, of) {
      if (!this.value) return;
      this.when = when;
      this[`draw_${this.kind}`](fields, of);
      if (this.told.length) when.drawn.querySelector(".field-schedule-plain > div").before(...this.told.map((one) => one.cloneNode(true)));
    }

    /** A line of controls that belong together; the label is that of the first. */
    row(name, label, controls) {
      const { box, id, row } = this.when.line(`schedule-${name}`, label);
      if (name === "plain") row.classList.add("field-schedule-plain");
      const together = element("span", { class: "rules-span rules-schedule" }, box);
      controls.forEach((control) => control(together));
      together.querySelector("input, select").id = id;
      together.querySelector("input, select").removeAttribute("aria-label");
      return row;
    }

    number(key, label, least = 1) {
      return (parent) => {
        const input = element("input", { type: "number", min: least, class: "rules-span-number", "data-key": key, "aria-label": label }, parent);
        input.value = this.value[key] === undefined ? "" : this.value[key];
        input.addEventListener("input", () => this.set({ [key]: /^\d+$/.test(input.value) ? Number(input.value) : null }, false));
      };
    }

    text(key, label, type, attributes = {}) {
      return (parent) => {
        const input = element("input", { type: type, "data-key": key, "aria-label": label, ...attributes }, parent);
        input.value = this.value[key] || "";
        input.addEventListener("input", () => this.set({ [key]: input.value || undefined }, false));
      };
    }

    choice(key, label, groups, chosen = this.value[key] || "", act = (value) => this.set({ [key]: value || undefined })) {
      return (parent) => select(parent, key, label, groups, String(chosen), act);
    }

    said(text) {
      return (parent) => element("span", { class: "rules-schedule-said" }, parent, text);
    }

    unit() {
      const offered = this.units_of[this.kind].map((name) => [name, this.units[name]]);
      return this.choice("unit", this.words.unit, [["", offered]], this.value.unit, (unit) => {
        const isOfDays = this.of_days.includes(unit);
        const gone = this.kind !== "date" ? {} : { ...(isOfDays ? {} : { at: undefined }), ...(unit === "business_days" ? {} : { holidays: undefined }) };
        this.set({ unit: unit, ...gone });
      });
    }

    zone() {
      const areas = {};
      this.zones.forEach((name) => (areas[name.split("/")[0]] = areas[name.split("/")[0]] || []).push([name, name.split("/").slice(1).join("/").replaceAll("_", " ") || name]));
      const own = [["", this.words.site_zone.replace("%(zone)s", this.site_zone)]];
      return this.choice("zone", this.words.zone, [["", own], ...Object.entries(areas)]);
    }

    /** Dates of the object, and of what it belongs to. */
    dates(fields, of) {
      if (!fields) return [["", [["", this.words.choose_date]]]];
      const isDate = (field) => ["date", "datetime"].includes(field.type);
      const own = (told, path) => told.fields.filter(isDate).map((field) => [`${path}.${field.name}`, field.label]);
      const further = fields.fields.filter((field) => field.type === "object").map((field) => {
        const told = of(field.model);
        return [field.label, told ? own(told, `instance.${field.name}`).map(([path, label]) => [path, `${field.label} › ${label}`]) : []];
      });
      return [["", [["", this.words.choose_date]]], [fields.title, own(fields, "instance")], ...further];
    }

    draw_date(fields, of) {
      const { words } = this;
      const directions = [["before", words.before], ["after", words.after]];
      this.row("plain", words.when, [
        this.number("count", words.number, 0),
        this.unit(),
        this.choice("direction", words.direction, [["", directions]]),
        this.choice("path", words.which_date, this.dates(fields, of), this.value.path || "", (path) => this.set({ path: path })),
      ]);
      if (this.value.unit === "business_days") this.holidays();
      if (!this.of_days.includes(this.value.unit)) return;
      const row = this.row("at", words.at, [this.text("at", words.at, "time"), this.zone()]);
      element("div", { class: "help" }, row, words.same_time);
    }

    holidays() {
      const { words } = this;
      const row = this.row("holidays", words.holidays, [this.text("holidays", words.holidays, "text", { size: 8, autocomplete: "off" })]);
      element("div", { class: "help" }, row, words.holidays_help);
    }

    draw_every() {
      const { words } = this;
      const eaches = ["hour", "day", "weekday", "week", "month", "month_end"].map((name) => [name, words[`each_${name}`]]);
      const isCron = "cron" in this.value;
      const listed = [["", [...(isCron ? [["cron", words.cron]] : []), ...eaches]]];
      const each = this.choice("each", words.how_often, listed, isCron ? "cron" : this.value.each || "", (name) => this.begin_each(name));
      const days = this.weekdays.map((name, index) => [String(index + 1), name]);
      const asNumber = (key) => (value) => this.set({ [key]: Number(value) });
      const on = {
        week: [this.choice("day", words.day_of_week, [["", days]], this.value.day || 1, asNumber("day"))],
        month: [this.said(words.day_of_month), this.numbered("day", words.day_of_month, 28)],
      }[this.value.each] || [];
      const hasSteps = !isCron && this.value.each !== "weekday";
      this.row("plain", words.how_often, [each, ...(isCron ? [] : on), ...(hasSteps ? [this.step(asNumber("step"))] : [])]);
      if (this.value.each === "weekday") this.holidays();
      if (!isCron && (this.value.since || (hasSteps && this.value.step > 1))) this.row("since", words.since_day, [this.text("since", words.since_day, "date")]);
      const at = isCron || this.value.each === "hour" ? [] : [this.text("at", words.at, "time")];
      this.row("at", at.length ? words.at : words.zone, [...at, this.zone()]);
      if (!this.when.model.value) return;
      const ofs = ["each", "rows"].map((name) => [name, words[`of_${name}`]]);
      this.row("of", words.of, [this.choice("of", words.of, [["", ofs]])]);
    }

    begin_each(name) {
      if (name === "cron") return;
      const day = ["week", "month"].includes(name) ? 1 : undefined;
      const gone = name === "weekday" ? { step: undefined } : { holidays: undefined };
      this.set({ cron: undefined, each: name, day: day, at: name === "hour" ? undefined : this.value.at || "08:00", ...gone });
    }

    step(act) {
      const listed = STEPS.map((step) => [String(step), this.words[`step_${step}`]]);
      const step = String(this.value.step || 1);
      if (!STEPS.includes(Number(step))) listed.push([step, this.words.step_n.replace("%(step)s", step)]);
      return this.choice("step", this.words.step, [["", listed]], step, (value) => (value === "1" ? this.set({ step: undefined }) : act(value)));
    }

    numbered(key, label, most) {
      const numbers = Array.from({ length: most }, (_one, index) => [String(index + 1), String(index + 1)]);
      return this.choice(key, label, [["", numbers]], this.value[key] || 1, (value) => this.set({ [key]: Number(value) }));
    }

    draw_stays() {
      const row = this.row("plain", this.words.stays_for, [this.number("count", this.words.number), this.unit()]);
      element("div", { class: "help" }, row, this.words.stays_help);
    }

    draw_often(fields) {
      const { words } = this;
      const controls = [this.number("times", words.times), this.said(words.times_in), this.number("count", words.number), this.unit()];
      this.row("plain", words.times, [...controls, ...this.by(fields)]);
    }

    draw_silent(fields) {
      const { words } = this;
      this.row("plain", words.silent_for, [this.number("count", words.number), this.unit(), ...this.by(fields)]);
    }

    /** What is counted by itself: the values of the object, as the card of limits has them. */
    by(fields) {
      const offered = fields ? fields.fields.filter((field) => !["object", "rows"].includes(field.type) && !field.quiet) : [];
      const listed = offered.map((field) => [`{{ instance.${field.name} }}`, field.label]);
      if (!listed.length && !this.value.by) return [];
      const groups = [["", [["", this.words.all_together]]], [fields ? fields.title : "", listed]];
      return [this.said(this.words.by), this.choice("by", this.words.by, groups)];
    }

    /** What few rules need: a cron text, and what becomes of times that passed while no worker ran. */
    drawAdvanced(when) {
      if (!this.isAlone()) return;
      this.when = when;
      const { words } = this;
      const lates = Object.entries(this.late).filter(([name]) => name !== "last" || this.kind === "every");
      this.row("late", words.late, [this.choice("late", words.late, [["", lates]], this.value.late || "all")]);
      const row = this.row("lateness", words.lateness, this.lateness());
      element("div", { class: "help" }, row, words.lateness_help);
      if (this.kind !== "every") return;
      const cron = this.row("cron", words.cron_label, [(parent) => {
        const input = element("input", { type: "text", "data-key": "cron", autocomplete: "off", spellcheck: "false" }, parent);
        input.value = this.value.cron || "";
        input.addEventListener("input", () => input.value.trim() && this.setCron(input.value.trim(), false));
        input.addEventListener("change", () => (input.value.trim() ? this.setCron(input.value.trim()) : this.begin_each("day")));
      }]);
      element("div", { class: "help" }, cron, words.cron_help);
    }

    setCron(text, isDrawnAgain = true) {
      const gone = { each: undefined, at: undefined, day: undefined, step: undefined, since: undefined, holidays: undefined };
      this.set({ cron: text, ...gone }, isDrawnAgain);
    }

    lateness() {
      const stored = this.value.lateness;
      const unit = Object.keys(SECONDS).find((name) => stored && stored % SECONDS[name] === 0) || "days";
      const shown = this.latenessUnit && stored && stored % SECONDS[this.latenessUnit] === 0 ? this.latenessUnit : unit;
      const write = (parent) => {
        const [number, chosen] = [parent.querySelector("input").value, parent.querySelector("select").value];
        this.latenessUnit = chosen;
        this.set({ lateness: /^\d+$/.test(number) ? Number(number) * SECONDS[chosen] : undefined }, false);
      };
      return [(parent) => {
        const input = element("input", { type: "number", min: 1, class: "rules-span-number", "data-key": "lateness" }, parent);
        input.value = stored ? stored / SECONDS[shown] : "";
        input.addEventListener("input", () => write(parent));
        const units = Object.keys(SECONDS).map((name) => [name, this.units[name]]);
        select(parent, "lateness-unit", this.words.unit, [["", units]], shown, () => write(parent));
      }];
    }
  };
})();
