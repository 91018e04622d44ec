"""Calls from files through the same judge: what would the watchdog have said, and after how many calls?"""
