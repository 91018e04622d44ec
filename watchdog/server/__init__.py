"""What operators and their machines see of the watchdog itself: health, metrics, the word to systemd."""
