"""Surrogates: trained maps between fields, how they are stored, exported and judged."""
