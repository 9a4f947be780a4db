/* Shows what belongs to the chosen scope, and the time of an end only where one is to be given. Without it, all of
   them are there. */
(function () {
  "use strict";

  function showing(name, isWanted) {
    const row = document.querySelector(`#pause_form .field-${name}`);
    if (row) row.hidden = !isWanted;
  }

  function follow() {
    const radios = document.querySelectorAll('#pause_form input[name="scope"]');
    const lasts = document.querySelector('#pause_form select[name="lasts"]');
    const fields = { rule: "rule_slug", model: "model" };
    function show() {
      const chosen = Array.from(radios).find((one) => one.checked);
      Object.entries(fields).forEach(([scope, name]) => showing(name, !chosen || chosen.value === scope));
      if (lasts) showing("until", lasts.value === "at");
    }
    radios.forEach((one) => one.addEventListener("change", show));
    if (lasts) lasts.addEventListener("change", show);
    if (radios.length) show();
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", follow);
  else follow();
})();
