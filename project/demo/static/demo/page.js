// Asks for news every second and shows it, newest first. All that came from outside is set as text, never as HTML.
"use strict";

const NAMES = { mail: "Mail", webhook: "Webhook", cache: "Cache keys", audit: "Audit entry", log: "Log line" };
const SHOWN = 100;
const EVERY_MS = 1000;

const list = document.getElementById("arrivals");
const state = document.getElementById("state");
let last = null;

function shown(arrival) {
  const item = document.getElementById("arrival").content.cloneNode(true).firstElementChild;
  item.className = `${arrival.kind}${arrival.good ? "" : " bad"}${last === null ? "" : " new"}`;
  item.querySelector(".kind").textContent = NAMES[arrival.kind] ?? arrival.kind;
  item.querySelector("h3").textContent = arrival.title;
  item.querySelector("pre").textContent = arrival.text;
  const time = item.querySelector("time");
  time.dateTime = arrival.at;
  time.textContent = new Date(arrival.at).toLocaleTimeString();
  return item;
}

function showKeys(keys) {
  const items = Object.entries(keys).map(([name, cached]) => {
    const item = document.createElement("li");
    item.textContent = name;
    item.className = cached ? "" : "gone";
    item.title = cached ? "in the cache" : "deleted by a rule";
    return item;
  });
  document.getElementById("keys").replaceChildren(...items);
}

function showNews(news) {
  // A demo that was started again counts from the beginning.
  if (last !== null && news.last < last) {
    location.reload();
    return;
  }
  for (const arrival of news.arrivals) list.prepend(shown(arrival));
  while (list.children.length > SHOWN) list.lastElementChild.remove();
  document.getElementById("empty").hidden = list.children.length > 0;
  showKeys(news.keys);
  last = news.last;
  state.className = "";
  state.textContent = news.waiting ? `Live. ${news.waiting} under way.` : "Live. Nothing is waiting.";
}

async function ask() {
  try {
    const answer = await fetch(`${document.body.dataset.news}?after=${last ?? 0}`, { cache: "no-store" });
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    showNews(await answer.json());
  } catch {
    state.className = "lost";
    state.textContent = "The demo does not answer. Is it still running?";
  }
  setTimeout(ask, EVERY_MS);
}

ask();
