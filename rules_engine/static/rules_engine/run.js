// While a run goes on, its page shows how far it is: what is on it is fetched anew every two seconds.
"use strict";
(() => {
  const main = () => document.getElementById("content-main");
  const pause = 2000;
  const look = async () => {
    let fresh;
    try {
      const answer = await fetch(location.href, { credentials: "same-origin" });
      if (answer.redirected || (answer.status >= 400 && answer.status < 500)) return;
      // A server that is restarted, or a proxy before it, is asked again.
      if (!answer.ok) throw new Error(`status ${answer.status}`);
      fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    } catch {
      setTimeout(look, 5 * pause);
      return;
    }
    const there = fresh.getElementById("content-main");
    if (!there) return;
    // Who is about to press "Cancel" is not to lose the button under their fingers: the rows alone are exchanged.
    document.getElementById("rules-run-state")?.replaceWith(fresh.getElementById("rules-run-state"));
    for (const field of there.querySelectorAll(".form-row")) {
      const name = [...field.classList].find((one) => one.startsWith("field-"));
      const old = name && main().querySelector(`.form-row.${CSS.escape(name)}`);
      if (old) old.replaceWith(field);
    }
    const goesOn = fresh.querySelector("script[src*='rules_engine/run.js']");
    if (goesOn) setTimeout(look, pause);
    else location.reload();
  };
  setTimeout(look, pause);
})();
