/* Pieces of the page that rows are made of: elements, buttons, selects and typed inputs. */
(function () {
  "use strict";

  const rules = (window.rulesEngine = window.rulesEngine || {});
  const INPUTS = { number: "number", date: "date", datetime: "datetime-local", time: "time", text: "text" };
  const QUOTED = { date: /^\d{4}-\d\d-\d\d$/, time: /^\d\d:\d\d(?::\d\d)?$/ };

  rules.element = function (name, attributes, parent, text) {
    const made = document.createElement(name);
    Object.entries(attributes || {}).forEach(([key, value]) => value !== null && made.setAttribute(key, value));
    if (text !== undefined) made.textContent = text;
    if (parent) parent.append(made);
    return made;
  };

  rules.button = function (parent, key, text, label, act) {
    const made = rules.element("button", { type: "button", "data-key": key, "aria-label": label }, parent, text);
    made.addEventListener("click", act);
    return made;
  };

  /** A select of [title, [[value, label]]]; what is chosen and not among them is kept as a choice of its own. */
  rules.select = function (parent, key, label, groups, chosen, act) {
    const made = rules.element("select", { "data-key": key, "aria-label": label }, parent);
    const known = groups.some(([, entries]) => entries.some(([value]) => value === chosen));
    if (!known) rules.element("option", { value: chosen }, made, chosen || "–");
    groups.filter(([, entries]) => entries.length).forEach(([title, entries]) => {
      const holder = title ? rules.element("optgroup", { label: title }, made) : made;
      entries.forEach(([value, text]) => rules.element("option", { value: value }, holder, text));
    });
    made.value = chosen;
    made.addEventListener("change", () => act(made.value));
    return made;
  };

  const isText = (token) => token !== null && token.startsWith('"');
  rules.isText = isText;
  const spoken = (token) => (isText(token) ? JSON.parse(token) : token === null ? "" : token);

  /** The kind of input that shows all of a token of a field; "free" asks for the JSON type as well. */
  function kindOf(field, token, words) {
    const type = field.type;
    if (field.choices) return "choice";
    if (type === "boolean") return token === null || token === "true" || token === "false" ? "choice" : "free";
    if (type === "any") return "free";
    if (token === null) return type in INPUTS ? type : "free";
    if (type === "number") return rules.isNumber(token) ? "number" : "free";
    if (!isText(token)) return "free";
    if (type === "datetime") return isMoment(spoken(token), words.zone) ? "datetime" : "text";
    return type in QUOTED && !QUOTED[type].test(spoken(token)) ? "text" : type;
  }

  function isMoment(text, zone) {
    return /^\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d)?/.test(text) && text.replace(/^\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d)?/, "") === zone;
  }

  function number(text) {
    const tidy = text.trim().replace(/^(-?)\./, "$10.").replace(/^(-?)0+(?=\d)/, "$1").replace(/\.$/, "");
    return rules.isNumber(tidy) ? tidy : null;
  }

  function tokenOf(kind, text, words) {
    if (kind === "number") return number(text);
    if (kind === "text") return JSON.stringify(text);
    if (!text) return null;
    const whole = /T\d\d:\d\d$/.test(text) ? `${text}:00` : text;
    return JSON.stringify(kind === "datetime" ? whole + words.zone : text);
  }

  function typed(parent, key, kind, token, words, act) {
    const made = rules.element("input", {
      type: INPUTS[kind], "data-key": key, "aria-label": kind === "datetime" && words.zone ? words.value_utc : words.value,
      step: kind === "number" ? "any" : kind === "datetime" || kind === "time" ? "1" : null, autocomplete: "off",
    }, parent);
    const shown = kind === "datetime" ? spoken(token).slice(0, spoken(token).length - words.zone.length) : spoken(token);
    made.value = shown;
    // Its input shows nothing of the 31st of June, nor of 1e400.
    if (made.value === "" && shown !== "") Object.assign(made, { type: "text", value: shown });
    made.addEventListener("input", () => act(tokenOf(kind, made.value, words), false));
  }

  const YES_NO = (words) => [["true", words.yes], ["false", words.no]];

  function choice(parent, key, field, token, words, act) {
    const listed = field.choices ? field.choices.map(([value, text]) => [JSON.stringify(value), text]) : YES_NO(words);
    const same = token !== null && listed.find(([value]) => value === token || (isText(token) && JSON.parse(value) === spoken(token)));
    const chosen = same ? same[0] : token === null ? "" : token;
    rules.select(parent, key, words.value, [["", listed]], chosen, (value) => act(value || null, false));
  }

  /** A value of which nobody knows the type: it is asked for. */
  function free(parent, key, token, words, act) {
    const type = token === null || isText(token) ? "text" : token === "true" || token === "false" ? "boolean" : "number";
    const starts = { text: '""', number: "0", boolean: "true" };
    const types = [["text", words.text], ["number", words.number], ["boolean", words.yes_or_no]];
    rules.select(parent, `${key}-type`, words.type, [["", types]], type, (chosen) => act(starts[chosen], true));
    if (type === "boolean") choice(parent, key, { type: "boolean" }, token, words, act);
    else typed(parent, key, type, token, words, act);
  }

  /** One typed value; ``act(token, redraw)`` is told of each change, with null for what is no value yet. */
  rules.drawValue = function (parent, key, field, token, words, act) {
    const kind = kindOf(field, token, words);
    if (kind === "choice") choice(parent, key, field, token, words, act);
    else if (kind === "free") free(parent, key, token, words, act);
    else typed(parent, key, kind, token, words, act);
  };

  /** What a value is at first, where a field has just been chosen. */
  rules.firstToken = (field) => (field.type === "text" && !field.choices ? '""' : field.type === "any" ? '""' : null);

  /** Whether a token can stand for a value of the field, as far as its inputs can tell. */
  rules.suits = function (field, token) {
    if (field.choices) return field.choices.some(([value]) => JSON.stringify(value) === token);
    if (field.type === "any") return true;
    if (field.type === "boolean") return token === "true" || token === "false";
    if (field.type === "number") return rules.isNumber(token || "");
    return field.type in QUOTED ? isText(token) && QUOTED[field.type].test(spoken(token)) : isText(token) && field.type === "text";
  };

  /** Several values: boxes to tick of a field's choices, or one value a line. */
  rules.drawList = function (parent, key, field, tokens, words, act) {
    if (field.choices) return drawBoxes(parent, key, field, tokens, words, act);
    const isNumbers = tokens.length ? !isText(tokens[0]) : field.type === "number";
    const made = rules.element("textarea", { rows: Math.min(Math.max(tokens.length, 2), 6), "data-key": key, "aria-label": words.one_a_line, placeholder: words.one_a_line }, parent);
    made.value = tokens.map(spoken).join("\n");
    made.addEventListener("input", () => {
      const lines = made.value.split("\n").filter((line) => line.trim());
      const read = lines.map((line) => (isNumbers ? number(line) : JSON.stringify(line)));
      act(read.includes(null) ? [] : read, false);
    });
    return made;
  };

  function drawBoxes(parent, key, field, tokens, words, act) {
    const set = rules.element("div", { class: "rules-boxes", role: "group", "aria-label": words.value }, parent);
    const listed = field.choices.map(([value, text]) => [JSON.stringify(value), text]);
    const strangers = tokens.filter((token) => !listed.some(([value]) => value === token)).map((token) => [token, spoken(token)]);
    [...listed, ...strangers].forEach(([value, text], index) => {
      const label = rules.element("label", {}, set);
      const box = rules.element("input", { type: "checkbox", "data-key": `${key}-${index}` }, label);
      box.checked = tokens.includes(value);
      label.append(` ${text}`);
      box.addEventListener("change", () => {
        tokens = box.checked ? [...tokens, value] : tokens.filter((one) => one !== value);
        act(tokens, false);
      });
    });
    return set;
  }

  rules.isJson = function (text) {
    try {
      return Boolean(rules.parseJson(text));
    } catch (error) {
      return false;
    }
  };
})();
