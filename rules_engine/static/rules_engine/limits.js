/* Offers the values of the model that is chosen above as what a limit counts by itself. */
(function () {
  "use strict";

  const OWN = "own";

  function option(select, value, label) {
    const made = document.createElement("option");
    made.value = value;
    made.textContent = label;
    select.append(made);
  }

  /** The groups that the server makes of the same answer: objects, fields, and what is there for every model. */
  function groupsOf(told, words) {
    if (words.is_of_rows) {
      const rows = told.fields.filter((one) => one.type === "rows").map((one) => [`instance.${one.name}`, one.label]);
      return rows.length ? [[words.rows, rows]] : [];
    }
    const fields = told.fields.filter((one) => !["object", "rows"].includes(one.type) && !one.quiet);
    const text = (one) => [`{{ instance.${one.name} }}`, one.label];
    const relations = fields.filter((one) => one.field !== one.name).map(text);
    const rest = fields.filter((one) => one.field === one.name).map(text);
    return [
      [words.objects, [...relations, ["{{ instance.pk }}", told.title]]],
      [words.fields, rest],
      [words.besides, [words.actor]],
    ].filter(([, entries]) => entries.length);
  }

  class Key {
    constructor(select) {
      this.select = select;
      this.words = JSON.parse(select.dataset.rulesKey);
      this.own = select.parentElement.querySelector("textarea");
      this.last = select.value;
      select.addEventListener("change", () => this.chosen());
      const picks = JSON.parse(this.own.dataset.rulesPicks);
      if (picks.insert) window.rulesEngine.offerValues(this.own, picks, () => this.own.getAttribute("aria-label"));
    }

    /** Whoever turns to a text of their own begins with what was chosen, and not with nothing. */
    chosen() {
      if (this.select.value === OWN) {
        if (!this.own.value.trim()) this.own.value = this.last;
        this.own.focus();
      }
      this.last = this.select.value;
    }

    offer(groups) {
      const text = this.select.value === OWN ? this.own.value : this.select.value;
      this.select.querySelectorAll("optgroup").forEach((group) => group.remove());
      const own = this.select.querySelector(`option[value="${OWN}"]`);
      groups.forEach(([title, entries]) => {
        const group = document.createElement("optgroup");
        group.label = title;
        entries.forEach(([value, label]) => option(group, value, label));
        own.before(group);
      });
      this.take(text);
    }

    /** What is not offered any more stays, as a text: nothing that was chosen is lost. */
    take(text) {
      const found = Array.from(this.select.options).find((one) => one.value === text && one.value !== OWN);
      this.select.value = found ? text : OWN;
      this.own.value = found ? "" : text;
      this.last = this.select.value;
    }
  }

  const keys = [];

  function found(root) {
    root.querySelectorAll("select[data-rules-key]:not(:disabled)").forEach((select) => keys.push(new Key(select)));
  }

  function offer(told) {
    keys.forEach((key) => key.offer(told ? groupsOf(told, key.words) : []));
  }

  function begin() {
    found(document);
    const model = document.querySelector('#rule_form [name="model"]');
    if (!keys.length || !model) return;
    let asked = 0;
    model.addEventListener("change", () => {
      asked += 1;
      const mine = asked;
      const answered = (told) => mine === asked && offer(told);
      if (!model.value) {
        answered(null);
        return;
      }
      fetch(`${keys[0].words.address}?model=${encodeURIComponent(model.value)}`, { headers: { Accept: "application/json" } })
        .then((answer) => (answer.ok ? answer.json() : Promise.reject(answer.status)))
        .then(answered)
        .catch(() => answered(null));
    });
    document.addEventListener("formset:added", (event) => found(event.target));
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", begin);
  else begin();
})();
