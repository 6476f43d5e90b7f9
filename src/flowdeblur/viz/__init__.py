"""Pictures of what a network sees and does."""
