/* Reads JSON and keeps where each part of it stands, so that what nobody touches is kept to the byte.
 *
 * A node has type, start, end and pointer; texts, numbers and words a value; lists items; objects members, of which
 * several may have one key. Numbers are never made into JavaScript's.
 */
(function () {
  "use strict";

  const rules = (window.rulesEngine = window.rulesEngine || {});
  const TOKENS = {
    space: /[ \t\r\n]*/y,
    text: /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y,
    number: /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y,
    word: /true|false|null/y,
  };
  const DEEPEST = 200;

  class NotJson extends Error {
    constructor(text, position) {
      super("not JSON");
      const before = text.slice(0, position).split("\n");
      this.line = before.length;
      this.column = before[before.length - 1].length + 1;
    }
  }

  class Reader {
    constructor(text) {
      this.text = text;
      this.at = 0;
    }

    take(kind) {
      const pattern = TOKENS[kind];
      pattern.lastIndex = this.at;
      const found = pattern.exec(this.text);
      if (!found) return null;
      this.at = pattern.lastIndex;
      return found[0];
    }

    fail() {
      throw new NotJson(this.text, this.at);
    }

    sign(expected) {
      this.take("space");
      if (this.text[this.at] !== expected) return false;
      this.at += 1;
      return true;
    }

    whole() {
      const node = this.value("", 0);
      this.take("space");
      if (this.at < this.text.length) this.fail();
      return node;
    }

    value(pointer, depth) {
      this.take("space");
      if (depth > DEEPEST) this.fail();
      const node = { type: "", start: this.at, end: 0, pointer: pointer };
      if (this.sign("{")) this.members(node, depth);
      else if (this.sign("[")) this.items(node, depth);
      else this.plain(node);
      node.end = this.at;
      return node;
    }

    plain(node) {
      const start = this.at;
      const type = ["text", "number", "word"].find((kind) => this.take(kind) !== null);
      if (!type) this.fail();
      node.type = type;
      node.token = this.text.slice(start, this.at);
      if (type !== "number") node.value = JSON.parse(node.token);
    }

    items(node, depth) {
      node.type = "list";
      node.items = [];
      if (this.sign("]")) return;
      do node.items.push(this.value(`${node.pointer}/${node.items.length}`, depth + 1));
      while (this.sign(","));
      if (!this.sign("]")) this.fail();
    }

    members(node, depth) {
      node.type = "object";
      node.members = [];
      if (this.sign("}")) return;
      do {
        this.take("space");
        const token = this.take("text");
        if (token === null || !this.sign(":")) this.fail();
        const key = JSON.parse(token);
        const pointer = `${node.pointer}/${key.replace(/~/g, "~0").replace(/\//g, "~1")}`;
        node.members.push({ key: key, node: this.value(pointer, depth + 1) });
      } while (this.sign(","));
      if (!this.sign("}")) this.fail();
    }
  }

  rules.NotJson = NotJson;
  /** The node of a JSON text; throws NotJson with line and column. */
  rules.parseJson = (text) => new Reader(text).whole();
})();
