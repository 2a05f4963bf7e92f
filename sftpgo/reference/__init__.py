"""What the program says of itself to administrators and shells, made from its options and its configuration's keys.

Sample configurations, manual pages and completions: nothing in them is written twice, so nothing in them grows old.
"""
