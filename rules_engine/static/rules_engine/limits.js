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

  function begin() {
    const keys = Array.from(document.querySelectorAll("select[data-rules-key]:not(:disabled)")).map((one) => new Key(one));
    const model = document.querySelector('#rule_form [name="model"]');
    if (!keys.length || !model) return;
    let asked = 0;
    model.addEventListener("change", () => {
      asked += 1;
      const mine = asked;
      const offer = (groups) => mine === asked && keys.forEach((key) => key.offer(groups));
      if (!model.value) {
        offer([]);
        return;
      }
      const { address } = keys[0].words;
      fetch(`${address}?model=${encodeURIComponent(model.value)}`, { headers: { Accept: "application/json" } })
        .then((answer) => (answer.ok ? answer.json() : Promise.reject(answer.status)))
        .then((told) => offer(groupsOf(told, keys[0].words)))
        .catch(() => offer([]));
    });
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", begin);
  else begin();
})();
