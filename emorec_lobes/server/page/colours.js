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
