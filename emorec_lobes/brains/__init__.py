"""SpeechBrain Brain classes, one per task: what happens to one batch."""
