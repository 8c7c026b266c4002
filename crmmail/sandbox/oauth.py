"""The OAuth servers' routes: Google's, Microsoft's, and the pages both send people to."""

from __future__ import annotations

from crmmail.sandbox import oauth_google, oauth_microsoft, oauth_pages

ROUTES = [
    ("GET", r"/o/oauth2/v2/auth", oauth_google.google_authorize),
    ("POST", r"/device/code", oauth_google.google_device),
    ("POST", r"/token", oauth_google.google_token),
    ("POST", r"/revoke", oauth_google.google_revoke),
    ("GET", r"/(?P<tenant>[^/]+)/v2\.0/\.well-known/openid-configuration", oauth_microsoft.microsoft_discovery),
    ("GET", r"/(?P<tenant>[^/]+)/oauth2/v2\.0/authorize", oauth_microsoft.microsoft_authorize),
    ("POST", r"/(?P<tenant>[^/]+)/oauth2/v2\.0/devicecode", oauth_microsoft.microsoft_device),
    ("POST", r"/(?P<tenant>[^/]+)/oauth2/v2\.0/token", oauth_microsoft.microsoft_token),
    ("GET", r"/devicelogin", oauth_pages.device_page),
    ("POST", r"/devicelogin", oauth_pages.device_answer),
    ("POST", r"/__sandbox/consent", oauth_pages.consented),
    ("POST", r"/__sandbox/approve", oauth_pages.lever),
]
