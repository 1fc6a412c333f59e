"""Journeys: what a person does, over real servers."""
