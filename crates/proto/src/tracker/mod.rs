//! Trackers: announce and scrape over HTTP and UDP, tiers and their timing (BEP 3, 7, 12, 15, 21, 23, 24, 31, 41, 48).
