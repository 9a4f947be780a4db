/* Shows what belongs to the chosen scope, and the time of an end only where one is to be given. Without it, all of
   them are there. */
(function () {
  "use strict";

  function showing(name, isWanted) {
    const row = document.querySelector(`#pause_form .field-${name}`);
    if (row) row.hidden = !isWanted;
  }

  function valueOf(name) {
    const select = document.querySelector(`#pause_form [name="${name}"]`);
    return select ? select.value : "";
  }

  /* Of what no pause makes up for, only what this one would stop. */
  function showingLeftOut(scope) {
    const block = document.querySelector("#pause_form .rules-left-out");
    if (!block) return;
    let any = false;
    block.querySelectorAll("li").forEach((item) => {
      const isStopped =
        scope === "everything" ||
        "more" in item.dataset ||
        (scope === "rule" ? item.dataset.rule === valueOf("rule_slug") : isModel(item.dataset.model));
      item.hidden = !isStopped;
      any = any || isStopped;
    });
    block.hidden = !any;
  }

  function isModel(label) {
    return Boolean(label) && label.toLowerCase() === valueOf("model").toLowerCase();
  }

  function follow() {
    const radios = document.querySelectorAll('#pause_form input[name="scope"]');
    const lasts = document.querySelector('#pause_form select[name="lasts"]');
    const fields = { rule: "rule_slug", model: "model" };
    function show() {
      const chosen = Array.from(radios).find((one) => one.checked);
      Object.entries(fields).forEach(([scope, name]) => showing(name, !chosen || chosen.value === scope));
      if (lasts) showing("until", lasts.value === "at");
      if (chosen) showingLeftOut(chosen.value);
    }
    radios.forEach((one) => one.addEventListener("change", show));
    if (lasts) lasts.addEventListener("change", show);
    document
      .querySelectorAll('#pause_form select[name="rule_slug"], #pause_form select[name="model"]')
      .forEach((one) => one.addEventListener("change", show));
    if (radios.length) show();
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", follow);
  else follow();
})();
