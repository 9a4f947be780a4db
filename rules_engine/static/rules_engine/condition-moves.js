/* What can be done to parts of a condition as a whole: where they can be moved to, and a second one of the same. */
(function () {
  "use strict";

  const rules = (window.rulesEngine = window.rulesEngine || {});

  rules.holderOf = (root, one) => rules.partsOf(root).find((group) => group.type === "group" && group.children.includes(one));

  /** Where a part comes to stand by one step up (-1) or down (1): past its neighbour, into it or out of its own group. */
  rules.stepOf = function (root, one, way) {
    const holder = rules.holderOf(root, one);
    const index = holder.children.indexOf(one);
    const neighbour = holder.children[index + way];
    if (neighbour && neighbour.type === "group") return { holder: neighbour, index: way < 0 ? neighbour.children.length : 0 };
    if (neighbour) return { holder: holder, index: index + way };
    const outer = rules.holderOf(root, holder);
    return outer ? { holder: outer, index: outer.children.indexOf(holder) + (way < 0 ? 0 : 1) } : null;
  };

  /** Put a part elsewhere. Inside of one list the text between its parts stays where it stands. */
  rules.moveTo = function (one, from, to, index) {
    const between = from.children.map((child) => child.before);
    from.children.splice(from.children.indexOf(one), 1);
    if (from !== to) {
      from.isEmptied = true;
      one.before = undefined;
    }
    to.children.splice(index, 0, one);
    if (from === to) to.children.forEach((child, place) => { child.before = between[place]; });
  };

  /** The same once more, with the same text, and nothing shared. */
  rules.copyOf = function (one) {
    const { id, pointer, errors, children, body, form, frame, bodies, before, ...own } = one;
    const copy = rules.newPart(one.type, null, { ...own, ...structuredClone({ form, frame }) });
    if (children) copy.children = children.map((child) => Object.assign(rules.copyOf(child), { before: child.before }));
    if (body) copy.body = rules.copyOf(body);
    return copy;
  };
})();
