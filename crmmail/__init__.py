"""crmmail: a mail client for the terminal whose mail is bound to CRM accounts."""

__version__ = "0.1.0"
