// The object that is asked about is offered while its name is typed. Without this the form finds it as well.
"use strict";
{
  const WAIT = 200;

  class Choice {
    constructor(form) {
      this.form = form;
      this.input = form.elements.q;
      this.key = form.elements.pk;
      this.list = this.makeList();
      this.asked = 0;
      this.input.addEventListener("input", () => this.typed());
      this.input.addEventListener("focus", () => this.offer());
      this.input.addEventListener("keydown", (event) => this.pressed(event));
      this.input.addEventListener("blur", () => this.close());
      form.elements.model.addEventListener("change", () => this.forget());
    }

    makeList() {
      const around = document.createElement("div");
      around.className = "rules-why-choice";
      this.input.replaceWith(around);
      const list = document.createElement("ul");
      list.className = "rules-why-list";
      list.id = "rules-why-list";
      list.hidden = true;
      list.setAttribute("role", "listbox");
      list.setAttribute("aria-label", this.form.dataset.found);
      around.append(this.input, list);
      const states = { role: "combobox", "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": list.id };
      for (const [name, value] of Object.entries(states)) this.input.setAttribute(name, value);
      return list;
    }

    forget() {
      this.input.value = "";
      this.key.value = "";
      this.close();
    }

    typed() {
      this.key.value = "";
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.offer(), WAIT);
    }

    async offer() {
      const model = this.form.elements.model.value;
      if (!model || this.key.value) return;
      const number = ++this.asked;
      const query = new URLSearchParams({ model, q: this.input.value });
      let objects;
      try {
        const answer = await fetch(`${this.form.dataset.objects}?${query}`, { headers: { Accept: "application/json" } });
        if (!answer.ok) return;
        ({ objects } = await answer.json());
      } catch {
        return; // The form asks the server as well.
      }
      if (number === this.asked && document.activeElement === this.input) this.show(objects);
    }

    show(objects) {
      this.list.replaceChildren(...objects.map((object, place) => this.option(object, place)));
      if (!objects.length) {
        const none = document.createElement("li");
        none.textContent = this.form.dataset.none;
        this.list.append(none);
      }
      this.list.hidden = false;
      this.input.setAttribute("aria-expanded", "true");
      this.input.removeAttribute("aria-activedescendant");
    }

    option(object, place) {
      const item = document.createElement("li");
      item.id = `rules-why-option-${place}`;
      item.setAttribute("role", "option");
      item.setAttribute("aria-selected", "false");
      item.dataset.key = object.pk;
      item.textContent = object.name;
      // Before the input loses the focus, which closes the list.
      item.addEventListener("mousedown", (event) => {
        event.preventDefault();
        this.take(item);
      });
      return item;
    }

    take(item) {
      this.input.value = item.textContent;
      this.key.value = item.dataset.key;
      this.close();
      this.form.requestSubmit();
    }

    pressed(event) {
      const options = [...this.list.querySelectorAll("[role=option]")];
      const place = options.findIndex((option) => option.getAttribute("aria-selected") === "true");
      if (event.key === "Escape" && !this.list.hidden) {
        event.preventDefault();
        this.close();
      } else if (event.key === "Enter" && !this.list.hidden && place >= 0) {
        event.preventDefault();
        this.take(options[place]);
      } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
        event.preventDefault();
        if (this.list.hidden || !options.length) {
          this.offer();
          return;
        }
        const step = event.key === "ArrowDown" ? 1 : -1;
        const next = place < 0 && step < 0 ? options.length - 1 : (place + step + options.length) % options.length;
        this.select(options, next);
      }
    }

    select(options, place) {
      options.forEach((option, index) => option.setAttribute("aria-selected", String(index === place)));
      this.input.setAttribute("aria-activedescendant", options[place].id);
      options[place].scrollIntoView({ block: "nearest" });
    }

    close() {
      this.asked += 1;
      this.list.hidden = true;
      this.input.setAttribute("aria-expanded", "false");
      this.input.removeAttribute("aria-activedescendant");
    }
  }

  const start = () => {
    for (const form of document.querySelectorAll("form.rules-why-ask")) {
      // A rule that is asked of no object has the form without it.
      if (form.elements.q && form.elements.pk && form.elements.model) new Choice(form);
    }
  };
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
}
