// Wires the page: what comes in, what is asked, what is shown.

import { ask, health } from "./api.js";
import { samplesOf, sendable, wav } from "./audio.js";
import { colour } from "./colours.js";
import { Picture, joined } from "./picture.js";
import { Microphone } from "./recorder.js";
import { answerCard, fillTable, legend, seconds, sentence } from "./results.js";

const parts = Object.fromEntries([...document.querySelectorAll("[id]")].map((each) => [each.id, each]));
const picture = new Picture(parts.picture);
let server = { labels: [], takes_audio: true, takes_text: false, max_upload_mb: 10, max_audio_s: 300 };
let current = null; // the recording that is shown: {file, samples}
let microphone = null;
let pending = null; // stops an older question when a newer one comes

async function begin() {
  try {
    server = await health();
  } catch {
    complain("The server does not answer. Is it still running?");
    return;
  }
  const names = server.labels.length > 1 ? `${server.labels.slice(0, -1).join(", ")} or ${server.labels.at(-1)}` : server.labels[0];
  parts.model.textContent = `Does it sound ${names}?`;
  parts["text-part"].hidden = !server.takes_text;
  parts["token-part"].hidden = !server.needs_token;
  parts.drop.hidden = !server.takes_audio;
  parts.hint.textContent = `or drop one here: wav, flac, ogg or mp3, up to ${server.max_audio_s} s and ${server.max_upload_mb} MB`;
  if (!Microphone.isThere()) {
    parts.record.disabled = true;
    parts["record-text"].textContent = "Recording needs https or localhost";
  }
}

/** Takes a file or a recording: draws it, then asks. */
async function take(file) {
  complain("");
  if (file.size > 1e6 * server.max_upload_mb) {
    complain(`The file has ${(file.size / 1e6).toFixed(1)} MB; the server takes ${server.max_upload_mb} MB.`);
    return;
  }
  current = { file, samples: await samplesOf(file) };
  await answer();
}

async function answer() {
  pending?.abort();
  pending = new AbortController();
  const { signal } = pending;
  const [text, token] = [parts.text.value.trim(), parts.token.value.trim()];
  const audio = current && sendable(current.file, current.samples);
  if (!audio && !text) return;
  parts.status.textContent = "Listening …";
  complain("");
  try {
    const [answers, timeline] = await Promise.all([
      answersTo({ audio, text, token, signal }),
      audio ? ask("timeline", { audio, token, signal }) : null,
    ]);
    show(answers, timeline);
  } catch (error) {
    if (error.name === "AbortError") return;
    parts.status.textContent = "";
    parts.result.hidden = true;
    complain(error.message);
  }
}

/** With words: the answer to the voice alone beside that to both. */
async function answersTo({ audio, text, token, signal }) {
  const both = ask("classify", { audio, text: server.takes_text ? text : "", token, signal });
  if (!audio || !text || !server.takes_text) return [["", await both]];
  const speech = ask("classify", { audio, token, signal }).catch(() => null); // a model may need both
  const [alone, fused] = await Promise.all([speech, both]);
  return alone ? [["Voice alone", alone], ["Voice and words", fused]] : [["", fused]];
}

function show(answers, timeline) {
  parts.answers.replaceChildren(...answers.map(([title, each]) => answerCard(title, each, server.labels)));
  parts["over-time"].hidden = !timeline;
  parts.result.hidden = false;
  const said = answers.at(-1)[1];
  const name = current ? `${current.file.name ?? "Your recording"} (${seconds(said.duration_s)})` : "It";
  parts.status.textContent = said.label ? `${name} sounds ${said.label}.` : `${name} has no clear answer.`;
  if (!timeline) return;
  picture.show(current.samples, timeline.segments, server.labels, timeline.duration_s);
  parts.picture.setAttribute("aria-label", spoken(timeline));
  parts.moment.textContent = timeline.segments.length ? "Point at the picture, or use its arrow keys." : "No speech was found.";
  parts.legend.replaceChildren(...legend(server.labels));
  fillTable(parts.segments, timeline.segments, server.labels);
  URL.revokeObjectURL(parts.player.src);
  parts.player.src = URL.createObjectURL(current.file);
}

