"""Attacks on pure rooms, by their number in the table of threats where they have one."""
