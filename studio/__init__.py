"""What Voicewright decides and explains. Nothing in here imports torch, transformers, peft or a database."""