/** The timeline in words. */
function spoken({ segments, duration_s: durationS }) {
  const words = joined(segments).map(({ label, startS, stopS }) => `${seconds(startS)} to ${seconds(stopS)} ${label ?? "unclear"}`);
  return `Recording of ${seconds(durationS)}. ${words.join(", ")}`;
}

function complain(line) {
  parts.problem.textContent = line;
  parts.problem.hidden = !line;
}

// Recording

async function record() {
  if (microphone) {
    await finish();
    return;
  }
  complain("");
  microphone = new Microphone(levels);
  try {
    await microphone.start();
  } catch {
    microphone = null;
    complain("There is no microphone, or it may not be used. Allow it for this page, or choose a file.");
    return;
  }
  parts.level.hidden = false;
  parts.record.classList.add("recording");
  parts["record-text"].textContent = "Stop";
  parts.status.textContent = "Recording …";
}

async function finish() {
  const ended = microphone;
  microphone = null;
  parts.level.hidden = true;
  parts.record.classList.remove("recording");
  parts["record-text"].textContent = "Record again";
  const { samples, rateHz } = await ended.stop();
  await take(wav(samples, rateHz));
}

const peaks = [];

/** Draws how loud it is while it is recorded; ends what is too long. */
function levels(chunk) {
  if (!microphone) return;
  peaks.push(chunk.reduce((best, value) => Math.max(best, Math.abs(value)), 0));
  if (peaks.length % 8) return;
  const { level } = parts;
  const brush = level.getContext("2d");
  level.width = level.clientWidth;
  const shown = Math.floor(level.width / 4);
  brush.fillStyle = colour("--record");
  for (let bar = 0; bar < shown; bar += 1) {
    const loudness = Math.max(0, ...peaks.slice(-8 * (bar + 1), peaks.length - 8 * bar));
    const height = Math.max(2, Math.min(1, Math.sqrt(loudness)) * level.height);
    brush.fillRect(level.width - 4 * (bar + 1), (level.height - height) / 2, 2, height);
  }
  const durationS = microphone.durationS;
  parts.status.textContent = `Recording … ${Math.floor(durationS)} s`;
  if (durationS >= server.max_audio_s - 1) finish();
}

// A place in the picture

function pointAt(timeS) {
  const segment = picture.segments.find((each) => each.start_s <= timeS && timeS < each.stop_s);
  picture.mark(timeS);
  parts.moment.textContent = segment ? sentence(segment) : `${seconds(timeS)}: nobody speaks`;
}

function step(direction) {
  const middles = picture.segments.map((each) => (each.start_s + each.stop_s) / 2);
  const now = picture.atS ?? -1;
  const next = direction > 0 ? middles.find((each) => each > now + 1e-3) : middles.findLast((each) => each < now - 1e-3);
  if (next !== undefined) pointAt(next);
}

parts.record.addEventListener("click", record);
parts.choose.addEventListener("click", () => parts.file.click());
parts.file.addEventListener("change", () => {
  if (parts.file.files[0]) take(parts.file.files[0]);
  parts.file.value = "";
});
parts.ask.addEventListener("submit", (event) => {
  event.preventDefault();
  answer();
});
for (const [name, isOver] of [["dragenter", true], ["dragover", true], ["dragleave", false], ["drop", false]]) {
  document.addEventListener(name, (event) => {
    event.preventDefault();
    parts.drop.classList.toggle("over", isOver);
  });
}
document.addEventListener("drop", (event) => {
  if (event.dataTransfer.files[0]) take(event.dataTransfer.files[0]);
});
document.querySelectorAll("[name=picture]").forEach((each) => each.addEventListener("change", () => {
  picture.kind = each.value;
  picture.draw();
}));
parts.picture.addEventListener("pointermove", (event) => pointAt(picture.timeAt(event.offsetX)));
parts.picture.addEventListener("click", (event) => { parts.player.currentTime = picture.timeAt(event.offsetX); });
parts.picture.addEventListener("keydown", (event) => {
  if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
  event.preventDefault();
  step(event.key === "ArrowRight" ? 1 : -1);
});
parts.player.addEventListener("timeupdate", () => { if (!parts.player.paused) pointAt(parts.player.currentTime); });

begin();
