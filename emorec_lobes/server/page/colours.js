// A colour for each emotion, the same everywhere on the page.

const NAMED = {
  angry: "angry", anger: "angry", happy: "happy", happiness: "happy", joy: "happy", excited: "happy", neutral: "neutral",
  sad: "sad", sadness: "sad", fearful: "fearful", fear: "fearful", anxious: "fearful", disgusted: "disgusted",
  disgust: "disgusted", surprised: "surprised", surprise: "surprised", bored: "bored", boredom: "bored", calm: "other1",
};
const OTHERS = ["other1", "other2", "other3", "other4"];

/** The CSS variable of a label's colour. */
export function variable(label, labels) {
  const unnamed = labels.filter((each) => !NAMED[each]);
  return `--${NAMED[label] ?? OTHERS[Math.max(0, unnamed.indexOf(label)) % OTHERS.length]}`;
}

/** A CSS variable's value as it is now, in light or dark. */
export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

export const DARK = matchMedia("(prefers-color-scheme: dark)");

/** Black or white, whichever is easier to read on a #rrggbb colour. */
export function inkOn(shade) {
  const linear = [1, 3, 5].map((place) => (parseInt(shade.slice(place, place + 2), 16) / 255) ** 2.2);
  const luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
  return 1.05 / (luminance + 0.05) > (luminance + 0.05) / 0.05 ? "#ffffff" : "#000000";
}
