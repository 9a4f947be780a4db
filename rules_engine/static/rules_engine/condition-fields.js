/* What may be read of each model, asked of the server once a page and one model at a time. */
(function () {
  "use strict";

  const rules = (window.rulesEngine = window.rulesEngine || {});
  /** Stands for rows of which nothing is known. */
  rules.NO_MODEL = "-";
  const ANY = { type: "any" };

  /** One memory of the models for the whole page; ``changed`` is called whenever something has come. */
  rules.fieldsOf = function (config, changed) {
    const told = rules.told || (rules.told = []);
    told.push(changed);
    rules.known = rules.known || new Fields(config.address, config.words, () => told.forEach((one) => one()));
    return rules.known;
  };

  class Fields {
    constructor(address, words, changed) {
      this.address = address;
      this.words = words;
      this.changed = changed;
      this.models = {};
      this.refused = {};
    }

    /** What is known of a model; null while it is asked for, and where it may not be seen. */
    of(label) {
      if (!label || label === rules.NO_MODEL || label in this.models) return this.models[label] || null;
      this.models[label] = null;
      fetch(`${this.address}?model=${encodeURIComponent(label)}`, { headers: { Accept: "application/json" } })
        .then((answer) => (answer.ok ? answer.json() : Promise.reject(answer.status)))
        .then((found) => { this.models[label] = found; })
        .catch(() => { this.refused[label] = true; })
        .then(() => this.changed());
      return null;
    }

    isLoading() {
      return Object.keys(this.models).some((label) => this.models[label] === null && !this.refused[label]);
    }

    /** The choices of one select: [title, [{ value, label, leads, field }]]. A value that leads on ends in . or __ */
    options(label, prefix, inRows) {
      const found = this.of(label);
      if (!found) return [];
      const values = [], onwards = [], many = [];
      found.fields.forEach((field) => {
        const entry = { value: prefix + field.name, label: field.label, field: field };
        if (field.type === "rows") {
          if (inRows) return;
          many.push({ ...entry, label: field.label });
          many.push({ value: `${entry.value}__count`, label: this.words.how_many.replace("%(rows)s", field.label), field: { type: "number" } });
          many.push({ value: `${entry.value}__`, label: this.words.sums.replace("%(rows)s", field.label), leads: field.model, sums: true });
        } else if (field.type === "object") {
          onwards.push({ value: `${entry.value}.`, label: `${field.label} ›`, leads: field.model });
        } else values.push(entry);
      });
      return [[found.title, values], [this.words.leads_on, onwards], [this.words.several, many]];
    }

    sums(label, prefix) {
      const found = this.of(label);
      const numbers = found ? found.fields.filter((field) => field.type === "number" && !field.quiet) : [];
      return Object.entries(this.words.functions).map(([name, title]) => [title, numbers.map((field) => (
        { value: `${prefix}${field.name}__${name}`, label: `${title} ${field.label}`, field: { type: "number" } }
      ))]);
    }

    /** The selects that lead to a name, each with what it offers and what is chosen; and what kind of thing it is. */
    chain(first, name, inRows) {
      const links = [];
      let groups = first;
      for (;;) {
        const all = groups.flatMap(([, entries]) => entries);
        const leaf = all.find((one) => one.value === name && !one.leads);
        const lead = leaf ? null : all.find((one) => one.leads && name.startsWith(one.value));
        links.push({ groups: groups, chosen: leaf || lead || null, name: name });
        if (leaf) return { links: links, field: leaf.field, entry: leaf };
        if (!lead) return { links: links, field: ANY, entry: null };
        groups = lead.sums ? this.sums(lead.leads, lead.value) : this.options(lead.leads, lead.value, inRows);
      }
    }

    /** A column's name as the list of changed fields has it: customer_id is "customer" there. */
    fieldOf(label, column) {
      const found = this.of(label);
      const field = found && found.fields.find((one) => one.name === column);
      return (field && field.field) || column;
    }

    /** And back. */
    columnOf(label, name) {
      const found = this.of(label);
      const field = found && found.fields.find((one) => one.field === name);
      return field ? field.name : name;
    }
  }
})();
