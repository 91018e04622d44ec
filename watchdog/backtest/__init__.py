"""The user's own past through the daemon's judge: every promotion that the audit log knows. Reads, changes nothing."""
