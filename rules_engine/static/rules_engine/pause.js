/* Shows the list of what is to be paused that belongs to the chosen scope. Without it, both lists are there. */
(function () {
  "use strict";

  function follow() {
    const radios = document.querySelectorAll('#pause_form input[name="scope"]');
    const fields = { rule: "rule_slug", model: "model" };
    function show() {
      const chosen = Array.from(radios).find((one) => one.checked);
      Object.entries(fields).forEach(([scope, name]) => {
        const row = document.querySelector(`#pause_form .field-${name}`);
        if (row) row.hidden = Boolean(chosen) && chosen.value !== scope;
      });
    }
    radios.forEach((one) => one.addEventListener("change", show));
    if (radios.length) show();
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", follow);
  else follow();
})();
