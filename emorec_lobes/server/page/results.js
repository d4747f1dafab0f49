// Answers as elements. Text only ever becomes text.

import { variable } from "./colours.js";

/** An element with its class, its text and its children. */
export function element(tag, { kind = "", text, children = [], ...attributes } = {}) {
  const made = document.createElement(tag);
  if (kind) made.className = kind;
  if (text !== undefined) made.textContent = text;
  Object.entries(attributes).forEach(([name, value]) => made.setAttribute(name, value));
  made.append(...children);
  return made;
}

export const percent = (share) => `${(100 * share).toFixed(1)} %`;

/** One answer: the emotion, how sure, every probability, what to be careful about. */
export function answerCard(title, answer, labels) {
  const said = answer.label ?? "no clear answer";
  const sure = element("p", { kind: "sure", text: "calibrated confidence", children: [element("b", { text: percent(answer.confidence) })] });
  sure.prepend(sure.lastChild);
  const verdict = element("p", {
    kind: "verdict",
    children: [element("strong", { text: said, kind: answer.label ? "" : "none" }), sure],
  });
  const parts = [verdict, bars(answer.probabilities, labels)];
  if (title) parts.unshift(element("p", { kind: "title", text: title }));
  if (answer.warnings.length) {
    const items = answer.warnings.map((text) => element("li", { text }));
    parts.push(element("ul", { kind: "warnings", "aria-label": "Warnings", children: items }));
  }
  return element("article", { kind: "card answer", children: parts });
}

function bars(probabilities, labels) {
  const rows = Object.entries(probabilities).sort((one, other) => other[1] - one[1]);
  const children = rows.flatMap(([label, share]) => {
    const fill = element("div", { kind: "fill" });
    fill.style.width = `${100 * share}%`;
    fill.style.background = `var(${variable(label, labels)})`;
    const track = element("div", { kind: "track", "aria-hidden": "true", children: [fill] });
    const number = element("span", { kind: "number", text: percent(share) });
    return [element("dt", { text: label }), element("dd", { children: [track, number] })];
  });
  return element("dl", { kind: "bars", children });
}

/** Which colour stands for what. */
export function legend(labels) {
  return labels.map((label) => {
    const patch = element("i", { "aria-hidden": "true" });
    patch.style.background = `var(${variable(label, labels)})`;
    return element("li", { children: [patch, label] });
  });
}

/** Fills a table with segments. */
export function fillTable(table, segments, labels) {
  const head = ["From", "To", "Emotion", ...labels].map((text) => element("th", { text, scope: "col" }));
  table.tHead.replaceChildren(element("tr", { children: head }));
  const rows = segments.map((segment) => {
    const numbers = labels.map((label) => percent(segment.probabilities[label] ?? 0));
    const cells = [seconds(segment.start_s), seconds(segment.stop_s), segment.label ?? "–", ...numbers];
    return element("tr", { children: cells.map((text) => element("td", { text })) });
  });
  table.tBodies[0].replaceChildren(...rows);
}

export const seconds = (time) => `${time.toFixed(1)} s`;

/** A segment in one line. */
export function sentence(segment) {
  const shares = Object.entries(segment.probabilities).sort((one, other) => other[1] - one[1]);
  const words = shares.slice(0, 3).map(([label, share]) => `${label} ${percent(share)}`);
  return `${seconds(segment.start_s)} – ${seconds(segment.stop_s)}: ${words.join(", ")}`;
}
