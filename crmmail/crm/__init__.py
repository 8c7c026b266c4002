"""Whom mail belongs to: accounts and contacts, matching, domains, tax ids, CSV and vCard. Pure."""
