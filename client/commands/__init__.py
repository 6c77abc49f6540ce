"""The commands of `nudge`, one file for each noun."""
