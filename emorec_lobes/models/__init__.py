"""The lobes: modules that map tensors to tensors, usable in any SpeechBrain recipe."""
